"""What tmux runs: keeps a recorder running, and writes down how each run of it ended.

The rules are those of ``care.py``; this is the shell around them. The recorder has the terminal's
foreground and owns the keys; this process passes SIGTERM and SIGHUP on, changes to a fresh recorder
at SIGUSR1, and puts the terminal right after a kill. Exit codes 0 and 2 are final: a clean end, or an
error that a restart would only repeat.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType

from kline_ops import events
from kline_ops.clock import Clock
from kline_ops.errors import EXIT_GOOD, EXIT_USAGE, SessionError
from kline_ops.events import Event
from kline_ops.market import timestamp
from kline_ops.observe.event_log import append_event
from kline_ops.ops import care, children, handover
from kline_ops.ops.care import Care, Role, how
from kline_ops.ops.child import REASONS_VARIABLE, SUCCESSOR_VARIABLE, Child
from kline_ops.ops.voice import Voice
from kline_ops.watch.evidence import end_in_registry
from kline_ops.watch.files import Json, write_json
from kline_ops.watch.registry import find_session, folder, note_end

#: Tells the recorder who keeps it, for the registry.
KEEPER_VARIABLE = "KLINE_OPS_KEEPER"
#: Sent to a supervisor: change to a fresh recorder.
RENEW = signal.SIGUSR1
FINAL = frozenset({EXIT_GOOD, EXIT_USAGE})
#: The code of a process that could not be started, as a shell says it.
_NOT_STARTED = 127
_PIECE = 65536
#: What is noted of an end beside its file; of the reason so many characters.
_NOTED = ("code", "signal", "at", "final", "orphaned")
_REASON = 160


class Supervisor:
    """Runs one command until it ends for good: :meth:`listen`, then :meth:`run`.

    Args:
        command: asked for before each start: a config may have changed.
        final: exit codes after which it is not started again.
        renewable: the command knows how to take over from its predecessor (see ``care.py``).
    """

    def __init__(
        self,
        name: str,
        command: Callable[[], Sequence[str]],
        exit_file: Path,
        events_file: Path,
        clock: Clock,
        *,
        final: frozenset[int] = FINAL,
        renewable: bool = True,
    ) -> None:
        #: Where what a fresh process is to have in its environment may lie (see ``handover.py``); once
        #: it has taken over, those after it have it, too.
        self.handed: Path | None = None
        #: What the successor has of it.
        self._given: dict[str, str] = {}
        self._name = name
        self._command = command
        self._exit_file = exit_file
        self._events_file = events_file
        self._clock = clock
        self._care = Care(final, renewable=renewable)
        self._renewable = renewable
        self._children: dict[Role, Child] = {}
        self._selector = selectors.DefaultSelector()
        self._voice = Voice(2)
        self._pending: deque[care.Happening] = deque()
        self._starts = 0
        self._code: int | None = None
        self._stopping = False
        self._last: Child | None = None
        #: The last word of a successor that has ended.
        self._why = ""
        #: Its terminal went away (the tmux server was killed): nobody asked it to end.
        self._orphaned = False

    def run(self) -> int:
        """The exit code of the last run; 128 + n after signal n, as a shell says it."""
        children.adopt_orphans()
        self._terminal = children.Terminal()
        self._advance(care.Tick())
        while self._code is None:
            self._wait()
            self._reap()
            while self._pending:
                self._advance(self._pending.popleft())
            self._advance(care.Tick())
        children.end_what_is_left()
        return self._code if self._code >= 0 else 128 - self._code

    def listen(self) -> None:
        """Be ready for signals; before that, one would end this process."""
        reading, writing = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
        self._selector.register(reading, selectors.EVENT_READ, lambda: os.read(reading, _PIECE))
        # Keys of the terminal are the recorder's. What is ignored here would be so in a child, too.
        for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGCHLD):
            signal.signal(number, lambda *_: None)
        for number in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._told_to_stop)
        signal.signal(RENEW, lambda *_: self._pending.append(care.Renew()))

    def _told_to_stop(self, number: int, _frame: FrameType | None) -> None:
        self._orphaned |= number == signal.SIGHUP and not self._stopping
        self._stopping = True
        self._pending.append(care.Stop(signal.Signals(number)))

    def _wait(self) -> None:
        """Until something happens, or is due."""
        wake_at = self._care.wake_at()
        left = None if wake_at is None else max(0.0, wake_at - self._clock.monotonic())
        if self._pending:
            left = 0.0
        for key, _ in self._selector.select(left):
            key.data()

    def _reap(self) -> None:
        for ended in children.reap():
            for role, child in list(self._children.items()):
                if child.process.pid == ended.pid:
                    self._take_end(role, child, ended.code)

    def _take_end(self, role: Role, child: Child, code: int) -> None:
        child.process.returncode = code
        children.send(child.process.pid, signal.SIGKILL)  # what it has left behind in its group
        self._hush(child)
        lasted = self._clock.monotonic() - child.began
        reason = child.last_lines[-1] if child.last_lines else ""
        self._tell(
            events.ProcessEnded(
                role=role.value if self._renewable else "command",
                pid=child.process.pid,
                code=code if code >= 0 else None,
                signal=how(code) if code < 0 else None,
                seconds=round(lasted, 3),
                reason=reason,
            )
        )
        if role is Role.MAIN:
            self._terminal.restore()
        else:
            self._why = child.last_word
        self._last = child
        del self._children[role]
        self._advance(care.Ended(role, code, lasted))

    def _advance(self, happening: care.Happening) -> None:
        for action in self._care.advance(happening, self._clock.monotonic()):
            self._carry_out(action)

    def _carry_out(self, action: care.Action) -> None:
        match action:
            case care.Start(role):
                self._start(role)
            case care.Signal(role, number):
                self._signal(role, number)
            case care.Promote():
                os.environ.update(self._given)
                self._children[Role.MAIN] = child = self._children.pop(Role.SUCCESSOR)
                self._terminal.lend(child.process.pid)
            case care.Crashed(code, delay, escalate):
                self._write_exit(code, self._clock.wall_ms() + int(delay * 1000))
                self._terminal.clear()
                self._voice.say(
                    f"{self._name} ended ({how(code)}); starting it again in {delay:g} s"
                )
                if escalate:
                    self._tell(events.CrashLoop(crashes=escalate, reason=how(code)))
            case care.GaveUp(reason):
                why, self._why = self._why.removeprefix("kline-ops: "), ""
                self._tell(events.RenewalFailed(reason=f"{reason}: {why}" if why else reason))
            case care.Final(code):
                self._write_exit(code, None)
                if code < 0:
                    self._terminal.clear()
                self._code = code

    def _start(self, role: Role) -> None:
        self._starts += 1
        given = handover.take(self.handed) if self.handed is not None else {}
        environ = {**os.environ, **given, KEEPER_VARIABLE: str(os.getpid())}
        told, tells = os.pipe2(os.O_CLOEXEC)
        if role is Role.SUCCESSOR:
            environ |= {SUCCESSOR_VARIABLE: str(tells), REASONS_VARIABLE: "1"}
            self._why = ""
            self._given = given
        else:
            os.environ.update(given)
        try:
            lent = self._terminal if role is Role.MAIN else None
            process = children.spawn(self._command(), environ, (tells,), lent)
        except OSError as error:
            self._voice.say(f"cannot start the recorder: {error.strerror}")
            os.close(told)
            self._pending.append(care.Ended(role, _NOT_STARTED, 0.0))
            return
        finally:
            os.close(tells)
        child = self._children[role] = Child(process, self._clock.monotonic(), self._voice, told)
        self._selector.register(told, selectors.EVENT_READ, lambda: self._hear_live(child))
        self._selector.register(child.stderr, selectors.EVENT_READ, lambda: self._hear(child))

    def _signal(self, role: Role, number: signal.Signals) -> None:
        successor, child = self._children.get(Role.SUCCESSOR), self._children.get(role)
        if number == care.MAKE_WAY and successor is not None:
            # Before the old one lets go of the file, from when on the terminal is the new one's, too.
            self._terminal.lend(successor.process.pid)
        if child is not None:  # else it could not be started, which is about to be told
            children.send(child.process.pid, number)

    def _hear(self, child: Child) -> None:
        if not child.hear():
            self._selector.unregister(child.stderr)

    def _hush(self, child: Child) -> None:
        """Read what it said last. A descendant that holds its error output is not waited for."""
        os.set_blocking(child.stderr.fileno(), False)
        with contextlib.suppress(BlockingIOError):
            while child.hear():
                pass
        with contextlib.suppress(KeyError):  # closed before
            self._selector.unregister(child.stderr)
        child.stderr.close()

    def _hear_live(self, child: Child) -> None:
        """It delivers, or why not. Only of a successor that is one still anybody wants to know."""
        is_live = child.is_live()
        if is_live and self._children.get(Role.SUCCESSOR) is child:
            self._pending.append(care.Live())
        if is_live is not False:
            self._selector.unregister(child.told)
            os.close(child.told)

    def _tell(self, event: Event) -> None:
        try:
            append_event(self._events_file, event, self._clock)
        except OSError as error:
            self._voice.say(f"cannot write {self._events_file}: {error.strerror}")

    def _write_exit(self, code: int, next_start_ms: int | None) -> None:
        last_lines = list(self._last.last_lines) if self._last is not None else []
        told: Json = {
            "name": self._name,
            "code": code if code >= 0 else None,
            "signal": how(code) if code < 0 else None,
            "at": timestamp.to_text(self._clock.wall_ms()),
            "final": next_start_ms is None,
            "orphaned": self._orphaned,
            "next_start": None if next_start_ms is None else timestamp.to_text(next_start_ms),
            "starts": self._starts,
            "reason": last_lines[-1] if last_lines else "",
            "last_lines": last_lines,
        }
        try:
            write_json(self._exit_file, told)
        except OSError as error:
            self._voice.say(f"cannot write {self._exit_file}: {error.strerror}")
        if next_start_ms is None:
            self._note_end(told)

    def _note_end(self, told: Json) -> None:
        """In the registry as well, in few words: the disk of the other file may take nothing."""
        brief = {key: told[key] for key in _NOTED} | {"reason": str(told["reason"])[:_REASON]}
        try:
            session = find_session(self._name)
            by_hand = (end_in_registry(session) or {}).get("by_hand")
            if session.keeper_pid == os.getpid() and not by_hand:
                note_end(session, brief)
        except SessionError:
            return  # it was never registered
        except OSError:
            self._voice.say(f"cannot write down in {folder()} how {self._name} ended")
