"""What a feed does next: which connection to open, and which to let go. Pure.

The only move is *replace*: a connection that is to go keeps delivering until a successor has
delivered every stream; then it drains across the close that is near, and is closed when the candles
of that close are on disk. A planned restart, a stall, the 24 h limit and a shutdown notice are all
that one move, with a reason. A connection that ends by itself is replaced too, only without overlap.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from kline_ops import events
from kline_ops.events import Event
from kline_ops.feed.states import EFFORT, Effort, Outcome, State, Turn, turn
from kline_ops.resilience import Backoff

#: The exchange cuts a connection after 24 h ("General information", WebSocket Streams).
_MAX_AGE = 23.5 * 3600
#: Data for this long is a connection that works; less than this is a flap.
_LASTING = 10.0
#: A close this near (s) is waited for with both connections; a farther one is the successor's alone.
_NEAR = 15.0

STALLED = "stalled"
AGED = "24 h limit"
SHUTDOWN = "server shutdown"


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds. ``linger``: how long after a close a draining connection may stay."""

    stall: float = 60.0
    proof: float = 10.0
    linger: float = 5.0


# What happens. Times in ``_ms`` are the exchange's.


@dataclass(frozen=True, slots=True)
class Opened:
    """A handshake succeeded."""

    link: int


@dataclass(frozen=True, slots=True)
class Delivered:
    """A stream brought a usable message through this connection."""

    link: int
    stream: str


@dataclass(frozen=True, slots=True)
class Ended:
    """A connection is over; ``code`` is None where there was no handshake."""

    link: int
    code: int | None
    reason: str


@dataclass(frozen=True, slots=True)
class Replace:
    """Let a successor take over, for this reason: from one connection, or (None) from all."""

    why: str
    link: int | None = None


@dataclass(frozen=True, slots=True)
class Settled:
    """Every candle that closes before this moment is on disk, or not to be had."""

    before_ms: int


@dataclass(frozen=True, slots=True)
class Tick:
    """Time has passed."""


Happening = Opened | Delivered | Ended | Replace | Settled | Tick


# What to do.


@dataclass(frozen=True, slots=True)
class Open:
    """Open a connection under this number."""

    link: int


@dataclass(frozen=True, slots=True)
class Close:
    """Close a connection; its end will be reported as :class:`Ended`."""

    link: int


@dataclass(frozen=True, slots=True)
class Tell:
    """Emit an event."""

    event: Event


Action = Open | Close | Tell


@dataclass(slots=True)
class Link:
    """One connection, as the plan sees it. Times are monotonic seconds."""

    number: int
    began: float
    state: State = State.CONNECTING
    opened_at: float | None = None
    live_at: float | None = None
    #: When silent streams no longer hold up the proof; None once that was looked at.
    proof_at: float | None = None
    heard_at: float = 0.0
    heard: dict[str, float] = field(default_factory=dict)
    #: It has been live for a while: that is counted once, not again with every second it lives.
    lasted: bool = False
    #: Why a successor is to take over; None while nobody wants that.
    why: str | None = None
    #: DRAINING: closed when everything that closes up to here is settled, or at the deadline.
    across_ms: int = 0
    deadline: float = 0.0
    successor: int = 0
    closing: bool = False


