"""One page that shows what is missing: text, tables and charts, for a browser.

The page is one file and asks no host for anything: plotly's script stands in it, and its content
security policy lets nothing else in. All that comes from outside (names of files, causes) is taken
for hostile.
"""

from __future__ import annotations

import base64
import hashlib
import heapq
import html
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from kline_ops.errors import InputError
from kline_ops.gaps import render
from kline_ops.gaps.model import FileReport, Finding, Gap, Whose
from kline_ops.gaps.page_figures import (
    COLORS,
    Bar,
    Figure,
    candlestick,
    counted,
    encodable,
    moment,
    shares_of,
    timeline,
    why_missing,
)
from kline_ops.gaps.page_frame import PAGE, SCRIPT, STYLE
from kline_ops.market import timestamp

__all__ = ["Bar", "page"]

#: A longer table says nothing to a reader, and a browser takes its time.
_LISTED_GAPS = 500
_LISTED_RUNS = 50
_CANDLE_CHARTS = 12

_MEANINGS = {
    Whose.OURS: "REST has it: backfill brings it",
    Whose.UNKNOWN: "nobody was asked",
    Whose.PROVISIONAL: "REST has none, but was asked once, and lately",
    Whose.EXCHANGE: "the exchange has none, for good",
}
_OTHER = (
    ("duplicates", "doubled rows"),
    ("conflicts", "open times with different numbers"),
    ("overlapping", "rows that another file has too"),
    ("out_of_order", "rows out of order"),
    ("off_grid", "rows off the grid"),
    ("bad_rows", "bad rows"),
    ("impossible", "rows that no market makes"),
    ("zero_volume", "candles without trades"),
)
_COUNTS = (
    "candles",
    "gaps",
    "count",
    "owed",
    "on disk",
    "missing",
    "dark (s)",
    "recovered",
    *Whose,
)
#: How columns are laid out: numbers are aligned right, long texts take what is left. ``data-h`` is
#: the head on a narrow screen, where each row of a wide table is a block of its own.
_COLUMNS = {
    **{head: f' class="n" data-h="{head}"' for head in _COUNTS},
    "last missing": ' data-h="to"',
    "cause": ' class="w"',
    "why": ' class="w"',
    "first lines": ' class="w"',
}


class _Charts:
    """The figures of the page so far."""

    def __init__(self) -> None:
        self.figures: list[Figure] = []

    def add(self, kind: str, figure: Figure, told: str) -> str:
        """A place for the figure. ``told`` is for who can not see it."""
        self.figures.append(figure)
        place = len(self.figures) - 1
        return (
            f'<div class="chart {kind}" data-chart="{place}" role="img" aria-label="{_esc(told)}">'
            "</div>"
        )


def page(
    findings: Sequence[Finding],
    around: Mapping[tuple[int, int], Sequence[Bar]],
    *,
    made_ms: int,
) -> str:
    """The page as HTML.

    ``around`` has the candles around a gap, by the places of its finding and of it therein; a gap
    without gets no chart.

    Raises:
        InputError: plotly is not installed.
    """
    plotly = _plotly_js()
    charts = _Charts()
    sections = [_section(at, finding, around, charts) for at, finding in enumerate(findings)] or [
        "<p>No candles were looked at.</p>"
    ]
    names = ", ".join(_name(finding.report) for finding in findings[:3])
    figures = msgspec.json.encode(charts.figures).decode().replace("<", "\\u003c")
    return PAGE.format(
        policy=f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; "
        f"script-src {_sha256(plotly)} {_sha256(SCRIPT)}",
        title=_esc(f"Missing candles: {names}" + (" …" if len(findings) > 3 else "")),
        style=STYLE,
        made=_time(made_ms),
        overview=_overview(findings) if len(findings) > 1 else "",
        sections="\n".join(sections),
        figures=figures,
        plotly=plotly,
        script=SCRIPT,
    )


def _plotly_js() -> str:
    try:
        from plotly.offline import get_plotlyjs  # noqa: PLC0415 - an extra, and slow to import
    except ImportError:
        raise InputError("--html needs plotly", hint="pip install 'kline-ops[report]'") from None
    return str(get_plotlyjs())


