/** The candles with their volume, and marks on the same axis of time. */

import { Bars, MOST } from "./bars.js";
import { figure } from "./chart_figure.js";
import { plotly } from "./plotly_script.js";
import { endOfMark } from "./strips.js";
import { byId, count, counted, momentFor, now, price, say, table, unshown, zoneWord } from "./text.js";

/** Milliseconds between two drawings; each costs some ten of them. */
const PACE = 400;
/** Pixels a candle, at first. */
const ROOM = 9;
const FEWEST = 30;
const LISTED = 30;

export class Chart {
  /** `older` is called with a time before which candles are wanted. */
  constructor(older) {
    this.older = older;
    this.bars = new Bars();
    this.marks = [];
    this.drawnAt = 0;
    this.timer = 0;
    this.library = null;
    this.place = byId("plot");
    this.wide = null; // so many candles as there is room for
    byId("chart-tools").addEventListener("click", (event) => this.#tool(event.target.closest("button")?.dataset.do));
    byId("chart-table").addEventListener("toggle", () => this.#table());
    this.clear();
    void this.#begin();
  }

  /** Another session is looked at; `why` there are no candles, if that is known. */
  clear(why = "") {
    this.bars.clear();
    this.marks = [];
    this.end = null; // null: follows the newest
    this.why = why;
    this.name = "";
    this.soon();
  }

  load(answer) {
    this.why = "";
    this.name = `${answer.symbol} ${answer.interval}`;
    this.bars.load(answer);
    this.soon();
  }

  fail(why) {
    if (this.bars.all().length) return;
    this.why = why;
    this.soon();
  }

  update(kline) {
    const closed = this.bars.update(kline);
    this.soon();
    return closed;
  }

  mark(marks) {
    this.marks = marks;
    this.soon();
  }

  /** Draws when it is time to, and once for all that came meanwhile. */
  soon() {
    if (this.timer || document.hidden) return;
    const wait = Math.max(0, this.drawnAt + PACE - performance.now());
    this.timer = setTimeout(() => {
      this.timer = 0;
      this.draw();
    }, wait);
  }

  draw() {
    this.drawnAt = performance.now();
    const all = this.bars.all();
    const last = all.at(-1);
    say(byId("chart-title"), this.name ? `Candles, ${this.name}` : "Candles");
    say(byId("price"), last ? price(last[4]) : "");
    // Where there is nothing to draw the sentence says so.
    byId("chart-card").classList.toggle("empty", all.length === 0);
    this.#tell(all);
    this.#table();
    this.#plot(all);
  }

  /** Colours have changed, or the zone of times. */
  restyle() {
    this.soon();
  }

  /** Moments `[from, until]` of the window. */
  window() {
    const all = this.bars.all();
    const step = this.bars.step || 60_000;
    const newest = all.at(-1)?.[0] ?? now();
    const end = this.end ?? newest + 1.5 * step;
    // At the beginning the few that there are fill the chart.
    const there = all.length ? (newest - all[0][0]) / step + 3 : FEWEST;
    const wide = this.wide ?? Math.max(FEWEST, Math.min(this.#wide(), there));
    return [end - wide * step, end];
  }

  #wide() {
    return this.wide ?? Math.max(FEWEST, Math.min(180, Math.floor(this.place.clientWidth / ROOM)));
  }

  async #begin() {
    try {
      this.library = await plotly();
    } catch (error) {
      this.place.classList.add("none");
      this.place.removeAttribute("role");
      say(this.place, `No chart: ${error.message}`);
      return;
    }
    byId("chart-tools").hidden = false;
    new ResizeObserver(() => this.#resize()).observe(this.place);
    this.soon();
  }

  /** Plotly refuses one that is not displayed; it may be gone by the time that it looks. */
  #resize() {
    if (this.place.data && this.place.clientWidth) void this.library.Plots.resize(this.place)?.catch(() => {});
  }

  #plot(all) {
    if (!this.library || this.place.clientWidth < 50 || !all.length) return;
    const [from, until] = this.window();
    const marks = this.marks.filter((mark) => mark.at_ms < until && endOfMark(mark) > from);
    const touch = matchMedia("(pointer: coarse)").matches;
    const { data, layout } = figure({ all, holes: this.bars.holes(), marks, step: this.bars.step || 60_000, from, until, width: this.place.clientWidth, touch });
    const first = !this.place.data;
    // Plotly keeps what it was given: no list of ours is shared with it.
    void this.library.react(this.place, data, layout, { displayModeBar: false, scrollZoom: false, showTips: false, doubleClick: false }).then(() => {
      if (!first) return;
      this.place.on("plotly_relayout", (change) => this.#moved(change));
      this.place.on("plotly_doubleclick", () => this.#tool("latest"));
    });
    const following = this.end === null;
    byId("chart-tools").querySelector("[data-do=latest]").setAttribute("aria-pressed", String(following));
    if (from < (all[0]?.[0] ?? from) && all.length && all.length < MOST && !this.bars.hasAll && !following) {
      void this.older(all[0][0]);
    }
  }

  /** Somebody dragged or zoomed. */
  #moved(change) {
    const range = change["xaxis.range"] ?? [change["xaxis.range[0]"], change["xaxis.range[1]"]];
    if (range[0] === undefined) return;
    const [from, until] = range.map((at) => unshown(typeof at === "number" ? at : Date.parse(`${at.replace(" ", "T")}Z`)));
    const step = this.bars.step || 60_000;
    this.wide = Math.max(5, Math.min(MOST, (until - from) / step));
    this.end = until;
    this.soon();
  }

  #tool(what) {
    if (!what) return;
    const [from, until] = this.window();
    const step = this.bars.step || 60_000;
    if (what === "latest") this.end = null;
    if (what === "earlier") this.end = until - (until - from) / 2;
    if (what === "later") this.end = until + (until - from) / 2;
    if (what === "in") this.wide = Math.max(10, this.#wide() / 2);
    if (what === "out") this.wide = Math.min(MOST, this.#wide() * 2);
    const newest = this.bars.last()?.[0] ?? 0;
    if (this.end !== null && this.end > newest + step) this.end = null;
    this.soon();
  }

  #tell(all) {
    if (!all.length) {
      say(byId("chart-told"), this.why || "No candles yet.");
      return;
    }
    const [from, until] = this.window();
    const seen = all.filter(([ms]) => ms >= from && ms < until);
    if (!seen.length) {
      say(byId("chart-told"), `No candles from ${momentFor(from, this.bars.step)} to ${momentFor(until, this.bars.step)}.`);
      return;
    }
    const holes = this.bars.holes().filter(([a, b]) => b > from && a < until);
    const lost = holes.reduce((sum, [, , candles]) => sum + candles, 0);
    const most = seen.reduce((a, b) => (Number(b[2]) > Number(a[2]) ? b : a));
    const least = seen.reduce((a, b) => (Number(b[3]) < Number(a[3]) ? b : a));
    const gap = lost ? ` ${counted(lost, "candle")} missing between them.` : "";
    say(byId("chart-told"),
      `${counted(seen.length, "candle")}, ${momentFor(seen[0][0], this.bars.step)} to ${momentFor(seen.at(-1)[0], this.bars.step)} ${zoneWord()}: high ${price(most[2])}, low ${price(least[3])}.${gap}`);
  }

  #table() {
    const place = byId("chart-table");
    if (!place.open) return;
    const rows = this.bars.all().slice(-LISTED).reverse()
      .map((bar) => [momentFor(bar[0], this.bars.step), ...bar.slice(1)]);
    const heads = [`open time (${zoneWord()})`, "open", "high", "low", "close", "volume"];
    const forming = this.bars.all().at(-1) === this.bars.forming ? "; the first one forms" : "";
    const scroll = place.querySelector(".scroll");
    const top = scroll.scrollTop;
    scroll.replaceChildren(table(`The last ${count(rows.length)}, newest first${forming}`, heads, rows, [1, 2, 3, 4, 5]));
    scroll.scrollTop = top;
  }
}
