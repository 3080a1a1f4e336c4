/** Candles of one series, in order and bounded. Numbers stay the exchange's own text. */

/** The most that are kept. */
export const MOST = 1500;

export class Bars {
  constructor() {
    this.clear();
  }

  clear() {
    this.rows = []; // [open_ms, "o", "h", "l", "c", "v"], the newest last
    this.forming = null;
    this.step = 0;
    this.hasAll = false; // nothing is older
  }

  /** An answer of /api/candles: whatever it has replaces what was known of the same time. */
  load(answer) {
    this.step = answer.interval_ms ?? this.step;
    const known = new Map(this.rows.map((row) => [row[0], row]));
    for (const row of answer.candles) known.set(row[0], row);
    this.rows = [...known.values()].sort((a, b) => a[0] - b[0]);
    this.#bound();
    if (answer.forming) this.#form(answer.forming);
  }

  /** An update of the candle that forms; true if it closed one. */
  update({ open_ms, o, h, l, c, v, closed }) {
    const row = [open_ms, o, h, l, c, v];
    const newest = this.rows.at(-1)?.[0] ?? -Infinity;
    if (!closed) {
      this.#form(row);
      return false;
    }
    if (open_ms > newest) this.rows.push(row);
    if (this.forming && this.forming[0] <= open_ms) this.forming = null;
    this.#bound();
    return open_ms > newest;
  }

  /** All, with the one that forms. */
  all() {
    const newest = this.rows.at(-1)?.[0] ?? -Infinity;
    return this.forming && this.forming[0] > newest ? [...this.rows, this.forming] : this.rows;
  }

  last() {
    return this.all().at(-1) ?? null;
  }

  /** Holes `[from_ms, until_ms, candles]` between the candles that are there. */
  holes() {
    if (!this.step) return [];
    const all = this.all();
    const found = [];
    for (let at = 1; at < all.length; at += 1) {
      const candles = Math.round((all[at][0] - all[at - 1][0]) / this.step) - 1;
      // Months differ; a whole candle more than there should be is a hole.
      if (candles > 0 && all[at][0] - all[at - 1][0] > 1.5 * this.step) {
        found.push([all[at - 1][0] + this.step, all[at][0], candles]);
      }
    }
    return found;
  }

  #form(row) {
    if (!this.forming || row[0] >= this.forming[0]) this.forming = row;
  }

  #bound() {
    if (this.rows.length > MOST) this.rows.splice(0, this.rows.length - MOST);
  }
}
