"""Streams that bring nothing: is their market quiet, or is the connection dead? Pure.

A silent stream proves nothing by itself. After half of the stall time-out REST is asked as a
witness: has the market traded since? If it has not, the stream is excused for as long again. If it
has, the stream is given a moment more, as an answer of REST may be quicker than the stream, and is
dead then. Where REST can not tell, the stall time-out decides. What another connection brings of
the same stream is a witness too.
"""

from __future__ import annotations

from collections.abc import Iterable

from kline_ops.feed.link import Link
from kline_ops.feed.states import State

#: Seconds that the stream may be behind REST.
_BEHIND = 3.0
_NEVER = float("inf")


class Silence:
    """Of all connections of a feed. ``stall`` and ``proof`` in seconds, ``now`` monotonic.

    ``proof`` is the deadline for the first frame of a new connection.
    """

    def __init__(self, stall: float, proof: float) -> None:
        self._stall = stall
        self._proof = proof
        self._behind = min(_BEHIND, stall / 8)
        #: By stream: when REST was asked and has not answered yet, when it may be asked again,
        #: when it said that nothing traded, and when that something did.
        self._asked: dict[str, float] = {}
        self._again: dict[str, float] = {}
        self._excused: dict[str, float] = {}
        self._accused: dict[str, float] = {}

    def since(self, link: Link, stream: str) -> float:
        """From when on this stream owes a sign of life through this connection."""
        heard = link.heard.get(stream, link.opened_at or 0.0)
        return max(heard, self._excused.get(stream, heard))

    def excused_at(self) -> float | None:
        """When REST said last that a market is quiet."""
        return max(self._excused.values(), default=None)

    def to_ask(self, links: Iterable[Link], streams: Iterable[str], now: float) -> list[str]:
        """The streams that are suspect now and whose market is not known; they count as asked."""
        watched, found = [link for link in links if link.is_watched], []
        for stream in streams:
            silent = [x for x in watched if now >= self._suspect_at(x, stream)]
            if not silent or stream in self._asked or now < self._again.get(stream, now):
                continue
            if all(self.since(x, stream) < self._accused.get(stream, 0.0) for x in silent):
                continue  # it is known that it trades
            since = min(self.since(link, stream) for link in silent)
            if any(x.heard.get(stream, 0.0) > since + self._behind for x in watched):
                self._accused[stream] = now
                continue
            self._asked[stream] = now
            found.append(stream)
        return found

    def answer(self, stream: str, traded: bool | None, now: float) -> None:  # noqa: FBT001 - an answer
        """REST said whether the market has traded since the stream was heard; None: it can not tell."""
        self._asked.pop(stream, None)
        if traded is None:
            self._again[stream] = now + max(self._behind, self._stall / 16)
        elif traded:
            self._accused[stream] = now
        else:
            self._excused[stream] = now

    def forgive(self, stream: str, now: float) -> None:
        """Something was done about it: it has as long again."""
        self._accused.pop(stream, None)
        self._excused[stream] = now

    def dead(self, link: Link, streams: Iterable[str], now: float) -> list[str]:
        """The streams of a watched connection that bring nothing though their market trades."""
        return [s for s in streams if now >= self._dead_at(link, s)]

    def is_mute(self, link: Link, streams: Iterable[str], now: float) -> bool:
        """Has nothing at all come through it for the stall time-out, and no excuse?"""
        return now >= self._mute_at(link, streams)

    def next_at(self, links: Iterable[Link], streams: Iterable[str]) -> float:
        """When to look again at the latest."""
        soonest, streams = _NEVER, tuple(streams)
        for link in links:
            if not link.is_watched:
                continue
            soonest = min(soonest, self._mute_at(link, streams))
            for stream in streams:
                at = self._dead_at(link, stream)
                if at == _NEVER and stream not in self._asked:
                    suspect = self._suspect_at(link, stream)
                    at = max(suspect, self._again.get(stream, suspect))
                soonest = min(soonest, at)
        return soonest

    def _suspect_at(self, link: Link, stream: str) -> float:
        patience = self._stall / 2
        if link.state is State.OPEN and not link.heard:
            patience = min(patience, self._proof)
        return self.since(link, stream) + patience

    def _dead_at(self, link: Link, stream: str) -> float:
        accused = self._accused.get(stream)
        if accused is None or accused <= self.since(link, stream):
            return _NEVER
        return max(accused + self._behind, self._suspect_at(link, stream))

    def _mute_at(self, link: Link, streams: Iterable[str]) -> float:
        last = 0.0
        for stream in streams:
            last = max(last, self.since(link, stream))
        return last + self._stall
