// Work that goes on at the hub: `data-events` names a stream that says when something is new, and the part of the page that `data-concerns`
// names asks for itself then. Where streams cannot be had, that part asks every ten seconds by itself.
const open = new Map();

function listen() {
  for (const watched of document.querySelectorAll("[data-events]")) {
    const part = document.querySelector(watched.dataset.concerns);
    if (part?.dataset.resting !== "false" || open.has(watched)) continue;
    const source = new EventSource(watched.dataset.events);
    open.set(watched, source);
    source.addEventListener("news", () => document.querySelector(watched.dataset.concerns)?.dispatchEvent(new Event("news")));
    const end = () => {
      source.close();
      open.delete(watched);
    };
    source.addEventListener("end", end);
    source.addEventListener("error", () => source.readyState === EventSource.CLOSED && end());
    window.addEventListener("pagehide", end, { once: true });
  }
  for (const [watched, source] of open) {
    if (watched.isConnected) continue;
    source.close();
    open.delete(watched);
  }
}

listen();
document.addEventListener("htmx:afterSettle", listen);
