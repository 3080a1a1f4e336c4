"""What the system said about a failed connection, in one short line.

Libraries wrap the cause three or four times; a user wants "Connection refused".
"""

from __future__ import annotations

import socket
import ssl


def root_cause(error: BaseException) -> str:
    """The innermost reason that means something to a reader."""
    for link in _chain(error):
        if isinstance(link, ssl.SSLCertVerificationError):
            return f"its certificate is not valid ({link.verify_message})"
        if isinstance(link, socket.gaierror):
            return f"its name does not resolve ({link.strerror})"
        if isinstance(link, OSError) and link.errno and link.strerror:
            return _plain(link.strerror)
    return " ".join(str(error).split())[:160] or type(error).__name__


def _plain(text: str) -> str:
    """asyncio puts its own words before the system's: "Connect call failed ('127.0.0.1', 1)"."""
    return "connection refused" if text.startswith("Connect call failed") else text


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
