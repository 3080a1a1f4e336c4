"""A set of whole numbers that are mostly neighbours: the open times seen so far, by index.

Pages of one byte a number, made only where numbers are; a page that is full costs nothing but its
key. So a file in order takes next to no memory however long it is, a shuffled one takes a byte a
candle, and one wild time does not fill the centuries up to it.
"""

from __future__ import annotations

from collections.abc import Iterator

_PAGE = 1024
_SEEN = 1
_FULL = bytes([_SEEN]) * _PAGE


class SlotSet:
    """Numbers from zero up."""

    def __init__(self) -> None:
        self._pages: dict[int, bytearray | bytes] = {}

    def add(self, slot: int) -> bool:
        """True if it was not yet in."""
        key, at = divmod(slot, _PAGE)
        page = self._writable(key)
        if page is None or page[at]:
            return False
        page[at] = _SEEN
        return True

    def add_run(self, start: int, stop: int) -> None:
        """Adds all of ``[start, stop)``."""
        while start < stop:
            key, at = divmod(start, _PAGE)
            end = min(_PAGE, at + stop - start)
            page = self._writable(key)
            if page is not None:
                page[at:end] = _FULL[at:end]
                if page == _FULL:
                    self._pages[key] = _FULL
            start += end - at

    def common(self, start: int, stop: int) -> Iterator[tuple[int, int]]:
        """The runs ``[first, end)`` within ``[start, stop)`` that are in; neighbours may touch."""
        while start < stop:
            key, at = divmod(start, _PAGE)
            end = min(_PAGE, at + stop - start)
            page = self._pages.get(key)
            if page is not None:
                base = key * _PAGE
                first = page.find(_SEEN, at, end)
                while first >= 0:
                    last = page.find(0, first, end)
                    last = end if last < 0 else last
                    yield base + first, base + last
                    first = page.find(_SEEN, last, end)
            start += end - at

    def __contains__(self, slot: int) -> bool:
        key, at = divmod(slot, _PAGE)
        page = self._pages.get(key)
        return page is not None and page[at] == _SEEN

    def __bool__(self) -> bool:
        return bool(self._pages)

    def runs(self) -> Iterator[tuple[int, int]]:
        """``[start, stop)`` of what is in, ascending; neighbouring runs may touch."""
        for key in sorted(self._pages):
            page = self._pages[key]
            stop = 0
            while (start := page.find(_SEEN, stop)) >= 0:
                stop = page.find(0, start)
                if stop < 0:
                    stop = _PAGE
                yield key * _PAGE + start, key * _PAGE + stop

    def joined_runs(self) -> Iterator[tuple[int, int]]:
        """The same, but that no two of them touch."""
        start = end = -1
        for first, stop in self.runs():
            if first != end and end >= 0:
                yield start, end
            start, end = (start if first == end else first), stop
        if end >= 0:
            yield start, end

    def _writable(self, key: int) -> bytearray | None:
        """The page; None if it is full."""
        page = self._pages.get(key)
        if page is None:
            page = self._pages[key] = bytearray(_PAGE)
        return page if isinstance(page, bytearray) else None


def holes(slots: SlotSet, start: int, stop: int) -> Iterator[tuple[int, int]]:
    """The maximal runs ``[first, end)`` within ``[start, stop)`` that are not in the set."""
    at = start
    for seen, end in slots.runs():
        if seen > at:
            yield at, min(seen, stop)
        at = max(at, end)
        if at >= stop:
            return
    if at < stop:
        yield at, stop
