/** The list of events: the newest first, a bounded number of them. */

import { byId, el, moment, say, zoneWord } from "./text.js";

/** So many are kept, and so many shown. */
const KEPT = 500;
const SHOWN = 200;

const RANK = { debug: 0, info: 1, warning: 2, error: 3 };
const SIGNS = { debug: "·", info: "○", warning: "◆", error: "▲" };

export class Happenings {
  constructor() {
    this.dirty = false;
    this.clear();
    byId("level").addEventListener("change", () => this.draw());
  }

  /** Another session is looked at. */
  clear() {
    this.events = []; // the newest last
    this.known = new Set();
    this.draw();
  }

  /** Adds events, whatever their order, and none twice. */
  add(events) {
    const fresh = [];
    for (const event of events) {
      const key = JSON.stringify(event);
      if (this.known.has(key)) continue;
      this.known.add(key);
      fresh.push({ event, key, ms: Date.parse(event.ts), told: event.told ?? { level: "info", text: event.kind } });
    }
    if (!fresh.length) return;
    this.events = [...this.events, ...fresh].sort((a, b) => a.ms - b.ms);
    for (const old of this.events.splice(0, this.events.length - KEPT)) this.known.delete(old.key);
    this.dirty = true;
  }

  drawIfDirty() {
    if (this.dirty) this.draw();
  }

  draw() {
    this.dirty = false;
    const least = RANK[byId("level").value];
    const listed = this.events.filter(({ told }) => RANK[told.level] >= least).slice(-SHOWN).reverse();
    const rows = listed.map((one) => (one.row ??= rowOf(one)));
    const body = byId("events").tBodies[0];
    const place = body.closest(".scroll");
    const [top, height] = [place.scrollTop, place.scrollHeight];
    body.replaceChildren(...rows);
    // Who reads further down stays there.
    if (top > 0) place.scrollTop = top + place.scrollHeight - height;
    byId("events-none").hidden = rows.length > 0;
    byId("events").hidden = rows.length === 0;
    say(byId("events-none"), this.events.length ? "None of this level." : "No events yet.");
    say(byId("events-time"), `Time (${zoneWord()})`);
  }

  /** Times are to be written anew. */
  rezone() {
    for (const one of this.events) delete one.row;
    this.draw();
  }
}

function rowOf({ event, ms, told: { level, text } }) {
  const [day, time] = moment(ms).split(" ");
  const local = new Date(ms).toLocaleString("en-GB", { timeZoneName: "short" });
  return el("tr", { class: `e-${level}` },
    el("th", { scope: "row" }, el("time", { datetime: event.ts, title: local }, el("span", { class: "day" }, `${day} `), time)),
    el("td", {}, el("span", { class: "level" }, el("span", { "aria-hidden": "true" }, SIGNS[level]), el("span", { class: "unseen" }, level))),
    el("td", { title: event.kind }, text));
}
