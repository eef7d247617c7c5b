// Sends chosen files: SHA-256 first, so that what is here already is linked; then parts through Uppy, the same for local disk and S3.
// Begin -> part URLs -> PUT -> complete. What was interrupted goes on where it stopped when the same file is chosen again.
import AwsS3 from "@uppy/aws-s3";
import Uppy from "@uppy/core";
import { hashed as read } from "../hashing/hashing.js";
import { api, Refusal } from "./api.js";
import { Pace, parts } from "./row.js";
import { say, size } from "./words.js";

const PART_WAITS = [0, 1000, 2000, 4000, 8000, 15000, 30000, 60000, 60000];
/** Blob -> bytes per part: Uppy asks for it by the file's data alone. */
const partSizes = new WeakMap();

/** The SHA-256 of an item, computed once, in the background; null where its user would not wait. */
export function hashed(item) {
  if (item.digest) return item.digest;
  item.skip = new AbortController();
  const reading = read(item.file, { signal: item.skip.signal, onprogress: (done) => item.onhash?.(done) });
  item.digest = reading.then((found) => found.sha256).catch((error) => {
    if (error.name === "AbortError") return null;
    item.digest = undefined; // so that it can be tried again
    throw error;
  });
  return item.digest;
}

export class Sending {
  /** `open`: uploads that the server knows as unfinished. `arrived(item)` is called when a file is complete. */
  constructor({ open, maxBytes, arrived }) {
    this.unfinished = new Map(open.map((upload) => [keyOf(upload.version, upload.name, upload.size), upload]));
    this.maxBytes = maxBytes;
    this.arrived = arrived;
    this.items = new Map();
    this.working = 0;
    this.uppy = this.engine();
    window.addEventListener("offline", () => this.holdAll());
    window.addEventListener("online", () => this.goOn());
    window.addEventListener("beforeunload", (event) => {
      if (this.working > 0) event.preventDefault();
    });
  }

  /** Send one item ({file, version, row}) to its version: to its end, or to what its row says. */
  async send(item) {
    this.working++;
    try {
      await this.begin(item);
    } catch (error) {
      this.working--;
      if (!item.removed) this.failed(item, error, () => this.send(item));
    }
  }

  async begin(item) {
    const { file, row } = item;
    if (file.size > this.maxBytes) throw new Refusal(say("tooLarge", { size: size(this.maxBytes) }));
    const known = this.unfinished.get(keyOf(item.version, file.name, file.size));
    const same = known && sameSource(file, known.id);
    const sha256 = same || (known && !known.sha256) ? null : await this.hash(item);
    if (item.removed) return void this.working--;
    row.says(say("begins"));
    if (known?.sha256 && sha256 && sha256 !== known.sha256) throw new Refusal(say("otherFile"));
    if (known) return this.put(item, known, same || (sha256 !== null && sha256 === known.sha256));
    const begun = await api("POST", `versions/${item.version}/uploads`, { file_name: file.name, size_bytes: file.size, ...(sha256 ? { sha256 } : {}) });
    if (begun.file_id) return this.done(item, say("linked"), { url: `/file/${begun.file_id}`, text: say("look") });
    const upload = { id: begun.id, part_size: begun.part_size_bytes, sha256: sha256 ?? "" };
    this.unfinished.set(keyOf(item.version, file.name, file.size), upload);
    remember(file, upload.id);
    return this.put(item, upload, true);
  }

  async hash(item) {
    const { file, row } = item;
    item.onhash = (done) => row.hashing(done, file.size);
    row.hashing(0, file.size);
    row.does([say("skip"), () => item.skip.abort()], [say("remove"), () => this.remove(item)]);
    const sha256 = await hashed(item);
    row.does([say("remove"), () => this.remove(item)]);
    return sha256;
  }

  /** Hand an item to Uppy. `resumes`: parts that arrived are of this very file and need not be sent again. */
  put(item, upload, resumes) {
    Object.assign(item, { upload, resumes, pace: new Pace(), all: Math.ceil(item.file.size / upload.part_size), have: 0, paused: false });
    partSizes.set(item.file, upload.part_size);
    // The version is part of Uppy's name for a file: the same one may be sent to two.
    item.id = this.uppy.addFile({ name: item.file.name, type: item.file.type, data: item.file, meta: { relativePath: `${item.version}/${upload.id}` } });
    this.items.set(item.id, item);
    this.offers(item);
    // Every upload starts as if it were interrupted: the server says which parts it has, and only the others are sent.
    this.uppy.setFileState(item.id, { s3Multipart: { key: item.id, uploadId: upload.id } });
    this.uppy.retryUpload(item.id).catch(() => {}); // starts this one alone, whatever the others are at
  }