def _sha256(script: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"


def _overview(findings: Sequence[Finding]) -> str:
    heads = ("series", "owed", "on disk", "missing", "gaps", *map(str, Whose))
    rows = [
        [
            f'<a href="#s{at}">{_esc(_name(finding.report))}</a>',
            *(f"{getattr(finding.report, name):,}" for name in ("owed", "on_disk", "missing")),
            f"{len(finding.gaps):,}",
            *(_count(finding.missing_of(whose)) for whose in Whose),
        ]
        for at, finding in enumerate(findings)
    ]
    table = _table(f"All {len(findings)} series", heads, rows)
    return f'<nav class="card" aria-label="Series">{table}</nav>'


def _section(
    at: int, finding: Finding, around: Mapping[tuple[int, int], Sequence[Bar]], charts: _Charts
) -> str:
    report = finding.report
    with_chart = _largest([i for i in range(len(finding.gaps)) if around.get((at, i))], finding)
    remarks = "".join(f"<li>{_esc(remark)}</li>" for remark in finding.remarks)
    parts = [
        f'<section class="card" id="s{at}" aria-labelledby="h{at}">',
        f'<h2 id="h{at}">{_esc(_name(report))}</h2>',
        f'<p class="span">{_time(report.first_ms)} to {_time(report.last_ms)} UTC</p>',
        _files(finding),
        f'<p class="sum">{_sum(finding)}</p>',
        f'<ul class="remarks">{remarks}</ul>' if remarks else "",
        _coverage(finding, charts),
        _causes(finding),
        _gap_table(at, finding, with_chart),
        _candle_charts(at, finding, {i: around[at, i] for i in with_chart}, charts),
        _other(report),
        "</section>",
    ]
    return "\n".join(filter(None, parts))


def _name(report: FileReport) -> str:
    return f"{report.symbol or 'Candles'} {report.interval}"


def _files(finding: Finding) -> str:
    paths = finding.report.paths
    names = "".join(f"<li><code>{_esc(path)}</code></li>" for path in paths)
    files = f'<ul class="files">{names}</ul>'
    if len(paths) > 3:
        files = f"<details><summary>{len(paths):,} files</summary>{files}</details>"
    session = finding.session
    return files + (f"<p>Recorded by session <code>{_esc(session)}</code></p>" if session else "")


def _sum(finding: Finding) -> str:
    report = finding.report
    parts = [f"owed {_strong(report.owed)}", f"on disk {_strong(report.on_disk)}"]
    if finding.from_rest is not None:
        parts.append(f"from stream {_strong(report.on_disk - finding.from_rest)}")
        parts.append(f"from REST {_strong(finding.from_rest)}")
    if not report.missing:
        return " · ".join((*parts, "<strong>complete</strong>"))
    missing = [f"missing {_strong(report.missing)}", counted(len(finding.gaps), "gap")]
    known = finding.missing_of(Whose.UNKNOWN) < report.missing
    for whose in Whose:
        count = finding.missing_of(whose)
        if count or (known and whose in {Whose.OURS, Whose.EXCHANGE}):
            missing.append(f"{whose} {_strong(count)}")
    return " · ".join((*parts, ", ".join(missing)))


def _coverage(finding: Finding, charts: _Charts) -> str:
    report = finding.report
    share = math.floor(10_000 * report.on_disk / report.owed) / 100 if report.owed else 100.0
    told = f"{share:.2f} % of the candles are there; {counted(len(finding.gaps), 'gap')}"
    if finding.gaps:
        largest = max((one.gap for one in finding.gaps), key=lambda gap: gap.missing)
        told += f", the largest of {counted(largest.missing, 'candle')}, {_span(largest)}"
    legend = _key("--present", "on disk") + "".join(
        _key(color, f"{whose}: {_MEANINGS[whose]}")
        for whose, color in COLORS.items()
        if finding.missing_of(whose)
    )
    chart = charts.add("timeline", timeline(finding), f"Timeline: {told}")
    return (
        f'<h3>Coverage</h3><figure>{chart}<ul class="legend">{legend}</ul>'
        f'<figcaption>{told}. <span class="mouse">Drag to zoom, double-click to see all.</span>'
        "</figcaption></figure>"
    )


def _causes(finding: Finding) -> str:
    gaps = Counter(one.cause.kind for one in finding.gaps)
    candles: Counter[str] = Counter()
    for one in finding.gaps:
        candles[one.cause.kind] += one.gap.missing
    if gaps.keys() <= {"unknown"}:
        return ""
    rows = [[_esc(kind), f"{gaps[kind]:,}", f"{n:,}"] for kind, n in candles.most_common()]
    table = _table("What the gaps are due to", ("cause", "gaps", "candles"), rows)
    return f"<h3>Causes</h3>{table}"


def _gap_table(at: int, finding: Finding, with_chart: Sequence[int]) -> str:
    count = len(finding.gaps)
    if not count:
        return "<h3>Gaps</h3><p>No candle is missing.</p>"
    listed = sorted(_largest(range(count), finding, _LISTED_GAPS))
    heads = ("first missing", "last missing", "candles", "lasted", "whose", "cause", "dark (s)",
             "recovered")  # fmt: skip
    caption = f"The {len(listed)} largest of {count:,} gaps" if count > len(listed) else "All gaps"
    rows = [_gap_row(finding, i, f"#s{at}g{i}" if i in with_chart else "") for i in listed]
    return f"<h3>Gaps</h3>{_table(f'{caption}, by time (UTC)', heads, rows)}"


def _gap_row(finding: Finding, i: int, chart: str) -> list[str]:
    one = finding.gaps[i]
    gap, cause = one.gap, one.cause
    first = _time(gap.first_missing_ms)
    note = f"<small>{_esc(one.note)}</small>" if one.note else ""
    return [
        f'<a href="{chart}">{first}</a>' if chart else first,
        _time(gap.last_missing_ms),
        f"{gap.missing:,}",
        render.lasted(gap, finding.report.interval),
        "".join(_key(COLORS[whose], text, "span") for whose, text in shares_of(one)),
        _esc(why_missing(one)) + note,
        "" if cause.dark_seconds is None else f"{cause.dark_seconds:,.1f}",
        _count(cause.recovered),
    ]


def _candle_charts(
    at: int, finding: Finding, around: Mapping[int, Sequence[Bar]], charts: _Charts
) -> str:
    if not around:
        return ""
    figures = []
    for i, bars in around.items():
        gap = finding.gaps[i].gap
        lasted = render.lasted(gap, finding.report.interval)
        told = f"{_span(gap)}: {counted(gap.missing, 'candle')} missing, {lasted}"
        chart = charts.add(
            "candles", candlestick(finding, gap, bars), f"{len(bars)} candles around {told}"
        )
        figures.append(f'<figure id="s{at}g{i}"><figcaption>{told}</figcaption>{chart}</figure>')
    return f'<h3>Around the largest gaps</h3><div class="grid">{"".join(figures)}</div>'


def _other(report: FileReport) -> str:
    rows = []
    for kind, name in _OTHER:
        count = getattr(report, kind)
        lines = report.lines.get(kind, ())
        where = ", ".join(map(_esc, lines)) + (" …" if lines and len(lines) < (count or 0) else "")
        if count is None:
            rows.append([name, "", "not looked for"])
        elif count:
            rows.append([name, f"{count:,}", where])
    cut = [[f"<code>{_esc(file)}</code>", _esc(why)] for file, why in report.cut_short.items()]
    runs = [[_time(r.first_ms), _time(r.last_ms), f"{r.candles:,}"] for r in report.quiet]
    more = f", the first {_LISTED_RUNS} of {len(runs):,}" if len(runs) > _LISTED_RUNS else ""
    tables = (
        _table("Files not read to their end", ("file", "why"), cut),
        _table("What else was found", ("finding", "count", "first lines"), rows),
        _table(
            f"Runs without trades{more} (UTC)", ("first", "last", "candles"), runs[:_LISTED_RUNS]
        ),
    )
    return f"<h3>Other findings</h3>{''.join(tables) or '<p>Nothing else was found.</p>'}"


def _table(caption: str, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table that scrolls in itself, without its empty columns. The cells are HTML."""
    if not rows:
        return ""
    shown = [at for at in range(1, len(heads)) if any(row[at] for row in rows)]
    kinds = ["", *(_COLUMNS.get(head, "") for head in heads[1:])]
    head = "".join(f'<th scope="col"{kinds[at]}>{heads[at]}</th>' for at in (0, *shown))
    body = "\n".join(
        f'<tr><th scope="row">{row[0]}</th>'
        + "".join(f"<td{kinds[at]}>{row[at]}</td>" for at in shown)
        + "</tr>"
        for row in rows
    )
    tall = " tall" if len(rows) > 40 else ""
    wide = ' class="wide"' if len(shown) > 3 or heads[-1] in {"why", "first lines"} else ""
    return (
        f'<div class="scroll{tall}" role="group" tabindex="0" aria-label="{caption}"><table{wide}>'
        f"<caption>{caption}</caption><thead><tr>{head}</tr></thead>"
        f"<tbody>{body}</tbody></table></div>"
    )


def _key(color: str, text: str, tag: str = "li") -> str:
    return f'<{tag} class="key"><i style="background:var({color})"></i>{text}</{tag}>'


def _largest(places: Iterable[int], finding: Finding, count: int = _CANDLE_CHARTS) -> list[int]:
    return heapq.nlargest(count, places, key=lambda at: finding.gaps[at].gap.missing)


def _strong(count: int) -> str:
    return f"<strong>{count:,}</strong>"


def _count(count: int) -> str:
    return f"{count:,}" if count else ""


def _span(gap: Gap) -> str:
    return f"{moment(gap.first_missing_ms)} to {moment(gap.last_missing_ms)}"


def _time(ms: int) -> str:
    return f'<time datetime="{timestamp.to_text(ms)}">{moment(ms)}</time>'


def _esc(text: str) -> str:
    return html.escape(encodable(text))
