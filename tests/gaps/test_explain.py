"""Each kind of trouble, as the event log tells it, is the cause of the holes that it left."""

from __future__ import annotations

import pytest

from kline_ops.gaps.explain import cause_of, confirmed_absent, rest_candles
from kline_ops.gaps.history import History, history_of
from kline_ops.gaps.model import NO_CAUSE, Cause, Gap, Run
from tests.gaps.logs import (
    MINUTE,
    confirmed,
    ended,
    filled,
    gap,
    hole,
    line,
    live,
    ms,
    refused,
    started,
    stopped,
    told,
)


def why(history: History, hole: Gap) -> Cause:
    return cause_of(history, hole, MINUTE)


def repaired(second: float, what: str) -> bytes:
    return line(second, "journal_repaired", what=what, saved_to="c.torn")


def rejected(second: float, reason: str = "not JSON", **fields: float) -> bytes:
    return line(second, "frame_rejected", reason=reason, sample="{", **{"count": 1, **fields})


# -- connections ----------------------------------------------------------------------------------


def test_a_disconnect_with_its_code_and_how_long_it_was_dark() -> None:
    history = told(ended(59.0), live(62.2, 2), hole(120.1, 0, 0))
    assert why(history, gap(0)) == Cause(
        "disconnect", "disconnected (1006 reset by peer), dark for 3.2 s", 3.2, 0
    )


def test_a_disconnect_without_a_code_or_reason() -> None:
    history = told(line(59, "disconnected", connection=1), live(62, 2), hole(120.1, 0, 0))
    assert why(history, gap(0)).text == "disconnected (no reason told), dark for 3.0 s"


def test_a_frame_that_was_under_way_is_lost_with_its_connection() -> None:
    assert why(told(ended(60.9), live(61.5, 2), hole(120, 0, 0)), gap(0)).kind == "disconnect"


def test_refusals_are_counted() -> None:
    attempts = [
        refused(60 - 12 + n, n + 2, "the handshake was answered HTTP 503") for n in range(12)
    ]
    cause = why(told(ended(47), *attempts, live(67, 20), hole(120, 0, 0)), gap(0))
    first = "; first disconnected (1006 reset by peer)"
    assert cause == Cause("refused", f"HTTP 503 at each attempt (12) for 20 s{first}", 20.0)


def test_several_ways_to_be_refused() -> None:
    attempts = [
        refused(50, 2, "Connection refused"),
        refused(51, 3, "Connection refused"),
        ended(52, 4, code=1013, reason="try again later", seconds=0.01),
    ]
    cause = why(told(ended(47), *attempts, live(67, 20), hole(120, 0, 0)), gap(0))
    expected = "each attempt (3) in vain, most often Connection refused for 20 s"
    assert (cause.kind, cause.text.split(";")[0]) == ("refused", expected)
    one = why(told(ended(47), attempts[2], live(67, 20), hole(120, 0, 0)), gap(0))
    assert one.text.startswith("accepted and ended (1013 try again later), dark for 20 s; first ")


def test_what_was_in_force_at_the_first_close_is_the_cause_and_the_rest_comes_after() -> None:
    history = told(
        ended(60.5), refused(61, 2, "HTTP 503"), refused(65, 3, "HTTP 503"), live(185, 4)
    )
    cause = why(history, gap(0, 2))
    assert (cause.kind, cause.dark_seconds) == ("disconnect", 124.5)
    assert cause.text == (
        "disconnected (1006 reset by peer), dark for 2 min; then HTTP 503 at each attempt (2)"
    )


def test_a_connection_that_nothing_depended_on_is_no_cause() -> None:
    history = told(live(10, 2), ended(59), hole(120.5, 0, 0))
    assert why(history, gap(0)).text == "no close of 2026-01-27T14:00:00Z came on connection 2"


def test_attempts_beside_a_connection_that_serves_are_no_cause() -> None:
    history = told(refused(59, 2, "HTTP 503"), hole(120.5, 0, 0))
    assert why(history, gap(0)).kind == "unclosed"


def test_a_ban_is_in_force_until_its_end() -> None:
    history = told(
        ended(50),
        line(51, "banned", what="connect", until="2026-01-27T14:02:00Z", reason="HTTP 418"),
        refused(51, 2, "the handshake was answered HTTP 418"),
        live(123, 3),
        hole(180, 0, 1),
    )
    cause = why(history, gap(0, 1))
    assert cause.kind == "ban"
    assert cause.text.startswith("banned until 2026-01-27T14:02:00Z (HTTP 418), dark for 73 s")


