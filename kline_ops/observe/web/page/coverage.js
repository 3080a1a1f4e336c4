/** What of the last day and month is on disk: strips, sums, sentences and tables. */

import { KINDS, MARKS, day, endOf, endOfMark, momentAt, month, spanOf } from "./strips.js";
import { byId, count, counted, duration, el, moment, row, say, svg, table, zoneWord } from "./text.js";

/** Rows of a table that are a help; more is said as a number. */
const LISTED = 200;

export const NAMES = {
  stream: "by the stream",
  rest: "by REST",
  missing: "missing",
  exchange: "none at the exchange",
  pending: "just closed, on its way",
};
const SPANS = ["day", "month"];

export class Coverage {
  constructor() {
    this.answers = {};
    this.widths = {};
    for (const span of SPANS) this.#follow(span);
    byId("gaps-table").addEventListener("toggle", () => this.#tables());
    this.clear();
  }

  /** Another session is looked at. */
  clear() {
    this.answers = {};
    this.drawn = {};
    for (const span of SPANS) {
      byId(span).replaceChildren();
      say(byId(`${span}-told`), "…");
    }
    byId("sums").tBodies[0].replaceChildren();
    byId("mark-key").replaceChildren();
    say(byId("coverage-unit"), "");
    this.#tables();
  }

  /** An answer of /api/history. */
  update(span, answer) {
    this.answers[span] = { ...answer, runs: answer.cells.map((cell) => [cell[0], endOf(cell, answer), cell[2], cell[3]]) };
    this.draw(span);
  }

  /** There is none, and why. */
  fail(span, why) {
    if (!this.answers[span]) say(byId(`${span}-told`), why);
  }

  rezone() {
    for (const span of SPANS) if (this.answers[span]) this.draw(span);
  }

  draw(span) {
    const answer = this.answers[span];
    const place = byId(span);
    const width = Math.floor(place.clientWidth);
    if (!answer || width < 50) return;
    const made = (span === "day" ? day : month)(answer, answer.runs, answer.marks, width);
    place.replaceChildren(made);
    say(byId(`${span}-told`), sentence(answer, span));
    say(byId("coverage-unit"), unit(answer));
    this.#sums();
    this.#tables();
  }

  #sums() {
    const figures = SPANS.map((span) => this.answers[span]?.figures);
    const of = (name) => figures.map((one) => (one ? count(one[name] ?? 0) : "…"));
    const rows = [
      ["owed", ...of("owed")],
      ["on disk", ...of("on_disk")],
      ...["stream", "rest", "missing", "exchange", "pending"].map((kind) => [swatch(kind), ...of(kind)]),
    ];
    byId("sums").tBodies[0].replaceChildren(...rows.map((cells) => row(cells, [1, 2])));
    const levels = new Map([["success", "planned restart, well again"], ["info", "other"], ["warning", "warning"], ["critical", "critical"]]);
    const there = new Set(SPANS.flatMap((span) => this.answers[span]?.marks.map((mark) => mark.level) ?? []));
    byId("mark-key").replaceChildren(...[...levels].filter(([level]) => there.has(level)).map(([level, words]) =>
      el("li", {}, el("span", { class: `sign m-${level}`, "aria-hidden": "true" }, MARKS[level]), ` ${words}`)));
  }

  /** Only where they are looked at. */
  #tables() {
    const place = byId("gaps-table");
    if (!place.open) return;
    const kept = place.querySelector(".scroll")?.scrollTop ?? 0;
    const made = el("div", { class: "scroll tables", role: "group", tabindex: "0", "aria-label": "Gaps and marks" });
    const answer = this.answers.month ?? this.answers.day;
    if (answer) made.append(gaps(answer), marks(answer));
    place.querySelector(".scroll")?.remove();
    place.append(made);
    made.scrollTop = kept;
  }

  #follow(span) {
    const place = byId(span);
    new ResizeObserver(() => {
      if (this.widths[span] === place.clientWidth) return;
      this.widths[span] = place.clientWidth;
      this.draw(span);
    }).observe(place);
    place.addEventListener("pointermove", (event) => this.#read(span, event));
    place.addEventListener("pointerdown", (event) => this.#read(span, event));
    place.addEventListener("pointerleave", () => say(byId("readout"), ""));
  }

  #read(span, event) {
    const answer = this.answers[span];
    const made = byId(span).firstChild;
    if (!answer || !made) return;
    const box = made.getBoundingClientRect();
    const ms = momentAt(made, event.clientX - box.left, event.clientY - box.top, answer);
    if (ms === null) {
      say(byId("readout"), "");
      return;
    }
    const run = answer.runs.find(([first, end]) => first <= ms && ms < end);
    const slack = span === "day" ? (6 / box.width) * 86_400_000 : 20 * 60_000;
    const marked = answer.marks.filter((mark) => mark.at_ms - slack <= ms && ms <= endOfMark(mark) + slack);
    const told = marked.slice(-3).map((mark) => `${moment(mark.at_ms, { date: false })} ${mark.title}`);
    const where = run ? `${spanOf(run[0], run[1], answer.cell_ms)}: ${counted(run[3], "candle")} ${NAMES[run[2]]}` : `${moment(ms, { seconds: false })}: nothing owed`;
    say(byId("readout"), [where, ...told].join(" · "));
  }
}

