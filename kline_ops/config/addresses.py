"""The addresses of a session: all of one venue, since candles of two are never mixed."""

from __future__ import annotations

from kline_ops.address import HTTP, WEBSOCKET, is_address
from kline_ops.config.model import Config
from kline_ops.config.venues import VENUES, venue_of
from kline_ops.errors import ConfigError
from kline_ops.secret import shown_url


def addresses(config: Config) -> tuple[str | None, str | None, tuple[str, ...]]:
    """Of WebSocket and REST, as given or as they follow from the environment; and what to be told.

    Raises:
        ConfigError: one is no address, or they are of two venues.
    """
    binance = config.binance
    if config.exchange.embedded:
        return None, None, ()
    venue = VENUES[binance.environment]
    ws_url = _url(binance.ws_url or venue.ws_url, WEBSOCKET, "binance.ws_url")
    ws_venue = venue_of(ws_url)
    if binance.rest_url is None:
        if ws_venue is None:
            told = f"no rest_url for {shown_url(ws_url)}: what is missed can not be filled in"
            return ws_url, None, (told,)
        return ws_url, VENUES[ws_venue].rest_url, ()
    rest_url = _url(binance.rest_url, HTTP, "binance.rest_url")
    if venue_of(rest_url) != ws_venue:
        raise ConfigError(
            f"{shown_url(rest_url)} is another market than {shown_url(ws_url)}: its candles differ",
            field="binance.rest_url",
            hint="leave rest_url out, or give the one of the same venue",
        )
    return ws_url, rest_url, ()


def failover_urls(config: Config, ws_url: str | None) -> tuple[str, ...]:
    """Other addresses of the same market: those given, else those known of its venue.

    Raises:
        ConfigError: one is no address, or of another market.
    """
    if ws_url is None:
        return ()
    field = "binance.failover_urls"
    venue = venue_of(ws_url)
    given = config.binance.failover_urls
    if given is None:
        known = VENUES[venue].failover_urls if venue is not None else ()
        return tuple(url for url in known if url != ws_url)
    urls = tuple(dict.fromkeys(_url(url, WEBSOCKET, field) for url in given))
    for url in urls:
        if venue_of(url) != venue:
            raise ConfigError(
                f"{shown_url(url)} is another market than {shown_url(ws_url)}: its prices and"
                " volumes differ, and candles of two markets in one file are worth nothing",
                field=field,
                hint="give addresses of the same venue only",
            )
    return tuple(url for url in urls if url != ws_url)


def rest_address(url: str | None, environment: str) -> str:
    """A REST address as it was given, else that of the environment.

    Raises:
        ConfigError: no such environment, or no such address.
    """
    if environment not in VENUES:
        raise ConfigError(
            f"no environment {environment!r}", field="--environment", hint=", ".join(VENUES)
        )
    return _url(url or VENUES[environment].rest_url, HTTP, "--rest-url")


def _url(text: str, schemes: tuple[str, ...], field: str) -> str:
    if not is_address(text, schemes):
        raise ConfigError(
            f"{shown_url(text)!r} is no {schemes[0]}:// or {schemes[1]}:// address",
            field=field,
            hint=VENUES["mainnet"].ws_url if schemes[0] == "ws" else VENUES["mainnet"].rest_url,
        )
    return text.rstrip("/")
