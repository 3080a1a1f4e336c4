"""The charts of the page, as plain figures for plotly.js.

A colour in them is the name of a property of the page's style sheet, which its script looks up: so
they follow light and dark.
"""

from __future__ import annotations

import html
import math
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from kline_ops.gaps.model import ExplainedGap, FileReport, Finding, Gap, Whose
from kline_ops.market import timestamp
from kline_ops.market.interval import MINUTE_MS

#: Gaps of one kind on the timeline; of more, neighbours are one mark.
_MARKS = 1_000
#: Of a longer hole a candle chart leaves the middle out: the candles would be hairlines.
_HOLE_SHOWN = 40

#: What can be done about it comes first: so a gap of several is coloured, and lies on top.
COLORS = {
    Whose.OURS: "--ours",
    Whose.UNKNOWN: "--unknown",
    Whose.PROVISIONAL: "--provisional",
    Whose.EXCHANGE: "--exchange",
}

Figure = dict[str, Any]


class Bar(NamedTuple):
    """One candle for a chart."""

    open_ms: int
    open: float
    high: float
    low: float
    close: float
    volume: float


@dataclass(frozen=True, slots=True)
class _Mark:
    """Some neighbouring gaps on the timeline; mostly one."""

    first_ms: int
    last_ms: int
    end_ms: int
    #: What is missing between the first and the end.
    missing_ms: int
    gaps: int
    candles: int
    whose: str
    why: str


def timeline(finding: Finding) -> Figure:
    """The whole span as a strip, and on it a mark a gap."""
    report = finding.report
    end_ms = report.interval.after(report.last_ms)
    present = _Mark(report.first_ms, report.last_ms, end_ms, end_ms - report.first_ms, 0, 0, "", "")
    data = [_strip([present], "--present") | {"hoverinfo": "skip"}]
    urgent: dict[Whose, list[ExplainedGap]] = {whose: [] for whose in COLORS}
    for one in finding.gaps:
        urgent[_most_urgent(one)].append(one)
    for whose, color in reversed(COLORS.items()):
        if marks := _marks(report, urgent[whose], whose):
            texts = [_hover(mark) for mark in marks]
            # An hour in eight years is a hundredth of a pixel: the ticks make sure it is seen.
            data += [_strip(marks, color, texts), _ticks(marks, color, texts)]
    layout = _layout(margin={"l": 0, "r": 0, "t": 4, "b": 40})
    layout["xaxis"] |= {"range": [report.first_ms, end_ms]}
    layout["yaxis"] |= {"visible": False, "range": [-0.5, 0.5]}
    return {"data": data, "layout": layout | {"barmode": "overlay", "hovermode": "closest"}}


