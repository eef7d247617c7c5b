// Keys on cards, wherever there are some: arrows in two dimensions, d, c, s, b and ?. Cards work without; Enter and Tab are the browser's.
const STEPS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const FIELDS = "input:not([type=checkbox]), textarea, select, [contenteditable], dialog, [role=tab], [role=slider]";
const list = () => document.getElementById("cards");

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented || event.target.closest?.(FIELDS)) return;
  const card = event.target.closest?.(".card[data-entry]") ?? document.querySelector(".card[data-entry]:hover");
  if (event.key in STEPS) return move(event, event.target.closest?.(".card[data-entry]"));
  const act = ACTS[event.key];
  if (act && !event.repeat && act(card)) event.preventDefault();
});

// Up and down scroll the page as ever until a card has the focus; left and right give it to one.
function move(event, card) {
  const free = event.target === document.body || event.target.id === "main";
  if (!list() || event.shiftKey || !(card || (free && STEPS[event.key][0]))) return;
  const cards = [...list().querySelectorAll(":scope > .card")];
  const style = getComputedStyle(list());
  const [right, down] = STEPS[event.key];
  const step = (style.direction === "rtl" ? -right : right) + down * style.gridTemplateColumns.split(" ").length;
  const at = card ? cards.indexOf(card) + step : cards.findIndex((one) => one.getBoundingClientRect().top >= 0);
  if (!cards[at]) return;
  event.preventDefault();
  cards[at].querySelector("h2 a").focus({ preventScroll: true });
  cards[at].scrollIntoView({ block: "nearest" });
}

const ACTS = {
  d(card) {
    if (!card) return false;
    if (!card.dataset.download) return say("noFile");
    Object.assign(document.createElement("a"), { href: card.dataset.download, download: "" }).click();
    return true;
  },
  c(card) {
    if (!card) return false;
    if (!card.dataset.words) return say("noWords");
    navigator.clipboard?.writeText(card.dataset.words).then(() => say("wordsCopied"));
    return true;
  },
  s(card) {
    if (!card || !list()?.dataset.save) return false;
    location.assign(list().dataset.save.replace("/0/", `/${card.dataset.entry}/`));
    return true;
  },
  b() {
    if (!list()) return false;
    const sharp = document.documentElement.classList.toggle("unblurred");
    try {
      sessionStorage.setItem("unblurred", sharp ? "1" : "0");
    } catch {
      // no storage: blurred again on the next page
    }
    return say(sharp ? "shown" : "blurred");
  },
  "?"() {
    const keys = document.getElementById("keys");
    keys?.showModal();
    return Boolean(keys);
  },
};

function say(name) {
  document.getElementById("announcer").textContent = list().dataset[name] ?? "";
  return true;
}

document.addEventListener("click", (event) => {
  if (event.target.closest("[data-keys]")) document.getElementById("keys")?.showModal();
});
