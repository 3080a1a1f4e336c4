"""What is done about a session, and how often."""

from __future__ import annotations

from kline_ops.watch.diagnosis import Ailment
from kline_ops.watch.remedy import Remedies, Remedy


def done(*ailments: Ailment, every: float = 60.0, remedies: Remedies | None = None) -> list[str]:
    remedies = remedies or Remedies()
    chosen = [remedies.choose(ailment, n * every) for n, ailment in enumerate(ailments)]
    return [remedy.value if remedy else "-" for remedy in chosen]


def test_the_dead_are_started_at_once() -> None:
    assert done(Ailment.NONE, Ailment.DEAD, Ailment.NONE) == ["-", "start", "-"]


def test_what_hangs_is_killed_at_the_second_check_in_a_row() -> None:
    hung, well = Ailment.HUNG, Ailment.NONE
    assert done(hung, well, hung, hung, well) == ["-", "-", "-", "kill", "-"]


def test_what_is_dry_is_renewed_once_an_hour() -> None:
    assert done(*[Ailment.DRY] * 6) == ["-", "renew", "-", "give up", "-", "-"]
    again = done(*[Ailment.DRY] * 62)
    assert [n for n, what in enumerate(again) if what == "renew"] == [1, 61]


def test_three_restarts_an_hour_then_alerts_only() -> None:
    dead, well = Ailment.DEAD, Ailment.NONE
    assert done(dead, dead, dead, dead, dead, well, dead) == [
        "start", "start", "start", "give up", "-", "-", "give up"
    ]  # fmt: skip
    hour = done(*[dead, well] * 40, every=60.0)
    starts = [n for n, what in enumerate(hour) if what == "start"]
    assert starts == [0, 2, 4, 60, 62, 64]


def test_a_kill_counts_as_a_restart() -> None:
    remedies = Remedies()
    for n in range(3):
        assert remedies.choose(Ailment.DEAD, n) is Remedy.START
    remedies.choose(Ailment.HUNG, 4)
    assert remedies.choose(Ailment.HUNG, 5) is Remedy.GIVE_UP


def test_a_unit_is_left_to_systemd_and_that_is_said_once() -> None:
    unit = Ailment.DEAD_UNIT
    assert done(unit, unit, Ailment.NONE, unit) == ["leave", "-", "-", "leave"]


def test_nothing_is_done_about_all_else() -> None:
    assert done(*[Ailment.OTHER] * 5) == ["-"] * 5
