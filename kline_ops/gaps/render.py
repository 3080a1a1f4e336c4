"""Findings in words: what a report says, line by line, for a terminal, a log or a message."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from kline_ops.gaps.model import ExplainedGap, FileReport, Finding, Gap, Whose
from kline_ops.market import timestamp
from kline_ops.market.interval import DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS, Interval

_UNITS = ((DAY_MS, "d"), (HOUR_MS, "h"), (MINUTE_MS, "min"), (SECOND_MS, "s"))
#: How each finding besides the holes is called, by the name of its count.
_ODDITIES = (
    ("duplicates", "doubled"),
    ("out_of_order", "out of order"),
    ("off_grid", "off the grid"),
    ("bad_rows", "unreadable"),
    ("impossible", "impossible: high below low"),
)
#: Runs of candles without trades that are named.
_NAMED = 3
_FILES_NAMED = 3
_BAR = 60


class Marks:
    """The characters between and around words; for a terminal without UTF-8 others."""

    def __init__(self, *, ascii_only: bool = False) -> None:
        self.ascii_only = ascii_only
        self.dot = " | " if ascii_only else " · "
        self.dots = "..." if ascii_only else "…"
        #: Nothing, less than half, more than half, all of it.
        self.shades = " .:#" if ascii_only else " ░▒█"
        self.ends = "||" if ascii_only else "▏▕"


def duration(ms: int) -> str:
    """``3 d 3 h``; whole seconds, without the units that are zero."""
    parts = []
    for unit, name in _UNITS:
        count, ms = divmod(ms, unit)
        if count:
            parts.append(f"{count:,} {name}")
    return " ".join(parts) or "0 s"


def lasted(gap: Gap, interval: Interval) -> str:
    """How long a time the missing candles are."""
    return duration(interval.after(gap.last_missing_ms) - gap.first_missing_ms)


def files(report: FileReport, marks: Marks) -> str:
    """The file, or how many and the first and last of them."""
    paths = report.paths
    if len(paths) <= _FILES_NAMED:
        return ", ".join(paths)
    return f"{len(paths)} files: {paths[0]} {marks.dots} {paths[-1]}"


def heading(report: FileReport, marks: Marks) -> str:
    """Symbol, interval and span."""
    first, last = timestamp.to_text(report.first_ms), timestamp.to_text(report.last_ms)
    return f"{report.symbol or ''} {report.interval}   {first} {marks.dots} {last}".lstrip()


def total(finding: Finding, marks: Marks) -> str:
    """``owed 24 · on disk 22 · missing 2, 1 gap, ours 2``."""
    report = finding.report
    words = [f"owed {report.owed:,}", f"on disk {report.on_disk:,}"]
    if finding.from_rest is not None:
        words.append(f"from stream {report.on_disk - finding.from_rest:,}")
        words.append(f"from REST {finding.from_rest:,}")
    return marks.dot.join([*words, missing(finding)])


def missing(finding: Finding) -> str:
    """What is missing, and whose it is as far as that is known."""
    count = finding.report.missing
    if not count:
        return "complete"
    gaps = len(finding.gaps)
    words = [f"missing {count:,}", f"{gaps:,} gap{'s' if gaps > 1 else ''}"]
    if finding.missing_of(Whose.UNKNOWN) < count:
        for who in Whose:
            share = finding.missing_of(who)
            if share or who in {Whose.OURS, Whose.EXCHANGE}:
                words.append(f"{who} {share:,}")
    return ", ".join(words)


def sum_of(findings: Sequence[Finding], marks: Marks) -> str:
    """All of several series in one line."""
    owed = sum(finding.report.owed for finding in findings)
    on_disk = sum(finding.report.on_disk for finding in findings)
    gaps = sum(len(finding.gaps) for finding in findings)
    end = f"missing {owed - on_disk:,}, {gaps:,} gap{'s' if gaps > 1 else ''}"
    words = (f"owed {owed:,}", f"on disk {on_disk:,}", end if gaps else "complete")
    return f"{len(findings)} series: {marks.dot.join(words)}"


def coverage(report: FileReport, marks: Marks, width: int = _BAR) -> str:
    """The whole span as a bar: what is there, and where something is missing."""
    interval = report.interval
    cells = min(width, report.owed)
    gone = [0] * cells
    for gap in report.gaps:
        first = interval.slots(report.first_ms, gap.first_missing_ms)
        at, left = first, gap.missing
        while left:
            cell = at * cells // report.owed
            end = -(-(cell + 1) * report.owed // cells)
            count = min(left, end - at)
            gone[cell] += count
            at, left = at + count, left - count
    nothing, little, most, whole = list(marks.shades)
    bar = ""
    for cell, lost in enumerate(gone):
        size = -(-(cell + 1) * report.owed // cells) - -(-cell * report.owed // cells)
        share = lost / size
        bar += whole if not lost else nothing if lost == size else most if share < 0.5 else little
    return f"{marks.ends[0]}{bar}{marks.ends[1]}"


def reason(gap: ExplainedGap) -> str:
    """Why a gap is there."""
    return "; ".join(text for text in (gap.cause.text, gap.note) if text)


def whose(gap: ExplainedGap) -> str:
    """Whose it is; with numbers where that is not one answer for all of it."""
    if len(gap.whose) == 1:
        return str(next(iter(gap.whose)))
    return ", ".join(f"{who} {count:,}" for who, count in gap.whose.items())


def oddities(report: FileReport, marks: Marks) -> Iterator[str]:
    """Everything but the holes: what is odd about the rows, and where."""
    for kind, name in _ODDITIES:
        if count := getattr(report, kind):
            where = report.lines.get(kind, ())
            more = f" {marks.dots}" if count > len(where) else ""
            noun = "line" if count == 1 else "lines"
            yield f"{count:,} {name}  ({noun} {', '.join(where)}{more})"
    if report.overlapping:
        yield f"{report.overlapping:,} in more than one file"
    if report.conflicts:
        yield f"{report.conflicts:,} with different numbers for one open time"
    elif report.duplicates or report.overlapping:
        yield "the rows of one open time agree"
    if report.zero_volume:
        runs = [_run(report, at, marks) for at in range(min(_NAMED, len(report.quiet)))]
        more = f", {marks.dots}" if len(report.quiet) > _NAMED else ""
        yield f"{report.zero_volume:,} without trades  ({', '.join(runs)}{more})"
    for path, why in report.cut_short.items():
        yield f"{path} could not be read to its end: {why}"
    if report.impossible is None:
        yield "the values were not looked at (--values does)"


def _run(report: FileReport, at: int, marks: Marks) -> str:
    run = report.quiet[at]
    first, last = timestamp.to_text(run.first_ms), timestamp.to_text(run.last_ms)
    return first if run.candles == 1 else f"{first} {marks.dots} {last}"
