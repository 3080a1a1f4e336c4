"""Frames: every one is a message or is rejected, and nothing else ever happens."""

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kline_ops.market.candle import Candle
from kline_ops.market.interval import NAMES, parse
from kline_ops.market.messages import (
    FrameRejected,
    Kline,
    Message,
    Reply,
    ServerShutdown,
    check,
    decode,
)
from kline_ops.market.timestamp import to_ms, to_text

DATA = Path(__file__).parents[2].parent / "shared" / "data" / "ws"
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="needs ../shared/data beside the project")

OPEN = 1_633_998_480_000
BODY = {
    "t": OPEN,
    "T": OPEN + 59_999,
    "s": "SHIBUSDT",
    "i": "1m",
    "f": -1,
    "L": -1,
    "o": "0.00000638",
    "c": "0.00000639",
    "h": "0.00000640",
    "l": "0.00000637",
    "v": "0.00000000",
    "n": 0,
    "x": True,
    "q": "0",
    "V": "0",
    "Q": "0",
    "B": "0",
}
EVENT: dict[str, Any] = {"e": "kline", "E": OPEN + 60_012, "s": "SHIBUSDT", "k": BODY}
RAW = json.dumps(EVENT).encode()
COMBINED = json.dumps({"stream": "shibusdt@kline_1m", "data": EVENT}).encode()
CANDLE = Candle(
    OPEN,
    "0.00000638",
    "0.00000640",
    "0.00000637",
    "0.00000639",
    "0.00000000",
    0,
    OPEN + 59_999,
    "0",
    "0",
    "0",
)


def fate(frame: bytes | str) -> Message | None:
    """The message, or None where the frame is rejected; anything else comes out as an error."""
    try:
        message = decode(frame)
    except FrameRejected:
        return None
    assert isinstance(message, Kline | Reply | ServerShutdown)
    return message


@pytest.mark.parametrize("frame", [RAW, COMBINED, RAW.decode(), COMBINED.decode()])
def test_a_kline_is_the_same_raw_and_combined(frame: bytes | str) -> None:
    assert decode(frame) == Kline("SHIBUSDT", "1m", OPEN + 60_012, True, CANDLE)


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        ('{"e":"serverShutdown","E":1700000000000}', ServerShutdown(1_700_000_000_000)),
        (
            '{"stream":"!serverShutdown","data":{"e":"serverShutdown","E":1700000000000}}',
            ServerShutdown(1_700_000_000_000),
        ),
        ('{"result":null,"id":1}', Reply(1, None)),
        ('{"id":"a-b","result":null}', Reply("a-b", None)),
        ('{"id":0,"result":null}', Reply(0, None)),
        ('{"id":7}', Reply(7, None)),
        (
            '{"error":{"code":2,"msg":"Invalid request: unknown method"},"id":3}',
            Reply(3, "Invalid request: unknown method (code 2)"),
        ),
        (
            '{"error":{"code":3,"msg":"Invalid JSON"},"id":null}',
            Reply(None, "Invalid JSON (code 3)"),
        ),
        ('{"code":2,"msg":"Invalid request"}', Reply(None, "Invalid request (code 2)")),
        ('{"code":0,"msg":"Unknown property","id":5}', Reply(5, "Unknown property (code 0)")),
    ],
)
def test_control_messages_are_told_apart(frame: str, message: Message) -> None:
    assert decode(frame) == message
    assert decode(frame.encode()) == message


@pytest.mark.parametrize("result", ["[]", '["btcusdt@kline_1m"]', "true", "false", '{"a":1}', "0"])
def test_an_answer_may_carry_any_result(result: str) -> None:
    assert decode(f'{{"result":{result},"id":3}}') == Reply(3, None)


