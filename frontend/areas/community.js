// Pictures that were blurred stay sharp for a session once a person said so: the class on the root is put there, kept, and taken away.
// The key b does it here on pages without a grid of models; there browse.js, which knows all keys of the grid, does.
const KEY = "unblurred";
const root = document.documentElement;

try {
  root.classList.toggle(KEY, sessionStorage.getItem(KEY) === "1");
} catch {
  // no storage: blurred again on the next page
}

document.addEventListener("keydown", (event) => {
  if (event.key !== "b" || event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
  if (event.repeat || event.target.closest?.("input:not([type=checkbox]), textarea, select, [contenteditable]")) return;
  if (document.getElementById("cards") || !document.querySelector(".veiled")) return;
  const sharp = root.classList.toggle(KEY);
  try {
    sessionStorage.setItem(KEY, sharp ? "1" : "0");
  } catch {
    // as above
  }
});
