// Everything that every page runs: htmx, copy buttons, the theme switch, and "/" for the search box. Pages work without it.
import htmx from "htmx.org";
import "./main.css";
import "./pictures.css";
import "./use.css";
import "./pictures.js";
import "./areas.js";

window.htmx = htmx; // the upload page asks for its list of work through it

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  await copy(button.dataset.copy);
  const label = button.querySelector("[data-label]") ?? button;
  const before = label.textContent;
  if (button.dataset.copied === "true") return;
  button.dataset.copied = "true";
  label.textContent = document.body.dataset.copied;
  announce(document.body.dataset.copiedSaid);
  setTimeout(() => {
    label.textContent = before;
    delete button.dataset.copied;
  }, 1400);
});

async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // Without https or permission: the old way, through a selection.
    const area = Object.assign(document.createElement("textarea"), { value: text });
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
}

function announce(text) {
  const place = document.getElementById("announcer");
  if (place) place.textContent = text;
}

document.addEventListener("keydown", (event) => {
  if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.closest("input, textarea, select, [contenteditable]")) return;
  const box = document.getElementById("q");
  if (!box) return;
  event.preventDefault();
  box.focus();
  box.select();
});

document.addEventListener("submit", (event) => {
  const form = event.target.closest("form[data-theme-switch]");
  if (!form || !event.submitter) return;
  event.preventDefault();
  const theme = event.submitter.value;
  document.documentElement.dataset.theme = theme;
  document.cookie = `theme=${theme};path=/;max-age=31536000;samesite=lax${location.protocol === "https:" ? ";secure" : ""}`;
  for (const button of form.querySelectorAll("button")) button.setAttribute("aria-pressed", String(button.value === theme));
});

// A menu closes when one clicks elsewhere or presses Escape, as menus do.
document.addEventListener("click", (event) => {
  for (const menu of document.querySelectorAll("details.menu[open]")) if (!menu.contains(event.target)) menu.open = false;
});
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  const menu = document.querySelector("details.menu[open]");
  if (!menu) return;
  menu.open = false;
  menu.querySelector("summary").focus();
});

// The upload page's choice between a new model and one of mine, and the token page's dates need no script; long lists of hidden fields do.
for (const select of document.querySelectorAll("select[data-toggles]")) {
  const part = document.getElementById(select.dataset.toggles);
  const update = () => {
    part.hidden = select.value !== "";
    for (const field of part.querySelectorAll("input, select, textarea")) field.disabled = part.hidden;
  };
  select.addEventListener("change", update);
  update();
}
