// "One model per file": a short form for each chosen file, sent together. Errors come back beside their fields; nothing that was typed is lost.
import { element, say } from "./words.js";

const FIELDS = { name: "name", kind: "kind", base_model: "base_model", version: "version" };

export class Several {
  /** `form` holds `<template>` of one file's fields and a list for them; `made(html, address)` is called when all drafts exist. */
  constructor(form, items, made) {
    this.form = form;
    this.items = items;
    this.made = made;
    this.list = form.querySelector("ol");
    this.pattern = form.querySelector("template");
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.send();
    });
  }

  show(many) {
    this.form.hidden = !many;
    if (many) for (const item of this.items) if (!item.fields) this.add(item);
  }

  add(item) {
    const made = this.pattern.content.firstElementChild.cloneNode(true);
    const stamp = Math.random().toString(36).slice(2, 8);
    for (const field of made.querySelectorAll("[name]")) {
      field.id = `${stamp}-${field.name}`;
      field.addEventListener("input", () => (field.dataset.typed = "true"));
    }
    for (const label of made.querySelectorAll("label[data-for]")) label.htmlFor = `${stamp}-${label.dataset.for}`;
    made.querySelector("legend").textContent = item.file.name;
    item.fields = made;
    this.list.append(made);
    this.fill(item);
  }

  fill(item) {
    if (!item.fields || !item.found || item.found.problem) return;
    const values = { ...item.found, trigger_words: (item.found.trigger_words ?? []).join(", ") };
    for (const [name, key] of Object.entries({ ...FIELDS, trigger_words: "trigger_words" })) {
      const field = item.fields.querySelector(`[name=${name}]`);
      if (!field.dataset.typed && values[key]) field.value = values[key];
    }
  }

  drop(item) {
    item.fields?.remove();
  }

  async send() {
    const button = this.form.querySelector("button.btn-primary");
    const body = new FormData(this.form);
    for (const name of [...Object.keys(FIELDS), "trigger_words"]) body.delete(name);
    body.set("count", this.items.length);
    this.items.forEach((item, place) => {
      for (const field of item.fields.querySelectorAll("[name]")) body.set(`${place}-${field.name}`, field.value);
    });
    button.disabled = true;
    this.clear();
    try {
      const answer = await fetch(this.form.action, { method: "POST", body, credentials: "same-origin" });
      if (answer.redirected && new URL(answer.url).pathname.startsWith("/upload/")) this.made(await answer.text(), answer.url);
      else this.mend((await answer.json()).rows);
    } catch {
      this.complain(say("trouble"));
    } finally {
      button.disabled = false;
    }
  }

  clear() {
    for (const one of this.form.querySelectorAll("p.error")) one.remove();
    for (const one of this.form.querySelectorAll("[aria-invalid]")) one.removeAttribute("aria-invalid");
    this.complain("");
  }

  /** `rows`: {place: {field: [sentences]}} */
  mend(rows) {
    let first = null;
    for (const [place, fields] of Object.entries(rows)) {
      for (const [name, sentences] of Object.entries(fields)) {
        const field = this.items[place].fields.querySelector(`[name=${name}]`);
        if (!field) continue;
        field.setAttribute("aria-invalid", "true");
        const error = element("p", { class: "error", id: `${field.id}_error` }, sentences.join(" "));
        field.setAttribute("aria-describedby", error.id);
        field.after(error);
        first ??= field;
      }
    }
    this.complain(say("lookAgain"));
    first?.focus();
  }

  complain(text) {
    const place = this.form.querySelector("[role=alert]");
    place.hidden = !text;
    place.textContent = text;
  }
}
