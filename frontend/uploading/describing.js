// The first page of an upload: files are recognised before they are sent, and the form is filled in from them. What somebody typed is
// never changed. Without this script the page is three fields to fill in.
import { choosing } from "./choosing.js";
import { api } from "./api.js";
import { recognise } from "./recognising.js";
import { Row } from "./row.js";
import { hashed } from "./sending.js";
import { Several } from "./several.js";
import { count, element, say } from "./words.js";

/** Sets the page up. `sent(html, address, items)` takes over when the drafts exist: it shows the page of their files. */
export function describe(data, sent) {
  const zone = document.getElementById("chooser");
  const list = document.getElementById("chosen");
  const how = document.getElementById("how");
  const single = document.getElementById("describe-form");
  const items = [];
  const several = new Several(document.getElementById("several-form"), items, (html, address) => sent(html, address, going(items)));
  fillsOnlyWhatIsEmpty(single);

  choosing(zone, data.extensions, ({ weights, others }) => {
    for (const file of weights) if (!items.some((item) => same(item.file, file))) add(file);
    document.getElementById("left-out").textContent = others ? say("leftOut", { n: count(others) }) : "";
    arrange();
  });

  function add(file) {
    const item = { file, row: null, found: null };
    item.row = new Row(item, list);
    items.push(item);
    item.row.says(say("reading"));
    item.row.does([say("remove"), () => drop(item)]);
    item.ready = recognise(file).then((found) => {
      item.found = found;
      item.row.recognised(found);
      several.fill(item);
      if (items.indexOf(item) === 0) fill(single, found);
    });
    seek(item);
  }

  function drop(item) {
    item.skip?.abort();
    items.splice(items.indexOf(item), 1);
    item.row.node.remove();
    several.drop(item);
    arrange();
  }

  /** One file, or several: then there is a choice, which begins as what the files look like. */
  function arrange() {
    how.hidden = items.length < 2 || Boolean(single.elements.entry?.value); // several files for a model that exists are one version of it
    const many = !how.hidden && how.querySelector("input:checked").value === "models";
    single.hidden = many;
    several.show(many);
  }
  how.addEventListener("change", arrange);
  single.addEventListener("change", (event) => event.target.name === "entry" && arrange());

  single.addEventListener("submit", async (event) => {
    if (!items.length) return;
    event.preventDefault();
    const button = single.querySelector("button.btn-primary");
    button.disabled = true;
    try {
      const answer = await fetch(single.action, { method: "POST", body: new FormData(single), credentials: "same-origin" });
      const html = await answer.text();
      if (answer.redirected && /\/upload\/\d+$/.test(answer.url)) sent(html, answer.url, going(items));
      else mend(html);
    } catch {
      complain(say("trouble"));
    } finally {
      button.disabled = false;
    }
  });

  /** The form as the server answers it: with what was typed, and errors beside the fields. */
  function mend(html) {
    const answered = new DOMParser().parseFromString(html, "text/html").getElementById("describe-form");
    if (!answered) return complain(say("trouble"));
    single.replaceChildren(...answered.childNodes);
    fillsOnlyWhatIsEmpty(single, true);
    single.querySelector("[role=alert]")?.focus();
  }
}

/** Looks in the background whether the bytes are here already. */
async function seek(item) {
  const { row } = item;
  item.onhash = (done) => row.hashing(done, item.file.size);
  try {
    const sha256 = await hashed(item);
    const known = sha256 ? await api("GET", `known/${sha256}`) : { here: false };
    if (!known.here) return row.says(sha256 ? say("isNew") : "");
    row.says(say("isHere"));
    item.known = known;
    for (const place of known.places) {
      row.status.append(" ", element("a", { class: "link", href: place.url, target: "_blank" }, `${place.entry} ${place.version} (${place.owner})`));
    }
  } catch {
    row.says(say("notChecked"));
  }
}

function going(items) {
  for (const item of items) item.onhash = null;
  return items;
}

const FIELDS = { "model-name": "name", "version-name": "version", "model-kind": "kind", "version-base_model": "base_model", "version-trigger_words": "words" };

/** Remembers which fields somebody changed. After an answer of the server all count as typed. */
function fillsOnlyWhatIsEmpty(form, all = false) {
  for (const name of Object.keys(FIELDS)) {
    const field = form.elements[name];
    if (!field) continue;
    if (all) field.dataset.typed = "true";
    field.addEventListener("input", () => (field.dataset.typed = "true"));
  }
}

function fill(form, found) {
  if (found.problem) return;
  const values = { ...found, words: (found.trigger_words ?? []).join(", ") };
  for (const [name, key] of Object.entries(FIELDS)) {
    const field = form.elements[name];
    if (!field || field.dataset.typed || !values[key]) continue;
    field.value = values[key];
    if (!field.parentNode.querySelector("[data-from-file]")) {
      field.parentNode.append(element("p", { class: "help", "data-from-file": true }, say("fromFile")));
    }
  }
}

function complain(text) {
  const place = document.getElementById("upload-problem");
  place.hidden = false;
  place.textContent = text;
}

function same(one, other) {
  return one.name === other.name && one.size === other.size && one.lastModified === other.lastModified;
}
