"""What becomes of each message that a managed connection brings."""

from __future__ import annotations

import logging
from collections.abc import Callable, Hashable
from typing import Any

from kline_ops.clock import Clock
from kline_ops.kit.websocket_mailbox import Data, Mailbox, Seen
from kline_ops.kit.websocket_rules import WebSocketStats

_log = logging.getLogger(__name__)


class Intake:
    """Counts messages, passes over those that came already, and puts the others into the mailbox.

    Args:
        mailbox: where they wait to be taken.
        stats: where they are counted.
        clock: says when the last one came.
        is_data: the user's: does a message prove that data flows? None: each does.
        dedupe: the user's: the key by which a message is known again. None: each is new.
    """

    def __init__(
        self,
        mailbox: Mailbox,
        stats: WebSocketStats,
        clock: Clock,
        is_data: Callable[[Any], object] | None,
        dedupe: Callable[[Any], Hashable] | None,
    ) -> None:
        self._mailbox = mailbox
        self._stats = stats
        self._clock = clock
        self._is_data = is_data
        self._dedupe = dedupe
        self._seen = Seen()
        self._faulty: set[str] = set()

    def take(self, message: Data) -> None:
        """One to be handed on, unless it came already."""
        self._count(message)
        if self._is_new(message):
            self._mailbox.put(message)
        else:
            self._stats.doubles += 1

    def leave(self, message: Data) -> None:
        """One that another connection brings as well."""
        self._count(message)
        self._stats.doubles += 1

    def proves(self, message: Data) -> bool:
        """Does it prove that data flows?"""
        if self._is_data is None:
            return True
        try:
            return bool(self._is_data(message))
        except Exception as error:  # noqa: BLE001 - the boundary to the user's code
            self._tell_fault("is_data", error)
            return True

    def _is_new(self, message: Data) -> bool:
        if self._dedupe is None:
            return True
        try:
            return self._seen.is_new(self._dedupe(message))
        except Exception as error:  # noqa: BLE001 - the boundary to the user's code
            self._tell_fault("dedupe", error)
            return True

    def _count(self, message: Data) -> None:
        self._stats.messages_received += 1
        self._stats.bytes_received += size_of(message)
        self._stats.last_message_ms = self._clock.wall_ms()

    def _tell_fault(self, name: str, error: Exception) -> None:
        if name not in self._faulty:
            self._faulty.add(name)
            _log.error("%s failed; it is logged once", name, exc_info=error)


def size_of(message: Data) -> int:
    """Its bytes on the wire, without the frame around it."""
    if isinstance(message, bytes) or message.isascii():
        return len(message)
    return len(message.encode())
