"""Control messages of one connection, and their answers. Pure: text in, text out.

Source: Binance spot API, "Live Subscribing/Unsubscribing to streams" and "Error Messages". The
order of the checks is the exchange's: JSON, method, id, parameters.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable

METHODS = ("SUBSCRIBE", "UNSUBSCRIBE", "LIST_SUBSCRIPTIONS", "SET_PROPERTY", "GET_PROPERTY")

UNKNOWN_PROPERTY = 0
INVALID_VALUE = 1
INVALID_REQUEST = 2
INVALID_JSON = 3

_ID = re.compile(r"[A-Za-z0-9_-]{1,36}")
_INT64 = 1 << 63


class ControlError(Exception):
    """The message is refused; ``code`` and ``str()`` are what the client is told."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


class Subscriptions:
    """The streams of one connection, changed by its control messages.

    Args:
        streams: those of the address that the client connected to.
        combined: whether frames come wrapped; true for ``/stream``.
        limit: how many streams one connection may have.
    """

    def __init__(self, streams: Iterable[str], *, combined: bool, limit: int) -> None:
        # A dict keeps the order in which they came, which is the order they are listed in.
        self.streams = dict.fromkeys(streams)
        #: What the last message subscribed to, new or not.
        self.renewed: tuple[str, ...] = ()
        self.combined = combined
        self._limit = limit
        self._methods: dict[str, Callable[[list[object]], object]] = {
            "SUBSCRIBE": self._subscribe,
            "UNSUBSCRIBE": self._unsubscribe,
            "LIST_SUBSCRIPTIONS": self._list,
            "SET_PROPERTY": self._set_property,
            "GET_PROPERTY": self._get_property,
        }

    def answer(self, text: str | bytes) -> str:
        """Carry out a control message; the answer is the frame to send back."""
        request_id: object = None
        identified = False
        self.renewed = ()
        try:
            message = _parse(text)
            method, params = _method(message), message.get("params", [])
            request_id, identified = _request_id(message), True
            if not isinstance(params, list):
                raise ControlError(
                    INVALID_REQUEST, "Invalid request: invalid type, expected a sequence"
                )
            return _dump({"result": self._methods[method](params), "id": request_id})
        except ControlError as error:
            refusal: dict[str, object] = {"code": error.code, "msg": str(error)}
            return _dump({**refusal, "id": request_id} if identified else refusal)

    def _subscribe(self, params: list[object]) -> None:
        names = dict.fromkeys(_names(params))
        wanted = self.streams | names
        if len(wanted) > self._limit:
            # The documentation gives the limit, and no text for its answer.
            raise ControlError(
                INVALID_REQUEST,
                f"Invalid request: a connection can listen to at most {self._limit} streams",
            )
        self.streams = wanted
        self.renewed = tuple(names)

    def _unsubscribe(self, params: list[object]) -> None:
        for name in _names(params):
            self.streams.pop(name, None)

    def _list(self, params: list[object]) -> list[str]:
        _at_most(params, 0)
        return list(self.streams)

    def _set_property(self, params: list[object]) -> None:
        _at_most(params, 2)
        _property(params)
        if len(params) < 2 or not isinstance(params[1], bool):
            raise ControlError(INVALID_VALUE, "Invalid value type: expected Boolean")
        self.combined = params[1]

    def _get_property(self, params: list[object]) -> bool:
        _at_most(params, 1)
        _property(params)
        return self.combined


def _parse(text: str | bytes) -> dict[str, object]:
    try:
        message = json.loads(text)
    except json.JSONDecodeError as error:
        where = f"at line {error.lineno} column {error.colno}"
        raise ControlError(INVALID_JSON, f"Invalid JSON: expected value {where}") from None
    except UnicodeDecodeError:
        raise ControlError(
            INVALID_JSON, "Invalid JSON: expected value at line 1 column 1"
        ) from None
    if not isinstance(message, dict):
        raise ControlError(INVALID_REQUEST, "Invalid request: invalid type, expected a map")
    return message


def _method(message: dict[str, object]) -> str:
    method = message.get("method")
    column = len(_dump(message))
    if method is None:
        raise ControlError(
            INVALID_REQUEST, f"Invalid request: missing field `method` at line 1 column {column}"
        )
    if method not in METHODS:
        expected = ", ".join(f"`{name}`" for name in METHODS)
        raise ControlError(
            INVALID_REQUEST,
            f"Invalid request: unknown variant `{method}`, expected one of {expected}"
            f" at line 1 column {column}",
        )
    return str(method)


def _request_id(message: dict[str, object]) -> int | str | None:
    """A 64-bit integer, up to 36 letters and digits, or null; but it has to be there."""
    wrong = ControlError(INVALID_REQUEST, "Invalid request: request ID must be an unsigned integer")
    if "id" not in message:
        raise wrong
    value = message["id"]
    if value is None:
        return None
    if isinstance(value, str) and _ID.fullmatch(value):
        return value
    if isinstance(value, int) and not isinstance(value, bool) and -_INT64 <= value < _INT64:
        return value
    raise wrong


def _names(params: list[object]) -> list[str]:
    names = [name for name in params if isinstance(name, str)]
    if len(names) != len(params):
        raise ControlError(INVALID_REQUEST, "Invalid request: invalid type, expected a string")
    return names


def _property(params: list[object]) -> None:
    if not params or not isinstance(params[0], str):
        raise ControlError(INVALID_REQUEST, "Invalid request: property name must be a string")
    if params[0] != "combined":
        raise ControlError(UNKNOWN_PROPERTY, "Unknown property")


def _at_most(params: list[object], count: int) -> None:
    if len(params) > count:
        raise ControlError(INVALID_REQUEST, "Invalid request: too many parameters")


def _dump(message: dict[str, object]) -> str:
    return json.dumps(message, separators=(",", ":"))
