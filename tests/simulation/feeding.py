"""What ``feed.py``, ``gate.py`` and ``connection.py`` do around the rules, with no sockets."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from kline_ops import events
from kline_ops.events import Event
from kline_ops.feed import happenings as rules
from kline_ops.feed.attempts import Attempts
from kline_ops.feed.connection import _BURST, _PER_SECOND, Ending
from kline_ops.feed.endpoints import LASTING, BreakerOptions, Endpoints
from kline_ops.feed.happenings import Action, Happening
from kline_ops.feed.plan import SHUTDOWN, Plan, Timing
from kline_ops.feed.states import State
from kline_ops.market.messages import FrameRejected, Kline
from kline_ops.market.server_time import ServerTime
from kline_ops.market.stream import Stream
from kline_ops.resilience import Backoff
from kline_ops.resilience.allowance import Allowance
from kline_ops.resilience.rate_limiter import RateLimiter
from tests.simulation.venue import Venue, Wire
from tests.simulation.world import Script, World, start


@dataclass(frozen=True)
class FeedSetup:
    """The config of a feed, as a seed draws it."""

    addresses: int = 1
    redundancy: int = 1
    timing: Timing = field(default_factory=Timing)
    backoff: Backoff = field(default_factory=Backoff)
    breaker: BreakerOptions = field(default_factory=BreakerOptions)
    plan: type[Plan] = Plan


class SimFeed:
    """One feed, to the death of its process."""

    def __init__(
        self,
        world: World,
        venue: Venue,
        stream: Stream,
        setup: FeedSetup,
        *,
        server_time: ServerTime,
        allowance: Allowance,
        wall_ms: Callable[[], int],
        draw: Callable[[], float],
        on_kline: Callable[[Kline], None],
        tell: Callable[[Event], None],
        complain: Callable[[str], None],
    ) -> None:
        self.dead = False
        self._world = world
        self._venue = venue
        self._stream = stream
        self._server_time = server_time
        self._allowance = allowance
        self._wall_ms = wall_ms
        self._on_kline = on_kline
        self._tell = tell
        self._complain = complain
        self._urls = [f"ws://{number}" for number in range(setup.addresses)]
        self.plan = setup.plan(
            [stream.name],
            self._near_close,
            attempts=Attempts(Endpoints(self._urls, setup.breaker), setup.backoff, draw),
            timing=setup.timing,
            want=setup.redundancy,
        )
        self.on_suspect: Callable[[str], None] = lambda _name: None
        self._wires: dict[int, Wire] = {}
        self._limiters: dict[int, RateLimiter] = {}
        self._waiting: deque[int] = deque()
        self._passing = False
        self._wake_at = float("inf")
        self._untold: rules.Settled | None = None

    def start(self) -> None:
        self._apply(rules.Tick())

    def replace(self, why: str) -> None:
        self._apply(rules.Replace(why))

    def settled(self, before_ms: int) -> None:
        """Only what drains waits for it: it is told at once then, else with the next change."""
        self._untold = rules.Settled(before_ms)
        if any(link.state is State.DRAINING for link in self.plan.links.values()):
            self._tell_settled()

    def _tell_settled(self) -> None:
        untold, self._untold = self._untold, None
        if untold is not None:
            self._apply(untold)

    def missed(self, open_ms: int) -> None:
        after = self._stream.interval.after(open_ms)
        self._apply(rules.Missed(self._stream.name, open_ms, after))

    def witnessed(self, name: str, traded: bool | None) -> None:
        self._apply(rules.Witnessed(name, traded))

    def live_since(self) -> float | None:
        return max((x.live_at for x in self.plan.live() if x.live_at is not None), default=None)

    def _apply(self, happening: Happening) -> None:
        if self.dead:
            return
        now = self._world.now
        actions = self.plan.advance(happening, now, self._server_time.now_ms(now))
        for action in actions:
            self._carry_out(action)
        # A message or a write that changed nothing moves no deadline nearer: the timer may ring in vain.
        moved = actions or not isinstance(happening, (rules.Delivered, rules.Settled))
        if moved or now >= self._wake_at:
            self._set_timer(self.plan.wake_at(), now)
        if actions:
            self._tell_settled()

    def _set_timer(self, wake_at: float, now: float) -> None:
        wake_at = max(wake_at, now)
        if wake_at != self._wake_at or wake_at == now:
            self._wake_at = wake_at
            if wake_at != float("inf"):
                self._world.at(wake_at, self._ring, wake_at)

    def _ring(self, wake_at: float) -> None:
        if wake_at != self._wake_at or self.dead:
            return  # it was set anew meanwhile
        self._wake_at = float("inf")
        now, again_at = self._world.now, self.plan.wake_at()
        if again_at > now:
            self._set_timer(again_at, now)  # messages have moved the deadline since
        else:
            self._apply(rules.Tick())

    def _carry_out(self, action: Action) -> None:
        match action:
            case rules.Open(number):
                self._waiting.append(number)
                if not self._passing:
                    self._passing = True
                    start(self._pass_gate(), lambda: self.dead)
            case rules.Close(number):
                self._check_close(number)
                self._venue.close(self._wires[number])
            case rules.Resubscribe(number, _):
                start(self._subscribe_anew(number), lambda: self.dead or number not in self._wires)
            case rules.Ask(name):
                self._world.after(0.0, self._ask, name)
            case rules.Tell(event):
                self._tell(event)

    def _ask(self, name: str) -> None:
        if not self.dead:
            self.on_suspect(name)

    def _check_close(self, number: int) -> None:
        """Make before break: what is let go has left another behind that delivers."""
        link = self.plan.links[number]
        if link.state is State.OPEN:
            return  # it never delivered
        others = [x for x in self.plan.links.values() if x.state is State.LIVE and not x.closing]
        if not others:
            self._complain(f"the last live connection was closed ({link.why})")
        elif link.why in {events.PLANNED, SHUTDOWN} and not any(x.heard for x in others):
            self._complain(f"closed for one that never delivered ({link.why})")

    def _pass_gate(self) -> Script:
        while self._waiting:
            while (wait := self._allowance.connect(self._wall_ms())) > 0.0:
                yield self._world.sleep(wait)
            # The budget is asked in a thread: whatever is decided meanwhile is decided.
            yield self._world.sleep(0.001)
            self._connect(self._waiting.popleft())
        self._passing = False

    def _connect(self, number: int) -> None:
        endpoint = self.plan.links[number].endpoint
        wire = Wire(
            self._urls.index(endpoint),
            on_open=lambda: self._apply(rules.Opened(number)),
            on_kline=lambda kline: self._take(number, kline),
            on_shutdown=lambda: self._apply(rules.Replace(SHUTDOWN, number)),
            on_end=lambda ending: self._ended(number, ending),
        )
        self._wires[number] = wire
        self._limiters[number] = RateLimiter(_BURST, _PER_SECOND)
        self._venue.connect(wire)

    def _ended(self, number: int, ending: Ending) -> None:
        if self.dead:
            return
        del self._wires[number], self._limiters[number]
        if ending.retry_after is not None:
            self._allowance.refused("connect", ending.retry_after, self._wall_ms())
        lasting = ending.status in LASTING
        self._apply(rules.Ended(number, ending.code, ending.reason, lasting))

    def _subscribe_anew(self, number: int) -> Script:
        limiter, wire = self._limiters[number], self._wires[number]
        for subscribe in (False, True):
            while (wait := limiter.take(self._world.now)) > 0.0:
                yield self._world.sleep(wait)
            self._venue.control(wire, subscribe=subscribe)

    def _take(self, number: int, kline: Kline) -> None:
        if self.dead:
            return
        try:
            self._on_kline(kline)
        except FrameRejected:
            return
        closed_ms = kline.candle.open_ms if kline.closed else None
        self._apply(rules.Delivered(number, self._stream.name, closed_ms))

    def _near_close(self, now_ms: int, near: float) -> int:
        interval = self._stream.interval
        coming = interval.ceil(now_ms)
        return coming if coming - now_ms <= near * 1000 else interval.floor(now_ms)
