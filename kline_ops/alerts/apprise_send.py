"""Sends one message by Apprise: a program that is run for each, and needs nothing else of this package.

The library brings over a hundred services, 25 MB, and threads that a process waits for at its end,
whatever they hang in: nothing that a recorder should hold. Here all of that ends with the message, and
what is logged with it.

Reads an :class:`Order` from stdin, as the address is a password; writes a :class:`Report` to stdout.

Source: Apprise, "Development API".
"""

from __future__ import annotations

import logging
import os
import re
import signal
import sys

import msgspec

#: Seconds that it lives at the longest, if nobody is left who would end it.
PATIENCE = 15
_status_of = re.compile(r"error=([0-9]{3})\b").search


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """A message and its way. ``kind``: a name in ``apprise.NotifyType``; None: only know the address."""

    url: str
    kind: str | None = None
    title: str = ""
    text: str = ""


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What came of it; ``status``: the HTTP status of a refusal, where there was one."""

    is_known: bool
    is_taken: bool = False
    status: int | None = None


class _Ear(logging.Handler):
    """Hears the status of a refusal: the library's answer is a bare no."""

    status: int | None = None

    def emit(self, record: logging.LogRecord) -> None:
        if found := _status_of(record.getMessage()):
            self.status = int(found[1])


def carry_out(order: Order) -> Report:
    """Do what is asked. Raises ImportError without the library, and whatever a service raises."""
    import apprise  # noqa: PLC0415 - the parent knows the shapes above only

    ear = _Ear()
    log = logging.getLogger("apprise")
    log.addHandler(ear)
    log.propagate = False
    asset = apprise.AppriseAsset(app_id="kline-ops", app_desc="kline-ops", async_mode=False)
    service = apprise.Apprise.instantiate(order.url, asset=asset)
    if service is None or order.kind is None:
        return Report(is_known=service is not None)
    sender = apprise.Apprise(asset=asset)
    sender.add(service)
    taken = sender.notify(
        title=order.title,
        body=order.text,
        notify_type=getattr(apprise.NotifyType, order.kind),
        body_format=apprise.NotifyFormat.TEXT,
    )
    return Report(is_known=True, is_taken=bool(taken), status=ear.status)


def main() -> None:
    """One order, one report."""
    signal.alarm(PATIENCE)
    order = msgspec.json.decode(sys.stdin.buffer.read(), type=Order)
    sys.stdout.buffer.write(msgspec.json.encode(carry_out(order)))
    sys.stdout.buffer.flush()
    os._exit(0)  # not an ordinary end: that waits for the library's threads


if __name__ == "__main__":
    main()
