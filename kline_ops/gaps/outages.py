"""Known outages of an exchange, in a file: the candles that open in them are nobody's to bring.

A line each: from, until (UTC), and what it was, with commas or spaces between; ``#`` begins a comment::

    2018-02-08T00:28Z, 2018-02-09T09:28Z, system upgrade
    2023-03-24 2023-03-24T14:00  trailing stop bug
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from kline_ops.errors import InputError
from kline_ops.gaps.times import time_ms

_EXAMPLE = "2018-02-08T00:28Z, 2018-02-09T09:28Z, system upgrade"
_MARKS = re.compile(r"\s*[,;\t]\s*")
_MOMENT = r"(\S+(?: \d{2}:\d{2}(?::\d{2})?)?)"
_SPACED = re.compile(rf"{_MOMENT}\s+{_MOMENT}(?:\s+(.*))?")


@dataclass(frozen=True, slots=True)
class Outage:
    """Candles that open in ``[from, until)`` (ms) exist nowhere."""

    from_ms: int
    until_ms: int
    note: str


def read_outages(path: Path) -> list[Outage]:
    """The outages of a file.

    Raises:
        InputError: it can not be read, or a line is none.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "not a text"
        raise InputError(f"{path}: {why}", hint="a file with a line an outage") from None
    found = list(_outages(lines, str(path)))
    if not found:
        raise InputError(f"{path}: no outage in it", hint=_EXAMPLE)
    return found


def _outages(lines: Iterable[str], name: str) -> Iterable[Outage]:
    for number, line in enumerate(lines, 1):
        text = line.partition("#")[0].strip()
        if not text:
            continue
        outage = _outage(text)
        if outage is not None:
            yield outage
        elif number > 1:  # the first may be a header
            raise InputError(
                f"{name}: line {number} is no outage ({text[:60]!r})",
                hint=_EXAMPLE,
            )


def _outage(text: str) -> Outage | None:
    fields: list[str | None] = [*_MARKS.split(text, maxsplit=2)]
    if len(fields) < 2:
        spaced = _SPACED.fullmatch(text)
        fields = list(spaced.groups()) if spaced else []
    if len(fields) < 2:
        return None
    first, end = (time_ms((field or "").encode()) for field in fields[:2])
    if first is None or end is None or first >= end:
        return None
    return Outage(first, end, (fields[2] or "").strip() if len(fields) > 2 else "")
