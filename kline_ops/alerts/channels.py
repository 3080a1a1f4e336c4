"""From an address to the channel that speaks its language, and a message sent by itself."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from urllib.parse import urlsplit

from kline_ops.address import HTTP, is_address
from kline_ops.alerts.message import AlertError, Channel, Message
from kline_ops.alerts.slack import SlackChannel
from kline_ops.alerts.webhook import WebhookChannel
from kline_ops.clock import SystemClock
from kline_ops.secret import Secret

_SLACK = frozenset({"hooks.slack.com", "hooks.slack-gov.com"})
#: Seconds that a message which is sent by itself waits where it is asked to.
_LONGEST_WAIT = 30.0


def channel_of(url: Secret, session: str = "") -> Channel:
    """Slack's own webhooks, else a webhook that takes JSON, else a service of Apprise's.

    Raises:
        AlertError: it is no address; Apprise is needed and not installed.
    """
    address = url.reveal()
    if is_address(address, HTTP):
        if urlsplit(address).hostname in _SLACK:
            return SlackChannel(address)
        return WebhookChannel(address, session=session)
    if address.lower().startswith(("http:", "https:")) or "://" not in address:
        raise AlertError("no address that a message can be sent to", retryable=False)
    from kline_ops.alerts.apprise_channel import AppriseChannel  # noqa: PLC0415 - an extra

    return AppriseChannel(address)


def send_patiently(
    channel: Channel, message: Message, on_wait: Callable[[float], None] = lambda _: None
) -> None:
    """Deliver a message; where the channel asks for a short silence, keep it and try once more.

    Takes a minute at the most; ``on_wait`` hears of a wait, in seconds, before it. A message that does
    not say when it was true is of this moment. Within a running session :class:`AlertManager` sends.

    Raises:
        AlertError: it was not delivered, or nobody knows.
    """
    if message.at_ms is None:
        message = replace(message, at_ms=SystemClock().wall_ms())
    try:
        channel.send(message)
    except AlertError as error:
        wait = error.retry_after
        if wait is None or wait > _LONGEST_WAIT:
            raise
    else:
        return
    on_wait(wait)
    time.sleep(wait)
    channel.send(message)
