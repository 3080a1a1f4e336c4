"""``analyze-gaps --verify``: REST is asked for what is missing."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from kline_ops.errors import InputError, VenueError

if TYPE_CHECKING:
    from collections.abc import Callable

    from kline_ops.cli.gap_search import Asked, Series
    from kline_ops.cli.target import Target
    from kline_ops.gaps.model import FileReport
    from kline_ops.gaps.whose import Answer
    from kline_ops.market.span import Span
    from kline_ops.market.stream import Stream
    from kline_ops.record.asking import Asker

#: Candles of an answer.
_PAGE = 1000
#: Seconds for a host that fails: the report is there without it.
_PATIENCE = 15.0
#: A candle that closed just before may not be final yet (ms).
_GRACE_MS = 2_000


def ask(report: FileReport, one: Series, asked: Asked) -> tuple[Answer | None, tuple[str, ...]]:
    """What REST has of what is missing, and remarks. What it has none of is noted beside the file.

    Raises:
        InputError: it is not known what to ask for, or where.
    """
    import asyncio

    from kline_ops.gaps import looks
    from kline_ops.gaps.turn import alone
    from kline_ops.gaps.whose import Answer, span_of

    target = _target(report, one, asked)
    gaps = [span_of(gap, report.interval) for gap in report.gaps]
    path = report.paths[0]
    with alone(path):
        try:
            present, absent, now_ms = asyncio.run(_ask_all(target, gaps))
        except VenueError as error:
            if not error.retryable:
                name = target.stream.symbol
                raise InputError(f"{name}: {error}", hint="check the symbol") from None
            return None, (f"REST can not be asked: {error.one_line()}",)
        before = looks.read_looks(looks.looks_path(path))
        judged = looks.judge(absent, before, now_ms)
        remarks: tuple[str, ...] = ()
        try:
            spans = looks.fresh(judged.provisional, before)
            looks.note_looks(looks.looks_path(path), spans, report.interval, now_ms)
        except OSError as error:
            remarks = (f"what REST has none of could not be noted: {error.strerror}",)
    if present:
        remarks += (f"REST has what is ours: kline-ops backfill {one_name(one)} brings it",)
    return Answer(present, judged), remarks


def one_name(one: Series) -> str:
    """What to type for it."""
    return one.session.name if one.session is not None else one.paths[0]


async def _ask_all(target: Target, gaps: list[Span]) -> tuple[list[Span], list[Span], int]:
    from kline_ops.cli.progress import meter
    from kline_ops.cli.target import asking
    from kline_ops.clock import SystemClock
    from kline_ops.market.span import Span, within

    interval = target.stream.interval
    async with asking(target, SystemClock(), _PATIENCE) as asker:
        now_ms = await asker.server_time()
        closed = Span(0, interval.floor(now_ms - _GRACE_MS))
        gaps = within(gaps, closed)
        with meter("asking REST", quiet=True) as progress:
            progress.begin(sum(interval.slots(*gap) for gap in gaps))
            present, absent = await pages(
                target.stream,
                gaps,
                asker,
                now_ms,
                lambda span: progress.advance(interval.slots(*span)),
            )
    return present, absent, now_ms


async def pages(
    stream: Stream,
    gaps: list[Span],
    asker: Asker,
    now_ms: int,
    settled: Callable[[Span], None],
) -> tuple[list[Span], list[Span]]:
    """What the exchange has of these candles, and what not; gaps near one another in one question."""
    from kline_ops.market.span import Span, joined, within, without
    from kline_ops.record.page import answered

    interval = stream.interval
    left, present, absent = list(gaps), [], []
    while left:
        first = left[0].first
        reach = interval.shift(first, _PAGE)
        end = min(reach, max(span.end for span in left if span.first < reach))
        candles = await asker.candles(stream, Span(first, end))
        done, good = answered(interval, Span(first, end), candles, now_ms)
        done = Span(first, max(done.end, interval.after(first)))
        asked = within(left, done)
        opens = (Span(c.open_ms, interval.after(c.open_ms)) for c in good)
        there = [part for span in joined(opens) for part in within(asked, span)]
        gone = asked
        for span in there:
            gone = without(gone, span)
        present += there
        absent += gone
        for span in asked:
            settled(span)
        left = without(left, done)
    return joined(present), joined(absent)


def _target(report: FileReport, one: Series, asked: Asked) -> Target:
    from kline_ops.cli.target import Options, Target, find_target
    from kline_ops.config.addresses import rest_address
    from kline_ops.market.stream import Stream

    if one.session is not None:
        options = Options(None, None, asked.rest_url, None, asked.config)
        target = find_target(one.session.name, options)
        return replace(target, stream=Stream(target.stream.symbol, report.interval))
    if report.symbol is None:
        raise InputError(
            f"{report.path}: its name tells no symbol", hint="--symbol BTCUSDT, for --verify"
        )
    from pathlib import Path

    url = rest_address(asked.rest_url, asked.environment or "mainnet")
    return Target(Path(report.paths[0]), Stream(report.symbol.upper(), report.interval), url)
