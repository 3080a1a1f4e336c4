"""Which of the exchange's addresses to connect to. Pure.

Failover by proof of data: an address is as good as its last attempt that brought data for a while.
The choice is sticky; a better address (an earlier one in the config) is probed slowly, beside the
connection that works. A breaker stands at each address; it steers, and keeps nobody waiting: where
all are open, the one that failed longest ago is tried.

HTTP 403 and 451 are lasting: the host refuses this machine or its region ("HTTP Return Codes"), and
asking again brings the same answer. It is looked at again all the same while no other address works,
as slowly as a better one: the firewall's 403 may be over. Anything else may be over in a moment.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from kline_ops import events
from kline_ops.events import Event
from kline_ops.feed.figures import Address
from kline_ops.resilience.circuit_breaker import Breaker, BreakerState

#: HTTP statuses that are lasting for a host.
LASTING = frozenset({403, 451})
#: A host that refused for good is looked at again after this long (s): laws and blocks change too.
_REFUSED_FOR = 24 * 3600.0
#: While no other address works it is tried this often (s).
_LAST_HOPE_AFTER = 60.0


@dataclass(frozen=True, slots=True)
class BreakerOptions:
    """As in ``resilience.circuit_breaker`` of the config; ``cooldown`` in seconds."""

    enabled: bool = True
    failures: int = 5
    cooldown: float = 60.0
    successes: int = 1


@dataclass(slots=True)
class _Endpoint:
    url: str
    rank: int
    breaker: Breaker
    #: Attempts that brought no data, or not for long, since the feed was begun.
    failed: int = 0
    refused_at: float | None = None
    #: When it was last in use or probed (monotonic seconds).
    left_at: float = field(default=float("-inf"))


class Endpoints:
    """The addresses in the order of preference; at least one. ``now`` in monotonic seconds."""

    def __init__(
        self,
        urls: Sequence[str],
        breaker: BreakerOptions | None = None,
        *,
        probe_back: float = 600.0,
    ) -> None:
        options = breaker or BreakerOptions()
        self._steers = options.enabled
        self._probe_back = probe_back
        self._all = {
            url: _Endpoint(
                url,
                rank,
                Breaker(options.failures, options.cooldown, options.successes),
            )
            for rank, url in enumerate(dict.fromkeys(urls))
        }
        self._serving = next(iter(self._all))

    @property
    def serving(self) -> str:
        """The address that brought data last; before the first data the preferred one."""
        return self._serving

    def choose(self, now: float, in_use: Collection[str] = ()) -> str:
        """Where the next attempt goes; ``in_use``: where the other connections are already."""
        best = min(self._all.values(), key=lambda each: self._order(each, now, in_use))
        best.breaker.began(now)
        return best.url

    def better(self, now: float, in_use: Collection[str], want: int) -> str | None:
        """An address that should be in use instead of one that is, and is due to be probed."""
        for each in list(self._all.values())[:want]:
            if each.url not in in_use and now >= self._probe_at(each):
                return each.url
        return None

    def better_at(self, in_use: Collection[str], want: int) -> float:
        """When :meth:`better` may answer; infinity where the preferred ones are in use."""
        preferred = list(self._all.values())[:want]
        return min(
            (self._probe_at(each) for each in preferred if each.url not in in_use),
            default=float("inf"),
        )

    def began(self, url: str, now: float) -> None:
        """A probe of this address begins."""
        self._all[url].left_at = now
        self._all[url].breaker.began(now)

    def failed(self, url: str, now: float, reason: str, *, lasting: bool = False) -> list[Event]:
        """An attempt at this address brought no data, or not for long."""
        each = self._all[url]
        each.left_at = now
        each.failed += 1
        if lasting:
            each.refused_at = now
        was_closed = each.breaker.state is BreakerState.CLOSED
        # A probe that failed opens it again, which is no news.
        if each.breaker.failed(now) and was_closed and self._steers:
            failures = each.breaker.failures
            return [events.BreakerOpened(endpoint=url, failures=failures, reason=reason)]
        return []

    def lasted(self, url: str, now: float) -> list[Event]:
        """This address brought data for a while."""
        each = self._all[url]
        each.refused_at = None
        if each.breaker.succeeded(now) and self._steers:
            return [events.BreakerClosed(endpoint=url)]
        return []

    def went_live(self, url: str, now: float) -> list[Event]:
        """This address delivers."""
        self._all[url].left_at = now
        before, self._serving = self._serving, url
        return [events.EndpointChanged(old=before, new=url)] if before != url else []

    def all_open(self, now: float) -> bool:
        """True while no breaker lets an attempt through."""
        return self._steers and all(
            each.breaker.state is BreakerState.OPEN and not each.breaker.allows(now)
            for each in self._all.values()
        )

    def figures(self) -> tuple[Address, ...]:
        """Each address, in the order of preference; a breaker that steers nobody is told as closed."""
        return tuple(
            Address(
                url,
                (each.breaker.state if self._steers else BreakerState.CLOSED).value,
                each.breaker.failures,
                each.failed,
            )
            for url, each in self._all.items()
        )

    def stays(self, url: str, want: int) -> bool:
        """Is this one of the addresses that should be in use?"""
        return self._all[url].rank < want

    def _probe_at(self, each: _Endpoint) -> float:
        wait = self._probe_back if each.refused_at is None else _REFUSED_FOR
        return each.left_at + wait

    def _is_refused(self, each: _Endpoint, now: float) -> bool:
        return each.refused_at is not None and now < each.refused_at + _REFUSED_FOR

    def _is_last_hope(self, each: _Endpoint, now: float) -> bool:
        """Not tried for a while, and no address works that did not refuse?"""
        others = [other for other in self._all.values() if not self._is_refused(other, now)]
        failing = all(other.breaker.failures > 0 for other in others)
        return failing and now >= each.left_at + min(self._probe_back, _LAST_HOPE_AFTER)

    def _order(self, each: _Endpoint, now: float, in_use: Collection[str]) -> tuple[float, ...]:
        """The smaller the better."""
        shut = self._steers and not each.breaker.allows(now)
        waited = (each.breaker.failed_at or 0.0) if shut else 0.0
        return (
            self._is_refused(each, now) and not self._is_last_hope(each, now),
            shut,
            waited,
            each.url in in_use,
            each.breaker.failures,
            each.url != self._serving,
            each.rank,
        )
