"""A webhook of one's own: a message as a JSON object, posted to any address.

``{"level": "WARNING", "title": …, "text": …, "facts": {…}, "session": …, "ts": "2026-01-27T14:00:05Z"}``

The level is INFO, SUCCESS, WARNING or CRITICAL; ``ts`` is when it was true, null where nobody said;
``session`` is empty outside one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from kline_ops.alerts.message import Message
from kline_ops.alerts.post import deliver, host_of
from kline_ops.market import timestamp


@dataclass(frozen=True, slots=True)
class WebhookChannel:
    """Any address that takes JSON; an answer of 200 to 299 means that it was taken.

    >>> WebhookChannel("https://alerts.example.com/hook?token=xxxx", session="demo")
    WebhookChannel(host='alerts.example.com', session='demo')

    Raises:
        AlertError: the address is none.
    """

    url: str = field(repr=False)
    #: All that may be told of the address.
    host: str = field(init=False)
    #: Whose messages these are.
    session: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "host", host_of(self.url))

    def send(self, message: Message) -> None:
        """Deliver a message, or raise: one try, of ten seconds at the most.

        Raises:
            AlertError: it was not delivered, or nobody knows; it says whether another try may help.
        """
        deliver(self.url, webhook_payload(message, self.session), page_is_good=True)


def webhook_payload(message: Message, session: str = "") -> dict[str, Any]:
    """What is posted."""
    at_ms = message.at_ms
    return {
        "level": message.level.name,
        "title": message.title,
        "text": message.text,
        "facts": dict(message.facts),
        "session": session,
        "ts": None if at_ms is None else timestamp.to_text(at_ms),
    }
