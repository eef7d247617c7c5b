// SHA-256 of files in the background, one after the other, while the page goes on. Nothing leaves the machine.

let last = Promise.resolve();

/**
 * Lower-case hex SHA-256 of a File. `onprogress(bytesDone)` is called now and then; an aborted `signal` rejects with AbortError at once.
 * Files that are asked for together are read in turn: a disk is slower when it is asked for two places at a time.
 */
export function digest(file, { onprogress, signal } = {}) {
  const turn = last.then(() => one(file, onprogress, signal));
  last = turn.catch(() => {});
  return turn;
}

function one(file, onprogress, signal) {
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
      if (data.sha256) end(resolve, data.sha256);
      else if (data.error) end(reject, new Error(data.error));
      else onprogress?.(data.done);
    };
    worker.postMessage(file);
  });
}
