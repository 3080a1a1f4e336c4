"""The last candles of a candle file, read as it stands: what is shown is what is on disk."""

from __future__ import annotations

from pathlib import Path

from kline_ops.market.candle import HEADERS, Candle, Columns, from_row

#: Bytes of the longest row there can be, about.
_ROW = 256


def last_candles(path: Path, count: int) -> list[Candle]:
    """Up to ``count`` candles, oldest first. Lines that are no whole rows are left out.

    Raises:
        OSError: it can not be read.
    """
    with path.open("rb") as file:
        columns = _columns(file.readline(_ROW))
        top, end = file.tell(), file.seek(0, 2)
        start = max(top, end - count * _ROW)
        file.seek(start)
        lines = file.read(end - start).splitlines(keepends=True)
    # The first line of a look into the middle may be the end of one.
    lines = lines[1:] if start > top else lines
    return _candles(lines[-count:], columns)


def _columns(head: bytes) -> Columns:
    full: Columns = "full"
    return full if head.rstrip() == HEADERS[full].encode() else "basic"


def _candles(lines: list[bytes], columns: Columns) -> list[Candle]:
    candles: list[Candle] = []
    for line in lines:
        try:
            candles.append(from_row(line, columns, possible=False))
        except ValueError:
            continue  # torn, or in the middle of a merge: the next look finds it whole
    return candles
