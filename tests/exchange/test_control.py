"""Control messages and their documented answers."""

from __future__ import annotations

import json

import pytest

from kline_ops.exchange.control import Subscriptions


def ask(text: str, *streams: str, combined: bool = False, limit: int = 1024) -> dict:
    return json.loads(Subscriptions(streams, combined=combined, limit=limit).answer(text))


def test_subscribing_and_unsubscribing() -> None:
    subscriptions = Subscriptions(["a"], combined=False, limit=1024)

    def tell(method: str, *params: object) -> object:
        message = {"method": method, "params": list(params), "id": 1}
        answer = json.loads(subscriptions.answer(json.dumps(message)))
        assert answer["id"] == 1
        return answer["result"]

    assert tell("SUBSCRIBE", "b", "c", "b") is None
    assert tell("LIST_SUBSCRIPTIONS") == ["a", "b", "c"]
    assert tell("UNSUBSCRIBE", "b", "never") is None
    assert tell("LIST_SUBSCRIPTIONS") == ["a", "c"]
    assert tell("GET_PROPERTY", "combined") is False
    assert tell("SET_PROPERTY", "combined", True) is None
    assert tell("GET_PROPERTY", "combined") is True


@pytest.mark.parametrize("request_id", [1, 0, -5, 2**63 - 1, "abc-12", None])
def test_ids_that_are_accepted(request_id: object) -> None:
    message = json.dumps({"method": "LIST_SUBSCRIPTIONS", "id": request_id})
    assert ask(message, "a") == {"result": ["a"], "id": request_id}


EXPECTED = "`SUBSCRIBE`, `UNSUBSCRIBE`, `LIST_SUBSCRIPTIONS`, `SET_PROPERTY`, `GET_PROPERTY`"
UNKNOWN = f"Invalid request: unknown variant `SUBSCRIB`, expected one of {EXPECTED}"
NO_ID = "Invalid request: request ID must be an unsigned integer"
NO_NAME = "Invalid request: property name must be a string"
TOO_MANY = "Invalid request: too many parameters"


@pytest.mark.parametrize(
    ("message", "code", "text"),
    [
        ("{", 3, "Invalid JSON: expected value at line 1 column 2"),
        (b"\xff", 3, "Invalid JSON: expected value at line 1 column 1"),
        ("[]", 2, "Invalid request: invalid type, expected a map"),
        ('{"id":1}', 2, "Invalid request: missing field `method` at line 1 column 8"),
        (
            '{"method":"SUBSCRIB","id":1}',
            2,
            f"{UNKNOWN} at line 1 column 28",
        ),
        ('{"method":"SUBSCRIBE","params":["a"]}', 2, NO_ID),
        ('{"method":"SUBSCRIBE","params":["a"],"id":1.5}', 2, NO_ID),
        ('{"method":"SUBSCRIBE","params":["a"],"id":true}', 2, NO_ID),
        ('{"method":"SUBSCRIBE","params":["a"],"id":"' + 37 * "x" + '"}', 2, NO_ID),
        (
            '{"method":"SUBSCRIBE","params":"a","id":1}',
            2,
            "Invalid request: invalid type, expected a sequence",
        ),
        (
            '{"method":"SUBSCRIBE","params":[1],"id":1}',
            2,
            "Invalid request: invalid type, expected a string",
        ),
        ('{"method":"LIST_SUBSCRIPTIONS","params":["a"],"id":1}', 2, TOO_MANY),
        ('{"method":"GET_PROPERTY","params":["combined",1],"id":1}', 2, TOO_MANY),
        ('{"method":"GET_PROPERTY","id":1}', 2, NO_NAME),
        ('{"method":"SET_PROPERTY","params":[1,true],"id":1}', 2, NO_NAME),
        ('{"method":"SET_PROPERTY","params":["speed",true],"id":1}', 0, "Unknown property"),
        (
            '{"method":"SET_PROPERTY","params":["combined"],"id":1}',
            1,
            "Invalid value type: expected Boolean",
        ),
        (
            '{"method":"SET_PROPERTY","params":["combined",1],"id":1}',
            1,
            "Invalid value type: expected Boolean",
        ),
    ],
)
def test_what_is_refused(message: str | bytes, code: int, text: str) -> None:
    answer = json.loads(Subscriptions([], combined=False, limit=9).answer(message))
    assert (answer["code"], answer["msg"]) == (code, text)


def test_too_many_streams_change_nothing() -> None:
    subscriptions = Subscriptions(["a"], combined=False, limit=2)
    answer = subscriptions.answer('{"method":"SUBSCRIBE","params":["b","c"],"id":9}')
    assert json.loads(answer)["code"] == 2
    assert list(subscriptions.streams) == ["a"]
