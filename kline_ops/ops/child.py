"""A process that a supervisor has started: what it says, and what it tells through its pipe.

Through the pipe a successor tells that it delivers, or why it does not yet: each a line.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections import deque

from kline_ops import events
from kline_ops.events import Event
from kline_ops.ops.voice import Voice
from kline_ops.secret import redacted

#: Tells a successor which descriptor to write to once it delivers.
SUCCESSOR_VARIABLE = "KLINE_OPS_SUCCESSOR"
#: Set where whoever reads there knows a reason from that: an older one takes any word for the latter.
REASONS_VARIABLE = "KLINE_OPS_SUCCESSOR_REASONS"
_LIVE = "1"
#: Of a reason so many characters: a pipe takes 4096 bytes whole, or not at all (pipe(7)).
_LONGEST = 200
_LAST_LINES = 20
_PIECE = 65536


class Child:
    """A process, and the last it said. ``began`` in monotonic seconds, ``told``: its pipe."""

    def __init__(
        self, process: subprocess.Popen[bytes], began: float, voice: Voice, told: int
    ) -> None:
        self._voice = voice
        assert process.stderr is not None  # noqa: S101 - started so
        self.process = process
        self.stderr = process.stderr
        self.told = told
        self.began = began
        self.last_lines: deque[str] = deque(maxlen=_LAST_LINES)
        #: Why it does not deliver, as it has told.
        self.trouble = ""
        self._part = b""

    def hear(self) -> bool:
        """Show what it wrote to its error output and remember its end; False once that is closed."""
        piece = os.read(self.stderr.fileno(), _PIECE)
        *lines, self._part = (self._part + piece).split(b"\n")
        if not piece:
            lines, self._part = [self._part], b""
        for line in lines:
            text = redacted(line.decode("utf-8", "replace").rstrip())
            if text:
                self.last_lines.append(text)
                self._voice.say(text)
        return bool(piece)

    def is_live(self) -> bool | None:
        """Does it deliver, by what it has just told? None: it tells no more."""
        piece = os.read(self.told, _PIECE)
        lines = piece.decode("utf-8", "replace").splitlines()
        if _LIVE in lines:
            return True
        if lines:
            self.trouble = redacted(lines[-1])
        return False if piece else None

    @property
    def last_word(self) -> str:
        """What it said last; where it said nothing, what it has told."""
        return self.last_lines[-1] if self.last_lines else self.trouble


class Teller:
    """The other end of the pipe, in the successor. It never waits: whoever reads may be suspended."""

    def __init__(self, descriptor: int, *, reasons: bool) -> None:
        self._fd = descriptor
        self._reasons = reasons
        self._is_over = False
        with contextlib.suppress(OSError):
            os.set_blocking(descriptor, False)

    def live(self) -> None:
        """It delivers: the other one is to make way."""
        if not self._is_over:
            self._say(_LIVE)
            self._is_over = True
            with contextlib.suppress(OSError):
                os.close(self._fd)

    def hear(self, event: Event) -> None:
        """Of its feed: what keeps it from delivering."""
        if not self._reasons:
            return
        if isinstance(event, events.Disconnected):
            self._say(event.reason)
        elif isinstance(event, events.Connected):
            self._say("connected, and nothing came")

    def _say(self, text: str) -> None:
        if not self._is_over:
            line = " ".join(text.split())[:_LONGEST]
            with contextlib.suppress(OSError):  # nobody waits any more: we are told to end
                os.write(self._fd, f"{line}\n".encode("utf-8", "replace"))