def test_a_ban_of_rest_costs_no_candle() -> None:
    ban = line(59, "banned", what="request", until="2026-01-27T14:02:00Z", reason="HTTP 418")
    assert why(told(ban, hole(120.5, 0, 0)), gap(0)).kind == "unclosed"


# -- silence --------------------------------------------------------------------------------------


def test_silence_began_when_the_last_frame_came() -> None:
    history = told(
        line(100, "stalled", connection=1, seconds=60.0),
        live(101, 2),
        line(101, "replaced", old=1, new=2, why="stalled", overlap=0.0),
        hole(120.1, 0, 0),
    )
    assert why(history, gap(0)) == Cause(
        "silence", "nothing came on connection 1, dark for 61 s", 61.0
    )


def test_a_stream_that_is_silent_alone() -> None:
    silent = line(95, "stream_silent", connection=1, stream="btcusdt@kline_1m", seconds=40.0)
    cause = why(told(silent, hole(120.1, 0, 0)), gap(0))
    assert (cause.kind, cause.dark_seconds) == ("silence", 40.0)
    assert "btcusdt@kline_1m" in cause.text


def test_one_silent_connection_of_two_is_no_cause() -> None:
    history = told(
        live(-80, 2), line(100, "stalled", connection=1, seconds=60.0), hole(120.1, 0, 0)
    )
    assert why(history, gap(0)).kind == "unclosed"


def test_acknowledged_and_then_nothing() -> None:
    history = told(
        ended(30),
        line(31, "connected", connection=2, endpoint="ws://x"),
        line(91, "stalled", connection=2, seconds=60.0),
        ended(91, 2, code=1000, reason="connected, but no data came", seconds=60.0),
        live(92, 3),
        hole(120.1, 0, 0),
    )
    cause = why(history, gap(0))
    assert cause.kind == "silence"
    assert cause.text.startswith("connection 2 opened, and nothing came, dark for 62 s; first ")


def test_half_open_was_silent_before_it_ended() -> None:
    history = told(
        ended(84, reason="keepalive ping timeout"), live(85, 2), hole(120.1, 0, 0)
    )  # fmt: skip
    cause = why(history, gap(0))
    assert (cause.kind, cause.dark_seconds) == ("silence", 25.0)
    assert (
        cause.text == "nothing came, dark for 25 s; then disconnected (1006 keepalive ping timeout)"
    )


def test_a_stalled_connection_may_come_back_before_there_is_another() -> None:
    history = told(
        line(100, "stalled", connection=1, seconds=60.0), hole(120.1, 0, 0), live(900, 2)
    )
    cause = why(history, gap(0))
    assert (cause.kind, cause.dark_seconds) == ("silence", 80.0)


def test_a_candle_that_came_after_all_shows_that_it_was_back() -> None:
    """After a halt of the process what had come meanwhile is read, after it was called silent."""
    stalled = line(100, "stalled", connection=1, seconds=60.0)
    history = told(stalled, hole(300, 3, 3), live(310, 2))
    assert why(history, gap(3)) == Cause("unclosed", "no close of 2026-01-27T14:03:00Z came", 0.0)
    fetched = told(stalled, filled(245, 0, 2), hole(300, 3, 3), live(310, 2))
    assert why(fetched, gap(3)).kind == "silence"


# -- frames ---------------------------------------------------------------------------------------


def test_the_close_of_one_candle_did_not_come() -> None:
    history = told(hole(62.0, 0, 0), filled(62.1, 0, 0))
    cause = why(history, gap(0))
    assert cause == Cause(
        "unclosed", "no close of 2026-01-27T14:00:00Z came on connection 1", 0.0, 1
    )


def test_frames_that_could_not_be_used() -> None:
    history = told(rejected(60.2), hole(120.1, 0, 0))
    cause = why(history, gap(0))
    assert (cause.kind, cause.text) == ("rejected", "frames could not be used (not JSON)")


def test_rejects_that_were_not_told_at_once_are_told_with_the_hole() -> None:
    before = [rejected(-30), hole(-20, -1, -1)]
    history = told(*before, hole(120.1, 0, 0), rejected(120.1, count=7, seconds=9.0, ago=59.8))
    assert why(history, gap(0)).kind == "rejected"
    # The last of them came long before this candle closed.
    history = told(*before, hole(180.1, 1, 1), rejected(180.1, count=7, seconds=9.0, ago=119.0))
    assert why(history, gap(1)).kind == "unclosed"
    # Nor are those that came after it.
    later = [hole(180.1, 1, 1), hole(600.1, 8, 8), rejected(600.1, count=7, seconds=9.0, ago=50.0)]
    assert why(told(*later), gap(1)).kind == "unclosed"


