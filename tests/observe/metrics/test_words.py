"""Labels are of a few words that are known beforehand."""

from __future__ import annotations

import pytest

from kline_ops.events import PLANNED
from kline_ops.feed import plan
from kline_ops.market.candle import Candle
from kline_ops.market.interval import parse
from kline_ops.market.messages import FrameRejected, Kline, check, decode
from kline_ops.observe.metrics import words


def test_each_reason_to_replace_a_connection_has_a_word() -> None:
    reasons = (
        PLANNED, plan.STALLED, plan.MISSED, plan.AGED, plan.SHUTDOWN, plan.BETTER, "suspended",
    )  # fmt: skip
    told = [words.why(reason) for reason in reasons]
    assert words.OTHER not in told
    assert len(set(told)) == len(reasons)
    assert {*told, words.LOST, words.OTHER} == set(words.WHYS)
    assert words.why("wss://user:secret@host") == words.OTHER


@pytest.mark.parametrize(
    ("frame", "word"),
    [
        ("no json", "not_json"),
        ('{"e": 3}', "not_as_documented"),
        ('{"e": "trade"}', "unasked_event"),
        ("{}", "no_event"),
    ],
)
def test_each_frame_that_is_rejected_has_a_word(frame: str, word: str) -> None:
    with pytest.raises(FrameRejected) as error:
        decode(frame)
    assert words.rejection(str(error.value)) == word


@pytest.mark.parametrize(
    ("candle", "word"),
    [
        (Candle(60_000, "x", "1", "1", "1", "1"), "bad_number"),
        (Candle(60_000, "1", "1", "2", "1", "1"), "bad_price"),
        (Candle(60_000, "3", "2", "1", "1", "1"), "bad_price"),
        (Candle(60_001, "1", "1", "1", "1", "1"), "bad_time"),
        (Candle(-60_000, "1", "1", "1", "1", "1"), "bad_time"),
    ],
)
def test_each_candle_that_can_not_be_has_a_word(candle: Candle, word: str) -> None:
    with pytest.raises(FrameRejected) as error:
        check(Kline("BTCUSDT", "1m", 0, False, candle), parse("1m"))
    assert words.rejection(str(error.value)) == word


def test_what_nobody_expected_is_one_word() -> None:
    assert words.rejection("a text that nobody wrote yet") == words.OTHER
    assert words.error(None, "a text that nobody wrote yet") == words.OTHER


@pytest.mark.parametrize(
    ("code", "reason", "word"),
    [
        (1006, "keepalive ping timeout", "pong_timeout"),
        (1011, "keepalive ping timeout", "pong_timeout"),
        (None, "no handshake within 30 s", "handshake_timeout"),
        (None, "the handshake was answered HTTP 429", "rate_limited"),
        (None, "the handshake was answered HTTP 451", "forbidden"),
        (None, "the handshake was answered HTTP 503", "http_error"),
        (None, "connection refused", "refused"),
        (None, "its name does not resolve (Name or service not known)", "dns"),
        (None, "its certificate is not valid (self-signed certificate)", "certificate"),
        (None, "no route to host", "unreachable"),
        (None, "connected, but no data came", "no_data"),
        (1000, "closed by the server", "closed"),
        (1001, "going away", "closed"),
        (1008, "policy", "closed_with_error"),
        (1006, "connection lost without a close frame", "lost"),
    ],
)
def test_each_ending_has_a_word(code: int | None, reason: str, word: str) -> None:
    assert words.error(code, reason) == word
    assert word in words.ERRORS
