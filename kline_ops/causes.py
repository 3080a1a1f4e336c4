"""What went wrong, in one short line.

Libraries wrap the cause three or four times; a user wants "Connection refused".
"""

from __future__ import annotations

import logging
import os
import re
import socket
import ssl

from kline_ops.errors import KlineOpsError
from kline_ops.secret import redacted

_log = logging.getLogger(__name__)
_ERRNO = re.compile(r"\[Errno ([0-9]+)\]")


def root_cause(error: BaseException) -> str:
    """The innermost reason that means something to a reader."""
    for link in _chain(error):
        if isinstance(link, ssl.SSLCertVerificationError):
            why = getattr(link, "verify_message", "") or str(link)
            return _short(f"its certificate is not valid ({why})")
        if isinstance(link, socket.gaierror):
            return _short(f"its name does not resolve ({link.strerror})")
        if isinstance(link, OSError) and (text := _system_words(link)):
            return _short(text)
    return _short(str(error)) or type(error).__name__


def in_one_line(error: Exception) -> str:
    """What went wrong, for an event; the traceback of what nobody expected goes to the log."""
    if isinstance(error, KlineOpsError):
        return redacted(error.one_line())
    _log.error("unexpected", exc_info=error)
    return f"unexpected {type(error).__name__}: {' '.join(redacted(str(error)).split())}"


def _system_words(error: OSError) -> str:
    """What the system calls it; empty where it did not say.

    asyncio puts its own words in their place, the same for a refusal and a missing route ("Connect
    call failed ('127.0.0.1', 1)"), or joins those of several addresses ("Multiple exceptions: …").
    """
    text = error.strerror or ""
    number = error.errno
    if not number and (several := _ERRNO.search(str(error))):
        number = int(several[1])
    if number and (not text or text.startswith("Connect call failed")):
        text = os.strerror(number)
    return text[:1].lower() + text[1:]


def _short(text: str) -> str:
    return " ".join(redacted(text).split())[:160]


def _chain(error: BaseException) -> list[BaseException]:
    """The error and everything it came from, outermost first; bounded."""
    found: list[BaseException] = []
    waiting: list[BaseException] = [error]
    while waiting and len(found) < 32:
        link = waiting.pop(0)
        if any(link is known for known in found):
            continue
        found.append(link)
        inner = [link.__cause__, link.__context__, getattr(link, "reason", None), *link.args]
        waiting.extend(part for part in inner if isinstance(part, BaseException))
    return found
