// How the upload page speaks to the hub: JSON there and back, tried again while the line or the server is away.

const WAITS = [500, 1000, 2000, 4000, 8000, 15000, 30000, 30000, 60000];

/** What the hub refused, in its own sentence; asking again would not help. */
export class Refusal extends Error {}

let csrf = "";

export function useToken(token) {
  csrf = token;
}

export async function api(method, path, body, type = "application/json") {
  for (let tries = 0; ; tries++) {
    const answer = await asked(method, path, body, type);
    if (answer && answer.status < 502) return read(answer);
    if (tries >= WAITS.length) throw new Error(answer ? `${answer.status}` : "offline");
    await pause(WAITS[tries]);
  }
}

/** The answer, or null where none came: no network, or the server starts anew. */
async function asked(method, path, body, type) {
  try {
    return await fetch(`/api/hub/${path}`, {
      method,
      credentials: "same-origin",
      headers: { "Content-Type": type, Accept: "application/json", "X-CSRFToken": csrf },
      body: body === undefined || type !== "application/json" ? body : JSON.stringify(body),
    });
  } catch {
    return null;
  }
}

async function read(answer) {
  const data = answer.status === 204 ? {} : await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Refusal(data.error ?? `${answer.status}`);
  return data;
}

/** Waits so long, or until the browser is back on line. */
function pause(milliseconds) {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, milliseconds);
    window.addEventListener("online", () => (clearTimeout(timer), resolve()), { once: true });
  });
}
