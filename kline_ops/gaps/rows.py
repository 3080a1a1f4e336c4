"""Blocks of lines to open times, and to what is odd about the rows.

Two ways lead there. Line by line, every line is matched against the layout. A whole block at once
(``quick.py``) is many times quicker; where a block is not as plain as most are, it is read line by line.
Blank lines are nothing; any other line that is no good row is a bad row: torn, merged with the next
one, NULs, a second header.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from kline_ops.gaps.layout import Layout, delimiter, find_layout
from kline_ops.gaps.quick import QuickReader
from kline_ops.gaps.times import time_ms

_BOM = b"\xef\xbb\xbf"


@dataclass(slots=True)
class Rows:
    """Neighbouring good rows, in file order, and what was found among them."""

    #: Open times in pieces; a piece is a ``range`` where they are evenly spaced and ascending.
    pieces: list[Sequence[int]]
    #: The line number of each time, and the line.
    lines: Sequence[int]
    texts: Sequence[bytes]
    #: Line numbers of lines that are no rows.
    bad: Sequence[int] = ()
    #: Line numbers of rows whose high is below their low.
    impossible: Sequence[int] = ()
    #: Open times of rows without any volume.
    quiet: Sequence[int] = field(default=())


class RowDecoder:
    """Reads the rows of one file (one member of an archive), block after block.

    Args:
        name: for messages: the path, and the member where there are several.
        values: whether to look for highs below lows, and for candles without trades.
    """

    def __init__(self, name: str, *, values: bool = True) -> None:
        self._name = name
        self._values = values
        self._mark = b","
        self._quoted = False
        self.layout: Layout | None = None
        self._quick: QuickReader | None = None
        #: The number of the next line.
        self.line = 1

    @property
    def is_plain(self) -> bool:
        """Commas between the columns, and no quotes around them."""
        return self._mark == b"," and not self._quoted

    def resume(self, layout: Layout, line: int) -> None:
        """Go on in the middle of a file whose beginning somebody else has read."""
        self.layout, self.line = layout, line
        self._quick = QuickReader(layout, values=self._values)

    def decode(self, block: bytes) -> Iterator[Rows]:
        """The rows of the next block of whole lines.

        Raises:
            InputError: the first lines are neither a header that names a time nor a candle row.
        """
        if self.layout is None:
            block = self._sniffed(block)
        block = self._plain(block)
        if self.layout is None:
            block, bad = self._begin(block)
            if bad:
                yield Rows([], (), (), bad)
        if self.layout is None or self._quick is None or not block:
            return
        texts = split(block)
        first = self.line
        self.line += len(texts)
        found = self._quick.read(block, texts, first)
        yield Rows(*found) if found is not None else self._line_by_line(texts, first, self.layout)

    def _sniffed(self, block: bytes) -> bytes:
        block = block.removeprefix(_BOM)
        head = block[:4096]
        lines = [line for line in head.split(b"\n") if line.strip()]
        # The second line, too: a comment may come first.
        self._mark = delimiter(b"\n".join(lines[:3]))
        self._quoted = b'"' in head
        return block

    def _plain(self, block: bytes) -> bytes:
        """Commas between the columns, and no quotes: nothing that is read here has any in it."""
        if self._mark != b",":
            block = block.replace(self._mark, b",")
        return block.replace(b'"', b"") if self._quoted else block

    def _begin(self, block: bytes) -> tuple[bytes, list[int]]:
        """Learns the layout; what follows the header, and the lines before it that are no comments."""
        lines = split(block)
        if not any(line.strip() for line in lines):
            self.line += len(lines)
            return b"", []
        index, layout = find_layout(lines, self._name)
        before = [
            self.line + at
            for at, line in enumerate(lines[:index])
            if line.strip() and (b"," in line or not layout.has_header)
        ]
        skipped = index + layout.has_header
        self.resume(layout, self.line + skipped)
        for _ in range(skipped):
            block = block.partition(b"\n")[2]
        return block, before

    def _line_by_line(self, texts: Sequence[bytes], first: int, layout: Layout) -> Rows:
        times: list[int] = []
        rows = Rows([times], lines := [], good := [], bad := [], impossible := [], quiet := [])
        has_volume = len(layout.values) > 4
        for number, line in enumerate(texts, first):
            row = layout.row.fullmatch(line)
            ms = time_ms(row["time"]) if row else None
            if row is None or ms is None:
                if line and not line.isspace():
                    bad.append(number)
                continue
            times.append(ms)
            lines.append(number)
            good.append(line)
            if self._values and float(row["h"]) < float(row["l"]):
                impossible.append(number)
            if self._values and has_volume and float(row["v"]) == 0.0:
                quiet.append(ms)
        return rows


def split(block: bytes) -> list[bytes]:
    """The lines of a block, without their ends."""
    lines = block.split(b"\n")
    if not lines[-1]:
        lines.pop()
    return lines
