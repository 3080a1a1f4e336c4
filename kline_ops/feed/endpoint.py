"""Where to connect to: the exchange's hosts, and the URL of a set of streams.

Source: Binance spot API, "WebSocket Streams" (hosts, ports 9443 and 443, ``/ws/<stream>`` and
``/stream?streams=``) and "General API information" (REST hosts).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from urllib.parse import urlsplit


def stream_url(ws_url: str, streams: Sequence[str]) -> str:
    """The URL that subscribes by its path, so that no control message is needed.

    ``ws_url`` ends in ``/ws`` (or is a bare host); several streams use the combined form. A query (a
    gateway's token) stays a query.
    """
    address, _, query = ws_url.partition("?")
    base = address.rstrip("/").removesuffix("/ws").removesuffix("/stream")
    if len(streams) == 1:
        return f"{base}/ws/{streams[0]}" + (f"?{query}" if query else "")
    return f"{base}/stream?streams={'/'.join(streams)}" + (f"&{query}" if query else "")


def is_loopback(url: str) -> bool:
    """True for an exchange on this machine; no proxy is asked for it."""
    host = urlsplit(url).hostname or ""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