def test_rejects_of_an_older_log_came_within_a_minute() -> None:
    assert why(told(hole(90, 0, 0), rejected(100, count=7)), gap(0)).kind == "rejected"


@pytest.mark.parametrize("reason", ["wrong symbol", "wrong interval", "unasked event 'trade'"])
def test_frames_that_were_never_ours_are_no_cause(reason: str) -> None:
    assert why(told(rejected(60.1, reason), hole(120, 0, 0)), gap(0)).kind == "unclosed"


def test_silence_of_frames_that_could_not_be_used() -> None:
    history = told(
        rejected(60.1),
        line(110, "stalled", connection=1, seconds=52.0),
        live(119, 2),
        hole(120.1, 0, 0),
        rejected(120.1, count=20, seconds=58.0, ago=2.0),
    )
    assert why(history, gap(0)).kind == "rejected"


# -- the process, and the machine -----------------------------------------------------------------


def test_a_crash_is_a_start_without_a_stop() -> None:
    history = told(hole(-30, -3, -3), started(190), live(192, 1), hole(240, 0, 2))
    cause = why(history, gap(0, 2))
    assert (cause.kind, cause.dark_seconds) == ("crash", 192.0)
    assert cause.text == "crash: the process ended without a word, back after 3 min"


def test_what_the_next_process_tells_before_its_start_is_no_sign_of_life() -> None:
    torn = repaired(189, "24 torn bytes after the last whole row")
    cause = why(told(torn, started(190), live(192, 1), hole(240, 0, 2)), gap(0, 2))
    assert cause.kind == "crash"
    assert "then the candle file was repaired" in cause.text


def test_what_a_hung_disk_took_into_a_crash() -> None:
    """Events went on after the close; the candle waited in memory."""
    history = told(line(100, "close_missed"), started(110), live(111), hole(120.1, 0, 0))
    assert why(history, gap(0)).kind == "crash"


def test_a_crash_has_no_part_in_what_was_told_before() -> None:
    history = told(hole(62.0, 0, 0), started(110), live(111))
    assert why(history, gap(0)).kind == "unclosed"


def test_a_stop_and_a_restart() -> None:
    history = told(stopped(58), started(64), live(65.5), hole(120.1, 0, 0))
    assert why(history, gap(0)) == Cause("restart", "restarted (SIGTERM), dark for 7.5 s", 7.5)
    history = told(stopped(58), started(7_200), live(7_201), hole(7_260, 0, 119))
    cause = why(history, gap(0, 119))
    assert cause.text == "stopped (SIGTERM), live again after 119 min"
    assert cause.kind == "stopped"


def test_a_stop_that_lasts() -> None:
    cause = why(told(stopped(58)), gap(0, 30, after=False))
    assert cause == Cause("stopped", "stopped (SIGTERM), not started again")


def test_a_session_that_had_just_begun() -> None:
    history = history_of([started(55), live(61)])
    cause = why(history, gap(0, before=False))
    assert (cause.kind, cause.text) == ("restart", "the recorder had just begun, dark for 6.0 s")


def test_refusals_after_a_crash_come_second() -> None:
    history = told(
        started(70), refused(71, 1, "HTTP 503"), refused(150, 2, "HTTP 503"), live(151, 3)
    )
    cause = why(history, gap(0, 1))
    assert cause.kind == "crash"
    assert cause.text.endswith("; then HTTP 503 at each attempt (2)")


def test_a_suspend() -> None:
    history = told(
        line(190, "suspended", seconds=150.0),
        ended(190.5),
        live(191, 2),
        hole(240.1, 0, 2),
    )
    cause = why(history, gap(0, 2))
    assert cause.kind == "suspended"
    assert cause.text.startswith("this machine was suspended for 150 s, dark for ")


def test_a_process_that_stood_still_while_the_exchange_hung_up() -> None:
    history = told(line(190, "held_up", seconds=150.0), ended(190.1), live(191, 2), hole(240, 0, 2))
    cause = why(history, gap(0, 2))
    assert (cause.kind, cause.text) == ("hung", "the process stood still for 150 s")


def test_a_short_halt_within_a_silence_is_not_its_cause() -> None:
    history = told(
        line(70, "held_up", seconds=12.0),
        line(115, "stalled", connection=1, seconds=60.0),
        live(116, 2),
        hole(120.1, 0, 0),
    )
    assert why(history, gap(0)).kind == "silence"