@pytest.mark.parametrize(
    "frame",
    [
        *("[]", "null", '"x"', "5", "", " ", "{}", "true", "NaN", "{", "}", "nul", "\0", "[[]]"),
        '{"data":null}',
        '{"stream":"x","data":{}}',
        '{"data":[]}',
        '{"data":"x"}',
        '{"result":null,"id":null}',
        '{"id":1.5}',
        '{"id":true}',
        '{"e":null}',
        '{"e":5}',
        '{"e":"kline"}',
        '{"e":"kline","k":null}',
        '{"e":"kline","k":{}}',
        '{"e":"kline","k":[]}',
        '{"e":"trade","E":1}',
        '{"e":"serverShutdown","E":"x"}',
        '{"e":"serverShutdown","E":1e400}',
        '{"error":"x","id":1}',
        '{"error":{"code":1},"id":1}',
        RAW.decode() + RAW.decode(),
        RAW.decode() + "x",
        "\ufeff" + RAW.decode(),
    ],
)
def test_what_is_no_message_is_rejected(frame: str) -> None:
    with pytest.raises(FrameRejected):
        decode(frame)
    with pytest.raises(FrameRejected):
        decode(frame.encode())


WRONG = [None, "x", "", [], {}, True, 1.5, -1.5, 1e300, 10**40, "1", 1]
STRICT = {"t": int, "s": str, "i": str, "o": str, "h": str, "l": str, "c": str, "v": str, "n": int}


@pytest.mark.parametrize("key", [*STRICT, "x"])
def test_a_wrong_type_in_a_kline_is_rejected(key: str) -> None:
    for value in WRONG:
        message = fate(json.dumps({**EVENT, "k": {**BODY, key: value}}))
        assert message is None or type(value) is STRICT.get(key, bool)


@pytest.mark.parametrize("key", [*STRICT, "x"])
def test_a_kline_that_lacks_a_field_is_rejected(key: str) -> None:
    body = {name: value for name, value in BODY.items() if name != key}
    with pytest.raises(FrameRejected):
        decode(json.dumps({**EVENT, "k": body}))


def test_half_a_frame_is_rejected_wherever_it_is_cut() -> None:
    for frame in (RAW, COMBINED):
        for length in range(len(frame)):
            assert fate(frame[:length]) is None


def test_bytes_that_are_no_utf8_never_get_out_as_another_error() -> None:
    for at in range(len(COMBINED)):
        fate(COMBINED[:at] + b"\xff\xfe" + COMBINED[at + 2 :])


NESTED = [
    "[",
    '{"a":',
    '{"data":',
    '{"k":',
    '{"result":',
    '{"a":[',
    '{"result":[',
    '{"error":{"a":[',
]
NESTED += ['{"id":1,"data":{"a":[', '{"e":"kline","k":{"a":[']


@pytest.mark.parametrize("opening", NESTED)
def test_json_nested_thousands_deep_is_rejected(opening: str) -> None:
    frame = opening + ("[" if opening.endswith("[") else opening) * 5_000
    ends = "".join({"[": "]", "{": "}"}[c] for c in reversed(frame) if c in "[{")
    for whole in (frame, frame + "1" + ends):
        assert fate(whole) is None
        assert fate(whole.encode()) is None


@pytest.mark.parametrize(
    "number", ["1e400", "-1e400", "9" * 25, "9" * 400, "9" * 5000, "1e18", "-0"]
)
@pytest.mark.parametrize("key", ["E", "id", "code"])
def test_numbers_of_any_size_are_a_message_or_rejected(number: str, key: str) -> None:
    fate(f'{{"e":"serverShutdown","{key}":{number}}}')
    fate(f'{{"{key}":{number}}}')
    fate(f'{{"stream":"x","data":{{"{key}":{number}}}}}')


def test_of_a_key_that_comes_twice_one_is_taken() -> None:
    frame = RAW.decode().replace('"e": "kline"', '"e": "trade", "e": "kline"', 1)
    assert fate(frame) in (None, decode(RAW))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from([*"eEkdtsiohlcvnx", "data", "id", "error", "code"]), inner
        )
    ),
    max_leaves=12,
)


@given(JSON)
@settings(max_examples=60)
def test_any_json_is_a_message_or_rejected(value: object) -> None:
    fate(json.dumps(value))


@given(st.binary(max_size=200))
def test_any_bytes_are_a_message_or_rejected(frame: bytes) -> None:
    fate(frame)


@given(st.text(st.characters(codec=None, exclude_categories=()), max_size=60))
def test_any_text_is_a_message_or_rejected_lone_surrogates_too(frame: str) -> None:
    fate(frame)
    fate('{"e":"' + frame + '"}')