def _marks(report: FileReport, gaps: Sequence[ExplainedGap], whose: Whose) -> list[_Mark]:
    """A mark a gap; of too many gaps one for all that are as good as in one place."""
    place_ms = max(1, (report.last_ms - report.first_ms) // _MARKS) if len(gaps) > _MARKS else 1
    marks: list[_Mark] = []
    for one in gaps:
        new = _mark(report, one)
        if marks and marks[-1].first_ms // place_ms == new.first_ms // place_ms:
            new = _joined(marks.pop(), new, whose)
        marks.append(new)
    return marks


def _mark(report: FileReport, one: ExplainedGap) -> _Mark:
    first_ms, last_ms = one.gap.first_missing_ms, one.gap.last_missing_ms
    end_ms = report.interval.after(last_ms)
    whose = ", ".join(text for _, text in shares_of(one))
    return _Mark(
        first_ms, last_ms, end_ms, end_ms - first_ms, 1, one.gap.missing, whose, why_missing(one)
    )


def _most_urgent(one: ExplainedGap) -> Whose:
    return next((whose for whose in COLORS if one.whose.get(whose)), Whose.UNKNOWN)


def _joined(one: _Mark, other: _Mark, whose: Whose) -> _Mark:
    return _Mark(
        one.first_ms,
        other.last_ms,
        other.end_ms,
        one.missing_ms + other.missing_ms,
        one.gaps + other.gaps,
        one.candles + other.candles,
        whose,
        "",
    )


def _hover(mark: _Mark) -> str:
    gaps = f"{mark.gaps:,} gaps, " if mark.gaps > 1 else ""
    lines = [
        f"{moment(mark.first_ms)} to {moment(mark.last_ms)}",
        f"{gaps}{counted(mark.candles, 'candle')}, {mark.whose}",
        *textwrap.wrap(mark.why, 44, max_lines=4, placeholder=" …"),
    ]
    # plotly knows some tags, and of the entities not those of quotes.
    return "<br>".join(html.escape(encodable(line), quote=False) for line in lines)


def _strip(marks: Sequence[_Mark], color: str, texts: Sequence[str] = ()) -> Figure:
    return {
        "type": "bar",
        "orientation": "h",
        "base": [mark.first_ms for mark in marks],
        "x": [mark.end_ms - mark.first_ms for mark in marks],
        "y": [0] * len(marks),
        "width": 1,
        "marker": {"color": color, "opacity": _opacities(marks), "line": {"width": 0}},
        "hoverinfo": "text",
        "hovertext": texts,
    }


def _ticks(marks: Sequence[_Mark], color: str, texts: Sequence[str]) -> Figure:
    return {
        "type": "scatter",
        "mode": "markers",
        "x": [(mark.first_ms + mark.end_ms) // 2 for mark in marks],
        "y": [0] * len(marks),
        "marker": {
            "symbol": "line-ns",
            "size": 60,
            "opacity": _opacities(marks),
            "line": {"width": 2, "color": color},
        },
        "hoverinfo": "text",
        "hovertext": texts,
    }


def _opacities(marks: Sequence[_Mark]) -> list[float]:
    """Where little is missing among much, much shines through."""
    return [max(0.3, mark.missing_ms / (mark.end_ms - mark.first_ms)) for mark in marks]


def candlestick(finding: Finding, gap: Gap, bars: Sequence[Bar]) -> Figure:
    """The candles around a gap, their volume below, and the holes between them."""
    step_ms = finding.report.interval.typical_ms
    first_ms = min(bars[0].open_ms, gap.first_missing_ms) - step_ms
    last_ms = max(bars[-1].open_ms, gap.last_missing_ms) + step_ms
    holes = [
        one.gap
        for one in finding.gaps
        if one.gap.last_missing_ms > first_ms and one.gap.first_missing_ms < last_ms
    ]
    layout = _layout(margin={"l": 8, "r": 8, "t": 26, "b": 24})
    layout["xaxis"] |= {
        "range": [first_ms, last_ms],
        "rangeslider": {"visible": False},
        "rangebreaks": [{"bounds": cut} for hole in holes if (cut := _cut(hole, step_ms, bars))],
        "anchor": "y2",
        "nticks": 5,
    }
    layout["yaxis"] |= {"domain": [0.28, 1], "nticks": 6, "tickformat": ",.8~f"}
    layout["yaxis2"] = layout["yaxis"] | {"domain": [0, 0.2], "nticks": 3, "tickformat": ""}
    layout["shapes"] = [_shade(hole, step_ms) for hole in holes]
    layout["annotations"] = [_label(gap, _cut(gap, step_ms, bars))]
    return {"data": [_prices(bars), *_volumes(bars, step_ms)], "layout": layout}


def _prices(bars: Sequence[Bar]) -> Figure:
    names = ("open", "high", "low", "close")
    prices = {name: [_finite(getattr(bar, name)) for bar in bars] for name in names}
    return {
        "type": "candlestick",
        "name": "price",
        "hovertemplate": "<br>".join(f"{name} %{{{name}:,.8~f}}" for name in names)
        + "<extra></extra>",
        "x": [bar.open_ms for bar in bars],
        **prices,
        "increasing": {"line": {"color": "--up", "width": 1}, "fillcolor": "--card"},
        "decreasing": {"line": {"color": "--down", "width": 1}, "fillcolor": "--down"},
    }


def _volumes(bars: Sequence[Bar], step_ms: int) -> list[Figure]:
    rising = [bar for bar in bars if bar.close >= bar.open]
    falling = [bar for bar in bars if not bar.close >= bar.open]
    return [
        {
            "type": "bar",
            "name": "volume",
            "hovertemplate": "volume %{y}<extra></extra>",
            "x": [bar.open_ms for bar in some],
            "y": [_finite(bar.volume) for bar in some],
            "yaxis": "y2",
            "width": 0.7 * step_ms,
            "marker": {"color": color, "line": {"width": 0}},
        }
        for some, color in ((rising, "--up"), (falling, "--down"))
    ]


def _finite(number: float) -> float | None:
    return number if math.isfinite(number) else None


def _cut(hole: Gap, step_ms: int, bars: Sequence[Bar]) -> list[str] | None:
    """What is left out of a long hole, unless something is there: candles off the grid."""
    margin_ms = _HOLE_SHOWN // 2 * step_ms
    start_ms, end_ms = hole.first_missing_ms + margin_ms, hole.last_missing_ms - margin_ms
    if start_ms >= end_ms or any(start_ms <= bar.open_ms <= end_ms for bar in bars):
        return None
    return [timestamp.to_text(start_ms), timestamp.to_text(end_ms)]


def _shade(hole: Gap, step_ms: int) -> Figure:
    return {
        "type": "rect",
        "layer": "below",
        "yref": "paper",
        "x0": hole.first_missing_ms - step_ms // 2,
        "x1": hole.last_missing_ms + step_ms // 2,
        "y0": 0,
        "y1": 1,
        "fillcolor": "--hole",
        "line": {"width": 0},
    }


def _label(gap: Gap, cut: Sequence[str] | None) -> Figure:
    return {
        "text": f"{gap.missing:,} missing" + (", shortened" if cut else ""),
        "x": cut[0] if cut else (gap.first_missing_ms + gap.last_missing_ms) // 2,
        "y": 1,
        "yref": "paper",
        "yanchor": "bottom",
        "showarrow": False,
        "font": {"color": "--ink"},
    }


def _layout(*, margin: Mapping[str, int]) -> Figure:
    font = "system-ui, sans-serif"
    axis = {"gridcolor": "--line", "linecolor": "--line", "zeroline": False, "automargin": True}
    return {
        "margin": margin,
        "showlegend": False,
        "uirevision": True,
        "hovermode": "x unified",
        "hoversubplots": "axis",
        "paper_bgcolor": "--card",
        "plot_bgcolor": "--card",
        "font": {"color": "--muted", "size": 12, "family": font},
        "hoverlabel": {
            "bgcolor": "--card",
            "bordercolor": "--muted",
            "font": {"color": "--ink", "family": font},
            "align": "left",
        },
        "xaxis": axis
        | {
            "type": "date",
            "showgrid": False,
            "hoverformat": "%Y-%m-%d %H:%M:%S",
            "spikecolor": "--muted",
            "spikethickness": 1,
        },
        "yaxis": axis | {"fixedrange": True, "hoverformat": ",.8~f"},
    }


def why_missing(one: ExplainedGap) -> str:
    """What is known of its cause; empty where nothing is."""
    return one.cause.text or ("" if one.cause.kind == "unknown" else one.cause.kind)


def shares_of(one: ExplainedGap) -> list[tuple[Whose, str]]:
    """Whose its candles are; with numbers where they are not all of one."""
    shares = [(whose, count) for whose in COLORS if (count := one.whose.get(whose, 0))]
    if len(shares) < 2:
        return [(whose, whose) for whose, _ in shares]
    return [(whose, f"{whose} {count:,}") for whose, count in shares]


def counted(count: int, noun: str) -> str:
    """``1 gap``, ``1,200 gaps``."""
    return f"{count:,} {noun}{'s' if count != 1 else ''}"


def moment(ms: int) -> str:
    """``2026-01-27 14:00``; seconds only where there are some."""
    text = timestamp.to_text(ms).replace("T", " ").removesuffix("Z")
    return text if ms % MINUTE_MS else text[:-3]


def encodable(text: str) -> str:
    """Fit for UTF-8, which the name of a file need not be."""
    return text.encode("utf-8", "backslashreplace").decode()
