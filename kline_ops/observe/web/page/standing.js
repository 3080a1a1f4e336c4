/** The one truth at the top: the word, its reason, and the figures. */

import { byId, count, duration, el, moment, near, now as timeThere, say } from "./text.js";
import { LOST, meaning, sign, spoken, tellTab, tone } from "./words.js";

/** Milliseconds without news, after which the word is no longer taken for true. */
export const STALE = 5_000;

/** Only the host: the rest of an address says nothing at a glance. */
function host(endpoint) {
  try {
    return new URL(endpoint).host;
  } catch {
    return endpoint || "—";
  }
}

/** The figures of a record: name, text, more to it, and how it is meant. */
function figuresOf(record, since, nowhere) {
  const age = record.last_candle_age_seconds;
  const last = Date.parse(record.last_candle ?? "");
  const next = Date.parse(record.next_restart ?? "");
  const due = Date.parse(record.next_due ?? "");
  if (record.command) {
    return [["Command", record.command, ""], ["Uptime", duration(record.uptime_seconds), pid(record)]];
  }
  const skew = record.clock_skew_seconds;
  return [
    ["Last candle", Number.isFinite(last) ? near(last) : "none yet",
      Number.isFinite(age) ? `closed ${duration(age + since)} ago` : ""],
    ["Owed", count(record.owed), Number.isFinite(due) ? `next due ${near(due)}` : ""],
    ["On disk", count(record.on_disk), ""],
    ["Missing", count(record.missing), lacking(record, nowhere), record.missing > nowhere ? "bad" : ""],
    ["Connection", host(record.endpoint),
      `${count(record.restarts_planned)} planned, ${count(record.reconnects)} unplanned restarts`],
    ["Next restart", Number.isFinite(next) ? near(next) : "—",
      Number.isFinite(next) ? `in ${duration((next - timeThere()) / 1000)}` : ""],
    ["Uptime", duration(record.uptime_seconds + since), pid(record)],
    ...(Math.abs(skew) >= 1 ? [["Clock", `${Math.abs(skew).toFixed(1)} s`, `${skew > 0 ? "ahead of" : "behind"} the exchange's`, "warn"]] : []),
  ];
}

/** What a session can not help is said, and is no alarm. */
function lacking({ missing }, nowhere) {
  if (!missing) return "";
  return nowhere ? `${count(Math.min(missing, nowhere))} not at the exchange` : "see the coverage";
}

const pid = (record) => (record.pid ? `pid ${record.pid}` : "");

export class Standing {
  constructor() {
    this.cells = new Map();
    this.clear("");
  }

  /** Another session is looked at; nothing is known of it yet. */
  clear(name) {
    this.name = name;
    this.record = null;
    this.heardAt = null;
    this.nowhere = 0; // candles that the exchange itself has none of, as the coverage tells
    byId("figures").replaceChildren();
    this.cells.clear();
    this.draw();
  }

  /** What the recorder says, or what its files say. */
  update(record) {
    this.record = record;
    this.name = record.name ?? record.session ?? this.name;
    this.heardAt = Date.now();
    this.draw();
  }

  /** Milliseconds since there was news; infinite before the first. */
  age(now = Date.now()) {
    return this.heardAt === null ? Infinity : now - this.heardAt;
  }

  isStale(now = Date.now()) {
    return this.age(now) > STALE;
  }

  draw(now = Date.now()) {
    const { record } = this;
    const stale = this.isStale(now);
    const word = record && !stale ? record.state : record ? LOST : "…";
    const card = byId("standing");
    card.dataset.tone = stale ? "off" : tone(word);
    card.classList.toggle("stale", stale);
    say(byId("session-name"), this.name || "…");
    say(byId("word").querySelector(".sign"), stale && !record ? "" : sign(word));
    say(byId("word").querySelector("strong"), spoken(word));
    say(byId("reason"), this.#reason(word, stale));
    if (record) {
      this.#figures(figuresOf(record, stale ? 0 : this.age(now) / 1000, this.nowhere));
      tellTab(word, this.name);
    }
  }

  #reason(word, stale) {
    const { record } = this;
    if (!record) return "waiting for the recorder";
    if (stale) return `last state ${spoken(record.state)}, at ${moment(this.heardAt)}`;
    const told = record.reason || this.#meaning(word);
    return record.stopping ? `stopping; ${told}` : told;
  }

  #meaning(word) {
    if (word !== "RECORDING" || !this.record.missing) return meaning(word);
    const isWhole = this.record.missing <= this.nowhere;
    return isWhole ? "every candle that the exchange has is on disk" : "what is due is recorded; earlier candles are missing";
  }

  #figures(figures) {
    const list = byId("figures");
    const names = new Set(figures.map(([name]) => name));
    for (const [name, cell] of this.cells) {
      if (names.has(name)) continue;
      cell.remove();
      this.cells.delete(name);
    }
    for (const [name, text, more, tone = ""] of figures) {
      let cell = this.cells.get(name);
      if (!cell) {
        cell = el("div", {}, el("dt", {}, name), el("dd", {}, el("b"), el("small")));
        this.cells.set(name, cell);
        list.append(cell);
      }
      cell.dataset.tone = tone;
      cell.classList.toggle("wide", text.length > 12);
      say(cell.querySelector("b"), text);
      cell.querySelector("b").title = text;
      say(cell.querySelector("small"), more);
    }
  }
}
