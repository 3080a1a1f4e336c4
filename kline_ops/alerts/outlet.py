"""One alert channel in a thread of its own: it may fail and hang as it likes.

The rules are those of ``outbox.py``; all methods but the thread's own return at once, or in the time
that they are given.
"""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Callable
from dataclasses import dataclass

from kline_ops.alerts.message import AlertError, Channel, Level, Message
from kline_ops.alerts.outbox import Letter, Outbox, Try
from kline_ops.clock import Clock

#: Hears ``(host, reason, lost)``, in the channel's thread.
OnFailed = Callable[[str, str, int], None]

#: Seconds that a thread sleeps at the longest while something waits: a clock may have leapt.
_NAP = 1.0
_log = logging.getLogger(__name__)


class Outlet:
    """One channel, its outbox, and the thread that empties it."""

    def __init__(
        self,
        channel: Channel,
        min_level: Level,
        key: str | None,
        clock: Clock,
        on_failed: OnFailed,
    ) -> None:
        self.min_level = min_level
        self.key = key
        self.host = channel.host
        self._channel = channel
        self._clock = clock
        self._on_failed = on_failed
        # Full jitter needs no secret numbers.
        self._outbox = Outbox(random.random)
        self._under_way: Try | None = None
        self._phase = _Phase()
        #: Guards all of the above, and is never held while something is sent.
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    def figures(self) -> tuple[int, int, int]:
        """How many messages wait, how many may, and how many were lost."""
        return len(self._outbox), self._outbox.most, self._outbox.lost_ever

    def put(self, message: Message, at_ms: int) -> None:
        """Queue a message."""
        with self._changed:
            if self._phase.ending:
                return
            self._outbox.put(message, at_ms)
            self._wake()

    def withdraw(self) -> list[Letter]:
        """Give away what waits, and what is under way; nothing is sent from then on."""
        with self._changed:
            under_way = [self._under_way.letter] if self._under_way else []
            letters = under_way + self._outbox.withdraw()
            self._phase.ending = self._phase.over = True
            self._changed.notify_all()
            return letters

    def resume(self, letters: list[Letter]) -> None:
        """Queue what another process gave away."""
        with self._changed:
            self._outbox.resume(letters)
            self._wake()

    def _wake(self) -> None:
        """With the lock held: have a thread look."""
        if self._thread is None:
            thread = threading.Thread(target=self._run, name="alerts", daemon=True)
            thread.start()
            self._thread = thread
        self._changed.notify_all()

    def end(self) -> None:
        """Send what waits, until something fails, and end."""
        with self._changed:
            self._phase.ending = True
            self._outbox.hurry(self._clock.monotonic())
            self._changed.notify_all()

    def left(self, timeout: float) -> int:
        """Wait for the end; then how many messages were not delivered."""
        if self._phase.over:
            return self._outbox.lost  # the rest was given away
        if self._thread is not None:
            self._thread.join(timeout)
        with self._changed:
            self._phase.over = True
            self._changed.notify_all()
            under_way = self._under_way.letter.times if self._under_way else 0
            return len(self._outbox) + under_way + self._outbox.lost

    def _run(self) -> None:
        try:
            self._work()
        except Exception:  # noqa: BLE001 - a boundary: a fault of ours ends no channel for good
            _log.exception("the channel %s is begun anew with the next message", self._channel.host)
            with self._changed:
                self._thread = self._under_way = None

    def _work(self) -> None:
        while (attempt := self._next()) is not None:
            error = self._send(attempt.message)
            with self._changed:
                self._under_way = None
                now, failed_before = self._clock.monotonic(), self._outbox.fails
                if error is None:
                    lost = self._outbox.taken(attempt, now)
                else:
                    lost = self._outbox.failed(attempt, error, now)
                    self._phase.given_up = self._phase.ending
                if self._phase.over:
                    return
            self._tell(error, lost, failed_before=failed_before)

    def _next(self) -> Try | None:
        """What is to be sent; waits for it. None: there is nothing to be sent any more."""
        with self._changed:
            while not self._phase.given_up and not self._phase.over:
                now = self._clock.monotonic()
                attempt = self._outbox.take(now, self._clock.wall_ms())
                if attempt is not None:
                    self._under_way = attempt
                    return attempt
                if self._phase.ending and not len(self._outbox):
                    return None
                waits = len(self._outbox) > 0
                self._changed.wait(min(self._outbox.wait(now), _NAP) if waits else None)
        return None

    def _send(self, message: Message) -> AlertError | None:
        try:
            self._channel.send(message)
        except AlertError as error:
            return error
        except Exception as error:  # noqa: BLE001 - a boundary: a channel may be anybody's
            _log.debug("a channel failed", exc_info=True)
            return AlertError(f"failed: {type(error).__name__}")
        return None

    def _tell(self, error: AlertError | None, lost: int | None, *, failed_before: bool) -> None:
        host = self._channel.host
        if error is None and failed_before:
            _log.info("%s takes messages again", host)
        if lost is None:
            return
        reason = "messages were lost while it failed" if error is None else error.reason
        try:
            self._on_failed(host, reason, lost)
        except Exception:  # noqa: BLE001 - a boundary: the channel goes on
            _log.exception("a listener to failed channels failed")


@dataclass(slots=True)
class _Phase:
    """How far the end of an outlet has come."""

    #: Nothing is taken in any more.
    ending: bool = False
    #: A last try failed.
    given_up: bool = False
    #: Nobody waits for it any more.
    over: bool = False
