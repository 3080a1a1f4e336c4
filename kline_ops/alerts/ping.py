"""A dead man's switch: an address that is asked while all is well, and that tells when nobody asks.

Source: Healthchecks.io, "Pinging API": any GET is a sign of life.
"""

from __future__ import annotations

import logging
import threading

from kline_ops.alerts.outlet import OnFailed
from kline_ops.alerts.post import host_of, request
from kline_ops.clock import Clock, SystemClock
from kline_ops.secret import Secret

#: What was said is believed for so many times ``every``: an event loop that hangs says nothing more.
_BELIEVED = 3.0
_log = logging.getLogger(__name__)


class Ping:
    """Asks ``url`` at once and then every so often, as long as :meth:`complete` says that all is there.

    Its thread asks; a switch that does not answer holds nobody up. A failure is told once, and its end
    is logged, with no more of the address than the host.

    Args:
        url: what is asked, by GET.
        every: seconds between two pings. Nothing is asked when :meth:`complete` was not called for three
            times as long.
        clock: what tells the time; this machine's clocks by default.
        on_failed: called with ``(host, reason, 0)`` in its thread when it begins to fail. Without it the
            log is told.

    Raises:
        AlertError: the address is none.
    """

    def __init__(
        self,
        url: Secret,
        every: float = 60.0,
        *,
        clock: Clock | None = None,
        on_failed: OnFailed | None = None,
    ) -> None:
        self.host = host_of(url.reveal())
        self._url = url
        self._every = every
        self._clock = clock or SystemClock()
        self._on_failed = on_failed or _tell_log
        self._complete = False
        self._said_at = 0.0
        self._pinged_at: float | None = None
        self._ended = False
        self._problem = ""
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="ping", daemon=True)

    def start(self) -> None:
        """Begin, once."""
        self._thread.start()

    def complete(self, is_complete: bool) -> None:  # noqa: FBT001 - the word says it
        """Say whether nothing owed is missing now. Returns at once; from any thread."""
        with self._changed:
            self._complete = is_complete
            self._said_at = self._clock.monotonic()
            self._changed.notify_all()

    def ask(self) -> str:
        """Ask once, now: what is wrong with the answer, empty where nothing is. Ten seconds at most."""
        return request("GET", self._url.reveal()).problem

    def close(self) -> None:
        """Ask nothing more. Does not wait for what is being asked."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def _run(self) -> None:
        while self._is_due():
            problem = self.ask()
            if bool(problem) != bool(self._problem):
                self._tell(problem)
            self._problem = problem

    def _tell(self, problem: str) -> None:
        if not problem:
            _log.info("the dead man's switch is reached again: %s", self.host)
            return
        try:
            self._on_failed(self.host, f"the dead man's switch {problem}", 0)
        except Exception:  # noqa: BLE001 - a boundary: the asking goes on
            _log.exception("a listener to the dead man's switch failed")

    def _is_due(self) -> bool:
        """Wait until a ping is due; False at the end."""
        with self._changed:
            while not self._ended:
                now = self._clock.monotonic()
                believed = self._complete and now - self._said_at < _BELIEVED * self._every
                rest = 0.0 if self._pinged_at is None else self._pinged_at + self._every - now
                if believed and rest <= 0.0:
                    self._pinged_at = now
                    return True
                self._changed.wait(rest if believed else None)
        return False


def _tell_log(host: str, reason: str, _lost: int) -> None:
    _log.warning("%s: %s", host, reason)