/** A kind's colour and pattern, and its name. */
function swatch(kind) {
  const fill = { missing: 1, exchange: 1, pending: 1 }[kind] ? { fill: `url(#fill-${kind})` } : {};
  const box = svg("svg", { width: 14, height: 12, "aria-hidden": "true", class: "swatch" },
    svg("rect", { width: 14, height: 12, rx: 2, class: `k-${kind}`, ...fill }));
  return el("span", { class: "kind" }, box, NAMES[kind]);
}

function unit(answer) {
  const { cell_ms: cell, candles_per_cell: per } = answer;
  const long = cell % 3_600_000 === 0 && cell >= 3_600_000 ? `${cell / 3_600_000} h` : cell % 60_000 === 0 ? `${cell / 60_000} min` : `${cell / 1000} s`;
  return per > 1 ? `a cell: ${long}, ${counted(per, "candle")}, shown as the worst of them` : "a cell: one candle";
}

function sentence(answer, span) {
  const { owed, on_disk: disk, rest, missing, exchange } = answer.figures;
  if (!owed) return `Nothing was owed in the last ${span}: no candle was recorded yet.`;
  const parts = [`${count(disk)} of ${counted(owed, "owed candle")} on disk`, `${count(rest)} of them by REST`];
  if (missing) parts.push(`${count(missing)} missing`);
  if (exchange) parts.push(`the exchange has none of ${count(exchange)}`);
  if (!missing && disk + exchange >= owed) parts.push("complete");
  const marked = answer.marks.length ? `; ${counted(answer.marks.length, "mark")}` : "";
  return `${parts.join(", ")}${marked}.`;
}

function gaps(answer) {
  const found = answer.runs.filter(([, , kind]) => KINDS.indexOf(kind) >= KINDS.indexOf("exchange")).reverse();
  const listed = found.slice(0, LISTED);
  const step = { seconds: answer.cell_ms % 60_000 !== 0 };
  const more = found.length > LISTED ? `, the newest ${LISTED} of ${count(found.length)}` : "";
  if (!found.length) return el("p", {}, "No gaps: no owed candle is missing.");
  return table(`Gaps${more} (${zoneWord()})`, ["from", "until", "lasted", "candles", "what"],
    listed.map(([first, end, kind, candles]) => [moment(first, step), moment(end, step), duration((end - first) / 1000), count(candles), swatch(kind)]), [2, 3]);
}

function lasted(mark) {
  const told = duration((endOfMark(mark) - mark.at_ms) / 1000);
  if (mark.open) return `${told} so far`;
  return mark.until_ms ? told : "";
}

function marks(answer) {
  const listed = [...answer.marks].reverse().slice(0, LISTED);
  const more = answer.marks.length > LISTED ? `, the newest ${LISTED} of ${count(answer.marks.length)}` : "";
  if (!listed.length) return el("p", {}, "No marks: no restart and no incident.");
  return table(`Marks${more} (${zoneWord()})`, ["at", "lasted", "level", "what"],
    listed.map((mark) => [moment(mark.at_ms), lasted(mark),
      el("span", { class: "kind" }, el("span", { class: `sign m-${mark.level}`, "aria-hidden": "true" }, MARKS[mark.level] ?? "•"), ` ${mark.level}`), mark.title]), [1]);
}
