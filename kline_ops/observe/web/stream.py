"""Events for whoever listens: the last ones, numbered, and a bounded queue for each listener. Pure.

A number holds for one process: ``1767225600000-17`` is the 17th of the process that began then. Whoever
comes back with the number of another process has missed all that this one tells. A listener that falls
behind is let go; it may come back, and say where it was. Server-sent events are lines of text: see
"Server-sent events" in the HTML standard.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator

#: Events that are kept for who comes back.
KEPT = 500
#: Whoever has so many waiting is too slow.
MOST_WAITING = 1000
#: Listeners at a time.
MOST_LISTENERS = 32

PING = b": ping\n\n"


def framed(kind: str, data: bytes, number: str = "") -> bytes:
    """One server-sent event; ``data`` is one line."""
    head = f"event: {kind}\nid: {number}\n" if number else f"event: {kind}\n"
    return b"%sdata: %s\n\n" % (head.encode(), data)


class Listener:
    """One client. ``wake`` is called when there is something for it."""

    def __init__(self, wake: Callable[[], None], missed: Iterator[bytes]) -> None:
        self._wake = wake
        self._events = deque(missed)
        #: The newest of what is of no use when it is old, by kind.
        self._latest: dict[str, bytes] = {}
        #: It was too slow, or the session ends.
        self.is_dropped = self.is_over = False

    def tell(self, kind: str, frame: bytes) -> bool:
        """Put it in the queue; False: it was full, and the client is let go."""
        self._latest.pop(kind, None)  # what was shown of it is older
        if len(self._events) >= MOST_WAITING:
            self._events.clear()
            self._latest.clear()
            self.is_dropped = True
        else:
            self._events.append(frame)
        self._wake()
        return not self.is_dropped

    def show(self, kind: str, frame: bytes) -> None:
        """What replaces the one before, if that still waits."""
        self._latest[kind] = frame
        self._wake()

    def end(self) -> None:
        """No more will come; what waits is still told."""
        self.is_over = True
        self._wake()

    @property
    def is_empty(self) -> bool:
        """Does nothing wait, and is no end near?"""
        return not (self._events or self._latest or self.is_dropped or self.is_over)

    def take(self) -> bytes:
        """All that waits."""
        taken = b"".join((*self._events, *self._latest.values()))
        self._events.clear()
        self._latest.clear()
        return taken


class Stream:
    """What happened lately, and who wants to know.

    Args:
        began: tells this process from others: when it began (milliseconds).
        on_dropped: a listener was let go.
    """

    def __init__(self, began: int, on_dropped: Callable[[], None] = lambda: None) -> None:
        self._began = began
        self._on_dropped = on_dropped
        self._next = 1
        self._kept: deque[tuple[int, str, bytes]] = deque(maxlen=KEPT)
        self._listeners: set[Listener] = set()
        self._is_closed = False

    @property
    def listeners(self) -> int:
        """So many listen."""
        return len(self._listeners)

    @property
    def has_room(self) -> bool:
        """May another one listen?"""
        return len(self._listeners) < MOST_LISTENERS and not self._is_closed

    def tell(self, kind: str, data: bytes, *, keep: bool = True) -> None:
        """Something happened; ``data`` is one line of JSON. ``keep``: for who comes back, too."""
        number = ""
        if keep:
            number = f"{self._began}-{self._next}"
            self._kept.append((self._next, kind, data))
            self._next += 1
        if not self._listeners:
            return
        frame = framed(kind, data, number)
        for listener in tuple(self._listeners):
            if not listener.tell(kind, frame):
                self._listeners.discard(listener)
                self._on_dropped()

    def show(self, kind: str, data: bytes) -> None:
        """How something stands now: of no use to who comes later, and replaced by the next."""
        frame = framed(kind, data)
        for listener in self._listeners:
            listener.show(kind, frame)

    def listen(self, wake: Callable[[], None], since: str = "") -> Listener:
        """From now on; ``since``: the last number that it has, and what came after is told first."""
        missed = self._missed(since) if since else iter(())
        listener = Listener(wake, missed)
        self._listeners.add(listener)
        return listener

    def leave(self, listener: Listener) -> None:
        """It listens no more."""
        self._listeners.discard(listener)

    def last(self, limit: int) -> list[bytes]:
        """The last events, oldest first: a line of JSON each."""
        return [data for _, _, data in self._kept][-limit:]

    def close(self) -> None:
        """The end: for all who listen, and whoever comes."""
        self._is_closed = True
        for listener in self._listeners:
            listener.end()
        self._listeners.clear()

    def _missed(self, since: str) -> Iterator[bytes]:
        began, _, told = since.partition("-")
        is_ours = began == str(self._began) and told.isdecimal() and len(told) < 20
        last = int(told) if is_ours else 0
        for number, kind, data in self._kept:
            if number > last:
                yield framed(kind, data, f"{self._began}-{number}")