def test_a_planned_restart_only_where_nothing_else_is_wrong() -> None:
    handover = [
        line(55, "restart_planned", boundary="2026-01-27T14:01:00Z"),
        live(56, 2),
        line(63, "replaced", old=1, new=2, why="planned", overlap=7.0),
    ]
    assert why(told(*handover, hole(120, 0, 0)), gap(0)).kind == "restart"


# -- the disk, and the file -----------------------------------------------------------------------


def test_a_full_disk_that_took_more_than_could_wait() -> None:
    history = told(
        line(30, "disk_full", reason="no space left", waiting=1),
        line(50, "backlog_full", waiting=100),
        line(200, "disk_recovered", written=100, seconds=170.0),
        hole(200, 0, 1),
    )
    cause = why(history, gap(0, 1))
    assert cause.kind == "disk"
    assert cause.text.endswith("too many candles waited for 3 min")


def test_a_full_disk_at_the_end_of_the_process() -> None:
    full = line(30, "disk_full", reason="no space left", waiting=1)
    for end in ([stopped(100, unwritten=2)], []):
        history = told(full, *end, started(170), live(171), hole(180.1, 0, 1))
        cause = why(history, gap(0, 1))
        assert cause.kind == "disk", end
        assert "no space left" in cause.text


def test_candles_that_could_not_be_written_at_the_end() -> None:
    history = told(stopped(185, unwritten=3), started(190), live(191), hole(240, 0, 2))
    cause = why(history, gap(0, 2))
    assert cause.kind == "disk"
    assert "3 candle(s) could not be written before the end" in cause.text


def test_a_disk_that_came_back_lost_nothing() -> None:
    full = line(30, "disk_full", reason="no space left", waiting=1)
    back = line(90, "disk_recovered", written=1, seconds=60.0)
    history = told(full, ended(55), live(65, 2), back, hole(120, 0, 0))
    assert why(history, gap(0)).kind == "disconnect"


def test_a_row_that_was_on_disk_and_was_garbled() -> None:
    history = told(stopped(600), repaired(604, "1 line that is no row"), started(604), live(605))
    cause = why(history, gap(3))
    assert cause.kind == "repaired"
    assert cause.text == (
        "the candle file was repaired at 2026-01-27T14:10:04Z: 1 line that is no row"
    )


def test_a_hole_that_was_there_before_is_not_the_repairs() -> None:
    history = told(
        hole(300, 3, 3),
        stopped(600),
        repaired(604, "1 line that is no row"),
        started(604),
        live(605),
    )
    assert why(history, gap(3)).kind == "unclosed"


def test_what_was_missed_meanwhile_is_not_the_repairs() -> None:
    repair = repaired(130, "1 line that is no row")
    history = told(stopped(58), repair, started(130), live(131), hole(180, 0, 1))
    assert why(history, gap(0, 1)).text == "stopped (SIGTERM), live again after 73 s"


def test_a_file_that_was_taken_away() -> None:
    moved = repaired(300, "the file had been moved away; a new one was begun")
    assert why(told(moved), gap(0, 4, before=False)).kind == "repaired"


def test_the_candle_that_showed_that_the_line_was_live_was_not_missed() -> None:
    moved = repaired(300, "the file had been moved away; a new one was begun")
    history = told(ended(50), live(60.1, 2), moved)
    assert why(history, gap(0, 4, before=False)).kind == "repaired"
    missed = told(ended(50), live(60.1, 2), hole(120.1, 0, 0), moved)
    assert why(missed, gap(0, 4, before=False)).kind == "disconnect"


def test_torn_bytes_at_the_end_are_not_rows_of_long_before() -> None:
    torn = repaired(604, "24 torn bytes after the last whole row")
    garbled = repaired(904, "1 line that is no row")
    assert "no row" in why(told(torn, garbled), gap(3)).text
    assert why(told(torn), gap(3)).kind == "unknown"
    assert why(told(torn), gap(9)).kind == "repaired"


def test_order_and_doubles_cost_no_row() -> None:
    history = told(repaired(300, "2 doubled rows, 1 row out of order"))
    assert why(history, gap(0)).kind == "unknown"


def test_a_row_that_somebody_took_out_is_not_put_down_to_anything() -> None:
    cause = why(told(ended(500), live(501, 2)), gap(0))
    assert cause.kind == "unknown"
    assert "the row was taken out of the file later" in cause.text


