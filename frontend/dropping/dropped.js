// What was dropped on the search field: an image is sent to be read for the models it names, any other file is checked on this computer.
import { checking } from "./checking.js";

export function dropped(files, form) {
  const [file] = files;
  if (!file) return;
  if (file.type.startsWith("image/")) send(files, form.dataset.image);
  else check(file, form.dataset.verify);
}

/** Sends the image as a form would, so that the answer is a page of its own. */
function send(files, address) {
  const form = Object.assign(document.createElement("form"), { method: "post", action: address, enctype: "multipart/form-data", hidden: true });
  const field = Object.assign(document.createElement("input"), { type: "file", name: "image", files });
  form.append(field);
  document.body.append(form);
  form.submit();
}

/** Opens the check over the page; closing it stops the reading. */
async function check(file, address) {
  const answer = await fetch(`${address}?part=drop`);
  if (!answer.ok) return location.assign(address);
  const dialog = Object.assign(document.createElement("dialog"), { className: "checking", innerHTML: await answer.text() });
  const close = Object.assign(document.createElement("button"), { type: "button", className: "close", textContent: "×" });
  close.setAttribute("aria-label", document.querySelector("form.searchbox").dataset.close);
  dialog.prepend(close);
  document.body.append(dialog);
  const checker = checking(dialog.querySelector("[data-checking]"));
  close.addEventListener("click", () => dialog.close());
  dialog.addEventListener("close", () => {
    checker.stop();
    dialog.remove();
  });
  dialog.setAttribute("aria-label", file.name);
  dialog.showModal();
  checker.check(file);
}
