"""When REST was asked for what is missing, and had none: kept beside the file, in ``FILE.gaps.jsonl``.

One answer proves little: REST may lag, or be in trouble itself. What it does not have is *provisional*
at the first look, and *confirmed* when a second look at least half an hour later says the same; at once
for candles that closed more than a day ago.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from kline_ops.gaps.times import time_ms
from kline_ops.market import timestamp
from kline_ops.market.interval import DAY_MS, MINUTE_MS, Interval
from kline_ops.market.span import Span, joined, within, without

SECOND_LOOK_MS = 30 * MINUTE_MS
OLD_MS = DAY_MS


@dataclass(frozen=True, slots=True)
class Look:
    """At this moment (ms) REST had none of these candles."""

    span: Span
    at_ms: int


@dataclass(frozen=True, slots=True)
class Judged:
    """What REST does not have: for good, and as far as one look tells."""

    confirmed: list[Span]
    provisional: list[Span]


def judge(absent: Iterable[Span], looks: Sequence[Look], now_ms: int) -> Judged:
    """What an answer of REST, that it has none of these, is worth after what it said before. Pure."""
    confirmed: list[Span] = []
    provisional: list[Span] = []
    before = joined(look.span for look in looks if now_ms - look.at_ms >= SECOND_LOOK_MS)
    for span in absent:
        old = Span(span.first, min(span.end, max(span.first, now_ms - OLD_MS)))
        sure = joined([*([old] if old.first < old.end else []), *within(before, span)])
        left = [span]
        for part in sure:
            left = without(left, part)
        confirmed += sure
        provisional += left
    return Judged(joined(confirmed), joined(provisional))


def fresh(provisional: Iterable[Span], looks: Sequence[Look]) -> list[Span]:
    """What was not looked for before, and is to be noted."""
    left = list(provisional)
    for look in looks:
        left = without(left, look.span)
    return left


def looks_path(path: str) -> Path:
    """Where the looks of a candle file are kept."""
    return Path(f"{path}.gaps.jsonl")


def read_looks(path: Path) -> list[Look]:
    """The looks that were noted; lines that say nothing are passed over."""
    try:
        lines = path.read_bytes().splitlines()
    except OSError:
        return []
    found: list[Look] = []
    for line in lines:
        with suppress(ValueError, KeyError, TypeError, AttributeError):
            told = json.loads(line)
            moments = [time_ms(told[key].encode()) for key in ("first", "end", "looked")]
            first, end, looked = moments
            if first is not None and end is not None and looked is not None:
                found.append(Look(Span(first, end), looked))
    return found


def note_looks(path: Path, spans: Iterable[Span], interval: Interval, now_ms: int) -> None:
    """Append looks in one write. Raises OSError."""
    text = "".join(
        json.dumps(
            {
                "first": timestamp.to_text(span.first),
                "end": timestamp.to_text(span.end),
                "candles": interval.slots(*span),
                "looked": timestamp.to_text(now_ms),
            }
        )
        + "\n"
        for span in spans
    )
    if text:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            os.write(fd, text.encode())
            os.fsync(fd)
        finally:
            os.close(fd)