@pytest.mark.parametrize(
    "frame",
    [
        json.dumps({"e": "x" * 100_000}),
        json.dumps({"stream": "s", "data": {"e": "é" * 50_000}}),
        json.dumps({"y" * 100_000: 1}),
        json.dumps({"e": {"y" * 100_000: 1}}),
    ],
)
def test_the_reason_is_short_whatever_the_frame_is(frame: str) -> None:
    with pytest.raises(FrameRejected) as caught:
        decode(frame)
    assert len(str(caught.value)) <= 300


# -- check ------------------------------------------------------------------------------------------


def kline(open_ms: int, **changes: str) -> Kline:
    values = {"open": "2", "high": "3", "low": "1", "close": "2", "volume": "0", **changes}
    return Kline("BTCUSDT", "1h", open_ms, True, Candle(open_ms, **values))


@pytest.mark.parametrize("name", NAMES)
def test_an_open_time_must_be_on_the_grid(name: str) -> None:
    interval = parse(name)
    opened = interval.floor(to_ms("2026-01-27T14:00:00Z"))
    check(kline(opened), interval)
    for wrong in (opened + 1, opened - 1, opened + 500):
        with pytest.raises(FrameRejected, match="grid"):
            check(kline(wrong), interval)


def test_impossible_numbers_are_rejected_with_the_reason() -> None:
    with pytest.raises(FrameRejected, match="high below low"):
        check(kline(0, high="0"), parse("1h"))


HUGE = [10**13 * 3_600_000, 10**40, -(10**13) * 3_600_000, to_ms("2026-01-27T14:00:00Z") * 1000]
HUGE += [253_402_300_800_000, -62_135_600_400_000, 2**63]


@pytest.mark.parametrize("name", ["1s", "1h", "3d", "1w", "1M", "1M@+08:00"])
def test_an_open_time_beyond_the_calendar_is_rejected(name: str) -> None:
    # Microseconds instead of milliseconds are such a time as well: the year 58044.
    interval = parse(name)
    for open_ms in HUGE:
        on_grid = open_ms if interval.length_ms is None else interval.floor(open_ms)
        with pytest.raises(FrameRejected):
            check(kline(on_grid), interval)


@given(st.sampled_from(NAMES).map(parse), st.integers())
def test_what_passes_the_check_can_be_written_down(interval: Any, open_ms: int) -> None:
    try:
        check(kline(open_ms), interval)
    except FrameRejected:
        return
    assert to_ms(to_text(open_ms)) == open_ms


# -- what was really sent ---------------------------------------------------------------------------


def real_frames() -> Iterator[bytes]:
    for name in ("BINANCE.ws.1.0", "BINANCE_US.ws.1.0"):
        for line in (DATA / name).read_bytes().splitlines():
            if b": {" in line:
                yield line.partition(b": ")[2]
    yield from (DATA / "crypto-msg-parser-frames.jsonl").read_bytes().splitlines()
    with gzip.open(DATA / "spot_btcusdt_20240808.gz") as file:
        for _, line in zip(range(2_000), file, strict=False):
            yield line.partition(b" ")[2].strip()


@needs_data
def test_real_frames_are_klines_digit_for_digit_or_rejected() -> None:
    klines = 0
    for frame in real_frames():
        told = json.loads(frame)
        event = told.get("data", told) if isinstance(told, dict) else {}
        message = fate(frame)
        if not isinstance(message, Kline):
            assert message is None
            assert not isinstance(event, dict) or event.get("e") != "kline"
            continue
        klines += 1
        body, candle = event["k"], message.candle
        assert candle.values() == tuple(body[key] for key in "ohlcv")
        assert (candle.open_ms, candle.trades) == (body["t"], body["n"])
        assert (message.symbol, message.interval, message.closed) == (
            body["s"],
            body["i"],
            body["x"],
        )
        assert message.event_ms == event["E"]
        check(message, parse(message.interval))
    assert klines >= 12


@needs_data
def test_half_of_a_real_frame_is_rejected_wherever_it_is_cut() -> None:
    frame = next(frame for frame in real_frames() if b'"kline"' in frame)
    assert fate(frame) is not None
    assert all(fate(frame[:length]) is None for length in range(len(frame)))
