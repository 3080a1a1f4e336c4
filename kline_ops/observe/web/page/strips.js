/** Coverage as strips: each owed candle a cell, or as many as fit into a pixel, the worst of them. */

import { moment, now, shown, svg, unshown } from "./text.js";

const DAY = 86_400_000;

/** Kinds, the best first: where several share a pixel, the last of them is shown. */
export const KINDS = ["stream", "rest", "pending", "exchange", "missing"];
const FILLS = { missing: "url(#fill-missing)", exchange: "url(#fill-exchange)", pending: "url(#fill-pending)" };
/** Pixels that are the least for what must not be overlooked. */
const SEEN = { missing: 4, exchange: 3 };

/** Where a run of cells ends. */
export const endOf = ([, last], history) => last + history.cell_ms;

/** Where a mark ends: its own moment, or now where it lasts still. */
export const endOfMark = (mark) => mark.until_ms ?? (mark.open ? now() : mark.at_ms);

/** Runs `[x, width, kind]` within a row of so many pixels from `from` to `until`. */
export function raster(cells, from, until, pixels) {
  const ranks = new Uint8Array(pixels);
  const scale = pixels / (until - from);
  for (const [first, end, kind] of cells) {
    if (end <= from || first >= until) continue;
    const rank = KINDS.indexOf(kind) + 1;
    const left = Math.max(0, Math.floor((first - from) * scale + 1e-6));
    const right = Math.min(pixels, Math.max(left + 1, Math.ceil((end - from) * scale - 1e-6)));
    for (let at = left; at < right; at += 1) if (ranks[at] < rank) ranks[at] = rank;
  }
  const runs = [];
  for (let at = 0; at < pixels; ) {
    let end = at + 1;
    while (end < pixels && ranks[end] === ranks[at]) end += 1;
    if (ranks[at]) runs.push([at, end - at, KINDS[ranks[at] - 1]]);
    at = end;
  }
  return runs;
}

function drawn(runs, x, y, height, pixels) {
  const rects = runs.map(([left, width, kind]) => {
    const wide = Math.max(width, SEEN[kind] ?? 0);
    const at = Math.max(0, Math.min(left - (wide - width) / 2, pixels - wide));
    const rect = svg("rect", { x: x + at, y, width: wide, height, class: `k-${kind}` });
    if (FILLS[kind]) rect.setAttribute("fill", FILLS[kind]);
    return [KINDS.indexOf(kind), rect];
  });
  return rects.sort((a, b) => a[0] - b[0]).map(([, rect]) => rect);
}

const text = (x, y, words, anchor = "middle") =>
  svg("text", { x, y, "text-anchor": anchor }, words);

/** Signs of marks by their level; a shape each. */
export const MARKS = { info: "•", success: "▾", warning: "◆", critical: "▲" };

/** The last day: one strip, marks above it, hours below. */
export function day(history, cells, marks, width) {
  const { from_ms: from, until_ms: until } = history;
  const [top, high] = [20, 34];
  const scale = width / (until - from);
  const made = svg("svg", { width, height: top + high + 20, "aria-hidden": "true" });
  made.append(svg("rect", { x: 0, y: top, width, height: high, class: "k-none" }));
  made.append(...drawn(raster(cells, from, until, width), 0, top, high, width));
  const step = history.cell_ms * scale;
  if (step >= 6) {
    const first = (history.cells[0]?.[0] ?? from) - from;
    for (let x = (first * scale) % step; x < width; x += step) {
      made.append(svg("rect", { x: x - 0.5, y: top, width: 1, height: high, class: "k-line" }));
    }
  }
  made.append(...marksAbove(marks, from, until, width, top));
  const every = width < 500 ? 6 : 3;
  for (let ms = Math.ceil(shown(from) / (every * 3_600_000)) * every * 3_600_000; ; ms += every * 3_600_000) {
    const at = unshown(ms);
    if (at > until) break;
    const x = (at - from) * scale;
    made.append(svg("rect", { x: x - 0.5, y: top + high, width: 1, height: 4, class: "tick" }));
    if (x > 14 && x < width - 14) made.append(text(x, top + high + 16, new Date(ms).toISOString().slice(11, 16)));
  }
  return made;
}

