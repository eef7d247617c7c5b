// The model page: version links become tabs that arrows move through, and the program that somebody chose last stays open next time.
const YEAR = 31536000;

document.addEventListener("change", (event) => {
  const group = event.target.closest?.("[data-remember]");
  if (!group || event.target.type !== "radio") return;
  const secure = location.protocol === "https:" ? ";secure" : "";
  document.cookie = `${group.dataset.remember}=${encodeURIComponent(event.target.value)};path=/;max-age=${YEAR};samesite=lax${secure}`;
});

const KEPT = "weigh-tab"; // which tab had the focus when the page changed
const list = document.querySelector("[data-tabs]");
if (list) tabs(list);

function tabs(list) {
  const links = [...list.querySelectorAll("a")];
  const panel = document.querySelector(".model");
  const current = links.find((link) => link.hasAttribute("aria-current")) ?? links[0];
  const inner = list.appendChild(document.createElement("div"));
  inner.setAttribute("role", "tablist");
  inner.setAttribute("aria-label", list.getAttribute("aria-label"));
  for (const link of links) {
    inner.append(link);
    link.setAttribute("role", "tab");
    link.setAttribute("aria-selected", String(link === current));
    link.tabIndex = link === current ? 0 : -1;
    link.removeAttribute("aria-current");
  }
  if (panel) {
    panel.id ||= "version-panel";
    panel.setAttribute("role", "tabpanel");
    panel.setAttribute("aria-labelledby", current.id);
    current.setAttribute("aria-controls", panel.id);
  }
  requestAnimationFrame(() => {
    list.scrollLeft = current.offsetLeft - list.offsetLeft - 16; // asked now, the whole page would be laid out before it is drawn
  });
  if (read() === current.id) current.focus({ preventScroll: true });
  list.addEventListener("keydown", (event) => turn(event, links));
}

let going;

// Arrows move at once and open the version where they come to rest: whoever passes three versions does not load three pages.
function turn(event, links) {
  const at = links.indexOf(document.activeElement);
  const ahead = getComputedStyle(links[0]).direction === "rtl" ? "ArrowLeft" : "ArrowRight";
  const steps = { ArrowLeft: -1, ArrowRight: -1, [ahead]: 1 };
  const to = { Home: 0, End: links.length - 1 }[event.key] ?? (event.key in steps ? (at + steps[event.key] + links.length) % links.length : -1);
  if (at < 0 || to < 0 || event.altKey || event.ctrlKey || event.metaKey) return;
  event.preventDefault();
  links[to].focus();
  clearTimeout(going);
  if (links[to].getAttribute("aria-selected") === "true") return;
  going = setTimeout(() => {
    sessionStorage.setItem(KEPT, links[to].id);
    location.href = links[to].href;
  }, 350);
}

function read() {
  const kept = sessionStorage.getItem(KEPT);
  sessionStorage.removeItem(KEPT);
  return kept;
}
