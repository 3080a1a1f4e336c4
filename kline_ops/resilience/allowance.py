"""What one venue still allows this machine's address: attempts, request weight, bans. Pure.

Source: Binance spot API, "WebSocket Limits" (300 connection attempts in 5 minutes per IP) and "IP
Limits" (6000 request weight a minute; 429, then 418 and a ban of 2 minutes to 3 days).

``now_ms`` is this machine's wall clock, as processes share it. It may be stepped: a ban lasts at most
as long as it was told, and a bucket never holds more than its capacity.
"""

from __future__ import annotations

import math
from typing import Annotated, Literal, NamedTuple

import msgspec

from kline_ops.resilience.rate_limiter import RateLimiter

What = Literal["connect", "request"]

#: Any 5 minutes hold at most twice this many attempts: 280 of the 300 that are allowed.
_ATTEMPTS, _ATTEMPTS_SECONDS = 140, 300.0
_MINUTE_MS = 60_000
#: 80 % of 6000: others may share the address, and our minute is not quite the exchange's.
WEIGHT_PER_MINUTE = 4800
_LONGEST_BAN = 3 * 86_400.0

#: What a damaged file may hold beyond this is no count.
_Count = Annotated[int, msgspec.Meta(ge=0, le=1 << 53)]


class Usage(NamedTuple):
    """How much of an allowance is used, as far as is known."""

    weight: int
    weight_limit: int
    #: Attempts that the bucket has not given back yet, and how many it holds.
    attempts: int
    attempts_limit: int
    #: Until when (wall milliseconds) something is to be left alone; 0: nothing is.
    banned_until_ms: int


class Ban(msgspec.Struct, frozen=True):
    """Nobody tries before ``until_ms``; ``seconds`` is what was told."""

    until_ms: _Count
    seconds: float

    def at(self, now_ms: int) -> Ban:
        """The same ban by a clock that may have been stepped back since."""
        seconds = min(max(self.seconds, 0.0), _LONGEST_BAN)
        return Ban(min(self.until_ms, now_ms + round(seconds * 1000)), seconds)


class Allowance(msgspec.Struct):
    """The books of one venue, as they stand in ``budget.json``. Waits are in seconds; 0.0: go on."""

    attempts_left: float = float(_ATTEMPTS)
    attempts_at_ms: _Count = 0
    minute: _Count = 0
    weight: _Count = 0
    bans: dict[What, Ban] = msgspec.field(default_factory=dict)

    def connect(self, now_ms: int) -> float:
        """Count a connection attempt, if it may begin now."""
        if wait := self.banned(now_ms, "connect"):
            return wait
        bucket = self._bucket(now_ms)
        wait = bucket.take(now_ms / 1000)
        self.attempts_left, self.attempts_at_ms = bucket.tokens(now_ms / 1000), now_ms
        return wait

    def request(self, weight: int, now_ms: int, limit: int = WEIGHT_PER_MINUTE) -> float:
        """Count a request of this weight, if it may be sent now within ``limit`` a minute."""
        if wait := self.banned(now_ms, "request"):
            return wait
        self._turn(now_ms)
        if self.weight and self.weight + weight > limit:
            return ((self.minute + 1) * _MINUTE_MS - now_ms) / 1000
        self.weight += weight
        return 0.0

    def used(self, weight: int, now_ms: int) -> None:
        """The exchange counted so much in its minute; others behind our address are in it."""
        self._turn(now_ms)
        self.weight = max(self.weight, weight)

    def refused(self, what: What, seconds: float, now_ms: int) -> None:
        """The exchange told us to stay away for so long. A longer ban is not shortened."""
        told = Ban(now_ms + round(min(max(seconds, 0.0), _LONGEST_BAN) * 1000), seconds).at(now_ms)
        known = self.bans.get(what)
        if known is None or known.at(now_ms).until_ms < told.until_ms:
            self.bans[what] = told

    def banned(self, now_ms: int, what: What) -> float:
        """Seconds that a ban still lasts."""
        ban = self.bans.get(what)
        if ban is None:
            return 0.0
        # Kept as cut: by a clock that was stepped back it would begin anew with each look.
        self.bans[what] = ban = ban.at(now_ms)
        if ban.until_ms <= now_ms:
            del self.bans[what]
            return 0.0
        return (ban.until_ms - now_ms) / 1000

    def usage(self, now_ms: int, limit: int = WEIGHT_PER_MINUTE) -> Usage:
        """What of it is used now."""
        self._turn(now_ms)
        used = _ATTEMPTS - self._bucket(now_ms).tokens(now_ms / 1000)
        bans = [ban.at(now_ms).until_ms for ban in self.bans.values()]
        until_ms = max((until for until in bans if until > now_ms), default=0)
        return Usage(self.weight, limit, math.ceil(used), _ATTEMPTS, until_ms)

    def idle(self, now_ms: int) -> bool:
        """Nothing in it counts any more."""
        full = self._bucket(now_ms).tokens(now_ms / 1000) >= _ATTEMPTS
        now_minute = now_ms // _MINUTE_MS
        return (
            full
            and self.minute != now_minute
            and not any(self.banned(now_ms, what) for what in list(self.bans))
        )

    def join(self, other: Allowance, now_ms: int) -> None:
        """Take over what another book of the same venue knows: of each, what allows less."""
        self.attempts_left = min(
            self._bucket(now_ms).tokens(now_ms / 1000), other._bucket(now_ms).tokens(now_ms / 1000)
        )
        self.attempts_at_ms = now_ms
        self.used(other.weight if other.minute == now_ms // _MINUTE_MS else 0, now_ms)
        for what, ban in other.bans.items():
            known = self.bans.get(what)
            if known is None or known.at(now_ms).until_ms < ban.at(now_ms).until_ms:
                self.bans[what] = ban.at(now_ms)

    def _bucket(self, now_ms: int) -> RateLimiter:
        at = min(self.attempts_at_ms, now_ms) / 1000
        rate = _ATTEMPTS / _ATTEMPTS_SECONDS
        return RateLimiter(_ATTEMPTS, rate, tokens=self.attempts_left, at=at)

    def _turn(self, now_ms: int) -> None:
        if self.minute != now_ms // _MINUTE_MS:
            self.minute, self.weight = now_ms // _MINUTE_MS, 0
