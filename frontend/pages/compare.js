// The compare page: all pictures zoom and move together, and two of them lie over each other under a slider. Without a script they stand
// side by side, and each leads to its recipe.
import "./compare.css";

const MOST = 8;
const bar = document.querySelector(".zoombar");
const slider = document.getElementById("slider");
const view = { zoom: 1, x: 0, y: 0 }; // x and y: where the picture's corner lies, in parts of a stage's side
let dragged = false;

const stages = () => document.querySelectorAll("a.stage, [data-over]");

function apply() {
  view.x = Math.min(0, Math.max(1 - view.zoom, view.x));
  view.y = Math.min(0, Math.max(1 - view.zoom, view.y));
  const move = view.zoom === 1 ? "" : `translate(${view.x * 100}%, ${view.y * 100}%) scale(${view.zoom})`;
  for (const stage of stages()) for (const image of stage.querySelectorAll("img")) paint(stage, image, move);
  document.body.classList.toggle("zooming", view.zoom > 1);
  bar.querySelector("[data-zoomed]").textContent = `${Math.round(view.zoom * 100)} %`;
  cut();
}

// Once somebody looks closer, lists show the originals: a small copy has nothing to look closer at.
function paint(stage, image, move) {
  image.style.transform = move;
  if (move && stage.dataset.original && image.getAttribute("src") !== stage.dataset.original) image.src = stage.dataset.original;
}

function zoomTo(zoom, at = { x: 0.5, y: 0.5 }) {
  const next = Math.min(MOST, Math.max(1, zoom));
  view.x = at.x - ((at.x - view.x) * next) / view.zoom;
  view.y = at.y - ((at.y - view.y) * next) / view.zoom;
  view.zoom = next < 1.01 ? 1 : next;
  apply();
}

function pan(x, y) {
  view.x += x;
  view.y += y;
  apply();
}

function within(stage, event) {
  const box = stage.getBoundingClientRect();
  return { x: (event.clientX - box.left) / box.width, y: (event.clientY - box.top) / box.height, width: box.width, height: box.height };
}

function announce() {
  const place = document.getElementById("announcer");
  if (place) place.textContent = bar.dataset.wordsIn.replace("PERCENT", `${Math.round(view.zoom * 100)} %`);
}

bar?.addEventListener("click", (event) => {
  const way = event.target.closest("[data-zoom]")?.dataset.zoom;
  if (!way) return;
  zoomTo({ in: view.zoom * 1.5, out: view.zoom / 1.5, reset: 1 }[way]);
  announce();
});

document.addEventListener(
  "wheel",
  (event) => {
    const stage = event.target.closest?.("a.stage, [data-over]");
    if (!stage || !(event.ctrlKey || event.metaKey || view.zoom > 1)) return; // else the page scrolls, as everywhere
    event.preventDefault();
    zoomTo(view.zoom * Math.exp(-event.deltaY * (event.ctrlKey ? 0.008 : 0.002)), within(stage, event));
  },
  { passive: false },
);

document.addEventListener("keydown", (event) => {
  if (event.altKey || event.ctrlKey || event.metaKey || !event.target.closest?.("a.stage, .zoombar")) return;
  const step = 0.08 * view.zoom;
  const moves = { ArrowLeft: [step, 0], ArrowRight: [-step, 0], ArrowUp: [0, step], ArrowDown: [0, -step] };
  if (moves[event.key] && view.zoom > 1) pan(...moves[event.key]);
  else if (event.key === "+" || event.key === "=") zoomTo(view.zoom * 1.5);
  else if (event.key === "-") zoomTo(view.zoom / 1.5);
  else if (event.key === "0") zoomTo(1);
  else return;
  event.preventDefault();
});

// Drag to move, two fingers to zoom. On the slider's picture one finger moves the edge while it is not zoomed.
const fingers = new Map();
document.addEventListener("pointerdown", (event) => {
  const stage = event.target.closest?.("a.stage, [data-over]");
  if (!stage || event.button) return;
  fingers.set(event.pointerId, { stage, ...within(stage, event) });
  dragged = false;
  if (stage.matches("[data-over]")) {
    event.preventDefault();
    if (view.zoom === 1 && fingers.size === 1) edge(within(stage, event).x);
  }
});
document.addEventListener("pointermove", (event) => {
  const last = fingers.get(event.pointerId);
  if (!last) return;
  const now = within(last.stage, event);
  const other = [...fingers.entries()].find(([id]) => id !== event.pointerId)?.[1];
  if (other) pinch(last, now, other);
  else if (view.zoom > 1) pan(now.x - last.x, now.y - last.y);
  else if (last.stage.matches("[data-over]")) edge(now.x);
  if (Math.hypot((now.x - last.x) * now.width, (now.y - last.y) * now.height) > 1 && (other || view.zoom > 1)) dragged = true;
  fingers.set(event.pointerId, { stage: last.stage, ...now });
});
for (const end of ["pointerup", "pointercancel"]) addEventListener(end, (event) => fingers.delete(event.pointerId));

