"""What the page and the API show of sessions: of this one from memory, of the others from their files.

Each session has a thread of its own for what is read of it: a disk that hangs costs the answers about
that session, and no others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from kline_ops.errors import InputError, SessionError
from kline_ops.market import interval as intervals
from kline_ops.market.candle import Candle
from kline_ops.observe.candles import settled_candles
from kline_ops.observe.snapshot import Snapshot
from kline_ops.observe.web.app import Endpoint
from kline_ops.observe.web.candles import Candles
from kline_ops.observe.web.desk import BusyError, Desk
from kline_ops.observe.web.history import Histories
from kline_ops.observe.web.sessions import Sessions
from kline_ops.session.history import History, Recorded
from kline_ops.session.others import Others
from kline_ops.session.parts import Common
from kline_ops.watch.registry import find_session
from kline_ops.watch.status import About, record_of

#: Seconds for a look at the registry, and at all sessions in it.
_REGISTRY_WITHIN = 4.0
#: Sessions that have a thread at a time.
_MOST = 16
#: Bytes of all histories that are remembered; a month of seconds takes 3 MB, one of minutes little.
_REMEMBERED = 6 << 20


@dataclass(slots=True)
class _Room:
    """Where a session is looked into."""

    desk: Desk
    history: History | None = None


class PageData:
    """Of one session, which answers for all sessions of its machine. Made on the event loop.

    Args:
        common: what all parts share.
        snapshot: how this session stands now.
        in_charge: are the files this process's to write?
    """

    def __init__(
        self, common: Common, snapshot: Callable[[], Snapshot], in_charge: Callable[[], bool]
    ) -> None:
        settings = common.settings
        self._common = common
        self._snapshot = snapshot
        self._in_charge = in_charge
        self._about = About(
            name=settings.name,
            symbol=settings.stream.symbol,
            interval=settings.stream.interval.name,
            csv=str(settings.csv),
            log=str(settings.log_file),
            command="",
            endpoint="",
        )
        self._own = Recorded(
            session=settings.name,
            symbol=settings.stream.symbol,
            interval=settings.stream.interval,
            csv=str(settings.csv),
            events_file=str(settings.events_file),
            since_ms=settings.since_ms,
            grace_ms=round(settings.config.record.grace * 1000),
        )
        #: By session, the one that was asked for last at the end.
        self._rooms: dict[str, _Room] = {}
        self._registry = Desk("registry", patience=_REGISTRY_WITHIN)
        self._others = Others(settings.name, common.clock.wall_ms)
        #: By their path.
        self.endpoints: Mapping[str, Endpoint] = {
            "/api/candles": Candles(self.candles, self._forming, settings.name).answer,
            "/api/history": Histories(self.history, settings.name).answer,
            "/api/sessions": Sessions(self.sessions, common.clock.monotonic).answer,
        }

    def status(self) -> dict[str, Any]:
        """The object that ``kline-ops status --json`` prints of this session, taken in the process."""
        snapshot = self._snapshot()
        now_ms = self._common.clock.wall_ms()
        told = record_of(self._about, dict(snapshot.state), snapshot.word, snapshot.reason, now_ms)
        holder = snapshot.told["pid"] if self._in_charge() else None
        return {**told, "lock_holder": holder, "stopping": snapshot.is_stopping}

    async def sessions(self) -> list[dict[str, Any]]:
        """That of every session of this machine, this one first; those that do not answer say so."""
        own = self.status()
        try:
            return [own, *await self._registry.ask(self._others.records)]
        except BusyError:
            return [own]  # where the others are written down, the disk does not answer

    async def candles(
        self, name: str, limit: int, before_ms: int | None
    ) -> tuple[Recorded, list[Candle]]:
        """The last candles of a session's file, oldest first.

        Raises:
            LookupError: no such session, or one that records nothing.
            InputError: its file can not be read so.
            OSError: it can not be read at all.
            BusyError: the disk does not answer.
        """
        recorded = await self._find(name)
        read = partial(settled_candles, Path(recorded.csv), limit, before_ms)
        with _without_folders(recorded):
            return recorded, await self._room(name).desk.ask(read)

    async def history(self, name: str, span: str) -> dict[str, Any]:
        """What became of a session's candles. Raises as :meth:`candles`."""
        recorded = await self._find(name)
        room = self._room(name)
        if room.history is None or room.history.recorded != recorded:
            room.history = History(recorded)
        now_ms = self._snapshot().now_ms
        try:
            with _without_folders(recorded):
                return await room.desk.ask(room.history.answer, span, now_ms)
        finally:
            self._forget_much()

    def close(self) -> None:
        """Let the threads end; nothing waits for them."""
        for room in self._rooms.values():
            room.desk.close()
        self._registry.close()

    def _forming(self, name: str) -> Candle | None:
        """The candle that is not closed yet, of this session."""
        last = self._snapshot().last if name == self._own.session else None
        return None if last is None else last.candle

    async def _find(self, name: str) -> Recorded:
        if name == self._own.session:
            return self._own
        return await self._registry.ask(recorded_by, name)

    def _room(self, name: str) -> _Room:
        room = self._rooms.pop(name, None)
        if room is None:
            if len(self._rooms) >= _MOST:
                # Not one whose disk hangs: its thread would stay, and the next one hang beside it.
                idle = [known for known, each in self._rooms.items() if not each.desk.is_busy]
                if not idle:
                    raise BusyError(f"too many sessions are asked for at once ({name})")
                self._rooms.pop(idle[0]).desk.close()
            room = _Room(Desk(name))
        self._rooms[name] = room
        return room

    def _forget_much(self) -> None:
        """Let go of what was asked for longest ago, where all of it is too much.

        With its thread: the C library keeps what a thread has freed for that thread, or for the next.
        """
        sizes = {
            name: 0 if r.history is None else r.history.size for name, r in self._rooms.items()
        }
        total = sum(sizes.values())
        for name in [*self._rooms][:-1]:
            if total <= _REMEMBERED:
                return
            if sizes[name] and not self._rooms[name].desk.is_busy:
                total -= sizes[name]
                self._rooms.pop(name).desk.close()


@contextmanager
def _without_folders(recorded: Recorded) -> Iterator[None]:
    """What is wrong with a file is told by its name: where it is need not be known to who asks."""
    try:
        yield
    except InputError as error:
        told = str(error)
        for path in (recorded.csv, recorded.events_file):
            told = told.replace(path, Path(path).name)
        raise InputError(told, hint=error.hint) from None


def recorded_by(name: str) -> Recorded:
    """A session of this machine, by the registry.

    Raises:
        LookupError: there is none of this name, or it records nothing; the text says so, in one line.
    """
    try:
        known = find_session(name)
        if not known.csv:
            raise LookupError(f"session {name} runs a command: it has no candles")
        interval = intervals.parse(known.interval)
    except SessionError as error:
        raise LookupError(str(error)) from None
    except ValueError as error:
        raise LookupError(f"session {name}: {error}") from None
    return Recorded(name, known.symbol, interval, known.csv, known.events_file)
