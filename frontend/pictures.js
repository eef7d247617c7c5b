// The dialog over a gallery: the page of a picture, shown without leaving the gallery. Without a script the link leads to that page.
const CROSS =
  '<svg width="18" height="18" viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="1.8" stroke-linecap="round" aria-hidden="true"><path d="M6 6l12 12M18 6 6 18"/></svg>';

let dialog;

function box() {
  if (dialog) return dialog;
  dialog = document.createElement("dialog");
  dialog.className = "lightbox";
  dialog.setAttribute("aria-label", document.body.dataset.picture);
  dialog.innerHTML = `<button type="button" class="shut">${CROSS}</button><div data-content></div>`;
  dialog.querySelector(".shut").setAttribute("aria-label", document.body.dataset.close);
  dialog.querySelector(".shut").addEventListener("click", () => dialog.close());
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog && outside(event)) dialog.close();
  });
  dialog.addEventListener("keydown", turn);
  document.body.append(dialog);
  return dialog;
}

// A click on the padding is a click on the dialog too: only what lies beyond its edge closes it.
function outside(event) {
  const edge = dialog.getBoundingClientRect();
  return event.clientX < edge.left || event.clientX > edge.right || event.clientY < edge.top || event.clientY > edge.bottom;
}

function turn(event) {
  const way = { ArrowLeft: "prev", ArrowRight: "next" }[event.key];
  const link = way && dialog.querySelector(`a[rel="${way}"]`);
  if (!link || event.altKey || event.ctrlKey || event.metaKey) return;
  event.preventDefault();
  show(link.href, way);
}

async function show(address, way = "") {
  let text;
  try {
    const answer = await fetch(address, { headers: { "HX-Request": "true" } });
    if (!answer.ok || answer.redirected) throw new Error(answer.statusText);
    text = await answer.text();
  } catch {
    location.href = address;
    return;
  }
  const content = box().querySelector("[data-content]");
  content.innerHTML = text;
  if (!dialog.open) dialog.showModal();
  dialog.scrollTop = 0;
  const again = way && content.querySelector(`a[rel="${way}"]`);
  (again || dialog.querySelector(".shut")).focus({ preventScroll: true });
}

document.addEventListener("click", (event) => {
  const link = event.target.closest?.("a[data-lightbox]");
  if (!link || event.defaultPrevented || event.button || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  if (link.rel && !link.closest("dialog")) return; // on the page of a picture they are links to other pages
  event.preventDefault();
  show(link.href, link.rel);
});
