/** The figure for plotly, from plain values. Its colours are those of the style sheet. */

import { endOfMark } from "./strips.js";
import { counted, moment, shown } from "./text.js";

const SYMBOLS = { info: "circle", success: "triangle-down", warning: "diamond", critical: "triangle-up" };
/** Shapes on a chart; of more, the newest. */
const SHAPES = 60;

let probe = null;

/** A colour of the style sheet as plotly knows them: light-dark() is resolved. */
function color(name) {
  if (!probe) {
    probe = document.createElement("i");
    probe.hidden = true;
    document.body.append(probe);
  }
  probe.style.color = `var(--${name})`;
  return getComputedStyle(probe).color;
}

/** `data` and `layout`. */
export function figure({ all, holes, marks, step, from, until, width, touch }) {
  const seen = all.filter(([ms]) => ms >= from - step && ms <= until + step);
  return {
    data: [candles(seen), volumes(seen, step), lane(marks, from)],
    layout: layout({ seen, holes, marks, step, from, until, width, touch }),
  };
}

const rises = ([, open, , , close]) => Number(close) >= Number(open);

function candles(rows) {
  const [up, down] = [color("up"), color("down")];
  const of = (at) => rows.map((row) => Number(row[at]));
  return {
    type: "candlestick", x: rows.map(([ms]) => shown(ms)), open: of(1), high: of(2), low: of(3), close: of(4),
    // The exchange's own digits; a text of theirs is numbers and nothing else.
    text: rows.map(([, o, h, l, c, v]) => `open ${o}<br>high ${h}<br>low ${l}<br>close ${c}<br>volume ${v}`),
    hoverinfo: "text", increasing: { line: { color: up, width: 1 }, fillcolor: color("card") },
    decreasing: { line: { color: down, width: 1 }, fillcolor: down }, whiskerwidth: 0,
  };
}

function volumes(rows, step) {
  return {
    type: "bar", x: rows.map(([ms]) => shown(ms)), y: rows.map((row) => Number(row[5])), yaxis: "y2",
    width: 0.7 * step, marker: { color: rows.map((row) => (rises(row) ? color("up") : color("down"))), opacity: 0.55, line: { width: 0 } },
    hoverinfo: "skip",
  };
}

const escaped = (text) => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");

function lane(marks, from) {
  return {
    type: "scatter", mode: "markers", yaxis: "y3", x: marks.map((mark) => shown(Math.max(mark.at_ms, from))), y: marks.map(() => 0),
    marker: { size: 9, symbol: marks.map(({ level }) => SYMBOLS[level] ?? "circle"), color: marks.map(({ level }) => color(`m-${level}`)) },
    hoverinfo: "text", text: marks.map((mark) => `${moment(mark.at_ms, { date: false })} ${escaped(mark.title)}`), cliponaxis: false,
  };
}

/** Room above and below what is seen. */
function prices(rows) {
  if (!rows.length) return [0, 1];
  const high = Math.max(...rows.map((row) => Number(row[2])));
  const low = Math.min(...rows.map((row) => Number(row[3])));
  const room = (high - low) * 0.06 || Math.abs(high) * 0.001 || 1;
  return [low - room, high + room];
}

function layout({ seen, holes, marks, step, from, until, width, touch }) {
  const font = getComputedStyle(document.body).fontFamily;
  const axis = { gridcolor: color("line"), linecolor: color("line"), zeroline: false, automargin: true, fixedrange: true, side: "right", tickfont: { color: color("muted") } };
  const shaded = holes.filter(([a, b]) => b > from && a < until).slice(-SHAPES);
  const lasting = marks.filter((mark) => endOfMark(mark) - mark.at_ms > step / 4).slice(-SHAPES);
  const volume = Math.max(0, ...seen.map((row) => Number(row[5])));
  return {
    margin: { l: 6, r: 6, t: 6, b: 38 }, showlegend: false, hovermode: "x", dragmode: touch ? false : "pan", uirevision: "own",
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", font: { family: font, size: 12, color: color("muted") },
    hoverlabel: { bgcolor: color("card"), bordercolor: color("muted"), font: { family: font, color: color("ink"), size: 12 }, align: "left" },
    xaxis: { type: "date", range: [shown(from), shown(until)], rangeslider: { visible: false }, showgrid: false, linecolor: color("line"), anchor: "y2", nticks: Math.max(3, Math.floor(width / 110)), tickangle: 0, tickfont: { color: color("muted") },
      hoverformat: step % 60_000 ? "%Y-%m-%d %H:%M:%S" : "%Y-%m-%d %H:%M",
      tickformatstops: [{ dtickrange: [null, 60_000], value: "%H:%M:%S" }, { dtickrange: [60_000, 86_400_000], value: "%H:%M\n%b %-d" }, { dtickrange: [86_400_000, null], value: "%b %-d\n%Y" }] },
    yaxis: { ...axis, domain: [0.25, 0.92], range: prices(seen), nticks: 6, tickformat: ",.8~f" },
    yaxis2: { ...axis, domain: [0, 0.2], range: [0, volume * 1.05 || 1], nticks: 3, tickformat: volume < 1000 ? ",.4~f" : "~s" },
    yaxis3: { ...axis, domain: [0.94, 1], range: [-1, 1], visible: false },
    shapes: [
      ...shaded.map(([a, b]) => ({ type: "rect", layer: "below", xref: "x", yref: "paper", x0: shown(a - step / 2), x1: shown(b - step / 2), y0: 0, y1: 0.92, fillcolor: color("hole"), line: { width: 1, dash: "dot", color: color("k-missing") } })),
      ...lasting.map((mark) => ({ type: "line", xref: "x", yref: "y3", x0: shown(Math.max(mark.at_ms, from)), x1: shown(Math.min(endOfMark(mark), until)), y0: 0, y1: 0, line: { width: 3, color: color(`m-${mark.level}`) } })),
    ],
    annotations: [
      ...shaded.filter(([a, b]) => ((b - a) / (until - from)) * width > 130).map(([a, b, candles]) => ({ x: shown((a + b) / 2), y: 0.9, xref: "x", yref: "paper", text: `${counted(candles, "candle")} missing`, showarrow: false, font: { color: color("ink") } })),
    ],
  };
}