  engine() {
    const uppy = new Uppy({ autoProceed: false });
    uppy.use(AwsS3, {
      shouldUseMultipart: () => true,
      limit: 4,
      retryDelays: PART_WAITS,
      getChunkSize: (data) => partSizes.get(data),
      createMultipartUpload: (file) => Promise.resolve({ uploadId: this.items.get(file.id).upload.id, key: file.id }),
      listParts: (file, { uploadId }) => this.received(this.items.get(file.id), uploadId),
      signPart: async (_file, { uploadId, partNumber }) => ({ url: (await api("POST", `uploads/${uploadId}/parts`, { numbers: [partNumber] }))[0].url }),
      completeMultipartUpload: async (_file, { uploadId }) => {
        await api("POST", `uploads/${uploadId}/complete`, {});
        localStorage.removeItem(storageKey(uploadId));
        return {};
      },
      // What arrived stays on the server: the page offers to go on with it or to discard it.
      abortMultipartUpload: async () => {},
    });
    uppy.on("upload-progress", (file, progress) => this.moved(this.items.get(file?.id), progress));
    uppy.on("s3-multipart:part-uploaded", (file) => {
      const item = this.items.get(file.id);
      if (!item) return;
      item.have++;
      this.moved(item, item.progress ?? { bytesUploaded: 0, bytesTotal: item.file.size });
    });
    uppy.on("upload-success", (file) => {
      const item = this.items.get(file.id);
      setTimeout(() => uppy.removeFile(file.id));
      this.items.delete(file.id);
      this.unfinished.delete(keyOf(item.version, item.file.name, item.file.size));
      this.done(item, say("arrived"));
    });
    uppy.on("upload-error", (file, error) => {
      const item = this.items.get(file?.id);
      if (!item || item.removed) return;
      this.working--;
      this.failed(item, error, () => {
        this.working++;
        item.paused = false;
        this.offers(item);
        uppy.retryUpload(item.id).catch(() => {});
      });
    });
    return uppy;
  }

  async received(item, uploadId) {
    if (!item.resumes) return []; // another file of that name and size: send every part anew
    const answer = await api("GET", `uploads/${uploadId}`);
    item.have = answer.parts.length;
    return answer.parts.map((part) => ({ PartNumber: part.number, ETag: part.etag, Size: part.size_bytes }));
  }

  moved(item, progress) {
    const { bytesUploaded, bytesTotal } = progress;
    if (item) item.progress = progress;
    if (!item || item.removed || item.paused || !navigator.onLine) return;
    item.resumes = true; // from here on, what the server has is of this file
    const so = say("sent", { done: size(bytesUploaded), size: size(bytesTotal) });
    item.row.says(`${so} · ${parts(Math.min(item.have, item.all), item.all)}${item.pace.after(bytesUploaded, bytesTotal)}`, bytesUploaded / bytesTotal);
  }

  offers(item) {
    const toggle = [say(item.paused ? "resume" : "pause"), () => this.toggle(item)];
    item.row.does(toggle, [say("remove"), () => this.remove(item)]);
  }

  toggle(item, text = "pausedText") {
    item.paused = this.uppy.pauseResume(item.id) ?? !item.paused;
    item.pace = new Pace();
    item.row.status.textContent = item.paused ? say(text) : say("begins");
    this.offers(item);
  }

  holdAll() {
    for (const item of this.items.values()) {
      if (item.paused) continue;
      item.held = true;
      this.toggle(item, "offline");
    }
  }

  goOn() {
    for (const item of this.items.values()) {
      if (item.held && item.paused) this.toggle(item);
      item.held = false;
    }
  }

  remove(item) {
    item.removed = true;
    item.skip?.abort();
    if (item.id) {
      this.uppy.removeFile(item.id);
      if (this.items.delete(item.id) && item.row.node.dataset.state !== "failed") this.working--;
    }
    item.row.node.remove();
    item.onremove?.(item);
  }

  failed(item, error, again) {
    const refused = error instanceof Refusal;
    item.row.fails(refused ? error.message : say("trouble"));
    item.row.does([say("again"), again], [say("remove"), () => this.remove(item)]);
  }

  done(item, text, link) {
    this.working--;
    item.row.ends(text, link);
    this.arrived(item);
  }
}

function keyOf(version, name, bytes) {
  return `${version}/${name.normalize("NFC").trim()}/${bytes}`;
}

function storageKey(id) {
  return `weigh-upload-${id}`;
}

function remember(file, id) {
  localStorage.setItem(storageKey(id), String(file.lastModified));
}

/** Whether an upload was begun here from this very file; notes the file for next time. Name and size alone would mix two files. */
function sameSource(file, id) {
  const same = localStorage.getItem(storageKey(id)) === String(file.lastModified);
  remember(file, id);
  return same;
}
