"""What is told of a session, and what is not; in words that a person understands."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest

from kline_ops import events
from kline_ops.alerts.herald import Herald, Memory, Sent
from kline_ops.alerts.message import Level
from kline_ops.alerts.signs import Look
from kline_ops.alerts.words import Subject
from kline_ops.events import Event

NOW_MS = 1_767_225_600_000
WELL = Look(
    now=1_000.0, now_ms=NOW_MS, word="RECORDING", dark_for=None, silent_for=0.5, has_data=True,
    is_quiet=False, feed_error=None, rest_error=None, disk_error=None, pursued=0, absent=0,
    missing=0, waiting=0, backfill=True, clock_skew=0.01,
)  # fmt: skip
URL = "wss://stream.binance.com:9443/ws"


class Told:
    """A herald, and what it has told."""

    def __init__(self, **options: object) -> None:
        subject = Subject("demo", "BTCUSDT", "1h")
        options = {"floor": 300.0, "stall": 60.0} | options
        self.herald = Herald(subject, **options)  # type: ignore[arg-type]
        self.now = 1_000.0
        self.sent: list[Sent] = []

    def hear(self, event: Event) -> None:
        self.herald.hear(event, self.now)

    def stay(self, look: Look, seconds: float) -> None:
        """Look each second; what is dark or silent becomes so for longer."""
        for passed in range(int(seconds)):
            dark = None if look.dark_for is None else look.dark_for + passed
            silent = None if look.silent_for is None else look.silent_for + passed
            if look.silent_for is not None and look.silent_for < 1.0:
                silent = look.silent_for
            ms = NOW_MS + round((self.now - 1_000.0) * 1000)
            at = replace(look, now=self.now, now_ms=ms, dark_for=dark, silent_for=silent)
            self.sent += self.herald.look(at)
            self.now += 1.0

    @property
    def titles(self) -> list[str]:
        return [f"{sent.message.level.name} {sent.message.title}" for sent in self.sent]

    @property
    def text(self) -> str:
        return self.sent[-1].message.text


@pytest.fixture
def told() -> Told:
    made = Told()
    made.herald.begin(made.now, None, goes_on=True)
    return made


def live(number: int = 1) -> events.Live:
    return events.Live(connection=number, endpoint=URL, seconds=0.4)


def from_rest(candles: int) -> events.Recorded:
    return events.Recorded(first="x", last="x", candles=candles, source="rest")


def dark(reason: str = "HTTP 503", since: float = 0.0) -> Look:
    return replace(WELL, word="STALLED", dark_for=since, feed_error=reason)


def test_the_first_data_of_a_session_is_told_once(told: Told) -> None:
    first = Told()
    first.hear(live())
    first.herald.begin(first.now, None, goes_on=False)
    first.stay(WELL, 400)
    first.hear(live(2))
    first.stay(WELL, 400)
    assert first.titles == ["INFO Connected to BTCUSDT@1h"]
    assert first.text == "Data came after 0.4 s."
    # One that takes over from a process that ran begins nothing.
    told.hear(live())
    told.stay(WELL, 400)
    assert told.titles == []


def test_a_drop_that_heals_within_seconds_is_an_info_when_it_is_over(told: Told) -> None:
    told.stay(dark("1006 reset"), 3)
    told.hear(live(2))
    told.hear(from_rest(2))
    told.stay(WELL, 300)
    assert told.titles == ["INFO Reconnected after 3 s: 1006 reset (BTCUSDT@1h)"]
    assert "Candles: lost on the wire 2, recovered 2, still missing 0." in told.text


def test_a_drop_that_lasts_is_a_warning_then_critical_then_resolved(told: Told) -> None:
    told.stay(dark(), 600)
    told.hear(from_rest(600))
    told.stay(WELL, 600)
    assert told.titles == [
        "WARNING Disconnected: HTTP 503 (BTCUSDT@1h)",
        "CRITICAL No data for 1 min 00 s: HTTP 503 (BTCUSDT@1h)",
        "SUCCESS Connected again after 10 min 00 s (BTCUSDT@1h)",
    ]
    opened, grave, resolved = (sent.message.text for sent in told.sent)
    assert "Since 00:00:00 UTC." in opened
    assert "fetched from REST" in opened
    assert "kline-ops doctor demo" in grave
    assert "From 00:00:00 UTC to 00:10:00 UTC." in resolved
    assert "lost on the wire 600, recovered 600, still missing 0" in resolved
    assert [sent.step for sent in told.sent] == ["opened", "escalated", "resolved"]


def test_attempts_that_are_exhausted_are_critical_before_the_time(told: Told) -> None:
    told.hear(events.AttemptsExhausted(attempts=20, reason="refused"))
    told.stay(dark("refused", since=20.0), 2)
    assert told.titles == ["CRITICAL No data for 20 s: refused (BTCUSDT@1h)"]


def test_one_of_two_connections_that_drops_is_no_drop(told: Told) -> None:
    told.hear(
        events.Disconnected(connection=1, endpoint=URL, code=1006, reason="reset", seconds=9.0)
    )
    told.stay(WELL, 400)
    assert told.titles == []


def test_planned_restarts_are_told_where_that_is_wanted(told: Told) -> None:
    wanted = Told(planned_restarts=True)
    for each in (told, wanted):
        each.hear(events.RestartPlanned(boundary="2026-01-01T04:00:00Z"))
        each.hear(live(2))
        each.hear(events.Replaced(old=1, new=2, why=events.PLANNED, overlap=6.2))
        each.stay(WELL, 400)
    assert told.titles == []
    assert wanted.titles == ["INFO Planned restart (BTCUSDT@1h)"]


def test_a_stream_that_goes_silent_and_is_replaced_is_told_as_over(told: Told) -> None:
    told.hear(events.Stalled(connection=1, seconds=60.0))
    told.stay(replace(WELL, silent_for=60.0), 2)
    told.hear(live(2))
    told.stay(WELL, 400)
    assert told.titles == [
        "INFO Reconnected after 1 min 02 s: connected, but silent for 1 min 00 s (BTCUSDT@1h)"
    ]


def test_a_stream_that_stays_silent_is_dead(told: Told) -> None:
    told.hear(events.Stalled(connection=1, seconds=60.0))
    told.stay(replace(WELL, word="STALLED", silent_for=60.0), 60)
    assert told.titles == [
        "CRITICAL No data for 1 min 15 s: connected, but silent for 1 min 15 s (BTCUSDT@1h)"
    ]


def test_a_quiet_or_halted_market_is_no_alarm(told: Told) -> None:
    silent = replace(WELL, word="STALLED", has_data=False, silent_for=None, dark_for=61.0)
    told.stay(replace(silent, is_quiet=True), 1_000)
    assert told.titles == []
    told.hear(events.MarketClosed(symbol="BTCUSDT", status="BREAK"))
    told.stay(silent, 1_000)
    assert told.titles == ["INFO The market is closed: BTCUSDT is in BREAK (BTCUSDT@1h)"]


def test_a_full_disk_is_told_with_what_waits(told: Told) -> None:
    full = replace(WELL, word="STALLED", disk_error="No space left", waiting=3, missing=3)
    told.stay(full, 20)
    assert told.titles == ["CRITICAL The disk takes no candles: No space left (BTCUSDT@1h)"]
    assert "3 candle(s) wait in memory" in told.text
    told.stay(WELL, 600)
    assert told.titles[1:] == ["SUCCESS The disk takes candles again after 20 s (BTCUSDT@1h)"]


def test_that_it_is_over_is_told_once_what_was_lost_has_been_fetched(told: Told) -> None:
    told.stay(dark(), 400)
    owed = replace(WELL, word="CATCHING_UP", pursued=54, missing=54)
    told.stay(owed, 100)
    assert [title.split()[0] for title in told.titles] == ["WARNING", "CRITICAL"]
    told.hear(from_rest(54))
    told.stay(WELL, 1_000)
    (resolved,) = told.titles[2:]
    assert resolved.startswith("SUCCESS Connected again after 6 min 40 s")
    assert "lost on the wire 54, recovered 54, still missing 0." in told.text


def test_candles_that_do_not_come_for_long_are_told_as_missing_and_when_they_are_there(
    told: Told,
) -> None:
    told.stay(dark(), 100)
    told.hear(from_rest(4))
    told.stay(replace(WELL, word="CATCHING_UP", pursued=50, missing=50), 500)
    (resolved,) = told.titles[2:]
    assert resolved.startswith("SUCCESS Connected again after 1 min 40 s")
    missing = "lost on the wire 54, recovered 4, still missing 50: they are asked for until they"
    assert missing in told.text
    assert told.sent[2].message.text.count("From 00:00:00 UTC to 00:01:40 UTC") == 1
    told.hear(from_rest(50))
    told.stay(WELL, 1_000)
    (complete,) = told.titles[3:]
    assert complete.startswith("SUCCESS The candles are complete again after 10 min 00 s")
    assert "lost on the wire 54, recovered 54, still missing 0." in told.text


def test_candles_that_rest_stops_bringing_are_a_warning_though_they_were_told(told: Told) -> None:
    told.stay(dark(), 100)
    owed = replace(WELL, word="CATCHING_UP", pursued=50, missing=50)
    told.stay(owed, 500)
    told.stay(replace(owed, rest_error="HTTP 503"), 500)
    told.stay(WELL, 1_000)
    assert [title.split()[0] for title in told.titles[2:]] == ["SUCCESS", "WARNING", "SUCCESS"]
    assert "Candles are missing: REST: HTTP 503" in told.titles[3]
    assert "The candles are complete again" in told.titles[4]


def test_outages_one_after_another_are_each_heard_of() -> None:
    """Three drops and an outage; long after it three more, minutes apart."""
    told = Told(stall=40.0)
    for _ in range(3):
        told.stay(dark("1006 reset"), 2)
        told.stay(WELL, 20)
    told.stay(dark(), 45)
    told.stay(WELL, 652)
    assert told.titles == [
        "WARNING Disconnected: HTTP 503 (BTCUSDT@1h)",
        "CRITICAL No data for 40 s: HTTP 503 (BTCUSDT@1h)",
        "SUCCESS Connected again after 51 s (BTCUSDT@1h)",
    ]
    assert told.sent[-1].message.text.startswith("From 00:01:06 UTC to 00:01:51 UTC.")
    for seconds in (51, 67, 60):
        told.stay(dark(), seconds)
        told.stay(WELL, 100)
    told.stay(WELL, 1_000)
    assert told.titles[3:] == [
        "WARNING Disconnected: HTTP 503 (BTCUSDT@1h)",
        "CRITICAL No data for 40 s: HTTP 503 (BTCUSDT@1h)",
        "CRITICAL Again, 3 times since 00:12:43 UTC: Disconnected: HTTP 503 (BTCUSDT@1h)",
        "SUCCESS Connected again after 2 min 58 s (BTCUSDT@1h)",
    ]
    assert told.sent[-2].step == "again"
    assert "Since 00:18:01 UTC." in told.sent[-2].message.text
    assert "It came 3 times since 00:12:43 UTC, 2 min 58 s in all." in told.text


def test_what_happens_again_and_again_is_told_with_how_often(told: Told) -> None:
    for _ in range(15):
        told.hear(events.HeartbeatRestart(reason="RuntimeError: x"))
        told.stay(WELL, 40)
    told.stay(WELL, 1_000)
    died = "The stream died and was restarted: RuntimeError: x (BTCUSDT@1h)"
    assert told.titles == [
        f"WARNING {died}",
        f"WARNING {died}",
        "SUCCESS The stream lives (BTCUSDT@1h)",
    ]
    assert [sent.step for sent in told.sent] == ["passed", "opened", "resolved"]
    assert told.sent[1].message.text.startswith("At 00:06:00 UTC.")
    assert "It came 10 times since 00:00:00 UTC." in told.sent[1].message.text


def test_candles_that_rest_can_not_bring_are_told_but_not_those_it_is_bringing(
    told: Told,
) -> None:
    owed = replace(WELL, word="CATCHING_UP", pursued=5, missing=5)
    told.stay(owed, 1_000)
    assert told.titles == []
    told.stay(replace(owed, rest_error="HTTP 503"), 1_000)
    assert told.titles == ["WARNING Candles are missing: REST: HTTP 503 (BTCUSDT@1h)"]
    assert "5 candle(s) that are due are not on disk" in told.text
    told.hear(from_rest(5))
    told.stay(WELL, 1_000)
    (resolved,) = told.titles[1:]
    assert resolved.startswith("SUCCESS The candles are complete again")
    assert "recovered 5, still missing 0" in told.text


def test_while_nothing_is_connected_late_candles_are_no_second_trouble(told: Told) -> None:
    told.stay(replace(dark(), pursued=9, rest_error="HTTP 503"), 600)
    assert {sent.topic for sent in told.sent} == {"stream"}


def test_what_the_exchange_has_none_of_is_no_alarm(told: Told) -> None:
    told.hear(
        events.HoleConfirmed(first="2026-01-01T00:00:00Z", last="2026-01-01T02:00:00Z", candles=3)
    )
    told.stay(WELL, 100)
    (title,) = told.titles
    assert title.startswith("INFO The exchange has none of 3 candles")


def test_a_candle_that_is_lost_for_want_of_rest_is_a_warning() -> None:
    alone = Told()
    alone.stay(replace(WELL, backfill=False), 1)
    hole = events.HoleFound(first="2026-01-01T00:00:00Z", last="2026-01-01T00:00:00Z", candles=1)
    alone.hear(hole)
    alone.stay(replace(WELL, backfill=False, pursued=1, missing=1, word="RECORDING"), 100)
    (title,) = alone.titles
    assert title.startswith("WARNING 2026-01-01T00:00:00Z lost, and no REST address")


def test_a_ban_is_told_until_it_is_over(told: Told) -> None:
    told.hear(events.Banned(what="request", until="2026-01-01T00:10:00Z", reason="HTTP 418"))
    told.stay(WELL, 500)
    assert told.titles == [
        "WARNING Banned by the exchange until 2026-01-01T00:10:00Z (request) (BTCUSDT@1h)"
    ]
    told.stay(WELL, 500)
    assert told.titles[1:] == ["SUCCESS The ban is over after 10 min 00 s (BTCUSDT@1h)"]


@pytest.mark.parametrize(
    ("event", "title"),
    [
        (events.Suspended(seconds=7_200.0), "WARNING The machine slept for 2 h 00 min"),
        (events.HeldUp(seconds=45.0), "WARNING The recorder stood still for 45 s"),
        (events.ClockStepped(seconds=-90.0), "INFO The clock was changed: set back by 1 min 30 s"),
        (
            events.MemoryHigh(megabytes=300.0, limit=256.0),
            "WARNING Much memory: 300 MB are in use, over 256 MB",
        ),
        (
            events.HeartbeatRestart(reason="RuntimeError: x"),
            "WARNING The stream died and was restarted: RuntimeError: x",
        ),
    ],
)
def test_what_happens_in_a_moment_is_told_once(told: Told, event: Event, title: str) -> None:
    told.hear(event)
    told.stay(WELL, 1_000)
    assert told.titles == [f"{title} (BTCUSDT@1h)"]
    assert told.sent[0].is_heartbeat == isinstance(event, events.HeartbeatRestart)


def test_a_wrong_clock_is_told_until_it_is_right(told: Told) -> None:
    told.hear(events.ClockSkewed(seconds=3.0))
    told.stay(replace(WELL, clock_skew=3.0), 400)
    told.stay(replace(WELL, clock_skew=0.1), 400)
    assert told.titles == [
        "WARNING The clock is wrong: 3.0 s ahead of the exchange's (BTCUSDT@1h)",
        "SUCCESS The clock is right again after 6 min 40 s (BTCUSDT@1h)",
    ]


def test_a_stall_of_a_moment_in_this_process_is_not_worth_a_message(told: Told) -> None:
    told.hear(events.HeldUp(seconds=3.0))
    told.stay(WELL, 400)
    assert told.titles == []


def next_process(told: Told, elapsed: float, crash: str | None) -> Told:
    """Another process, whose monotonic clock is another one."""
    kept = msgspec.convert(msgspec.to_builtins(told.herald.memory(told.now)), Memory)
    after = Told()
    after.herald.remember(kept, after.now, elapsed)
    after.herald.begin(after.now, crash, goes_on=False)
    return after


def test_an_incident_that_was_open_at_a_kill_is_resolved_by_the_next_process(told: Told) -> None:
    told.stay(dark(), 100)
    after = next_process(told, 20.0, "killed by SIGKILL")
    after.stay(replace(dark(since=0.0), has_data=False), 30)
    after.hear(live())
    after.hear(from_rest(150))
    after.stay(WELL, 600)
    assert len(told.titles) == 2
    assert after.titles == [
        "WARNING Restarted: killed by SIGKILL (BTCUSDT@1h)",
        "SUCCESS Connected again after 2 min 30 s (BTCUSDT@1h)",
    ]
    assert "recovered 150" in after.text


def test_a_crash_loop_is_critical_and_no_stream_of_messages(told: Told) -> None:
    titles: list[str] = []
    for _ in range(30):
        told.hear(live())
        told.stay(WELL, 20)
        titles += told.titles
        told = next_process(told, 5.0, "exit code 1: no such thing")
    told.stay(WELL, 2_000)
    titles += told.titles
    critical = [title for title in titles if title.startswith("CRITICAL")]
    assert len(critical) >= 1
    assert "times within ten minutes" in critical[0]
    # 750 s of crashes, a floor of 300 s.
    assert len(titles) <= 5
    assert not any("Connected" in title for title in titles)


def test_a_clean_end_is_no_alarm_and_one_that_nobody_asked_for_is(told: Told) -> None:
    sent = told.herald.stopped("SIGTERM", 0, 0)
    assert (sent.message.level, sent.message.title) == (Level.INFO, "Stopped (BTCUSDT@1h)")
    sent = told.herald.stopped("SIGTERM", 2, 2)
    assert sent.message.level is Level.WARNING
    assert "2 candle(s) could not be written" in sent.message.text
    sent = told.herald.stopped("SIGHUP", 0, 0)
    assert sent.message.level is Level.WARNING
    assert "nobody asked for it" in sent.message.text


def test_an_exchange_that_never_answered_is_told_as_such(told: Told) -> None:
    told.stay(replace(dark("refused"), has_data=False), 20)
    assert told.titles == ["WARNING Disconnected: no data yet: refused (BTCUSDT@1h)"]


def test_no_password_of_an_address_is_told(told: Told) -> None:
    error = "wss://me:secret@host/ws?token=secret can not be reached"
    told.stay(dark(error), 100)
    told.stay(replace(WELL, rest_error=error, pursued=1, missing=1), 100)
    assert len(told.sent) == 3
    assert "secret" not in str(told.sent)


def test_what_rest_brought_before_a_sleep_was_noticed_is_counted(told: Told) -> None:
    told.hear(from_rest(5))
    told.stay(WELL, 60)
    told.hear(from_rest(55))
    told.stay(WELL, 1)
    told.hear(events.Suspended(seconds=3_600.0))
    told.hear(from_rest(5))
    told.stay(WELL, 60)
    assert "lost on the wire 60, recovered 60, still missing 0" in told.text


def test_of_a_long_reason_a_title_has_both_ends_and_the_text_all(told: Told) -> None:
    error = f"cannot open /{'long/' * 40}candles_BTCUSDT_1h.csv: No space left on device"
    told.stay(replace(WELL, word="STALLED", disk_error=error), 20)
    (title,) = told.titles
    assert "takes no candles: cannot open /long" in title
    assert "No space left on device" in title
    assert len(title) <= 150
    assert error in told.text
