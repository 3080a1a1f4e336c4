"""What a feed does next: which connection to open, and which to let go. Pure.

The only move is *replace*: a connection that is to go keeps delivering until a successor has
delivered every stream; then it drains across the close that is near, and is closed when the candles
of that close are on disk. A planned restart, a stall, missed closes, the 24 h limit and a shutdown
notice are all that one move, with a reason. A connection that ends by itself is replaced too, only
without overlap.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from kline_ops import events
from kline_ops.feed.attempts import LASTING, Attempts
from kline_ops.feed.happenings import (
    Action,
    Ask,
    Close,
    Delivered,
    Ended,
    Happening,
    Missed,
    Open,
    Opened,
    Replace,
    Resubscribe,
    Settled,
    Tell,
    Tick,
    Witnessed,
)
from kline_ops.feed.link import Link
from kline_ops.feed.silence import Silence
from kline_ops.feed.states import State, Turn, turn
from kline_ops.market import timestamp

#: The exchange cuts a connection after 24 h ("General information", WebSocket Streams).
_MAX_AGE = 23.5 * 3600
#: A close this near (s) is waited for with both connections; a farther one is the successor's alone.
_NEAR = 15.0
STALLED = "stalled"
MISSED = "missed closes"
AGED = "24 h limit"
SHUTDOWN = "server shutdown"
BETTER = "a better address"
#: Reasons to close the old connection as soon as there is another: it brings nothing anyway.
_USELESS = frozenset({STALLED})


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds. ``linger``: how long after a close a draining connection may stay."""

    stall: float = 60.0
    proof: float = 10.0
    linger: float = 5.0


