"""The arithmetic of a drill's report."""

from __future__ import annotations

import json

from kline_ops.drill.faults import TROUBLES
from kline_ops.drill.holes import Hole, gaps
from kline_ops.drill.report import Counts, Outcome, Report, count
from kline_ops.drill.table import as_text
from kline_ops.gaps.model import Cause, Gap
from kline_ops.market.candle import Candle
from kline_ops.market.interval import parse

BY_NAME = {trouble.name: trouble for trouble in TROUBLES}


def candle(second: int, close: str = "1") -> Candle:
    return Candle(second * 1000, "1", "2", "1", close, "5")


def rows(*candles: Candle) -> dict[int, list[bytes]]:
    lines: dict[int, list[bytes]] = {}
    for each in candles:
        lines.setdefault(each.open_ms, []).append(each.row())
    return lines


TRUTH = [candle(second) for second in range(5)]


def outcome(name: str, **fields) -> Outcome:
    good = {"noticed": 0.5, "recovered": 0.1, "counts": Counts(2, 2, 1, 1)}
    return Outcome(BY_NAME[name], 1_767_225_600_000, **{**good, **fields})


def test_all_is_there() -> None:
    assert count(TRUTH, TRUTH, rows(*TRUTH), {1000, 9000}) == Counts(5, 5, 4, 1)


def test_lost_doubled_and_wrong() -> None:
    kept = rows(TRUTH[0], TRUTH[1], TRUTH[1], candle(2, "1.5"), TRUTH[4])
    assert count(TRUTH, TRUTH, kept, {0}) == Counts(5, 4, 3, 1, lost=1, doubled=1, wrong=1)


def test_a_lost_candle_came_from_nowhere() -> None:
    assert count(TRUTH, TRUTH, {}, {0, 1000}) == Counts(owed=5, lost=5)


def test_a_row_of_a_candle_that_never_was_is_wrong() -> None:
    assert count(TRUTH[:1], TRUTH[:1], rows(TRUTH[0], TRUTH[1]), ()) == Counts(1, 1, 1, wrong=1)


def test_an_amended_candle_is_right_as_who_brought_it_has_it() -> None:
    amended = [candle(0, "1.5"), *TRUTH[1:]]
    kept = rows(*amended)
    assert count(TRUTH, amended, kept, {0}).wrong == 0
    assert count(TRUTH, amended, kept, ()).wrong == 1
    assert count(TRUTH, amended, kept, (), {0}) == Counts(5, 5, 5)


def test_what_was_wrong_on_the_way_is_not_made_good_at_the_end() -> None:
    before, end = Counts(5, 4, 4, lost=1, wrong=2), Counts(5, 5, 4, 1, doubled=1)
    assert before.final(end) == Counts(5, 5, 4, 1, doubled=1, wrong=2)


def test_the_sum_holds_all_windows() -> None:
    report = Report(1, 9.0, {}, [outcome("cut"), outcome("kill-9")], (), Counts(3, 3, 3))
    assert report.total() == Counts(7, 7, 5, 2)
    assert report.findings() == []
    expected = "owed 7 · on disk 7 · from stream 5 · from REST 2 · lost 0 · doubled 0 · wrong 0"
    assert expected in as_text(report)


def test_findings_are_named() -> None:
    outcomes = [
        outcome("cut", noticed=None),
        outcome("silence", noticed=9.0),
        outcome("planned-restart", noticed=None),
        outcome("kill-9", recovered=None, counts=Counts(2, 1, 1, lost=1)),
    ]
    report = Report(1, 9.0, {}, outcomes, (), remarks=["the recorder ended by itself: SIGSEGV"])
    assert report.findings() == [
        "the recorder ended by itself: SIGSEGV",
        "cut: not noticed",
        "silence: noticed after 9.00 s, not 2.40 s",
        "kill-9: not all was well again",
        "candles lost: 1",
    ]
    assert all(f"! {finding}" in as_text(report) for finding in report.findings())


def hole(kind: str, *truth: str) -> Hole:
    gap = Gap(1000, 4000, 2000, 3000, 2, 3)
    return Hole(gap, Cause(kind, f"it was {kind}", 1.5), frozenset(truth))


def test_without_backfill_a_loss_is_no_finding_but_a_cause_that_is_not_true_is() -> None:
    lost = Counts(4, 2, 2, lost=2)
    outcomes = [
        outcome("cut", noticed=None, counts=lost, holes=[hole("disconnect", "disconnect")]),
        outcome("refuse", counts=lost, holes=[hole("silence", "refused", "disconnect")]),
        outcome("doubled", counts=lost, holes=[hole("unknown")]),
    ]
    before = [hole("restart", "restart", "unknown")]
    report = Report(1, 9.0, {}, outcomes, (), backfill=False, holes_before=before)
    assert report.findings() == [
        "refuse: 2 candle(s) put down to silence, not to disconnect or refused",
        "doubled: 2 candle(s) put down to unknown, not to anything: it should cost none",
    ]
    text = as_text(report)
    assert "backfill is off: losses are expected" in text
    assert "cut             00:00:02   2  disconnect  it was disconnect" in text
    assert "NOT TRUE: it was silence" in text
    told = json.loads(json.dumps(report.as_object()))
    assert told["backfill"] is False
    assert [each["fault"] for each in told["holes"]] == ["(before)", "cut", "refuse", "doubled"]
    assert told["holes"][2] == {
        "fault": "refuse", "first": "1970-01-01T00:00:02Z", "last": "1970-01-01T00:00:03Z",
        "candles": 2, "cause": "silence", "text": "it was silence", "dark": 1.5, "true": False,
    }  # fmt: skip


def test_with_backfill_nothing_is_said_of_holes() -> None:
    report = Report(1, 9.0, {}, [outcome("cut")], ())
    assert "backfill" not in as_text(report)
    assert not {"backfill", "holes"} & report.as_object().keys()


def test_gaps_are_the_runs_without_a_row() -> None:
    opens = range(1000, 10_000, 1000)
    found = list(gaps(opens, {2000, 5000, 6000, 7000}, parse("1s")))
    assert found == [
        Gap(None, 2000, 1000, 1000, 1, 2),
        Gap(2000, 5000, 3000, 4000, 2, 3),
        Gap(7000, None, 8000, 9000, 2, 3),
    ]
    assert list(gaps(opens, set(opens), parse("1s"))) == []
    assert list(gaps(range(0), set(), parse("1s"))) == []


def test_the_same_as_json() -> None:
    report = Report(3, 9.0, {"grace": 0.4}, [outcome("cut")], ("hang",), interrupted=True)
    told = json.loads(json.dumps(report.as_object()))
    assert told["total"] == {
        "owed": 2, "on_disk": 2, "stream": 1, "rest": 1, "lost": 0, "doubled": 0, "wrong": 0
    }  # fmt: skip
    (fault,) = told["faults"]
    assert (fault["fault"], fault["noticed"], fault["within"]) == ("cut", 0.5, 1.0)
    assert (told["left_out"], told["interrupted"]) == (["hang"], True)
    assert "left out: hang" in as_text(report)
    assert "ended before its time" in as_text(report)
