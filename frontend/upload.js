// The upload pages: describe (`uploading/describing.js`), send (`uploading/sending.js`), watch. One script for both, so that files which were
// chosen while describing are sent without choosing them again.
import "./upload.css";
import { useToken } from "./uploading/api.js";
import { choosing } from "./uploading/choosing.js";
import { describe } from "./uploading/describing.js";
import { moments } from "./uploading/moments.js";
import { Row } from "./uploading/row.js";
import { Sending } from "./uploading/sending.js";
import { element, say, useTexts } from "./uploading/words.js";

start([]);

/** Sets up what is on the page; `items` were chosen on the page before. */
function start(items) {
  const data = JSON.parse(document.getElementById("upload-data").textContent);
  useTexts(data.texts);
  useToken(data.csrf);
  if (document.getElementById("chooser")) describe(data, takeOver);
  if (document.getElementById("uploader")) send(data, items);
  moments();
}

/** Shows a page that was fetched, as if it had been gone to, and goes on with the files in hand. */
function takeOver(html, address, items) {
  const page = new DOMParser().parseFromString(html, "text/html");
  history.pushState({}, "", address);
  document.title = page.title;
  const main = document.getElementById("main");
  main.replaceChildren(...page.getElementById("main").childNodes);
  window.htmx.process(main);
  window.scrollTo(0, 0);
  main.focus();
  window.addEventListener("popstate", () => location.reload());
  start(items);
}

function send(data, items) {
  const root = document.getElementById("uploader");
  const list = document.getElementById("sending");
  const sending = new Sending({ open: data.open, maxBytes: data.maxBytes, arrived: refresh });
  items.forEach((item, place) => {
    item.version = data.versions[place] ?? data.versions[0];
    add(item);
  });
  choosing(root, data.extensions, ({ weights, others }) => {
    complain(others ? say("leftOut", { n: others }) : "");
    for (const file of weights) {
      const version = data.versions.length > 1 ? belongs(data, file) : data.versions[0];
      if (version) add({ file, version });
      else complain(say("whose", { name: file.name }));
    }
  });
  root.dataset.ready = "true";

  function add(item) {
    const found = item.found;
    item.row = new Row(item, list);
    if (found) item.row.recognised(found);
    sending.send(item);
  }

  function refresh() {
    window.htmx.ajax("GET", root.dataset.work, { target: "#work", swap: "outerHTML" });
  }
}

/** Among several drafts, the one that waits for this very file. */
function belongs(data, file) {
  return data.open.find((upload) => upload.name === file.name.normalize("NFC").trim() && upload.size === file.size)?.version;
}

/** Says what is wrong with the choice as a whole; what is wrong with one file stands in its row. */
function complain(text) {
  const place = document.getElementById("upload-problem");
  place.hidden = !text;
  place.replaceChildren(element("span", {}, text));
}
