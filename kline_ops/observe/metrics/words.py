"""Reasons as labels: a few words that are known beforehand, whatever was said. Pure.

A label of free text would be a time series of its own for each text. What is in no table is ``other``.
"""

from __future__ import annotations

import re

OTHER = "other"

#: ``Replaced.why``, and ``lost``: there was no connection for a while.
_WHY = {
    "planned": "planned",
    "stalled": "stalled",
    "missed closes": "missed_closes",
    "24 h limit": "age_limit",
    "server shutdown": "server_shutdown",
    "a better address": "better_address",
    "suspended": "suspended",
}
LOST = "lost"
WHYS = (*_WHY.values(), LOST, OTHER)

#: What a rejected frame's reason begins with.
_REJECTED = {
    "not as documented": "not_as_documented",
    "not JSON": "not_json",
    "unasked event": "unasked_event",
    "no event in it": "no_event",
    "the exchange says": "exchange_error",
    "wrong symbol": "wrong_symbol",
    "wrong interval": "wrong_interval",
    "a number that is none": "bad_number",
    "high below low": "bad_price",
    "open or close outside": "bad_price",
    "close time out of": "bad_time",
    "open time out of": "bad_time",
    "open time off the grid": "bad_time",
    "opens in the future": "future",
    "its time is far": "far_time",
}
REJECTIONS = (*dict.fromkeys(_REJECTED.values()), OTHER)

PONG_TIMEOUT = "pong_timeout"
#: What the reason of an ending begins with; a status of HTTP and a close code have their own rules.
_ENDED = {
    "keepalive ping timeout": PONG_TIMEOUT,
    "no handshake within": "handshake_timeout",
    "connected, but no data came": "no_data",
    "its name does not resolve": "dns",
    "its certificate is not valid": "certificate",
    "its proxy's address": "proxy",
    "connection refused": "refused",
    "connection reset": "reset",
    "no route to host": "unreachable",
    "host is unreachable": "unreachable",
    "network is unreachable": "unreachable",
    "internal error": "internal",
}
_STATUS = re.compile(r"the handshake was answered HTTP ([0-9]{3})")
_RATE_LIMITED, _FORBIDDEN = frozenset({418, 429}), frozenset({403, 451})
#: RFC 6455, section 7.4.1.
_CLEAN, _ABNORMAL = frozenset({1000, 1001}), 1006
ERRORS = (
    *dict.fromkeys(_ENDED.values()),
    "rate_limited",
    "forbidden",
    "http_error",
    "closed",
    "closed_with_error",
    LOST,
    OTHER,
)


def why(told: str) -> str:
    """Why a connection was replaced, in a word of :data:`WHYS`."""
    return _WHY.get(told, OTHER)


def rejection(told: str) -> str:
    """Why a frame could not be used, in a word of :data:`REJECTIONS`."""
    return _first(_REJECTED, told) or OTHER


def error(code: int | None, told: str) -> str:
    """How a connection ended, in a word of :data:`ERRORS`; ``code`` is None without a handshake."""
    if (word := _first(_ENDED, told)) is not None:
        return word
    if (answered := _STATUS.match(told)) is not None:
        status = int(answered[1])
        if status in _RATE_LIMITED:
            return "rate_limited"
        return "forbidden" if status in _FORBIDDEN else "http_error"
    if code is None:
        return OTHER
    if code == _ABNORMAL:
        return LOST
    return "closed" if code in _CLEAN else "closed_with_error"


def _first(table: dict[str, str], told: str) -> str | None:
    return next((word for start, word in table.items() if told.startswith(start)), None)
