"""Every other service, by its address in Apprise: ``tgram://…``, ``discord://…``, ``mailto://…``, ``ntfy://…``.

Such an address has its passwords anywhere: all that is told of it is the scheme. The library itself is
used in another process, see ``apprise_send.py``.
"""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys

import msgspec

from kline_ops.alerts import apprise_send
from kline_ops.alerts.apprise_send import PATIENCE, Order, Report
from kline_ops.alerts.message import AlertError, Level, Message
from kline_ops.alerts.post import is_passing
from kline_ops.plain import encodable

#: Facts are lines here, and a phone shows a few.
_MOST_FACTS = 40
_UNKNOWN = "Apprise knows no such address"
_WHERE = "see https://appriseit.com/services/ for how a service is written"
#: By their names in Apprise.
_KINDS = {
    Level.INFO: "INFO",
    Level.SUCCESS: "SUCCESS",
    Level.WARNING: "WARNING",
    Level.CRITICAL: "FAILURE",
}
_scheme_of = re.compile(r"([A-Za-z][A-Za-z0-9+.-]{0,30})://").match


class AppriseChannel:
    """A service that Apprise knows. The extra ``notify`` brings the library.

    Raises:
        AlertError: Apprise is not installed.
    """

    def __init__(self, url: str) -> None:
        scheme = _scheme_of(url)
        #: All that may be told of the address.
        self.host = f"{scheme[1].lower()}://…" if scheme else "…"
        self._url = url
        if importlib.util.find_spec("apprise") is None:
            raise AlertError(
                "Apprise is not installed", retryable=False, hint="pip install 'kline-ops[notify]'"
            )

    def __repr__(self) -> str:
        return f"AppriseChannel(host={self.host!r})"

    def check(self) -> None:
        """Ask Apprise whether it knows the address, which takes half a second; nothing is sent.

        Raises:
            AlertError: it does not.
        """
        report = _ask(Order(url=self._url))
        # A machine that is too busy to look is no fault of the address.
        if isinstance(report, Report) and not report.is_known:
            raise AlertError(_UNKNOWN, retryable=False, hint=_WHERE)

    def send(self, message: Message) -> None:
        """Deliver a message, or raise: one try, of fifteen seconds at the most.

        Raises:
            AlertError: it was not delivered, or nobody knows; it says whether another try may help.
        """
        title, text = apprise_text(message)
        order = Order(url=self._url, kind=_KINDS[message.level], title=title, text=text)
        report = _ask(order)
        if isinstance(report, str):
            raise AlertError(report, host=self.host)
        if not report.is_known:
            raise AlertError(_UNKNOWN, host=self.host, retryable=False, hint=_WHERE)
        if report.is_taken:
            return
        if report.status is None:
            raise AlertError("did not take it", host=self.host)
        retryable = is_passing(report.status)
        raise AlertError(f"answered {report.status}", host=self.host, retryable=retryable)


def apprise_text(message: Message) -> tuple[str, str]:
    """Title and text, for services that know neither colours nor fields."""
    title = " ".join(message.title.split())
    if message.level >= Level.WARNING:
        title = f"{message.level.name}: {title}"
    facts = list(message.facts.items())
    lines = [f"{name}: {value}" for name, value in facts[:_MOST_FACTS]]
    if (more := len(facts) - _MOST_FACTS) > 0:
        lines.append(f"… and {more} more")
    parts = [message.text.strip(), "\n".join(lines)]
    text = "\n\n".join(part for part in parts if part)
    # Some services refuse a message without a text.
    return encodable(title), encodable(text or title)


def _ask(order: Order) -> Report | str:
    """What came of it, or why that is not known. Whatever else is said may hold the address."""
    # Without the modules that happen to lie beside it; out of reach of a Ctrl+C.
    command = [sys.executable, "-P", apprise_send.__file__]
    try:
        ran = subprocess.run(
            command,
            input=msgspec.json.encode(order),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=PATIENCE,
            start_new_session=True,
            check=False,
        )
        return msgspec.json.decode(ran.stdout, type=Report)
    except subprocess.TimeoutExpired:
        return f"did not answer within {PATIENCE:g} s"
    except OSError as error:
        return f"no process could be started ({(error.strerror or '').lower()})"
    except msgspec.DecodeError:
        return "failed: Apprise ended with an error of its own"
