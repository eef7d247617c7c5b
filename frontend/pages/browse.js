// The grid: further pages as one scrolls, the place one left found again, and a word when the hub does not answer. Links do without it.
const { htmx } = window;
const MOST = 240; // cards of one answer, as the hub allows
const byId = (id) => document.getElementById(id);
let seen = new Set();
let leaving = null;
let retry = null;
let byKey = false;
let restoring = false;

// --- further pages: when the last card comes near from below, or was passed already ---
const near = new IntersectionObserver((rows) => rows.some((row) => row.isIntersecting) && more(), { rootMargin: "999999px 0px 700px" });

function watch() {
  near.disconnect();
  const cards = byId("cards");
  const following = Boolean(byId("more-link")) && !retry;
  cards?.style.setProperty("--coming", cards.dataset.per);
  cards?.classList.toggle("holds", following);
  if (following && !restoring) near.observe(cards.lastElementChild);
}

function more() {
  const link = byId("more-link");
  if (link && !link.classList.contains("htmx-request")) htmx.trigger(link, "click");
}

// What moved in the order between two pages may come twice: the second is taken out.
function once() {
  const added = [];
  for (const card of byId("cards")?.children ?? []) {
    if (card.dataset.counted) continue;
    if (seen.has(card.dataset.entry)) added.push([card, false]);
    else {
      seen.add(card.dataset.entry);
      card.dataset.counted = "1";
      added.push([card, true]);
    }
  }
  for (const [card, kept] of added) if (!kept) card.remove();
  return added.find(([, kept]) => kept)?.[0];
}

document.addEventListener("click", (event) => {
  if (event.target.id === "more-link" && event.isTrusted) byKey = event.detail === 0;
});

// --- the place one left ---
function place() {
  const cards = byId("cards");
  if (!cards) return null;
  const first = [...cards.children].find((card) => card.getBoundingClientRect().bottom > 80);
  const top = first?.getBoundingClientRect().top;
  const focus = document.activeElement?.closest?.(".card")?.dataset.entry;
  return { count: cards.children.length, entry: first?.dataset.entry, top, y: scrollY, height: cards.offsetHeight, focus };
}

function keep(grid) {
  if (!grid) return;
  history.scrollRestoration = "manual";
  history.replaceState({ ...history.state, grid }, "");
}

async function restore() {
  const grid = history.state?.grid;
  const cards = byId("cards");
  if (!grid || !cards || restoring) return;
  restoring = true;
  history.scrollRestoration = "manual";
  cards.style.minHeight = `${grid.height}px`;
  scrollTo({ top: grid.y, behavior: "instant" });
  for (let left = grid.count - cards.children.length; left > 0 && byId("more-link"); left = grid.count - cards.children.length) {
    const before = cards.children.length;
    const address = `${byId("more-link").getAttribute("href")}&show=${Math.min(MOST, left)}`;
    await htmx.ajax("GET", address, { target: "#cards", swap: "beforeend" });
    if (cards.children.length === before) break;
  }
  cards.style.minHeight = "";
  const card = (entry) => entry && cards.querySelector(`[data-entry="${CSS.escape(entry)}"]`);
  card(grid.focus)?.querySelector("h2 a").focus({ preventScroll: true });
  for (let turn = 0; turn < 6 && card(grid.entry); turn++) {
    const off = card(grid.entry).getBoundingClientRect().top - grid.top;
    if (Math.abs(off) >= 1) scrollBy({ top: off, behavior: "instant" });
    await new Promise((done) => requestAnimationFrame(done));
  }
  restoring = false;
  watch();
}

addEventListener("pagehide", () => keep(place()));
addEventListener("pageshow", (event) => event.persisted && watch());
document.addEventListener("htmx:beforeSwap", (event) => {
  if (event.detail.target.id === "results") leaving = place();
});
document.addEventListener("htmx:beforeHistoryUpdate", () => keep(leaving));

// --- what htmx brought, or did not ---
document.addEventListener("htmx:afterSettle", (event) => {
  const id = event.detail.target?.id;
  if (id !== "cards" && id !== "results") return;
  retry = null;
  byId("trouble").hidden = true;
  if (id === "results") seen = new Set();
  const first = once();
  if (id === "cards" && byKey) first?.querySelector("h2 a").focus();
  byKey = false;
  byId("announcer").textContent = (id === "cards" && byId("more")?.dataset.said) || "";
  watch();
});
document.addEventListener("htmx:historyRestore", () => {
  seen = new Set();
  once();
  restore().then(watch);
});
for (const trouble of ["htmx:responseError", "htmx:sendError", "htmx:timeout"]) {
  document.addEventListener(trouble, (event) => {
    const { target, elt, pathInfo } = event.detail;
    if (!["cards", "results"].includes(target?.id)) return;
    retry = elt?.id === "more-link" ? more : () => location.assign(pathInfo?.finalRequestPath ?? location.href);
    (target.id === "cards" ? byId("more") : byId("cards"))?.before(byId("trouble"));
    byId("trouble").hidden = false;
    watch();
  });
}
document.addEventListener("click", (event) => {
  if (event.target.closest("[data-retry]") && retry) retry();
});

once();
watch();
restore();
