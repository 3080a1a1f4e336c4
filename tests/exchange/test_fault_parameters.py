"""Faults as text, and what is wrong with it."""

from __future__ import annotations

import math

import pytest

from kline_ops.errors import InputError
from kline_ops.exchange.chaos import DISAGREEING, endless, schedule
from kline_ops.exchange.faults import Fault, FaultKind
from kline_ops.exchange.parameters import PARAMETERS, fault_text, parse_fault, parse_script

SCRIPT = """
# what goes wrong in the first minute
20 silence seconds=5 sessions=1,3   # two of them
12.5 close code=1001
30 inject text='{"e": "#"}'
40 withhold candle=btcusdt/1m/2026-02-01T00:00:00Z
41 amend candle=BTCUSDT/1d@+08:00/1769875200000
50 maintenance from=2026-02-01T00:00:00Z until=1769904060000
51 quiet seconds=7 symbol=btcusdt closes=no
52 ack-only
53 skew seconds=5 offset=-3.5
"""


def test_a_script() -> None:
    assert parse_script(SCRIPT) == [
        (12.5, Fault(FaultKind.CLOSE, code=1001)),
        (20, Fault(FaultKind.SILENCE, 5, sessions=(1, 3))),
        (30, Fault(FaultKind.INJECT, text='{"e": "#"}')),
        (40, Fault(FaultKind.WITHHOLD, candle=("BTCUSDT", "1m", 1_769_904_000_000))),
        (41, Fault(FaultKind.AMEND, candle=("BTCUSDT", "1d@+08:00", 1_769_875_200_000))),
        (50, Fault(FaultKind.MAINTENANCE, span=(1_769_904_000_000, 1_769_904_060_000))),
        (51, Fault(FaultKind.QUIET, 7, symbol="BTCUSDT", closes=False)),
        (52, Fault(FaultKind.ACK_ONLY, math.inf)),
        (53, Fault(FaultKind.SKEW, 5, offset=-3.5)),
    ]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("10", "a time and a kind are needed"),
        ("soon cut", "'soon': not a number"),
        ("-1 cut", "'-1': less than nothing"),
        ("nan cut", "'nan': not a number"),
        ("1 explode", "unknown fault 'explode'"),
        ("1 cut 5", "'5' is no parameter"),
        ("1 silence seconds=1 seconds=2", "'seconds=2' is no parameter"),
        ("1 silence secs=5", "silence: unknown parameter 'secs'. Try: seconds sessions"),
        ("1 silence", "silence: seconds is missing"),
        ("1 silence seconds=five", "silence: seconds=five: not a number"),
        ("1 silence seconds=-5", "less than nothing"),
        ("1 silence seconds=1 sessions=1,a", "not a number"),
        ("1 silence seconds=1 sessions=1.5", "not a whole number"),
        ("1 close code=1005", "no close code that can be sent"),
        ("1 refuse seconds=1 status=200", "no HTTP status of an error"),
        ("1 refuse seconds=1 status=999", "no HTTP status of an error"),
        ("1 dead-stream stays=perhaps", "yes or no"),
        ("1 withhold candle=BTCUSDT/1m", "not SYMBOL/INTERVAL/OPEN_TIME"),
        ("1 withhold candle=BTCUSDT/2m/1769904000000", "unknown interval '2m'"),
        ("1 withhold candle=BTCUSDT/1m/1769904000001", "no 1m candle opens then"),
        ("1 withhold candle=BTCUSDT/1m/noon", "Invalid isoformat"),
        ("1 maintenance", "maintenance: a time is needed"),
        ("1 quiet from=1769904000000", "quiet: a time is needed"),
        ("1 quiet from=1769904000000 until=1769904000000", "quiet: a time is needed"),
        ("1 inject text='", "No closing quotation"),
    ],
)
def test_what_is_wrong_with_a_line(line: str, message: str) -> None:
    with pytest.raises(InputError) as error:
        parse_script(f"# first\n\n{line}\n", "faults.txt")
    assert error.value.one_line().startswith("faults.txt, line 3: ")
    assert message in error.value.one_line()
    with pytest.raises(InputError, match=r"^line 1: "):
        parse_script(line)


def test_every_kind_has_its_parameters() -> None:
    assert PARAMETERS.keys() == set(FaultKind)
    fields = set(Fault.__dataclass_fields__) | {"from", "until"}
    for required, optional in PARAMETERS.values():
        assert {*required, *optional} <= fields


def test_what_is_drawn_can_be_written_and_read() -> None:
    for after, fault in schedule(3, 2000, 1):
        assert parse_script(f"{after} {fault_text(fault)}") == [(after, fault)]


PINNED = [
    (2.271, "ack-only seconds=4.782"),
    (12.168, "garbage"),
    (25.484, "inject text=null"),
    (34.316, "shutdown seconds=8.975 code=1012"),
    (46.132, "truncated seconds=6.099"),
    (53.191, "rest-limited seconds=9.649"),
    (61.47, "rest-lagging seconds=4.369 delay=9.987"),
    (70.319, "ack-only seconds=3.388"),
    (88.749, "withhold"),
    (94.198, "shutdown seconds=5.031"),
]


def test_a_schedule_is_the_same_on_every_machine() -> None:
    assert [(after, fault_text(fault)) for after, fault in schedule(7, 100, 10)] == PINNED
    assert schedule(8, 100, 10) != schedule(7, 100, 10)
    assert schedule(7, 50, 10) == schedule(7, 100, 10)[:5]


def test_every_kind_is_reached_and_only_those_chosen() -> None:
    assert {fault.kind for _, fault in schedule(1, 600, 1)} == set(FaultKind)
    chosen = set(FaultKind) - DISAGREEING
    assert {fault.kind for _, fault in schedule(1, 600, 1, chosen)} == chosen
    one_way = schedule(1, 60, 1, [FaultKind.CUT, FaultKind.SKEW])
    assert one_way == schedule(1, 60, 1, [FaultKind.SKEW, FaultKind.CUT, FaultKind.CUT])
    assert schedule(1, 600, 1, []) == []


def test_one_fault_in_each_stretch() -> None:
    plan = schedule(1, 600, 10)
    assert [int(after // 10) for after, _ in plan] == list(range(60))
    assert all(fault.seconds <= 11 for _, fault in plan)
    assert next(endless(1, 0.5))[0] < 0.5


def test_a_kind_alone() -> None:
    assert parse_fault("close", {"code": "1006"}) == Fault(FaultKind.CLOSE, code=1006)
    with pytest.raises(InputError, match="unknown fault ''"):
        parse_fault("", {})
