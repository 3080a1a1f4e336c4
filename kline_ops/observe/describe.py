"""Each event as a line for people, and how much it matters."""

from __future__ import annotations

import logging

from kline_ops import events
from kline_ops.events import Event

DEBUG, INFO, WARNING, ERROR = logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR


def describe(event: Event) -> tuple[int, str]:  # noqa: C901, PLR0911, PLR0912, PLR0915 - a table of texts
    """The level and the text."""
    match event:
        case events.SessionStarted() as e:
            told = f"session {e.name}: {e.symbol} {e.interval} into {e.csv} (pid {e.pid})"
            return INFO, told + (", taken over" if e.live else "")
        case events.SessionStopped() as e:
            lost = f", {e.unwritten} candle(s) not written" if e.unwritten else ""
            return (ERROR if lost else INFO), f"stopped: {e.reason}{lost}"
        case events.HandedOver() as e:
            return INFO, f"pid {e.pid} made way for a fresh process"
        case events.ProcessEnded() as e:
            how = e.signal or f"exit code {e.code}"
            level = INFO if e.code == 0 else ERROR
            return level, f"the {e.role} (pid {e.pid}) ended after {e.seconds:.0f} s: {how}"
        case events.CrashLoop() as e:
            return (
                ERROR,
                f"{e.crashes} crashes within ten minutes ({e.reason}); slower from here on",
            )
        case events.RenewalFailed() as e:
            return ERROR, f"no change to a fresh process: {e.reason}"
        case events.MemoryHigh() as e:
            return WARNING, f"{e.megabytes:.0f} MB of memory are in use, over {e.limit:.0f} MB"
        case events.Connected() as e:
            return DEBUG, f"connection {e.connection}: open to {e.endpoint}"
        case events.Live() as e:
            return INFO, f"connection {e.connection}: live after {e.seconds:.2f} s ({e.endpoint})"
        case events.Disconnected(seconds=None) as e:
            return WARNING, f"connection {e.connection}: cannot connect to {e.endpoint}: {e.reason}"
        case events.Disconnected() as e:
            return WARNING, f"connection {e.connection}: ended, {e.code} {e.reason}"
        case events.AttemptsExhausted() as e:
            return ERROR, f"{e.attempts} attempts in a row brought no data: {e.reason}; going on"
        case events.HeartbeatRestart() as e:
            return ERROR, f"the feed died ({e.reason}); a fresh one takes over"
        case events.RestartPlanned() as e:
            return INFO, f"planned restart at {e.boundary}: opening the successor"
        case events.RestartSkipped() as e:
            why = "not connected" if e.seconds is None else f"live for {e.seconds:.1f} s only"
            return INFO, f"planned restart at {e.boundary} skipped: {why}"
        case events.Replaced() as e:
            return INFO, f"connection {e.new} replaced {e.old} ({e.why}), overlap {e.overlap:.2f} s"
        case events.Stalled() as e:
            return WARNING, f"connection {e.connection}: silent for {e.seconds:.0f} s"
        case events.CloseMissed() as e:
            then = "subscribing anew" if e.strikes == 1 else "replacing it"
            return (
                WARNING,
                f"connection {e.connection}: no close of {e.open_time} ({e.stream}); {then}",
            )
        case events.StreamSilent() as e:
            silent = f"{e.stream} silent for {e.seconds:.0f} s though it trades"
            return WARNING, f"connection {e.connection}: {silent}; subscribing anew"
        case events.EndpointChanged() as e:
            return WARNING, f"data comes from {e.new} now, not from {e.old}"
        case events.BreakerOpened() as e:
            return WARNING, f"{e.endpoint}: {e.failures} attempts without data: {e.reason}"
        case events.BreakerClosed() as e:
            return INFO, f"{e.endpoint}: data for a while again"
        case events.ConnectDelayed() as e:
            return (
                WARNING,
                f"{e.endpoint}: the next attempt waits {e.seconds:.0f} s (attempt budget)",
            )
        case events.ShutdownNotice() as e:
            return WARNING, f"connection {e.connection}: the exchange announces a shutdown"
        case events.HoleFound() as e:
            return WARNING, f"missing: {_span(e.first, e.last, e.candles)}"
        case events.HoleFilled() as e:
            return INFO, f"filled from {e.source}: {_span(e.first, e.last, e.candles)}"
        case events.HoleConfirmed() as e:
            return WARNING, f"the exchange has none of: {_span(e.first, e.last, e.candles)}"
        case events.BackfillFailed() as e:
            return WARNING, f"REST: {e.reason}; asking again"
        case events.MarketClosed() as e:
            return WARNING, f"{e.symbol} does not trade at the exchange now ({e.status}); waiting"
        case events.Banned() as e:
            return ERROR, f"banned by the exchange ({e.what}) until {e.until}: {e.reason}"
        case events.FrameRejected() as e:
            return WARNING, f"{e.count} frame(s) rejected: {e.reason}; such as {e.sample!r}"
        case events.CandleConflict() as e:
            return WARNING, f"candle {e.open_time} seen twice: kept {e.kept}, not {e.seen}"
        case events.CandleAmended() as e:
            return WARNING, f"candle {e.open_time} was amended: kept {e.kept}, now {e.seen}"
        case events.JournalRepaired() as e:
            return WARNING, f"candle file repaired: {e.what} ({e.saved_to})"
        case events.DiskFull() as e:
            return ERROR, f"{e.reason}; {e.waiting} candle(s) wait in memory"
        case events.BacklogFull() as e:
            return ERROR, f"{e.waiting} candles wait for the disk; more are left to REST"
        case events.DiskRecovered() as e:
            return INFO, f"the disk is back after {e.seconds:.0f} s: {e.written} candle(s) written"
        case events.Suspended() as e:
            return WARNING, f"this machine was suspended for {e.seconds:.0f} s; catching up"
        case events.HeldUp() as e:
            return WARNING, f"this process stood still for {e.seconds:.1f} s"
        case events.ClockStepped() as e:
            where = "forward" if e.seconds > 0 else "back"
            return WARNING, f"this machine's clock was set {where} by {abs(e.seconds):.1f} s"
        case events.ClockSkewed() as e:
            where = "ahead of" if e.seconds > 0 else "behind"
            told = f"this machine's clock is {abs(e.seconds):.1f} s {where} the exchange's"
            return WARNING, f"{told}; candles are not affected"
        case events.Alerted() as e:
            return DEBUG, f"told ({e.level}): {e.title}"
        case events.AlertFailed() as e:
            lost = f"; {e.lost} are lost" if e.lost else ""
            return WARNING, f"{e.host} could not be told: {e.reason}{lost}"
        case events.Recorded() as e:
            return DEBUG, f"recorded {_span(e.first, e.last, e.candles)} from {e.source}"
        case _:
            return INFO, event.kind


def _span(first: str, last: str, candles: int) -> str:
    return first if candles == 1 else f"{first} to {last}, {candles} candles"
