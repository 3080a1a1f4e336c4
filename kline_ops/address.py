"""What a whole address is. Pure; what may be told of one is in ``secret.py``."""

from __future__ import annotations

from urllib.parse import urlsplit

HTTP = ("http", "https")
WEBSOCKET = ("ws", "wss")


def is_address(text: str, schemes: tuple[str, ...]) -> bool:
    """Is it a whole address of one of these schemes?

    >>> is_address("wss://stream.binance.com:9443/ws", WEBSOCKET), is_address("wss://", WEBSOCKET)
    (True, False)
    """
    try:
        parts = urlsplit(text)
        good = parts.scheme in schemes and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
    return good and not any(character.isspace() for character in text)
