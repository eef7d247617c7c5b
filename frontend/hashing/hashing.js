// Hashes files in the background, one after the other, while the page goes on. Nothing leaves this computer from here.

let last = Promise.resolve();

/**
 * {sha256: lower-case hex, size, name} of a File; with `inside` also what `worker.js` finds by looking into it. `onprogress(bytesDone)` is
 * called now and then; an aborted `signal` rejects with AbortError at once. Files that are asked for together are read in turn: a disk is
 * slower when it is asked for two places at a time.
 */
export function hashed(file, options = {}) {
  const turn = last.then(() => one(file, options));
  last = turn.catch(() => {});
  return turn;
}

function one(file, { onprogress, signal, inside = false }) {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(new DOMException("skipped", "AbortError"));
    const worker = new Worker(new URL("./worker.js", import.meta.url), { type: "module" });
    const end = (settle, value) => {
      worker.terminate();
      settle(value);
    };
    signal?.addEventListener("abort", () => end(reject, new DOMException("skipped", "AbortError")), { once: true });
    worker.onerror = (event) => end(reject, new Error(event.message || "The file could not be read."));
    worker.onmessage = ({ data }) => {
      if (data.found) end(resolve, data.found);
      else if (data.failed !== undefined) end(reject, new Error(data.failed));
      else onprogress?.(data.read);
    };
    worker.postMessage({ file, inside });
  });
}
