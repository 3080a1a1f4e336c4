/** Asking the recorder: JSON, and the stream of events. The token goes with each request. */

const TOKEN = "kline-ops-token";
/** Milliseconds that an answer may take, and that the stream may say nothing (it tells the status each second). */
const PATIENCE = 15_000;
const SILENCE = 10_000;

/** The recorder answered, and it was a refusal. */
export class Refusal extends Error {
  constructor(status, told) {
    super(told.error ?? told.reason ?? `HTTP ${status}`);
    this.status = status;
    this.hint = told.hint ?? "";
  }
}

export const token = {
  get: () => sessionStorage.getItem(TOKEN),
  set: (text) => sessionStorage.setItem(TOKEN, text),
};

const headers = (more) => {
  const held = token.get();
  return held ? { ...more, Authorization: `Bearer ${held}` } : more;
};

async function ask(path, signal, more) {
  const response = await fetch(path, { headers: headers(more), signal, cache: "no-store" });
  if (response.ok) return response;
  throw new Refusal(response.status, await response.json().catch(() => ({})));
}

/** The JSON behind a path. Throws a Refusal, or what fetch throws where nobody answers. */
export async function get(path) {
  const response = await ask(path, AbortSignal.timeout(PATIENCE), { Accept: "application/json" });
  return response.json();
}

/**
 * Server-sent events, read by fetch since EventSource sends no token.
 *
 * `opened` once the recorder has answered, `heard` for each message; resolves when the stream ends;
 * `ended` ends it from here.
 */
export async function listen(path, lastId, opened, heard, ended = new AbortController()) {
  let timer = 0;
  const alive = () => {
    clearTimeout(timer);
    timer = setTimeout(() => ended.abort(), SILENCE);
  };
  alive();
  try {
    const more = { Accept: "text/event-stream", ...(lastId ? { "Last-Event-ID": lastId } : {}) };
    const response = await ask(path, ended.signal, more);
    opened();
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      alive();
      const blocks = (rest + value.replaceAll("\r", "")).split("\n\n");
      rest = blocks.pop();
      for (const block of blocks) {
        const message = parsed(block);
        if (message) heard(message);
      }
    }
  } finally {
    clearTimeout(timer);
    ended.abort();
  }
}

/** `{kind, id, data}` of one block, or null of a comment. */
export function parsed(block) {
  const told = { kind: "message", id: "", data: "" };
  for (const line of block.split("\n")) {
    const at = line.indexOf(":");
    if (at < 1) continue;
    const value = line.slice(at + 1).replace(/^ /, "");
    const name = line.slice(0, at);
    if (name === "event") told.kind = value;
    else if (name === "id") told.id = value;
    else if (name === "data") told.data += (told.data ? "\n" : "") + value;
  }
  if (!told.data) return null;
  try {
    return { ...told, data: JSON.parse(told.data) };
  } catch {
    return null; // cut off in the middle: what comes after the reconnect tells it again
  }
}
