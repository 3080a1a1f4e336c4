"""Faults as text: ``silence seconds=5 sessions=1,2``, in a script, a URL or a log. Pure.

A script has one fault a line: ``AFTER_SECONDS KIND key=value…``. ``#`` begins a comment; values
with blanks or quotes in them are quoted as for a shell.
"""

from __future__ import annotations

import math
import re
import shlex
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import NamedTuple

from kline_ops.errors import InputError
from kline_ops.exchange.faults import NO_HANDSHAKE, UNTIL_HEALED, Fault, FaultKind
from kline_ops.exchange.session import GOING_AWAY
from kline_ops.market import interval as intervals
from kline_ops.market import timestamp

#: RFC 6455, section 7.4, and the registry of close codes: those that may be sent, and 1006.
_CODES = frozenset({1000, 1001, 1002, 1003, NO_HANDSHAKE, *range(1007, 1015), *range(3000, 5000)})
_NUMBER = re.compile(r"-?[0-9]{1,12}(?:\.[0-9]{1,9})?", re.ASCII)
_MS = re.compile(r"[0-9]{12,14}", re.ASCII)


class Parameters(NamedTuple):
    """What a kind takes. A required one comes without a default."""

    required: tuple[str, ...] = ()
    optional: Mapping[str, object] = {}


_ANY = {"sessions": ()}
_LASTS = Parameters(("seconds",), _ANY)
_CANDLE = {"candle": None, "stream": "", **_ANY}
_SPAN = {"seconds": 0.0, "from": None, "until": None, "symbol": ""}
_REFUSAL = Parameters(("seconds",), {"retry_after": None})

#: What each kind takes.
PARAMETERS: dict[FaultKind, Parameters] = {
    FaultKind.CUT: Parameters((), _ANY),
    FaultKind.CLOSE: Parameters(("code",), _ANY),
    FaultKind.SHUTDOWN: Parameters((), {"seconds": UNTIL_HEALED, "code": GOING_AWAY, **_ANY}),
    FaultKind.REFUSE: Parameters(("seconds",), {"status": 503, "retry_after": None}),
    FaultKind.REFUSE_TCP: Parameters(("seconds",)),
    FaultKind.ACCEPT_CLOSE: Parameters(("seconds",), {"code": NO_HANDSHAKE}),
    FaultKind.HANG: Parameters(("seconds",)),
    FaultKind.SILENCE: _LASTS,
    FaultKind.HALF_OPEN: _LASTS,
    FaultKind.ACK_ONLY: Parameters((), {"seconds": UNTIL_HEALED, **_ANY}),
    FaultKind.DEAD_STREAM: Parameters(
        (), {"seconds": UNTIL_HEALED, "stream": "", "stays": False, **_ANY}
    ),
    FaultKind.WITHHOLD: Parameters((), _CANDLE),
    FaultKind.LATE: Parameters(("seconds", "delay"), _ANY),
    FaultKind.DOUBLED: _LASTS,
    FaultKind.DISORDERED: _LASTS,
    FaultKind.TRUNCATED: _LASTS,
    FaultKind.INJECT: Parameters(("text",), _ANY),
    FaultKind.GARBAGE: Parameters((), _ANY),
    FaultKind.FOREIGN: Parameters((), _ANY),
    FaultKind.IMPOSSIBLE: Parameters((), _ANY),
    FaultKind.REST_DOWN: Parameters(("seconds",), {"status": 503, "retry_after": None}),
    FaultKind.REST_LIMITED: _REFUSAL,
    FaultKind.REST_BANNED: _REFUSAL,
    FaultKind.REST_SLOW: Parameters(("seconds", "delay")),
    FaultKind.REST_LAGGING: Parameters(("seconds", "delay")),
    FaultKind.REST_STALE: Parameters(("seconds", "delay")),
    FaultKind.AMEND: Parameters((), _CANDLE),
    FaultKind.SKEW: Parameters(("seconds", "offset")),
    FaultKind.MAINTENANCE: Parameters((), _SPAN),
    FaultKind.QUIET: Parameters((), {**_SPAN, "closes": True}),
}


def parse_fault(kind: str, given: Mapping[str, str]) -> Fault:
    """The fault of this kind with these parameters.

    Raises:
        InputError: no such kind or parameter, one is missing, or a value is none.
    """
    if kind not in set(FaultKind):
        raise InputError(f"unknown fault {kind!r}", hint=" ".join(FaultKind))
    which = FaultKind(kind)
    required, optional = PARAMETERS[which]
    for name in given:
        if name not in required and name not in optional:
            known = " ".join([*required, *optional]) or "none"
            raise InputError(f"{kind}: unknown parameter {name!r}", hint=known)
    for name in required:
        if name not in given:
            raise InputError(f"{kind}: {name} is missing", hint=f"{kind} {name}=…")
    fields: dict[str, object] = {**optional}
    for name, text in given.items():
        try:
            fields[name] = _READERS[name](text)
        except ValueError as error:
            raise InputError(f"{kind}: {name}={text}: {error}") from None
    if "from" in fields:
        fields["span"] = _span(kind, fields)
    return Fault(which, **fields)  # type: ignore[arg-type]


