"""Brings messages to whoever is to be told, and holds nobody up: each channel has a thread of its own.

The thread is ``outlet.py``; the rules (order, retries, what is lost, what is said of it) are those of
``outbox.py``.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from kline_ops.alerts.message import Channel, Level, Message
from kline_ops.alerts.outbox import Letter
from kline_ops.alerts.outlet import OnFailed, Outlet
from kline_ops.clock import Clock, SystemClock

_log = logging.getLogger(__name__)


class AlertManager:
    """Sends messages to channels: at once, in the background, in order, again where it failed.

    A message goes to the channels of its key and to those without a key. Where its key has none, it
    goes to those of the key that stands in for it, else to those of the key that was added first: no
    message is lost for want of a key.

    >>> from kline_ops import AlertManager
    >>> from kline_ops.alerts import Level, Message
    >>> class Printer:
    ...     host = "this terminal"
    ...     def send(self, message):
    ...         print(f"{message.level.name}: {message.title}")
    >>> alerts = AlertManager()
    >>> alerts.add_channel(Printer(), min_level=Level.WARNING)
    >>> alerts.send(Message(Level.INFO, "all is well"))
    >>> alerts.send(Message(Level.CRITICAL, "the stream is dead"))
    >>> alerts.close(timeout=5.0)
    CRITICAL: the stream is dead
    0

    Args:
        clock: what tells the time; this machine's clocks by default.
        on_failed: called with ``(host, reason, lost)`` in a channel's thread, when the channel begins to
            fail, when it begins to lose messages, and when it works again and has lost more; ``lost``
            counts from its first failure on. Without it the log is told.
        fallbacks: by key: the key that stands in for it.
    """

    def __init__(
        self,
        *,
        clock: Clock | None = None,
        on_failed: OnFailed | None = None,
        fallbacks: Mapping[str, str] | None = None,
    ) -> None:
        self._clock = clock or SystemClock()
        self._on_failed = on_failed or _tell_log
        self._fallbacks = dict(fallbacks or {})
        self._outlets: list[Outlet] = []

    def add_channel(
        self, channel: Channel, *, min_level: Level = Level.INFO, key: str | None = None
    ) -> None:
        """Send through this channel as well.

        Args:
            channel: its ``send`` is called in a thread of its own, and may take as long as it likes.
            min_level: what matters less is not sent through it, whatever key it has.
            key: only messages of this key are (and those that no other channel is for); None: all.
        """
        self._outlets.append(Outlet(channel, min_level, key, self._clock, self._on_failed))

    @property
    def has_channels(self) -> bool:
        """Is there anybody to send to?"""
        return bool(self._outlets)

    @property
    def keys(self) -> frozenset[str]:
        """The keys that have a channel of their own."""
        return frozenset(outlet.key for outlet in self._outlets if outlet.key is not None)

    @property
    def hosts(self) -> tuple[str, ...]:
        """Where messages go: all that may be told of it."""
        return tuple(dict.fromkeys(outlet.host for outlet in self._outlets))

    def figures(self) -> tuple[int, int, int]:
        """How many messages wait, how many may, and how many were lost."""
        each = [outlet.figures() for outlet in self._outlets]
        return sum(e[0] for e in each), sum(e[1] for e in each), sum(e[2] for e in each)

    def send(self, message: Message, *, key: str | None = None) -> None:
        """Hand a message over, and return at once. Never raises; never waits for a channel."""
        try:
            outlets = self._route(key)
        except Exception:  # noqa: BLE001 - as below; a key that is no text
            _log.exception("a message goes to all channels: its key is none")
            outlets = self._outlets
        for outlet in outlets:
            try:
                at_ms = self._clock.wall_ms() if message.at_ms is None else message.at_ms
                if message.level >= outlet.min_level:
                    outlet.put(message, at_ms)
            except Exception:  # noqa: BLE001 - the boundary between what happens and who is told of it
                _log.exception("a message could not be handed over")

    def withdraw(self) -> dict[str, list[Letter]]:
        """What waits, by a name of its channel that tells nothing secret; send nothing from then on.

        For another process to :meth:`resume`. What is being sent now is among it: it may come twice.
        """
        withdrawn = {name: outlet.withdraw() for name, outlet in self._named()}
        return {name: letters for name, letters in withdrawn.items() if letters}

    def resume(self, withdrawn: Mapping[str, list[Letter]]) -> None:
        """Send what another process has withdrawn, through channels of the same names."""
        outlets = dict(self._named())
        for name, letters in withdrawn.items():
            if name in outlets:
                outlets[name].resume(letters)
            else:
                _log.warning("%d message(s) are lost: there is no channel %s", len(letters), name)

    def close(self, timeout: float = 1.0) -> int:
        """Try once more what waits, for so many seconds in all, and send nothing from then on.

        Answers how many messages were not delivered (or nobody knows), those that were lost before and
        that no later message could tell of included.
        """
        real = SystemClock()  # threads are waited for in real time, whatever clock the rules have
        deadline = real.monotonic() + timeout
        for outlet in self._outlets:
            outlet.end()
        return sum(outlet.left(max(0.0, deadline - real.monotonic())) for outlet in self._outlets)

    def _named(self) -> Iterator[tuple[str, Outlet]]:
        seen: Counter[str] = Counter()
        for outlet in self._outlets:
            name = f"{outlet.key or 'all'} {outlet.host}"
            seen[name] += 1
            yield f"{name} {seen[name]}", outlet

    def _route(self, key: str | None) -> list[Outlet]:
        wanted = resolved(key, [outlet.key for outlet in self._outlets], self._fallbacks)
        return [outlet for outlet in self._outlets if outlet.key is None or outlet.key == wanted]


def resolved(
    key: str | None, keys: Sequence[str | None], fallbacks: Mapping[str, str]
) -> str | None:
    """The key whose channels are told what is of ``key``, where there are channels of these ``keys``.

    None: only those without a key are.
    """
    own = [known for known in keys if known is not None]
    if key is None:
        return None if len(own) < len(keys) or not own else own[0]
    passed: set[str] = set()
    while key not in own and key not in passed and key in fallbacks:
        passed.add(key)
        key = fallbacks[key]
    if key in own:
        return key
    return own[0] if own else None


def _tell_log(host: str, reason: str, lost: int) -> None:
    also = f"; {lost} messages are lost" if lost else ""
    _log.warning("%s: a message was not delivered: %s%s", host, reason, also)
