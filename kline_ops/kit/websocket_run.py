"""One life of a managed connection, from ``connect()`` to its end: plan, relay, and what renews it."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from kline_ops import events
from kline_ops.budget import Budget, budget_path
from kline_ops.clock import Clock
from kline_ops.config.venues import venue_key
from kline_ops.events import Bus, Event
from kline_ops.feed import happenings as rules
from kline_ops.feed.attempts import Attempts
from kline_ops.feed.connection import Ending
from kline_ops.feed.endpoints import Endpoints
from kline_ops.feed.gate import Gate
from kline_ops.feed.link import Link
from kline_ops.feed.plan import SHUTDOWN, Plan
from kline_ops.feed.relay import Ears, Relay, patience
from kline_ops.feed.rotation import Rotation
from kline_ops.feed.states import State
from kline_ops.kit.websocket_mailbox import Data
from kline_ops.kit.websocket_rules import (
    SUSPENDED,
    DisconnectReason,
    in_charge,
    is_usable,
    reason_of,
)
from kline_ops.kit.websocket_setup import Setup
from kline_ops.market import messages
from kline_ops.market.messages import FrameRejected, ServerShutdown

#: All messages are one stream here: the plan is told that it delivers, and not what.
_ALL = "messages"
#: Seconds between two questions whether a connection is to be given up, or made anew.
_ASK_EVERY = 1.0
#: Seconds between two looks whether the machine has slept; for less than this it has not.
_LOOK_EVERY, _SLEPT = 5.0, 5.0
#: A boundary sooner than this (s) after the connection delivers is skipped; at most a quarter of the
#: modulo, as in the config of the recorder.
_SHORTEST_LIFE = 60.0
_NEVER = float("inf")


@dataclass(frozen=True, slots=True)
class Ways:
    """Where what happens goes; none of them waits."""

    hear: Callable[[Event], None]
    #: A message of the connection in charge; with ``overlap`` of any.
    take: Callable[[Data], None]
    #: A message of one that is not in charge.
    leave: Callable[[Data], None]
    #: Whether a message proves that data flows.
    proves: Callable[[Data], bool]
    #: None where it was never open.
    ended: Callable[[DisconnectReason | None, Ending], None]
    #: Should the connection be given up? None where nobody has a say in it.
    is_unwanted: Callable[[], Awaitable[object]] | None
    #: May a lost connection be made anew? True, False, or the seconds to wait.
    is_wanted: Callable[[], Awaitable[object]] | None
    #: It has ended by itself (``auto_reconnect=False``).
    over: Callable[[], None]
    #: A fault of ours has broken it: nothing is made anew.
    broken: Callable[[], None]


class Run:
    """Make it within the event loop; :meth:`start` it once."""

    def __init__(self, setup: Setup, ways: Ways, clock: Clock) -> None:
        self._setup = setup
        self._ways = ways
        self._clock = clock
        self._plan = Plan(
            (_ALL,),
            # There are no candles, so none that a draining connection would have to stay for.
            lambda _now_ms, _near: 0,
            attempts=Attempts(Endpoints(setup.urls), setup.backoff, random.random),
            timing=setup.timing,
        )
        self._bus = Bus()
        self._bus.listen(self._hear)
        self._bus.listen(ways.hear)
        budget = Budget(budget_path(), venue_key(setup.urls[0]), clock)
        self._gate = _AskingGate(budget, self._permission)
        self._relay = Relay(
            self._plan,
            patience(setup.connection, len(setup.urls), setup.timing.proof),
            Ears(self._take, self._bus.emit, self._witness, self._ended, ways.broken),
            clock=clock,
            now_ms=self.now_ms,
            url_of=str,
            gate=self._gate,
        )
        self._chores: list[asyncio.Task[None]] = []
        #: By connection: who wanted it to be replaced.
        self._asked: dict[int, DisconnectReason] = {}
        #: Those that have said themselves that they ended, at the end of all.
        self._told: set[int] = set()
        self._was_open = False
        #: ``should_reconnect`` wants no connection now.
        self.is_held = False
        #: The reason of all ends from now on.
        self._end: DisconnectReason | None = None

    def start(self) -> None:
        """Begin to connect."""
        setup = self._setup
        if setup.trigger is not None:
            shortest = min(_SHORTEST_LIFE, setup.trigger.period_ms / 4000)
            rotation = Rotation(
                setup.trigger,
                setup.margin,
                shortest,
                self,
                bus=self._bus,
                clock=self._clock,
                server_time=self,
            )
            self._begin(rotation.run(), "restarts")
        self._begin(self._watch_sleep(), "sleep")
        if self._ways.is_unwanted is not None:
            self._begin(self._watch(self._ways.is_unwanted), "should_disconnect")
        self._relay.apply(rules.Tick())

    @property
    def is_connected(self) -> bool:
        """Whether a connection is open that is not known to bring nothing."""
        return any(is_usable(link) for link in list(self._plan.links.values()))

    @property
    def is_dead(self) -> bool:
        """Whether a fault of ours has broken it."""
        return self._relay.is_dead

    @property
    def was_connected(self) -> bool:
        """Whether there has been a connection."""
        return self._was_open

    async def send(self, message: Data) -> bool:
        """Send through the connection in charge; False where there is none, or it has ended."""
        link = in_charge(self._plan.links.values())
        connection = self._relay.connection(link.number) if link is not None else None
        return connection is not None and await connection.send(message)

    def renew(self, reason: DisconnectReason) -> None:
        """Let a successor take over from what is connected; nothing is closed before."""
        for link in self._plan.links.values():
            if link.is_watched:
                self._asked[link.number] = reason
        self._relay.apply(rules.Replace(events.PLANNED))

    def stop(self) -> None:
        """Open nothing more."""
        self._relay.stop()
        for chore in self._chores:
            chore.cancel()

    async def close(self) -> None:
        """End with closing handshakes, within a second."""
        self._end = DisconnectReason.USER_REQUESTED
        self.stop()
        await self._relay.close()
        await self._finish()

    async def kill(self) -> None:
        """End without a word."""
        self._end = DisconnectReason.KILLED
        self.stop()
        await self._relay.kill()
        await self._finish()

    # -- for Rotation: what is renewed, and whose time the boundaries are of -----------------------

    #: This machine's clock is all there is.
    heard = True

    def now_ms(self, _monotonic: float) -> int:
        """Milliseconds since the epoch."""
        return self._clock.wall_ms()

    def live_since(self) -> float | None:
        """Since when (monotonic seconds) the connection in charge has delivered."""
        return max((x.live_at for x in self._plan.live() if x.live_at is not None), default=None)

    def replace(self, _why: str) -> None:
        """A boundary is near."""
        self.renew(DisconnectReason.SCHEDULED)

    # -- what happens -----------------------------------------------------------------------------

    def _hear(self, event: Event) -> None:
        if isinstance(event, events.Connected):
            self._was_open = True
            connection = self._relay.connection(event.connection)
            if connection is not None:
                connection.say(self._setup.subscribe)
            if self._setup.timing.stall == _NEVER:
                self._excuse_later(event.connection)

    def _take(self, number: int, message: Data) -> None:
        if is_shutdown_notice(message):
            self._bus.emit(events.ShutdownNotice(connection=number))
            self._relay.apply(rules.Replace(SHUTDOWN, number))
        elif self._ways.proves(message):
            self._relay.apply(rules.Delivered(number, _ALL))
        links = self._plan.links
        if self._setup.overlap or len(links) == 1 or self._is_in_charge(number):
            self._ways.take(message)
        else:
            self._ways.leave(message)

    def _is_in_charge(self, number: int) -> bool:
        link = in_charge(self._plan.links.values())
        return link is None or link.number == number

    def _ended(self, number: int, ending: Ending) -> None:
        link = self._plan.links[number]
        if self._end is not None:
            self._told.add(number)  # the rules are not asked any more, and keep it
        asked = self._asked.pop(number, DisconnectReason.SCHEDULED)
        self._ways.ended(self._reason(link, ending, asked), ending)
        if not self._setup.auto_reconnect and len(self._plan.links) == 1 and self._end is None:
            self.stop()
            self._gate.close()
            self._ways.over()

    def _reason(
        self, link: Link, ending: Ending, asked: DisconnectReason
    ) -> DisconnectReason | None:
        if link.opened_at is None:
            return None
        return self._end or reason_of(link, ending.code, ending.sent, ending.reason, asked)

    def _witness(self, stream: str) -> None:
        # Nobody else can tell whether there was anything to bring: the stall time-out decides.
        self._relay.apply(rules.Witnessed(stream, None))

    def _excuse_later(self, number: int) -> None:
        """Where silence is no fault, having been open for a while is what data is elsewhere."""
        loop = asyncio.get_running_loop()
        loop.call_later(self._setup.timing.proof, self._excuse, number)

    def _excuse(self, number: int) -> None:
        link = self._plan.links.get(number)
        if link is None or link.state is not State.OPEN or self._end is not None:
            return
        others = [other for other in self._plan.links.values() if other is not link]
        if any(other.heard_at > (link.opened_at or 0.0) for other in others):
            self._excuse_later(number)  # the other one has brought something meanwhile
        else:
            self._relay.apply(rules.Delivered(number, _ALL))

    # -- what the user has a say in ---------------------------------------------------------------

    async def _watch_sleep(self) -> None:
        while True:
            asleep = self._clock.asleep()
            await asyncio.sleep(_LOOK_EVERY)
            if self._clock.asleep() - asleep >= _SLEPT:
                self._relay.apply(rules.Replace(SUSPENDED))

    async def _watch(self, is_unwanted: Callable[[], Awaitable[object]]) -> None:
        while True:
            await asyncio.sleep(_ASK_EVERY)
            link = in_charge(self._plan.links.values())
            # One that has not lasted yet is not asked about: "yes" for ever is no reason to hurry.
            if link is not None and link.lasted and link.is_watched and await is_unwanted():
                self.renew(DisconnectReason.CALLBACK_TRIGGERED)

    async def _permission(self) -> None:
        """Return when a connection may be made: at once, where it is no lost one."""
        is_wanted = self._ways.is_wanted
        while is_wanted is not None and self._was_open and not self.is_connected:
            answer = await is_wanted()
            self.is_held = answer is False
            if self.is_held:
                await asyncio.sleep(_ASK_EVERY)
                continue
            if isinstance(answer, int | float) and answer is not True:
                await asyncio.sleep(max(0.0, answer))
            return

    def _begin(self, chore: Coroutine[Any, Any, None], name: str) -> None:
        self._chores.append(asyncio.create_task(chore, name=name))

    async def _finish(self) -> None:
        await asyncio.gather(*self._chores, return_exceptions=True)
        for link in list(self._plan.links.values()):
            if link.opened_at is not None and link.number not in self._told:
                # Cut off: its task was cancelled before it could tell.
                self._ways.ended(self._end, Ending(None, "cut off by us"))
        self._plan.links.clear()


class _AskingGate(Gate):
    """Asks the user before the budget."""

    def __init__(self, budget: Budget, permission: Callable[[], Awaitable[None]]) -> None:
        super().__init__(budget)
        self._permission = permission

    async def pass_(self, on_delay: Callable[[float], None]) -> None:
        """Return when an attempt may begin."""
        await self._permission()
        await super().pass_(on_delay)


def is_shutdown_notice(message: Data) -> bool:
    """Whether the exchange says that this server goes away ("WebSocket Streams", Binance spot API)."""
    sign = "serverShutdown" if isinstance(message, str) else b"serverShutdown"
    if sign not in message:  # type: ignore[operator]
        return False
    try:
        return isinstance(messages.decode(message), ServerShutdown)
    except FrameRejected:
        return False