def parse_script(text: str, source: str = "") -> list[tuple[float, Fault]]:
    """The faults of a script with the seconds after which they begin, in order.

    Args:
        source: the file's name, for errors.

    Raises:
        InputError: names the line.
    """
    plan = []
    for number, line in enumerate(text.splitlines(), start=1):
        try:
            words = shlex.split(line, comments=True)
            if words:
                plan.append(_parse_words(words))
        except (InputError, ValueError) as error:
            where = f"{source}, line {number}" if source else f"line {number}"
            hint = error.hint if isinstance(error, InputError) else ""
            raise InputError(f"{where}: {error}", hint=hint) from None
    return sorted(plan, key=lambda entry: entry[0])


def fault_text(fault: Fault) -> str:
    """The fault as a script has it, without its time."""
    required, optional = PARAMETERS[fault.kind]
    start, end = fault.span or (None, None)
    words: list[str] = [fault.kind]
    for name in (*required, *optional):
        if name in {"from", "until"}:
            value: object = start if name == "from" else end
        else:
            value = getattr(fault, name)
        if name in required or value != optional[name]:
            words.append(shlex.quote(f"{name}={_written(value)}"))
    return " ".join(words)


def _parse_words(words: list[str]) -> tuple[float, Fault]:
    if len(words) < 2:
        raise InputError("a time and a kind are needed", hint="20 silence seconds=5")
    given: dict[str, str] = {}
    for word in words[2:]:
        name, equals, value = word.partition("=")
        if not equals or name in given:
            raise InputError(f"{word!r} is no parameter of its own", hint="key=value, each once")
        given[name] = value
    try:
        after = _seconds(words[0])
    except ValueError as error:
        raise InputError(f"{words[0]!r}: {error}") from None
    return after, parse_fault(words[1], given)


def _span(kind: str, fields: dict[str, object]) -> tuple[int, int] | None:
    start, end = fields.pop("from"), fields.pop("until")
    if isinstance(start, int) and isinstance(end, int) and start < end:
        return start, end
    if start is None and end is None and fields["seconds"]:
        return None
    raise InputError(f"{kind}: a time is needed", hint=f"{kind} seconds=30, or from=… until=…")


def _number(text: str) -> float:
    if _NUMBER.fullmatch(text) is None:
        raise ValueError("not a number")
    return float(text)


def _seconds(text: str) -> float:
    value = _number(text)
    if value < 0:
        raise ValueError("less than nothing")
    return value


def _duration(text: str) -> float:
    return math.inf if text == "inf" else _seconds(text)


def _whole(text: str) -> int:
    value = _number(text)
    if not value.is_integer():
        raise ValueError("not a whole number")
    return int(value)


def _code(text: str) -> int:
    code = _whole(text)
    if code not in _CODES:
        raise ValueError("no close code that can be sent, nor 1006")
    return code


def _status(text: str) -> int:
    status = _whole(text)
    if status < 400 or status not in {known.value for known in HTTPStatus}:
        raise ValueError("no HTTP status of an error")
    return status


def _sessions(text: str) -> tuple[int, ...]:
    return tuple(_whole(number) for number in text.split(","))


def _flag(text: str) -> bool:
    if text not in {"yes", "no"}:
        raise ValueError("yes or no")
    return text == "yes"


def _moment(text: str) -> int:
    return int(text) if _MS.fullmatch(text) else timestamp.to_ms(text)


def _candle(text: str) -> tuple[str, str, int]:
    parts = text.split("/")
    if len(parts) != 3:
        raise ValueError("not SYMBOL/INTERVAL/OPEN_TIME")
    interval = intervals.parse(parts[1])
    opened = _moment(parts[2])
    if not interval.is_open(opened):
        raise ValueError(f"no {interval} candle opens then")
    return parts[0].upper(), interval.name, opened


def _written(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.9f}".rstrip("0").rstrip(".") if math.isfinite(value) else str(value)
    if isinstance(value, tuple):
        return ("/" if isinstance(value[0], str) else ",").join(map(str, value))
    return str(value)


_READERS: dict[str, Callable[[str], object]] = {
    "seconds": _duration,
    "delay": _seconds,
    "offset": _number,
    "retry_after": _seconds,
    "code": _code,
    "status": _status,
    "text": str,
    "stream": str,
    "symbol": str.upper,
    "candle": _candle,
    "sessions": _sessions,
    "from": _moment,
    "until": _moment,
    "stays": _flag,
    "closes": _flag,
}
