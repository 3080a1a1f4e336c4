/** How things are written: elements, times, durations, numbers. Data only ever becomes text. */

/** An element with its attributes and children; strings become text nodes. */
export function el(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined) made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
}

/** Of SVG. */
export function svg(tag, attributes = {}, ...children) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

/** Sets a text only where it differs: a screen reader is not told the same again. */
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

export const byId = (id) => document.getElementById(id);

/** Where times are written: "utc" or "local". */
export const zone = { name: "utc" };

/** Milliseconds whose UTC reading is the chosen zone's reading of `ms`. */
export function shown(ms) {
  return zone.name === "utc" ? ms : ms - new Date(ms).getTimezoneOffset() * 60_000;
}

/** The time of which `shown` is the reading; within a change of daylight saving, nearly. */
export function unshown(ms) {
  return zone.name === "utc" ? ms : ms + new Date(ms).getTimezoneOffset() * 60_000;
}

export const zoneWord = () => (zone.name === "utc" ? "UTC" : "local time");

/** `2026-01-27 14:00:00`; milliseconds only where there are some and they are asked for. */
export function moment(ms, { date = true, seconds = true } = {}) {
  if (!Number.isFinite(ms)) return "—";
  const [day, time] = new Date(shown(ms)).toISOString().split("T");
  const clock = seconds ? time.slice(0, 8) : time.slice(0, 5);
  return date ? `${day} ${clock}` : clock;
}

/** Seconds only where they say something at this size of a cell. */
export const momentFor = (ms, step) => moment(ms, { seconds: step % 60_000 !== 0 });

/** A moment as text that says its date only where that is more than half a day away. */
export function near(ms) {
  return moment(ms, { date: Math.abs(ms - now()) > 43_200_000 });
}

/** This browser's clock may be wrong: what the recorder told of the time, less that. */
export const clock = { ahead: 0 };

/** The time by the recorder, in milliseconds. */
export const now = () => Date.now() + clock.ahead;

/** `12 s`, `5 min`, `3 h 20 min`, `4 d 2 h`. */
export function duration(seconds) {
  if (!Number.isFinite(seconds)) return "—";
  const s = Math.max(0, Math.floor(seconds));
  if (s < 120) return `${s} s`;
  const min = Math.floor(s / 60);
  if (min < 120) return `${min} min`;
  const h = Math.floor(min / 60);
  if (h < 48) return min % 60 ? `${h} h ${min % 60} min` : `${h} h`;
  return h % 24 ? `${Math.floor(h / 24)} d ${h % 24} h` : `${Math.floor(h / 24)} d`;
}

/** A price without the zeros that say nothing; the tables and files keep each digit. */
export const price = (text) => text.replace(/(\.\d\d\d*?)0+$/, "$1");

/** `1,234`. */
export const count = (n) => (Number.isFinite(n) ? n.toLocaleString("en-US") : "—");

/** `1 candle`, `1,200 candles`. */
export const counted = (n, noun) => `${count(n)} ${noun}${n === 1 ? "" : "s"}`;

/** A table's body row; cells are texts or nodes, `n` marks a number. */
export function row(cells, numbers = []) {
  return el("tr", {}, ...cells.map((cell, at) => {
    const attributes = numbers.includes(at) ? { class: "n" } : {};
    return at === 0 ? el("th", { scope: "row", ...attributes }, cell) : el("td", attributes, cell);
  }));
}

/** A table with a caption, for what is drawn elsewhere. */
export function table(caption, heads, rows, numbers = []) {
  const head = heads.map((text, at) =>
    el("th", { scope: "col", class: numbers.includes(at) ? "n" : null }, text));
  return el("table", {}, el("caption", {}, caption),
    el("thead", {}, el("tr", {}, ...head)),
    el("tbody", {}, ...rows.map((cells) => row(cells, numbers))));
}