# -- the exchange ---------------------------------------------------------------------------------


def test_what_the_exchange_has_none_of() -> None:
    history = told(ended(50), live(70, 2), confirmed(2000, 0, 1))
    cause = why(history, gap(0, 3))
    assert (cause.kind, cause.dark_seconds) == ("exchange", None)
    assert confirmed_absent(history, gap(0, 3), MINUTE) == (Run(ms(0), ms(60), 2),)
    assert why(history, gap(2, 3)).kind == "unknown"


def test_what_came_after_all_is_no_longer_absent() -> None:
    history = told(confirmed(2000, 0, 9), filled(2500, 4, 5), confirmed(9000, 8, 12))
    assert confirmed_absent(history, gap(2, 20), MINUTE) == (
        Run(ms(120), ms(180), 2), Run(ms(360), ms(720), 7)
    )  # fmt: skip
    assert confirmed_absent(history, gap(30, 31), MINUTE) == ()


# -- what is not known ----------------------------------------------------------------------------


def test_nothing_is_known_without_a_log() -> None:
    assert why(history_of([]), gap(0)) == NO_CAUSE


def test_before_the_log_and_after_it() -> None:
    assert why(told(), gap(-100)).text == "the event log begins at 2026-01-27T13:58:30Z only"
    assert why(told(), gap(9, after=False)).text == "the event log ends at 2026-01-27T13:58:31Z"
    assert {why(told(), each).kind for each in (gap(-100), gap(9, after=False))} == {"unknown"}


def test_a_log_that_begins_in_the_middle() -> None:
    history = history_of([ended(59, 41), live(62, 42), hole(120, 0, 0)])
    assert why(history, gap(0)).kind == "disconnect"
    crashed = history_of([live(-600, 41), started(70), live(71), hole(120, 0, 0)])
    assert why(crashed, gap(0)).kind == "crash"


def test_a_start_that_was_torn_off_is_read_all_the_same() -> None:
    history = told(live(50, 7)[:40] + started(70), live(71), hole(120, 0, 0))
    assert why(history, gap(0)).kind == "crash"


# -- clocks ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("skew", [-30, 30])
def test_a_clock_that_is_known_to_be_wrong(skew: int) -> None:
    """All times in the log are 30 s off: the trouble lies elsewhere by them than the candle."""
    history = told(
        line(-40 + skew, "clock_skewed", seconds=float(skew)),
        ended(55 + skew),
        live(65 + skew, 2),
        hole(120 + skew, 0, 0),
    )
    cause = why(history, gap(0))
    assert (cause.kind, cause.dark_seconds) == ("disconnect", 10.0)


def test_a_clock_that_was_put_right_is_right() -> None:
    history = told(
        line(-80, "clock_skewed", seconds=300.0),
        line(-70, "clock_stepped", seconds=-300.0),
        ended(200),
        live(210, 2),
        hole(120, 0, 0),
    )
    assert why(history, gap(0)).kind == "unclosed"


def test_a_clock_that_was_set_back_in_the_middle_of_things() -> None:
    history = told(ended(3_659), live(62, 2), started(30), stopped(20))
    assert why(history, gap(0)).kind in {"crash", "disconnect", "stopped", "unknown"}


# -- what came from REST --------------------------------------------------------------------------


def test_what_of_the_same_trouble_came_from_rest() -> None:
    history = told(
        ended(55), live(245, 2), hole(246, 0, 3), filled(247, 0, 1), filled(248, 3, 3),
        filled(900, 13, 13),
    )  # fmt: skip
    cause = why(history, gap(2))
    assert (cause.kind, cause.dark_seconds, cause.recovered) == ("disconnect", 190.0, 3)


def test_candles_of_a_span_that_came_from_rest() -> None:
    history = told(filled(700, 0, 9), filled(800, 20, 20), filled(900, 30, 39, candles=3))
    count = [
        rest_candles(history, ms(60 * first), ms(60 * last))
        for first, last in [(0, 9), (5, 9), (5, 7), (10, 19), (0, 20), (-9, 99), (30, 39), (20, 20)]
    ]
    assert count == [10, 5, 3, 0, 11, 14, 3, 1]


def test_what_came_twice_counts_once() -> None:
    history = told(filled(700, 0, 9), filled(9_000, 0, 9), filled(9_000, 5, 12))
    assert rest_candles(history, ms(0), ms(7_200)) == 13


def test_nothing_came_from_rest() -> None:
    assert rest_candles(told(), ms(0), ms(600)) == 0
