"""A line of ``session.log``: one JSON object a record, which Loki and Elastic take as it is.

The names are those of the Elastic Common Schema (ECS 8) where it has one: ``@timestamp``, ``log.level``,
``log.logger``, ``message``, ``event.action``, ``error.stack_trace``, ``process.pid``. An index keeps one
type for each path: what an event says stands under its own kind (``replaced.old`` is a number,
``endpoint_changed.old`` is text), no list holds two types, and a whole number is never written where a
fraction may come. Loki finds the level two levels deep (``log_level_from_json_max_depth``).
"""

from __future__ import annotations

import copy
import json
import logging
import os
import time
from collections.abc import Mapping
from typing import Any

import msgspec

from kline_ops.events import Event, Replaced
from kline_ops.observe.lines import LEVELS, STATISTICS
from kline_ops.observe.statistics import Statistics
from kline_ops.plain import encodable

#: Characters of one text; of what is longer (a traceback) the beginning and the end are kept. So a line
#: stays far below what Loki takes of one (``max_line_size``, 256 KB).
_LONGEST = 4096
_CUT = " … "
#: The logger of all that is ours: it is not named.
OURS = "kline_ops"


class JsonFormatter(logging.Formatter):
    """One JSON object a record; ``about``: what is true of all of them (session, symbol, interval)."""

    def __init__(self, about: Mapping[str, str] | None = None) -> None:
        super().__init__()
        self._about = dict(about or {})

    def format(self, record: logging.LogRecord) -> str:
        """The record as a program reads it."""
        log = {"level": level_of(record)}
        if record.name.partition(".")[0] != OURS:
            log["logger"] = record.name
        line: dict[str, Any] = {
            "@timestamp": moment(record),
            "log": log,
            "message": bounded(record.getMessage()),
        }
        told = getattr(record, "event", None)
        connection = getattr(record, "connection", None)
        if isinstance(told, Event):
            connection, fields = fields_of(told)
            line["event"] = {"action": told.kind}
            if fields:
                line[told.kind] = fields
        elif isinstance(told, Statistics):
            line["event"] = {"action": STATISTICS}
            line[STATISTICS] = msgspec.to_builtins(told)
        if connection is not None:
            line["connection"] = connection
        line |= self._about
        line["process"] = {"pid": record.process or os.getpid()}
        if trace := below(record):
            line["error"] = {"stack_trace": bounded(trace)}
        return encode(line).decode()


def fields_of(event: Event) -> tuple[int | None, dict[str, Any]]:
    """The connection that it is about (of a replacement the old one, which ends by it), and the rest."""
    fields = msgspec.to_builtins(presentable(event))
    del fields["kind"]
    if isinstance(event, Replaced):
        return event.old, fields
    return fields.pop("connection", None), fields


def presentable(event: Event) -> Event:
    """The event with no text in it that is too long, or holds half a character."""
    changes = {}
    for field in event.__struct_fields__:
        value = getattr(event, field)
        if isinstance(value, str) and (told := bounded(value)) != value:
            changes[field] = told
    return msgspec.structs.replace(event, **changes) if changes else event


def frozen(record: logging.LogRecord) -> logging.LogRecord:
    """A copy, with text in the place of what may change until it is written."""
    told = copy.copy(record)
    told.msg, told.args = record.getMessage(), None
    if record.exc_info and record.exc_info[0] is not None:
        told.exc_text = logging.Formatter().formatException(record.exc_info)
    told.exc_info = None
    return told


def moment(record: logging.LogRecord) -> str:
    """``2026-01-27T14:00:00.123Z``."""
    second = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
    return f"{second}.{int(record.msecs):03d}Z"


def level_of(record: logging.LogRecord) -> str:
    """The highest of our words that it reaches."""
    reached = [word for word, level in LEVELS.items() if record.levelno >= level]
    return reached[-1] if reached else next(iter(LEVELS))


def below(record: logging.LogRecord) -> str:
    """What stands below its line: a traceback, a stack."""
    return "\n".join(filter(None, (record.exc_text, record.stack_info)))


def bounded(text: str) -> str:
    """The text without halves of characters; of one that is very long, the beginning and the end."""
    if len(text) > _LONGEST:
        half = (_LONGEST - len(_CUT)) // 2
        text = text[:half] + _CUT + text[-half:]
    return encodable(text)


def encode(line: Mapping[str, Any]) -> bytes:
    """As JSON."""
    try:
        return msgspec.json.encode(line)
    except UnicodeEncodeError:  # half a character: a path that is no UTF-8
        return json.dumps(line, ensure_ascii=False).encode(errors="replace")
