"""The page around the text: its style sheet, its script and its frame."""

STYLE = """
:root {
  color-scheme: light dark;
  --page: #f4f6f7; --card: #fff; --ink: #1c252c; --muted: #59656e; --line: #dfe5e8;
  --present: #c9dfd5; --ours: #c62d1f; --unknown: #4a545c; --provisional: #a86400;
  --exchange: #3f51a5; --up: #1f7a63; --down: #b8452f; --hole: #dfe3f3; --link: #2b4fa3;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #11161a; --card: #1a2126; --ink: #e3e9ed; --muted: #9ba8b1; --line: #303a42;
    --present: #2c5142; --ours: #ff6f5c; --unknown: #c6d0d6; --provisional: #f0b24a;
    --exchange: #93a5ff; --up: #4cc2a0; --down: #ff8a70; --hole: #2a3148; --link: #9db4ff;
  }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink);
  font: 1rem/1.5 system-ui, sans-serif; font-variant-numeric: tabular-nums; }
main { max-width: 76rem; margin: auto; padding: 1.5rem clamp(.75rem, 3vw, 2rem) 3rem;
  overflow-wrap: anywhere; }
header { margin: 0 .25rem 1.25rem; }
h1, h2, h3 { line-height: 1.25; margin: 0; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.35rem; } h3 { font-size: 1.05rem; margin: 2rem 0 .5rem; }
p, ul { margin: .35rem 0; } ul { padding: 0; list-style: none; }
a { color: var(--link); }
a:focus-visible, .scroll:focus-visible, summary:focus-visible { outline: 2px solid var(--link);
  outline-offset: 2px; }
.card { display: block; margin: 0 0 1.5rem; padding: clamp(1rem, 2.5vw, 1.75rem);
  background: var(--card); border: 1px solid var(--line); border-radius: .75rem; }
.span, header p, figcaption, caption, .files, details, .card > p { color: var(--muted); }
code { font: .875em ui-monospace, monospace; }
.card > .sum { color: var(--ink); font-size: 1.1rem; margin-top: .75rem; }
.remarks { border-left: 3px solid var(--provisional); padding-left: .75rem; margin-top: .75rem; }
figure { margin: 0; min-width: 0; }
figcaption { font-size: .9rem; }
.chart { position: relative; } .timeline { height: 7rem; } .candles { height: 20rem; }
.legend { display: flex; flex-wrap: wrap; gap: .15rem 1.25rem; font-size: .9rem; }
.key { display: block; white-space: nowrap; } .legend .key { white-space: normal; }
.key i { display: inline-block; width: .7em; height: .7em; border-radius: 2px; margin-right: .45em; }
.grid { display: grid; gap: 1.75rem 1.5rem;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 27rem), 1fr)); }
.grid figure { display: flex; flex-direction: column; justify-content: end; }
.scroll { overflow: auto; margin: .5rem 0 1rem; }
.tall { max-height: 40rem; }
table { border-collapse: collapse; font-size: .9rem; }
caption { text-align: left; padding: .25rem 0; }
th, td { padding: .35rem 1.25rem .35rem 0; text-align: left; vertical-align: top; font-weight: 400;
  border-bottom: 1px solid var(--line); }
thead th { position: sticky; top: 0; background: var(--card); color: var(--muted);
  white-space: nowrap; }
td small { display: block; color: var(--muted); }
td, tbody th, time { white-space: nowrap; } .n { text-align: right; }
.w { width: 99%; min-width: 14rem; } td.w { white-space: normal; }
@media (max-width: 40rem) {
  .wide, .wide tbody, .wide caption { display: block; }
  .wide thead { position: absolute; clip-path: inset(50%); }
  .wide tr { display: flex; flex-wrap: wrap; gap: 0 .75rem; padding: .5rem 0;
    border-bottom: 1px solid var(--line); }
  .wide th, .wide td { padding: 0; border: 0; } .wide th { white-space: normal; }
  .wide td:empty { display: none; }
  .wide [data-h]::before { content: attr(data-h) " "; color: var(--muted); }
}
@media (pointer: coarse) { .mouse { display: none; } }
@media print { .tall { max-height: none; } .card { border: 0; padding: 0; } }
"""

SCRIPT = """
(() => {
  "use strict";
  const text = document.getElementById("figures").textContent;
  const places = [...document.querySelectorAll("[data-chart]")];
  const touch = matchMedia("(pointer: coarse)").matches;
  const config = { displayModeBar: false, responsive: true, showTips: false };
  let turn = 0;

  const colored = () => {
    const style = getComputedStyle(document.documentElement);
    return JSON.parse(text, (key, value) =>
      /color$/.test(key) ? style.getPropertyValue(value).trim() : value);
  };
  const drawAll = async () => {
    const mine = ++turn;
    const figures = colored();
    for (const place of places) {
      const { data, layout } = figures[place.dataset.chart];
      // A finger that moves over a chart scrolls the page.
      layout.dragmode = touch ? false : "zoom";
      try {
        await Plotly.react(place, data, layout, config);
      } catch (error) {
        place.textContent = `This chart can not be drawn: ${error.message}`;
      }
      await new Promise((resume) => setTimeout(resume));
      if (mine !== turn) return;
    }
  };
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
  drawAll();
})();
"""

PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<main>
<header><h1>Missing candles</h1><p>Made {made} UTC by kline-ops</p></header>
{overview}
<noscript><p>The charts need JavaScript; the text and the tables tell all.</p></noscript>
{sections}
</main>
<script type="application/json" id="figures">{figures}</script>
<script>{plotly}</script>
<script>{script}</script>
</body>
</html>
"""
