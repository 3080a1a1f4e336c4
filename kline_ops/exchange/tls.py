"""Throwaway certificates: for trials with ``wss``, and for tests of what a client must refuse.

Needs the package trustme (the extra ``tls``). The authority is made anew each time, its key stays
in memory, and only clients that are told of its file trust it.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from kline_ops.errors import InputError, MachineError

if TYPE_CHECKING:
    from trustme import CA

#: What the good certificate is for.
NAMES = ("localhost", "127.0.0.1", "::1")
_FILE_NAME = "kline-ops-exchange-ca.pem"


@dataclass(frozen=True, slots=True)
class Authority:
    """A certificate authority of our own."""

    #: Its certificate, for ``SSL_CERT_FILE`` or ``ssl.create_default_context(cafile=…)``.
    file: Path
    _ca: CA

    def good(self) -> ssl.SSLContext:
        """A server that clients of this authority trust."""
        return _context(self._ca, NAMES)

    def expired(self) -> ssl.SSLContext:
        """A server whose certificate ran out a day ago."""
        now = datetime.now(UTC)
        return _context(
            self._ca, NAMES, not_before=now - timedelta(days=2), not_after=now - timedelta(days=1)
        )

    def wrong_host(self) -> ssl.SSLContext:
        """A server whose certificate is for another name."""
        return _context(self._ca, ("example.invalid",))


def make_authority(folder: Path) -> Authority:
    """Make an authority and write its certificate into this folder.

    Raises:
        MachineError: trustme is not installed.
        InputError: the folder can not be written.
    """
    ca = _new_ca()
    file = folder / _FILE_NAME
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file.write_bytes(ca.cert_pem.bytes())
    except OSError as error:
        raise InputError(f"{file}: can not be written: {error.strerror}") from None
    return Authority(file, ca)


def unknown_issuer() -> ssl.SSLContext:
    """A server whose certificate comes from an authority that nobody was told of.

    Raises:
        MachineError: trustme is not installed.
    """
    return _context(_new_ca(), NAMES)


def _new_ca() -> CA:
    try:
        # Only who asks for certificates needs the package.
        import trustme  # noqa: PLC0415
    except ImportError:
        raise MachineError(
            "certificates need the package trustme",
            hint="pip install '.[tls]' in a clone, else pip install 'kline-ops[tls]'",
        ) from None
    return trustme.CA()


def _context(
    ca: CA,
    names: tuple[str, ...],
    *,
    not_before: datetime | None = None,
    not_after: datetime | None = None,
) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate = ca.issue_cert(*names, not_before=not_before, not_after=not_after)
    certificate.configure_cert(context)
    return context
