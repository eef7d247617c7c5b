// What a file is, before it is sent: the header of a safetensors file goes to the hub, of all others only the name does.
// Pickles are never looked into here: they are judged by the scanner alone.
import { api } from "./api.js";

const LARGEST = 4 * 2 ** 20;
let free = 3;
const waiting = [];

/** The hub's suggestion (`Recognised`), with `problem` where the header cannot be read. */
export async function recognise(file) {
  await turn();
  try {
    const header = await headerOf(file);
    const query = new URLSearchParams({ name: file.name, size: file.size });
    return await api("POST", `identify?${query}`, header, "application/octet-stream");
  } catch (error) {
    return { problem: error.message };
  } finally {
    free++;
    waiting.shift()?.();
  }
}

async function turn() {
  while (free === 0) await new Promise((resolve) => waiting.push(resolve));
  free--;
}

/** The JSON of a safetensors header as bytes; nothing for what is none, or for one that is larger than a request may be. */
async function headerOf(file) {
  if (!/\.(safetensors|sft)$/i.test(file.name) || file.size < 10) return undefined;
  const head = new DataView(await file.slice(0, 8).arrayBuffer());
  const length = head.getUint32(0, true) + head.getUint32(4, true) * 2 ** 32;
  if (length > LARGEST || length > file.size - 8) return undefined;
  return file.slice(8, 8 + length);
}
