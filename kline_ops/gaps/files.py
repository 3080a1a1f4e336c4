"""The rows of candle files, whatever they are: what reads them once, and what looks a few of them up."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, TypeVar

from kline_ops.errors import InputError
from kline_ops.gaps import read
from kline_ops.gaps.layout import Layout
from kline_ops.gaps.rows import RowDecoder, Rows
from kline_ops.gaps.slots import SlotSet
from kline_ops.gaps.survey import Survey

T = TypeVar("T")

#: A merge takes milliseconds; a file that is rewritten for longer than this is not ours.
_TRIES = 20
_WAIT_SECONDS = 0.05


class Part(NamedTuple):
    """Rows, whose they are, and what to put before their line numbers (the member of an archive)."""

    label: str
    decoder: RowDecoder
    rows: Rows


class Row(NamedTuple):
    """A good row: its open time, its columns, and what they are."""

    open_ms: int
    fields: list[bytes]
    layout: Layout

    def values(self) -> tuple[bytes, ...]:
        """Open, high, low, close and, where there is one, volume; as they are written."""
        return tuple(self.fields[column].strip() for column in self.layout.values)


def steadily(path: str, take: Callable[[read.Source], T]) -> T:
    """What ``take`` makes of a file; again, where the file was rewritten meanwhile.

    Raises:
        InputError: it can not be read, or is being rewritten all the time.
    """
    for _ in range(_TRIES):
        if not read.merging(path):
            with read.open_source(path) as source:
                taken = take(source)
                if source.unchanged():
                    return taken
        time.sleep(_WAIT_SECONDS)
    raise InputError(
        f"{path}: late candles are being merged into it",
        hint="again later, or start its session, which ends a merge that was cut off",
    )


def parts(source: read.Source, label: str = "", *, values: bool = False) -> Iterator[Part]:
    """All rows of a file, block by block. ``label`` goes before all line numbers.

    Raises:
        InputError: it can not be read, or is no candle file.
    """
    for member, blocks in source.members():
        decoder = RowDecoder(f"{source.path}: {member}" if member else source.path, values=values)
        at = f"{label}{member}:" if member else label
        for block in blocks:
            for found in decoder.decode(block):
                yield Part(at, decoder, found)


def rows_at(path: str, survey: Survey, wanted: SlotSet) -> list[Row]:
    """The rows of these slots, as often as they are there. Most of the file is passed over."""
    return steadily(path, lambda source: list(_wanted(source, survey, wanted)))


def _wanted(source: read.Source, survey: Survey, wanted: SlotSet) -> Iterator[Row]:
    for part in parts(source):
        layout, at = part.decoder.layout, 0
        for piece in part.rows.pieces:
            texts, at = part.rows.texts[at : at + len(piece)], at + len(piece)
            if layout is None or not _meets(piece, survey, wanted):
                continue
            for ms, text in zip(piece, texts, strict=True):
                slot = survey.slot_at(ms)
                if slot is not None and slot in wanted:
                    yield Row(ms, text.rstrip(b"\r").split(b","), layout)


def _meets(piece: Sequence[int], survey: Survey, wanted: SlotSet) -> bool:
    """Whether any of these may be wanted."""
    if not piece:
        return False
    if not isinstance(piece, range):
        return True
    first, last = survey.slot_at(piece[0]), survey.slot_at(piece[-1])
    if first is None or last is None:
        return True
    return next(wanted.common(first, last + 1), None) is not None
