"""A line of ``events.jsonl`` with the words of the log beside its own fields. Pure.

For whoever shows events and does not know their kinds: ``"told": {"level": "warning", "text": "…"}``.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import reduce
from operator import or_

import msgspec

from kline_ops.events import Event
from kline_ops.observe.describe import describe

_as_event: Callable[[bytes], Event] = msgspec.json.Decoder(
    reduce(or_, Event.__subclasses__())
).decode


class _Kind(msgspec.Struct):
    kind: str


def worded(line: bytes, event: Event | None = None) -> bytes | None:
    """The line, a JSON object, with its words; None: it is damaged.

    Args:
        line: as it stands in the file, without its end.
        event: what it tells, where that is known.
    """
    try:
        level, text = describe(_as_event(line) if event is None else event)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        # Another version wrote it: it is told by its kind.
        try:
            level, text = logging.INFO, msgspec.json.decode(line, type=_Kind).kind
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            return None
    told = {"level": logging.getLevelName(level).lower(), "text": text}
    return b'%s,"told":%s}' % (line.rstrip()[:-1], msgspec.json.encode(told))
