// Where files come from: a drop of files or whole folders, and the two buttons. It hands on weights and counts the rest.

const MOST = 500;

/** Calls `given({weights, others})` each time files were chosen. `zone` holds inputs of type file; `extensions` say what weights are. */
export function choosing(zone, extensions, given) {
  const hand = (files) => {
    const weights = files.filter((file) => extensions.some((ending) => file.name.toLowerCase().endsWith(ending)));
    given({ weights: weights.slice(0, MOST), others: files.length - Math.min(weights.length, MOST) });
  };
  for (const input of zone.querySelectorAll("input[type=file]")) {
    input.addEventListener("change", () => {
      const files = [...input.files];
      input.value = "";
      if (files.length) hand(files);
    });
  }
  zone.addEventListener("dragover", (event) => {
    event.preventDefault();
    zone.dataset.over = "true";
  });
  zone.addEventListener("dragleave", (event) => {
    if (!zone.contains(event.relatedTarget)) delete zone.dataset.over;
  });
  zone.addEventListener("drop", async (event) => {
    event.preventDefault();
    delete zone.dataset.over;
    const files = await dropped(event.dataTransfer);
    if (files.length) hand(files);
  });
}

/** Files of a drop; folders are walked. The entries must be taken before the first wait: the drop is empty afterwards. */
async function dropped(transfer) {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  if (!entries.length) return [...transfer.files];
  const found = [];
  for (const entry of entries) await walk(entry, found);
  return found;
}

async function walk(entry, found) {
  if (found.length > 20 * MOST) return;
  if (entry.isFile) {
    found.push(await new Promise((resolve, reject) => entry.file(resolve, reject)));
    return;
  }
  const reader = entry.createReader();
  for (;;) {
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject)); // a hundred at a time, at most
    if (!some.length) return;
    for (const inner of some) await walk(inner, found);
  }
}
