"""The terminal of a recorder: its keys, and the dashboard or plain log lines.

A key that ends the recording is asked for twice where a supervisor keeps it running; elsewhere one press
is enough, and Ctrl+C while it is ending forces the end.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import signal
import sys
from functools import partial
from types import FrameType
from typing import TYPE_CHECKING

from kline_ops.clock import Clock
from kline_ops.observe.dashboard.confirm import Answer, SecondPress, prompts
from kline_ops.observe.dashboard.lines import ConsoleLines
from kline_ops.observe.keys import Keys
from kline_ops.service import Session

if TYPE_CHECKING:
    from kline_ops.observe.dashboard.screen import Screen

#: Seconds between two frames.
_EVERY = 0.5
#: Ctrl+C sooner (s) than that after the first one is the same press: some send it twice (timeout(1)).
_SAME_PRESS = 0.5
#: What a shell says of a process that SIGINT has ended.
_FORCED = 130
_CTRL_C = {signal.SIGINT: "Ctrl+C", signal.SIGQUIT: "Ctrl+\\"}

_log = logging.getLogger(__name__)


class Pane:
    """Hand :attr:`console` to the log; :meth:`begin` when the terminal is ours; :meth:`close`.

    Args:
        supervised: who ends it by accident has ended it for good: ask twice.
        plain: log lines, whatever the terminal can do.
    """

    def __init__(self, clock: Clock, *, supervised: bool, plain: bool) -> None:
        self.console = ConsoleLines(sys.stdout)
        self._clock = clock
        self._supervised = supervised
        self._plain = plain
        self._keys = Keys()
        self._second = SecondPress(needed=supervised)
        self._screen: Screen | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._ending_since: float | None = None

    def begin(self, session: Session) -> None:
        """Take the terminal, if there is one and it is ours."""
        self._session = session
        self._keys.listen(
            {
                "q": partial(self._press, "q"),
                "F10": partial(self._press, "F10"),
                "d": self._disconnect,
                "r": self._renew,
                **{name: partial(self._press, name) for name in _CTRL_C.values()},
            }
        )
        if self._keys.listening and not self._plain:
            self._screen = _new_screen(self.console)
        # All that is there now stays: looking through it for garbage would hold everything up for 25 ms.
        gc.freeze()
        if self._screen is not None:
            self._screen.start()
            asyncio.get_running_loop().add_signal_handler(signal.SIGWINCH, self._show)
            self._tick()

    def signalled(self, number: signal.Signals, session: Session) -> None:
        """A signal came: from the keyboard, where there is one, or from somebody else."""
        if number in _CTRL_C and self._keys.listening and self._supervised:
            self._keys.take(_CTRL_C[number])
        elif number in _CTRL_C and self._supervised and sys.stdin.isatty():
            _log.warning("%s while the processes change: press it again", _CTRL_C[number])
        else:
            self._end(session, number.name)

    def close(self) -> None:
        """Give the terminal back as it was, with the last words on it."""
        if self._timer is not None:
            self._timer.cancel()
        if self._screen is not None:
            asyncio.get_running_loop().remove_signal_handler(signal.SIGWINCH)
            self._screen.close(self._farewell())
        self._keys.close()

    # -- what a key does --------------------------------------------------------------------------

    def _disconnect(self) -> None:
        _log.warning("key d: cutting the connection off")
        self._session.drop()

    def _renew(self) -> None:
        _log.info("key r: opening a successor of the connection")
        self._session.renew()

    def _press(self, key: str) -> None:
        """A key that ends it."""
        if self._second.press(key, self._clock.monotonic()) is Answer.CONFIRMED:
            self._end(self._session, f"key {key}")
        elif self._screen is None or not self._screen.is_on:
            _log.warning("%s", prompts(key, _leave())[0])
        self._show()

    def _end(self, session: Session, reason: str) -> None:
        if self._ending_since is not None:
            return
        self._ending_since = self._clock.monotonic()
        session.stop(reason)
        if self._keys.listening and not self._supervised:
            # Not on the event loop: that is what may hang by then.
            asyncio.get_running_loop().remove_signal_handler(signal.SIGINT)
            signal.signal(signal.SIGINT, self._force)

    def _force(self, _number: int, _frame: FrameType | None) -> None:
        if self._clock.monotonic() - (self._ending_since or 0.0) < _SAME_PRESS:
            return
        with contextlib.suppress(Exception):
            self.close()
        os._exit(_FORCED)

    # -- the dashboard ----------------------------------------------------------------------------

    def _tick(self) -> None:
        self._show()
        if self._screen is not None and self._screen.is_on:
            self._timer = asyncio.get_running_loop().call_later(_EVERY, self._tick)

    def _show(self) -> None:
        if self._screen is None or not self._screen.is_on:
            return
        key = self._second.asking(self._clock.monotonic())
        try:
            snapshot = self._session.snapshot()
        except Exception:  # noqa: BLE001 - the boundary between recording and what looks at it
            _log.exception("the dashboard failed; plain log lines from here on")
            self._screen.close()
        else:
            self._screen.show(snapshot, () if key is None else prompts(key, _leave()))

    def _farewell(self) -> str:
        """What stays on the terminal: the log's last line, and what is on disk."""
        last = [line.whole for line in self.console.last()[-1:]]
        with contextlib.suppress(Exception):  # the terminal is given back, whatever is wrong
            state = self._session.snapshot().state
            if state["status"] == "stopped":
                told = state["metadata"]
                last.append(f"{told['session']} has ended; {told['on_disk']:,} candles are on disk")
        return "".join(f"{line}\n" for line in last)


def _leave() -> str | None:
    return "Ctrl+B D" if "TMUX" in os.environ else None


def _new_screen(lines: ConsoleLines) -> Screen | None:
    """A dashboard, where the terminal that gives us its keys also takes our output, and can draw."""
    try:
        if not sys.stdout.isatty() or not os.path.sameopenfile(0, 1):
            return None
        # Only who draws pays for it.
        from kline_ops.observe.dashboard.look import look_of
        from kline_ops.observe.dashboard.screen import Screen
        from kline_ops.observe.dashboard.terminal import Terminal

        look = look_of(os.environ)
        return None if look is None else Screen(Terminal(), look, lines)
    except (OSError, ValueError, AttributeError):
        return None  # no terminal that could be opened: plain lines will do
