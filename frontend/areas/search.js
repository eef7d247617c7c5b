// The search field of every page: suggestions as an ARIA combobox, and what is dropped on it. Without it the field is a plain search.
const form = document.querySelector("form.searchbox");
if (form) {
  const box = form.querySelector("#q");
  const list = form.querySelector("#q-list");
  let active = -1;
  let asking = null;
  let timer = 0;

  box.setAttribute("role", "combobox");
  box.setAttribute("aria-controls", list.id);
  box.setAttribute("aria-autocomplete", "list");
  box.setAttribute("aria-expanded", "false");

  const options = () => [...list.querySelectorAll("[role=option]")];

  function close() {
    clearTimeout(timer);
    asking?.abort();
    list.hidden = true;
    box.setAttribute("aria-expanded", "false");
    choose(-1);
  }

  function choose(number) {
    active = number;
    options().forEach((option, place) => option.setAttribute("aria-selected", String(place === number)));
    const option = options()[number];
    if (option) {
      box.setAttribute("aria-activedescendant", option.id);
      option.scrollIntoView({ block: "nearest" });
    } else box.removeAttribute("aria-activedescendant");
  }

  async function ask() {
    asking?.abort();
    asking = new AbortController();
    const text = box.value.trim();
    if (!text) return close();
    try {
      const answer = await fetch(`${form.dataset.suggest}?q=${encodeURIComponent(text)}`, { signal: asking.signal });
      if (!answer.ok || document.activeElement !== box) return;
      list.innerHTML = (await answer.text()).trim(); // our own server's, escaped there
      const found = options().length > 0;
      list.hidden = !found;
      box.setAttribute("aria-expanded", String(found));
      choose(-1);
      const said = document.getElementById("announcer");
      if (said && found) said.textContent = list.querySelector("[data-said]")?.dataset.said ?? "";
    } catch {
      // A newer question came, or the hub is away: the field is still a search.
    }
  }

  box.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(ask, 90);
  });
  box.addEventListener("keydown", (event) => {
    if (event.isComposing) return;
    if (event.key === "Escape" && !list.hidden) {
      event.preventDefault();
      close();
    } else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      if (list.hidden) return event.key === "ArrowDown" ? ask() : undefined;
      event.preventDefault();
      const count = options().length + 1; // one place is the field itself
      choose(((active + 1 + (event.key === "ArrowDown" ? 1 : -1) + count) % count) - 1);
    } else if (event.key === "Enter" && !list.hidden && active >= 0) {
      event.preventDefault();
      options()[active].click();
    }
  });
  list.addEventListener("pointerdown", (event) => event.preventDefault()); // the field keeps the focus until the click
  box.addEventListener("blur", close);
  form.addEventListener("submit", close);

  const dropping = form.querySelector(".dropping");
  const holdsFiles = (event) => event.dataTransfer?.types.includes("Files");
  form.addEventListener("dragover", (event) => {
    if (!holdsFiles(event)) return;
    event.preventDefault();
    dropping.hidden = false;
  });
  form.addEventListener("dragleave", (event) => {
    if (!form.contains(event.relatedTarget)) dropping.hidden = true;
  });
  form.addEventListener("drop", async (event) => {
    if (!holdsFiles(event)) return;
    event.preventDefault();
    dropping.hidden = true;
    const { dropped } = await import("../dropping/dropped.js");
    dropped(event.dataTransfer.files, form);
  });
}
