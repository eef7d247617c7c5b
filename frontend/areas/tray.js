// The compare tray: versions ticked on any page (`<input type="checkbox" data-compare="<id>" data-compare-name="...">`) are kept in this
// browser and shown at the foot of every page, until two to four of them are compared. Without a script the pages link to /compare instead.
const KEY = "compare";
const MOST = 4;
const tray = document.getElementById("compare-tray");

function kept() {
  try {
    const rows = JSON.parse(localStorage.getItem(KEY) || "[]");
    return rows.filter((row) => /^\d{1,18}$/.test(row?.id) && typeof row.name === "string").slice(0, MOST);
  } catch {
    return [];
  }
}

function keep(rows) {
  try {
    localStorage.setItem(KEY, JSON.stringify(rows));
  } catch {
    // without storage the tray holds for this page alone
  }
  show(rows);
}

function show(rows) {
  const list = tray.querySelector("ul");
  list.replaceChildren(...rows.map(chip));
  const link = tray.querySelector("a");
  const ready = rows.length > 1;
  link.href = `${tray.dataset.address}?${rows.map((row) => `v=${row.id}`).join("&")}`;
  link.setAttribute("aria-disabled", String(!ready));
  tray.querySelector("[data-hint]").textContent = ready ? "" : tray.dataset.more;
  tray.hidden = rows.length === 0;
  document.body.classList.toggle("has-tray", rows.length > 0);
  tick(document, rows);
}

function chip(row) {
  const item = document.createElement("li");
  const name = document.createElement("span");
  name.textContent = row.name;
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = "×";
  button.setAttribute("aria-label", tray.dataset.remove.replace("NAME", () => row.name));
  button.addEventListener("click", () => {
    keep(kept().filter((one) => one.id !== row.id));
    (tray.querySelector("li button") || document.querySelector(`[data-compare="${row.id}"]`) || document.getElementById("main"))?.focus();
  });
  item.append(name, button);
  return item;
}

function tick(within, rows) {
  const ids = new Set(rows.map((row) => row.id));
  for (const box of within.querySelectorAll("[data-compare]")) box.checked = ids.has(box.dataset.compare);
}

if (tray) {
  document.addEventListener("change", (event) => {
    const box = event.target.closest?.("[data-compare]");
    if (!box) return;
    const others = kept().filter((row) => row.id !== box.dataset.compare);
    if (box.checked && others.length >= MOST) {
      box.checked = false;
      const place = document.getElementById("announcer");
      if (place) place.textContent = tray.dataset.full;
      tray.querySelector("[data-hint]").textContent = tray.dataset.full;
      return;
    }
    keep(box.checked ? [...others, { id: box.dataset.compare, name: (box.dataset.compareName || "").slice(0, 80) }] : others);
  });
  tray.querySelector("[data-clear]").addEventListener("click", () => {
    keep([]);
    document.getElementById("main")?.focus();
  });
  tray.querySelector("a").addEventListener("click", (event) => {
    if (kept().length < 2) event.preventDefault();
  });
  addEventListener("storage", (event) => event.key === KEY && show(kept()));
  addEventListener("pageshow", () => show(kept())); // also when a page comes back from the browser's memory
  document.addEventListener("htmx:load", (event) => tick(event.target, kept()));
  show(kept());
}
