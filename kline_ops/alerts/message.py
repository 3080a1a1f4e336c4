"""What is told to people: a message, how much it matters, and who can bring it. Pure."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from kline_ops.errors import EXIT_FINDING, KlineOpsError


class Level(enum.IntEnum):
    """How much a message matters."""

    INFO = 10
    SUCCESS = 11
    WARNING = 20
    CRITICAL = 30


@dataclass(frozen=True, slots=True)
class Message:
    """What is told: a title, a text, and facts by their names.

    All of it is plain text: a channel sees to it that nothing in it is taken for markup.
    ``at_ms``: when it was true, in milliseconds since the epoch; who sends it for us sets it.
    """

    level: Level
    title: str
    text: str = ""
    facts: Mapping[str, str] = field(default_factory=dict)
    at_ms: int | None = None


class AlertError(KlineOpsError):
    """A message was not delivered. Names the host, and never more of the address.

    ``reason``: the same without the host, in a few words.
    ``retryable`` is False where the same message will be refused again (a webhook that was revoked).
    ``retry_after`` is the silence in seconds that was asked for, or None.
    """

    exit_code = EXIT_FINDING

    def __init__(
        self,
        reason: str,
        *,
        host: str = "",
        retryable: bool = True,
        retry_after: float | None = None,
        hint: str = "",
    ) -> None:
        told = f"the message was not delivered: {host} {reason}" if host else reason
        super().__init__(told, hint=hint)
        self.reason = reason
        self.retryable = retryable
        self.retry_after = retry_after


class Channel(Protocol):
    """Brings one message to people, or raises: one try, bounded in time."""

    @property
    def host(self) -> str:
        """All that may be told of where it goes."""

    def send(self, message: Message) -> None:
        """Deliver a message.

        Raises:
            AlertError: it was not delivered, or nobody knows.
        """
