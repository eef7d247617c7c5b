// A Web Worker that reads a file piece by piece and tells its SHA-256. It never holds more than one piece, so size does not matter.
import { sha256 } from "@noble/hashes/sha2.js";
import { bytesToHex } from "@noble/hashes/utils.js";

const PIECE = 8 * 2 ** 20;
const TOLD_EVERY_MS = 150;

self.onmessage = async ({ data: file }) => {
  try {
    const hash = sha256.create();
    let told = 0;
    for (let at = 0; at < file.size; at += PIECE) {
      hash.update(new Uint8Array(await file.slice(at, at + PIECE).arrayBuffer()));
      if (performance.now() - told > TOLD_EVERY_MS) {
        told = performance.now();
        self.postMessage({ done: Math.min(at + PIECE, file.size) });
      }
    }
    self.postMessage({ sha256: bytesToHex(hash.digest()) });
  } catch (error) {
    self.postMessage({ error: String(error?.message ?? error) });
  }
};