class Plan:
    """The rules of a feed with ``want`` connections. Not for sharing between feeds."""

    def __init__(
        self,
        streams: Iterable[str],
        near_close: Callable[[int, float], int],
        *,
        endpoint: str,
        backoff: Backoff,
        timing: Timing,
        draw: Callable[[], float],
        want: int = 1,
    ) -> None:
        self._streams = frozenset(streams)
        #: (now in ms, near in s) → the close to stay for: the next one if near, else the last one.
        self._near_close = near_close
        self._endpoint = endpoint
        self._backoff = backoff
        self._timing = timing
        self._draw = draw
        self._want = want
        self._settled_before_ms = 0
        self._numbers = 0
        self.links: dict[int, Link] = {}
        self.effort = Effort.STEADY
        self.failures = 0
        self.retry_at = 0.0

    def advance(self, happening: Happening, now: float, now_ms: int) -> list[Action]:
        """Take in what happened; answer what to do. ``now`` monotonic, ``now_ms`` the exchange's."""
        actions: list[Action] = []
        match happening:
            case Opened(number):
                actions += self._opened(self.links[number], now)
            case Delivered(number, stream):
                actions += self._delivered(self.links[number], stream, now, now_ms)
            case Ended():
                actions += self._ended(happening, now)
            case Replace(why, number):
                actions += self._doom(why, number, now)
            case Settled(before_ms):
                self._settled_before_ms = before_ms
            case Tick():
                actions += self._look(now, now_ms)
        return actions + self._let_go(now) + self._reach_out(now)

    def wake_at(self) -> float:
        """When to call :meth:`advance` with a :class:`Tick` at the latest (monotonic seconds)."""
        times = [
            time
            for link in self.links.values()
            if not link.closing
            for time in self._deadlines(link)
        ]
        if self._lacking() > 0:
            times.append(self.retry_at)
        return min(times, default=float("inf"))

    def _deadlines(self, link: Link) -> list[float]:
        """When time alone brings something about for this connection."""
        stall = self._timing.stall
        if link.state is State.DRAINING:
            return [link.deadline] if self._is_served() else []
        if link.state is State.OPEN and link.opened_at is not None:
            proof = [link.proof_at] if link.heard and link.proof_at is not None else []
            return [link.opened_at + stall, *proof]
        if link.state is State.LIVE and link.live_at is not None:
            lasting = [] if link.lasted else [link.live_at + _LASTING]
            staying = [link.heard_at + stall, link.began + _MAX_AGE] if link.why is None else []
            return lasting + staying
        return []

    def live(self) -> list[Link]:
        """The connections that deliver."""
        return [x for x in self.links.values() if x.state in {State.LIVE, State.DRAINING}]

    # -- one method a happening -------------------------------------------------------------------

    def _opened(self, link: Link, now: float) -> list[Action]:
        link.state = turn(link.state, Turn.OPENED)
        link.opened_at = link.heard_at = now
        link.proof_at = now + self._timing.proof
        return [Tell(events.Connected(connection=link.number, endpoint=self._endpoint))]

    def _delivered(self, link: Link, stream: str, now: float, now_ms: int) -> list[Action]:
        link.heard_at = link.heard[stream] = now
        if link.state is State.OPEN and not link.closing and self._proved(link, now):
            return self._went_live(link, now, now_ms)
        return []

    def _proved(self, link: Link, now: float) -> bool:
        """Every stream has delivered; those that are silent everywhere hold nothing up for long."""
        silent = self._streams - link.heard.keys()
        if not silent:
            return True
        since = link.opened_at or now
        if not link.heard or now - since < self._timing.proof:
            return False
        others = [other for other in self.links.values() if other is not link]
        return not any(other.heard.get(name, 0.0) >= since for other in others for name in silent)

    def _went_live(self, link: Link, now: float, now_ms: int) -> list[Action]:
        link.state = turn(link.state, Turn.PROVED)
        link.live_at = now
        seconds = round(now - link.began, 3)
        told = events.Live(connection=link.number, endpoint=self._endpoint, seconds=seconds)
        across_ms = self._near_close(now_ms, _NEAR)
        ahead = max(0.0, (across_ms - now_ms) / 1000.0)
        for old in self._replaceable(link):
            old.state = turn(old.state, Turn.REPLACED)
            old.successor = link.number
            old.across_ms = across_ms
            old.deadline = now + ahead + self._timing.linger
        return [Tell(told)]

    def _replaceable(self, successor: Link) -> list[Link]:
        """What may go now: one for one, and all that are to go once there are enough others."""
        if successor.why is not None:
            return []
        leaving = [x for x in self.links.values() if x.why and x.state in {State.OPEN, State.LIVE}]
        staying = [x for x in self.links.values() if x.why is None and x.state is State.LIVE]
        return leaving if len(staying) >= self._want else leaving[:1]

    def _ended(self, ended: Ended, now: float) -> list[Action]:
        link = self.links.pop(ended.link)
        was = link.state
        link.state = turn(link.state, Turn.ENDED)
        if was is State.DRAINING and (link.closing or self._is_served()):
            successor = self.links.get(link.successor)
            since = now if successor is None or successor.live_at is None else successor.live_at
            told: Event = events.Replaced(
                old=link.number,
                new=link.successor,
                why=link.why or "",
                overlap=round(now - since, 3),
            )
            return [Tell(told)]
        told = events.Disconnected(
            connection=link.number,
            endpoint=self._endpoint,
            code=ended.code,
            reason=ended.reason,
            seconds=None if link.opened_at is None else round(now - link.opened_at, 3),
        )
        return [Tell(told), *self._count_attempt(link, ended.reason, now)]

    def _count_attempt(self, link: Link, reason: str, now: float) -> list[Action]:
        self._note_lasting(link, now)
        if link.lasted:
            # It worked: the next attempt may be at once, unless others are failing already.
            if self.effort is Effort.STEADY:
                self.retry_at = now
            return []
        return self._count_failure(reason, now)

    def _count_failure(self, reason: str, now: float) -> list[Action]:
        self.effort = EFFORT[self.effort, Outcome.FAILED]
        self.failures += 1
        self.retry_at = now + self._backoff.wait(self.failures, self._draw)
        if self.failures == self._backoff.max_attempts:
            return [Tell(events.AttemptsExhausted(attempts=self.failures, reason=reason))]
        return []

    def _note_lasting(self, link: Link, now: float) -> None:
        if link.lasted or link.live_at is None or now - link.live_at < _LASTING:
            return
        link.lasted = True
        self.effort = EFFORT[self.effort, Outcome.LASTED]
        self.failures = 0

    def _doom(self, why: str, number: int | None, now: float) -> list[Action]:
        actions: list[Action] = []
        for link in self.links.values():
            meant = number is None or link.number == number
            if meant and link.why is None and link.state in {State.OPEN, State.LIVE}:
                link.why = why
                self._note_lasting(link, now)
                ours = why == events.PLANNED and link.state is State.LIVE
                if not link.lasted and not ours:
                    # To go before it has worked for a while is one more attempt that failed.
                    actions += self._count_failure(why, now)
        return actions

    def _look(self, now: float, now_ms: int) -> list[Action]:
        """What time alone brings about."""
        actions: list[Action] = []
        for link in list(self.links.values()):
            if link.state is State.OPEN and link.opened_at is not None and not link.closing:
                if link.proof_at is not None and now >= link.proof_at:
                    link.proof_at = None
                if self._proved(link, now):
                    actions += self._went_live(link, now, now_ms)
                elif now - link.opened_at >= self._timing.stall:
                    actions += self._stalled(link, now)
                    actions += self._close(link)
            elif link.state is State.LIVE and link.live_at is not None:
                self._note_lasting(link, now)
                if link.why is None and now - link.heard_at >= self._timing.stall:
                    link.why = STALLED
                    actions += self._stalled(link, now)
                if link.why is None and now - link.began >= _MAX_AGE:
                    link.why = AGED
        return actions

    def _stalled(self, link: Link, now: float) -> list[Action]:
        seconds = round(now - link.heard_at, 3)
        return [Tell(events.Stalled(connection=link.number, seconds=seconds))]

    # -- what follows from where things stand -----------------------------------------------------

    def _let_go(self, now: float) -> list[Action]:
        actions: list[Action] = []
        if not self._is_served():
            # The successor has died meanwhile: what drains is all there is, and goes on.
            return actions
        for link in self.links.values():
            if link.state is State.DRAINING and not link.closing:
                settled = link.across_ms < self._settled_before_ms
                if settled or now >= link.deadline or link.why == STALLED:
                    actions += self._close(link)
        return actions

    def _is_served(self) -> bool:
        return any(link.state is State.LIVE for link in self.links.values())

    def _close(self, link: Link) -> list[Action]:
        link.closing = True
        return [Close(link.number)]

    def _lacking(self) -> int:
        staying = [
            link
            for link in self.links.values()
            if link.why is None and link.state is not State.DRAINING
        ]
        return self._want - len(staying)

    def _reach_out(self, now: float) -> list[Action]:
        actions: list[Action] = []
        while self._lacking() > 0 and now >= self.retry_at:
            self._numbers += 1
            self.links[self._numbers] = Link(self._numbers, began=now)
            actions.append(Open(self._numbers))
        return actions