function pinch(before, now, other) {
  const far = (one) => Math.hypot((one.x - other.x) * now.width, (one.y - other.y) * now.height) || 1;
  zoomTo((view.zoom * far(now)) / far(before), { x: (now.x + other.x) / 2, y: (now.y + other.y) / 2 });
}

// A picture that was dragged is not opened: the click that ends a drag is nobody's wish.
document.addEventListener(
  "click",
  (event) => {
    if (!dragged || !event.target.closest?.("a.stage")) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    dragged = false;
  },
  true,
);
document.addEventListener("dragstart", (event) => event.target.closest?.("a.stage") && event.preventDefault());

// --- the slider ---
const at = document.getElementById("slide-at");
const pick = (name) => document.getElementById(`slide-${name}`);

function edge(part) {
  at.value = String(Math.round(Math.min(1, Math.max(0, part)) * 100));
  cut();
}

// The left picture ends at the edge of the stage, wherever it was moved: the cut is reckoned back into the picture's own measure.
function cut() {
  if (!slider) return;
  const over = slider.querySelector("[data-over]");
  const part = Number(at.value) / 100;
  over.style.setProperty("--at", `${part * 100}%`);
  over.querySelector("[data-left]").style.setProperty("--at", `${((part - view.x) / view.zoom) * 100}%`);
}

function scenes() {
  const rows = [...document.querySelectorAll("[data-scene]")].filter((row) => row.querySelectorAll("a.stage").length > 1);
  const chosen = pick("scene").value;
  pick("scene").replaceChildren(...rows.map((row) => new Option(row.querySelector("h2").textContent, row.dataset.scene)));
  if (rows.some((row) => row.dataset.scene === chosen)) pick("scene").value = chosen;
  for (const button of document.querySelectorAll("[data-slide]")) button.disabled = rows.length === 0;
}

function lay() {
  const row = document.querySelector(`[data-scene="${CSS.escape(pick("scene").value)}"]`);
  const over = slider.querySelector("[data-over]");
  const found = ["left", "right"].map((side) => row?.querySelector(`[data-cell="${CSS.escape(pick(side).value)}"] a.stage`));
  slider.querySelector("[data-empty]").hidden = found.every(Boolean);
  over.classList.toggle("veiled", found.some((stage) => stage?.closest(".veiled") && !stage.closest(".veiled").querySelector(".unveil :checked")));
  ["left", "right"].forEach((side, place) => {
    const image = over.querySelector(`[data-${side}]`);
    const small = found[place]?.querySelector("img");
    image.hidden = !small;
    if (small) {
      image.src = found[place].dataset.original;
      image.alt = small.alt;
      if (place === 0) over.style.aspectRatio = `${small.getAttribute("width")} / ${small.getAttribute("height")}`;
    }
    over.querySelector(`[data-name-${side}]`).textContent = found[place]?.dataset.name ?? "";
  });
  apply();
}

// The first two that have a picture in this row, where the two that are chosen have none.
function fit(row) {
  const ready = [...row.querySelectorAll("[data-cell]")].filter((cell) => cell.querySelector("a.stage")).map((cell) => cell.dataset.cell);
  if (ready.includes(pick("left").value) && ready.includes(pick("right").value) && pick("left").value !== pick("right").value) return;
  [pick("left").value, pick("right").value] = ready;
}

if (slider) {
  scenes();
  apply();
  at.addEventListener("input", cut);
  for (const name of ["scene", "left", "right"]) pick(name).addEventListener("change", lay);
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-slide]");
    if (!button) return;
    const number = button.dataset.slide;
    const open = number !== "" || slider.hidden;
    if (number !== "") pick("scene").value = number;
    slider.hidden = !open;
    bar.querySelector("[data-slide]").setAttribute("aria-expanded", String(open));
    if (!open) return;
    fit(document.querySelector(`[data-scene="${CSS.escape(pick("scene").value)}"]`));
    lay();
    slider.scrollIntoView({ block: "nearest" });
    at.focus({ preventScroll: true });
  });
  document.addEventListener("htmx:load", (event) => {
    if (event.target.id !== "pictures") return;
    scenes();
    apply();
  });
}
