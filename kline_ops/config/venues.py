"""The venues of Binance, and which host belongs to which.

Source: Binance spot API, "General API information" and "WebSocket Streams"; testnet documentation;
Binance.US API documentation. A venue is a market of its own: candles of two are never mixed.
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True)
class Venue:
    """Addresses for market data only, without a key; ``failover_urls`` bring the same as ``ws_url``."""

    ws_url: str
    rest_url: str
    failover_urls: tuple[str, ...] = ()


VENUES = {
    "mainnet": Venue(
        "wss://stream.binance.com:9443/ws",
        "https://data-api.binance.vision",
        ("wss://stream.binance.com:443/ws", "wss://data-stream.binance.vision/ws"),
    ),
    "testnet": Venue("wss://stream.testnet.binance.vision/ws", "https://testnet.binance.vision"),
    "us": Venue("wss://stream.binance.us:9443/ws", "https://api.binance.us"),
}

#: The longest suffix decides: testnet.binance.vision is no part of binance.vision's market.
_HOSTS = {
    "testnet.binance.vision": "testnet",
    "binance.vision": "mainnet",
    "binance.com": "mainnet",
    "binance.us": "us",
}


def venue_of(url: str) -> str | None:
    """``mainnet``, ``testnet``, ``us``; None for a host that is no known venue."""
    host = (urlsplit(url).hostname or "").lower()
    for suffix, venue in _HOSTS.items():
        if host == suffix or host.endswith("." + suffix):
            return venue
    return None


def venue_key(url: str) -> str:
    """What is counted together against an exchange's limits: the venue, else ``host:port``."""
    return venue_of(url) or urlsplit(url).netloc.rpartition("@")[2].lower()