class Plan:
    """The rules of a feed with ``want`` connections. Not for sharing between feeds."""

    def __init__(
        self,
        streams: Iterable[str],
        near_close: Callable[[int, float], int],
        *,
        attempts: Attempts,
        timing: Timing,
        want: int = 1,
        last_number: int = 0,
    ) -> None:
        self._streams = frozenset(streams)
        #: (now in ms, near in s) → the close to stay for: the next one if near, else the last one.
        self._near_close = near_close
        self.attempts = attempts
        self._endpoints = attempts.endpoints
        self._timing = timing
        self._want = want
        self._silence = Silence(timing.stall, timing.proof)
        self._settled_before_ms = 0
        #: The number of the newest connection: they go on from here.
        self.last_number = last_number
        self.links: dict[int, Link] = {}

    def advance(self, happening: Happening, now: float, now_ms: int) -> list[Action]:
        """Take in what happened; answer what to do. ``now`` monotonic, ``now_ms`` the exchange's."""
        actions: list[Action] = []
        match happening:
            case Opened(number):
                actions += self._opened(self.links[number], now)
            case Delivered(number, stream, closed_ms):
                told = self._delivered(self.links[number], stream, closed_ms, now, now_ms)
                if not told:
                    return told  # by far the most frequent: it changes nothing but what was heard
                actions += told
            case Ended():
                actions += self._ended(happening, now)
            case Replace(why, number):
                actions += self._doom(why, number, now)
            case Settled(before_ms):
                self._settled_before_ms = before_ms
            case Missed(stream, open_ms, close_ms):
                actions += self._missed(stream, open_ms, close_ms, now)
            case Witnessed(stream, traded):
                self._silence.answer(stream, traded, now)
                actions += self._look(now, now_ms)
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
        times.append(self._silence.next_at(self.links.values(), self._streams))
        staying = self._staying()
        if len(staying) < self._want:
            times.append(self.attempts.retry_at)
        elif self._may_probe(staying):
            times.append(self._endpoints.better_at(_in_use(staying), self._want))
        return min(times)

    def _deadlines(self, link: Link) -> list[float]:
        """When time alone brings something about for this connection, but for silence.

        Each is looked at by the same sum: a difference rounds otherwise, and would wake up without end.
        """
        if link.state is State.DRAINING:
            return [link.deadline] if self._is_served() else []
        if link.state is State.OPEN:
            return [link.proof_at] if link.heard and link.proof_at is not None else []
        if link.state is State.LIVE and link.live_at is not None:
            lasting = [] if link.lasted else [link.live_at + LASTING]
            return [*lasting, link.began + _MAX_AGE] if link.why is None else lasting
        return []

    def live(self) -> list[Link]:
        """The connections that deliver."""
        return [x for x in self.links.values() if x.state in {State.LIVE, State.DRAINING}]

    def retry_in(self, now: float) -> float:
        """Seconds until the next attempt; 0 while none is to be made, or has to wait."""
        if len(self._staying()) >= self._want:
            return 0.0
        return max(0.0, self.attempts.retry_at - now)

    def excused_at(self) -> float | None:
        """When REST said last that the market is quiet (monotonic seconds)."""
        return self._silence.excused_at()

    # -- one method a happening -------------------------------------------------------------------

    def _opened(self, link: Link, now: float) -> list[Action]:
        link.state = turn(link.state, Turn.OPENED)
        link.opened_at = link.heard_at = now
        link.proof_at = now + self._timing.proof
        seconds = round(now - link.began, 3)
        told = events.Connected(connection=link.number, endpoint=link.endpoint, seconds=seconds)
        return [Tell(told)]

    def _delivered(
        self, link: Link, stream: str, closed_ms: int | None, now: float, now_ms: int
    ) -> list[Action]:
        link.hear(stream, now, closed_ms)
        if link.state is State.OPEN and not link.closing and self._proved(link, now):
            return self._went_live(link, now, now_ms)
        return []

    def _proved(self, link: Link, now: float) -> bool:
        """Every stream has delivered; those that are silent everywhere hold nothing up for long."""
        silent = self._streams.difference(link.heard)
        if not silent:
            return True
        since = link.opened_at or now
        if not link.heard or now < since + self._timing.proof:
            return False
        others = [other for other in self.links.values() if other is not link]
        return not any(other.heard.get(name, 0.0) >= since for other in others for name in silent)

    def _went_live(self, link: Link, now: float, now_ms: int) -> list[Action]:
        link.state = turn(link.state, Turn.PROVED)
        link.live_at, link.live_ms = now, now_ms
        seconds = round(now - link.began, 3)
        told = events.Live(connection=link.number, endpoint=link.endpoint, seconds=seconds)
        across_ms = self._near_close(now_ms, _NEAR)
        ahead = max(0.0, (across_ms - now_ms) / 1000.0)
        if link.probe:
            self._make_room(link)
        for old in self._replaceable(link):
            old.state = turn(old.state, Turn.REPLACED)
            old.successor = link.number
            old.across_ms = across_ms
            old.deadline = now + ahead + self._timing.linger
        return [Tell(told), *map(Tell, self._endpoints.went_live(link.endpoint, now))]

    def _make_room(self, probe: Link) -> None:
        """A better address delivers: one of those that serve from elsewhere may go."""
        probe.probe = False
        serving = [x for x in self.links.values() if x is not probe and x.why is None]
        surplus = [x for x in serving if x.state in {State.OPEN, State.LIVE} and not x.probe]
        if len(surplus) >= self._want:
            # The one at the worst place: an address of the second row, or one that is in use twice.
            stays = self._endpoints.stays
            min(surplus, key=lambda x: stays(x.endpoint, self._want)).why = BETTER

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
            replaced = events.Replaced(
                old=link.number,
                new=link.successor,
                why=link.why or "",
                overlap=round(now - since, 3),
            )
            return [Tell(replaced)]
        if link.closing:
            ended = replace(ended, reason="connected, but no data came")
        told = events.Disconnected(
            connection=link.number,
            endpoint=link.endpoint,
            code=ended.code,
            reason=ended.reason,
            seconds=None if link.opened_at is None else round(now - link.opened_at, 3),
        )
        counted = self.attempts.ended(link, ended.reason, now, lasting=ended.lasting)
        return [Tell(told), *map(Tell, counted)]

    def _doom(self, why: str, number: int | None, now: float) -> list[Action]:
        actions: list[Action] = []
        for link in self.links.values():
            meant = number is None or link.number == number
            if meant and link.why is None and link.state in {State.OPEN, State.LIVE}:
                actions += self._let_replace(link, why, now)
        return actions

    def _let_replace(self, link: Link, why: str, now: float) -> list[Action]:
        link.why = why
        link.probe = False
        told = self.attempts.note_lasting(link, now)
        ours = why == events.PLANNED and link.state is State.LIVE
        if not link.lasted and not ours:
            # To go before it has worked for a while is one more attempt that failed.
            told += self.attempts.failed(link, why, now)
        return [*map(Tell, told)]

    def _missed(self, stream: str, open_ms: int, close_ms: int, now: float) -> list[Action]:
        """A close that did not come: the stream is subscribed anew; the next time, replaced."""
        actions: list[Action] = []
        for link in self.links.values():
            if not link.missed(stream, open_ms, close_ms):
                continue
            strikes = link.strike(stream)
            told = events.CloseMissed(
                connection=link.number,
                stream=stream,
                open_time=timestamp.to_text(open_ms),
                strikes=strikes,
            )
            actions.append(Tell(told))
            if strikes == 1:
                actions.append(Resubscribe(link.number, stream))
            else:
                actions += self._let_replace(link, MISSED, now)
        return actions

    def _look(self, now: float, now_ms: int) -> list[Action]:
        """What time alone brings about."""
        actions: list[Action] = []
        for link in list(self.links.values()):
            if link.state is State.OPEN and not link.closing:
                if link.proof_at is not None and now >= link.proof_at:
                    link.proof_at = None
                if self._proved(link, now):
                    actions += self._went_live(link, now, now_ms)
            elif link.state is State.LIVE:
                actions += map(Tell, self.attempts.note_lasting(link, now))
                if link.why is None and now >= link.began + _MAX_AGE:
                    link.why = AGED
        links = self.links.values()
        if now < self._silence.next_at(links, self._streams):
            return actions
        actions += map(Ask, self._silence.to_ask(links, self._streams, now))
        for link in list(links):
            if link.is_watched:
                actions += self._judge(link, now)
        return actions

    def _judge(self, link: Link, now: float) -> list[Action]:
        """What a silent connection, or a silent stream of it, brings upon itself."""
        dead = self._silence.dead(link, self._streams, now)
        if self._silence.is_mute(link, self._streams, now) or (dead and not link.heard):
            return self._stalled(link, now)
        if dead and now >= max(link.heard.values()) + self._timing.stall / 2:
            return self._stalled(link, now)
        actions: list[Action] = []
        for stream in dead:
            self._silence.forgive(stream, now)
            if link.strike(stream) > 1:
                return actions + self._stalled(link, now)
            seconds = round(now - link.heard.get(stream, link.opened_at or now), 3)
            told = events.StreamSilent(connection=link.number, stream=stream, seconds=seconds)
            actions += [Tell(told), Resubscribe(link.number, stream)]
        return actions

    def _stalled(self, link: Link, now: float) -> list[Action]:
        seconds = round(now - link.heard_at, 3)
        told = Tell(events.Stalled(connection=link.number, seconds=seconds))
        if link.state is State.OPEN:
            return [told, *self._close(link)]
        return [told, *self._let_replace(link, STALLED, now)]

    # -- what follows from where things stand -----------------------------------------------------

    def _let_go(self, now: float) -> list[Action]:
        actions: list[Action] = []
        if not self._is_served():
            # The successor has died meanwhile: what drains is all there is, and goes on.
            return actions
        for link in self.links.values():
            if link.state is State.DRAINING and not link.closing:
                settled = link.across_ms < self._settled_before_ms
                if settled or now >= link.deadline or link.why in _USELESS:
                    actions += self._close(link)
        return actions

    def _is_served(self) -> bool:
        return any(link.state is State.LIVE for link in self.links.values())

    def _close(self, link: Link) -> list[Action]:
        link.closing = True
        return [Close(link.number)]

    def _staying(self) -> list[Link]:
        return [
            link
            for link in self.links.values()
            if link.why is None and link.state is not State.DRAINING and not link.probe
        ]

    def _may_probe(self, staying: list[Link]) -> bool:
        """Only beside connections that serve, and one probe at a time."""
        quiet = all(link.state is State.LIVE and link.lasted for link in staying)
        return quiet and not any(link.probe for link in self.links.values())

    def _reach_out(self, now: float) -> list[Action]:
        actions: list[Action] = []
        staying = self._staying()
        while len(staying) < self._want and now >= self.attempts.retry_at:
            actions.append(self._open(now, self._endpoints.choose(now, _in_use(staying))))
            staying = self._staying()
        if len(staying) >= self._want and self._may_probe(staying):
            better = self._endpoints.better(now, _in_use(staying), self._want)
            if better is not None:
                self._endpoints.began(better, now)
                actions.append(self._open(now, better, probe=True))
        return actions

    def _open(self, now: float, endpoint: str, *, probe: bool = False) -> Open:
        self.last_number += 1
        self.links[self.last_number] = Link(self.last_number, now, endpoint, probe=probe)
        return Open(self.last_number)


def _in_use(links: list[Link]) -> set[str]:
    return {link.endpoint for link in links}
