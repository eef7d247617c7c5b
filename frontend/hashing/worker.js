// Hashes one file in a thread of its own: SHA-256 of all of it; where it is asked to look inside also of what follows a safetensors
// header, A1111's AutoV1, and what a broken download looks like. It reads the file in slices, so that memory stays small whatever its size. Nothing leaves this computer from here.
import { sha256 } from "@noble/hashes/sha2.js";
import { bytesToHex } from "@noble/hashes/utils.js";

const SLICE = 8 << 20;
const MAX_HEADER = 100_000_000; // the reference reader's own limit
const TOLD_EVERY_MS = 150;
const EARLY = { start: 0x100000, end: 0x110000, leastFile: 2 << 20 };

self.onmessage = async ({ data: { file, inside } }) => {
  try {
    self.postMessage({ found: await hashed(file, inside) });
  } catch (error) {
    self.postMessage({ failed: String(error?.message ?? error) });
  }
};

async function hashed(file, inside) {
  const header = inside ? await headerOf(file) : null;
  const whole = sha256.create();
  const tensors = header ? sha256.create() : null;
  const early = inside && file.size >= EARLY.leastFile ? sha256.create() : null;
  let told = 0;
  for (let at = 0; at < file.size; at += SLICE) {
    const bytes = new Uint8Array(await file.slice(at, at + SLICE).arrayBuffer());
    whole.update(bytes);
    part(tensors, bytes, at, header?.start ?? 0, file.size);
    part(early, bytes, at, EARLY.start, EARLY.end);
    if (performance.now() - told > TOLD_EVERY_MS) {
      told = performance.now();
      self.postMessage({ read: Math.min(at + SLICE, file.size) });
    }
  }
  const found = { sha256: bytesToHex(whole.digest()), size: file.size, name: file.name };
  if (inside) found.looks = header?.cut ? "cut" : await looksOf(file);
  if (header?.end) found.end = header.end;
  if (header && header.start < file.size) found.data = bytesToHex(tensors.digest());
  if (early) found.early = bytesToHex(early.digest()).slice(0, 8);
  return found;
}

/** Hashes what of these bytes, which lie at `at`, is between `from` and `to`. */
function part(hash, bytes, at, from, to) {
  const [first, last] = [Math.max(from - at, 0), Math.min(to - at, bytes.length)];
  if (hash && first < last) hash.update(bytes.subarray(first, last));
}

/** Where the tensors of a safetensors file begin and where its header says that they end; null for any other file. */
async function headerOf(file) {
  if (file.size < 10) return null;
  const head = new DataView(await file.slice(0, 9).arrayBuffer());
  const length = head.getBigUint64(0, true);
  if (length > MAX_HEADER || head.getUint8(8) !== 0x7b) return null;
  const start = 8 + Number(length);
  if (start > file.size) return { start, cut: true };
  try {
    const entries = Object.entries(JSON.parse(await file.slice(8, start).text()));
    const ends = entries.filter(([name]) => name !== "__metadata__").map(([, tensor]) => tensor.data_offsets[1]);
    const end = start + ends.reduce((most, one) => Math.max(most, one), 0);
    return Number.isSafeInteger(end) ? { start, end } : null;
  } catch {
    return null;
  }
}

/** What else a failed download may be. */
async function looksOf(file) {
  if (!file.size) return "empty";
  const head = (await file.slice(0, 512).text()).trimStart().toLowerCase();
  if (head.startsWith("<!doctype html") || head.startsWith("<html")) return "page";
  if (head.startsWith("version https://git-lfs")) return "pointer";
  return file.size < 65536 && head.startsWith("{") ? "json" : "";
}