/** Marks that would lie on one another are one, of the worst level. */
function marksAbove(marks, from, until, width, top) {
  const order = ["info", "success", "warning", "critical"];
  const places = new Map();
  const made = [];
  for (const mark of marks) {
    const end = endOfMark(mark);
    if (end < from || mark.at_ms > until) continue;
    const x = Math.max(0, ((mark.at_ms - from) / (until - from)) * width);
    const wide = ((Math.min(end, until) - Math.max(mark.at_ms, from)) / (until - from)) * width;
    if (wide > 2) made.push(svg("rect", { x, y: top - 4, width: wide, height: 3, class: `m-${mark.level}` }));
    const place = Math.floor(x / 9);
    const there = places.get(place);
    if (!there || order.indexOf(mark.level) > order.indexOf(there.level)) places.set(place, { level: mark.level, x });
  }
  for (const { level, x } of places.values()) {
    const sign = text(Math.max(6, Math.min(width - 6, x)), top - 6, MARKS[level] ?? "•");
    sign.setAttribute("class", `mark m-${level}`);
    made.push(sign);
  }
  return made;
}

/** The last month as a calendar: a row a day, the time of day from left to right. */
export function month(history, cells, marks, width) {
  const { from_ms: from, until_ms: until } = history;
  const [left, top, high, step] = [52, 18, 9, 12];
  const pixels = Math.max(1, Math.floor(width - left - 14));
  // A young session has no weeks before its first.
  const [start, last] = [from, until - 1].map((ms) => Math.floor(shown(ms) / DAY) * DAY);
  const began = Math.floor(shown(cells[0]?.[0] ?? last) / DAY) * DAY;
  const first = Math.max(start, Math.min(began, last - 6 * DAY));
  const rows = (last - first) / DAY + 1;
  const made = svg("svg", { width, height: top + rows * step + 2, "aria-hidden": "true" });
  const local = cells.map(([a, b, kind]) => [shown(a), shown(b), kind]);
  for (const hour of width < 500 ? [0, 6, 12, 18, 24] : [0, 3, 6, 9, 12, 15, 18, 21, 24]) {
    const x = left + (hour / 24) * pixels;
    made.append(text(x, 10, `${String(hour).padStart(2, "0")}`));
    made.append(svg("rect", { x: x - 0.5, y: top - 5, width: 1, height: 4, class: "tick" }));
  }
  for (let at = 0; at < rows; at += 1) {
    const start = first + at * DAY;
    const y = top + at * step;
    const label = new Date(start).toISOString().slice(5, 10);
    if (at % 2 === 0 || rows < 16) made.append(text(left - 8, y + 8, label, "end"));
    made.append(svg("rect", { x: left, y, width: pixels, height: high, class: "k-none" }));
    const mine = local.filter(([a, b]) => b > start && a < start + DAY);
    const runs = raster(mine, start, start + DAY, pixels);
    made.append(...drawn(runs, left, y, high, pixels));
    if (runs.some(([, , kind]) => kind === "missing")) made.append(text(left + pixels + 3, y + 8, "◂", "start"));
  }
  made.append(...marksWithin(marks, { first, rows, left, top, step, pixels }));
  made.dataset.place = JSON.stringify({ first, rows, left, top, step, pixels });
  return made;
}

function marksWithin(marks, { first, rows, left, top, step, pixels }) {
  const made = [];
  const seen = new Set();
  for (const mark of marks) {
    const at = shown(mark.at_ms) - first;
    const day = Math.floor(at / DAY);
    if (mark.level === "info" || mark.level === "success" || day < 0 || day >= rows) continue;
    const x = left + ((at % DAY) / DAY) * pixels;
    const place = `${day}:${Math.floor(x / 4)}`;
    if (seen.has(place)) continue;
    seen.add(place);
    made.push(svg("rect", { x: x - 0.75, y: top + day * step - 2, width: 1.5, height: 3, class: `m-${mark.level}` }));
  }
  return made;
}

/** The moment under a pointer, or null. */
export function momentAt(made, x, y, history) {
  const place = made.dataset.place ? JSON.parse(made.dataset.place) : null;
  if (!place) {
    const { from_ms: from, until_ms: until } = history;
    return from + (x / made.width.baseVal.value) * (until - from);
  }
  const day = Math.floor((y - place.top + 1) / place.step);
  const share = (x - place.left) / place.pixels;
  if (day < 0 || day >= place.rows || share < 0 || share >= 1) return null;
  return unshown(place.first + (day + share) * DAY);
}

/** What a run of cells is, in words. */
export function spanOf(first, end, step) {
  const seconds = step % 60_000 !== 0;
  return `${moment(first, { seconds })} to ${moment(end, { seconds, date: moment(first).slice(0, 10) !== moment(end).slice(0, 10) })}`;
}
