// Checks a file against the hub: a worker hashes it, the server answers in HTML. Used by the page /verify and by the search field.
import { hashed } from "../hashing/hashing.js";

/** Makes the part `[data-checking]` work; returns what checks a file. */
export function checking(root) {
  const { dataset } = root;
  const find = (name) => root.querySelector(`[data-${name}]`);
  const [drop, hashing, problem, result] = ["drop", "hashing", "problem", "result"].map(find);
  const bar = hashing.querySelector("progress");
  let reading = null;

  function stop() {
    reading?.abort();
    reading = null;
    hashing.hidden = true;
  }

  function complain(text) {
    problem.textContent = text;
    problem.hidden = !text;
  }

  function check(file) {
    stop();
    complain("");
    result.replaceChildren();
    find("name").textContent = file.name;
    hashing.hidden = false;
    progress(0, file.size);
    reading = new AbortController();
    const { signal } = reading;
    const onprogress = (read) => progress(read, file.size);
    hashed(file, { inside: true, onprogress, signal }).then(ask, () => signal.aborted || fail());
  }

  function fail() {
    stop();
    complain(dataset.failed);
  }

  function progress(done, total) {
    bar.value = total ? done / total : 1;
    find("done").textContent = dataset.progress.replace("DONE", size(done)).replace("TOTAL", size(total));
  }

  async function ask(found) {
    stop();
    const given = new URLSearchParams({ ...found, part: "answer" });
    if (dataset.file) given.set("file", dataset.file);
    try {
      const answer = await fetch(`${dataset.verify}?${given}`);
      if (!answer.ok) throw new Error(answer.statusText);
      result.innerHTML = await answer.text(); // our own server's, escaped there
      result.focus();
    } catch {
      complain(dataset.offline);
    }
  }

  drop.hidden = false;
  find("choose").addEventListener("change", (event) => {
    const [file] = event.target.files;
    event.target.value = "";
    if (file) check(file);
  });
  find("cancel").addEventListener("click", () => {
    stop();
    complain(dataset.cancelled);
    find("choose").focus();
  });
  drop.addEventListener("dragover", (event) => {
    event.preventDefault();
    drop.classList.add("over");
  });
  drop.addEventListener("dragleave", () => drop.classList.remove("over"));
  drop.addEventListener("drop", (event) => {
    event.preventDefault();
    drop.classList.remove("over");
    const [file] = event.dataTransfer.files;
    if (file) check(file);
  });
  return { check, stop };
}

/** As the pages write sizes: decimal units. */
function size(bytes) {
  const units = ["byte", "kilobyte", "megabyte", "gigabyte", "terabyte"];
  const step = bytes < 1000 ? 0 : Math.min(Math.floor(Math.log10(bytes) / 3), units.length - 1);
  const options = { style: "unit", unit: units[step], maximumFractionDigits: step ? 1 : 0 };
  return new Intl.NumberFormat(document.documentElement.lang || "en", options).format(bytes / 1000 ** step);
}
