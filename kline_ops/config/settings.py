"""What a config comes to: every value resolved and checked against the others."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from kline_ops.clock import SystemClock
from kline_ops.config import load
from kline_ops.config.command import (
    CommandSettings,
    Session,
    data_dir,
    is_command,
    resolve_command,
)
from kline_ops.config.model import Binance, Config, PlannedRestart, SessionKeys
from kline_ops.config.venues import VENUES, venue_of
from kline_ops.errors import ConfigError
from kline_ops.market import interval as intervals
from kline_ops.market import timestamp
from kline_ops.market.interval import Interval
from kline_ops.market.stream import Stream
from kline_ops.resilience.time_trigger import parse_modulo
from kline_ops.secret import Secret, shown_url

#: "Exchange information": symbols are capitals, digits and a few signs.
_SYMBOL = re.compile(r"[A-Z0-9\-_.]{2,20}")


@dataclass(frozen=True, slots=True)
class Rotation:
    """Planned restarts; all in seconds but ``modulo``, which is as the user wrote it."""

    modulo: str | int
    margin: float
    min_connection_duration: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings(Session):
    """A session that records, ready to be run."""

    stream: Stream
    #: Both None for the embedded exchange: its port is known when it runs.
    ws_url: str | None
    rest_url: str | None
    #: Where the same streams are to be had, in the order of preference.
    failover_urls: tuple[str, ...]
    rotation: Rotation | None
    since_ms: int | None
    #: What the user should know, though it is no error.
    warnings: tuple[str, ...] = ()

    @property
    def uses_tls(self) -> bool:
        """Does it ask an exchange for a certificate?"""
        return any(
            url and url.startswith(("wss:", "https:"))
            for url in (self.ws_url, self.rest_url, *self.failover_urls)
        )

    @property
    def alert_url(self) -> Secret | None:
        """The webhook that is told of this session, if there is one."""
        return self.config.credentials.get(f"sops_{self.config.binance.environment}")

    @property
    def csv(self) -> Path:
        """The candle file."""
        return self.data_dir / self.stream.file_name


def load_settings(
    name: str, explicit: Path | None = None, environ: Mapping[str, str] | None = None
) -> Settings:
    """The config of a session that records.

    Raises:
        ConfigError: like :func:`load_session`; or the session is only a command.
    """
    settings = load_session(name, explicit, environ)
    if isinstance(settings, CommandSettings):
        raise ConfigError(
            f"{name} is a command and records nothing (in {settings.path})",
            hint=f"kline-ops start {name}, or give the file a binance section",
        )
    return settings


def load_session(
    name: str, explicit: Path | None = None, environ: Mapping[str, str] | None = None
) -> Settings | CommandSettings:
    """Find, read and resolve a session's config.

    Raises:
        ConfigError: one line that names the key and what is wrong with it.
    """
    environ = os.environ if environ is None else environ
    path = load.find(name, explicit)
    config = load.read(path, environ)
    try:
        if is_command(name, config, lambda: load.read(path, {})):
            return resolve_command(name, path, config)
        return _resolve(name, path, config)
    except ConfigError as error:
        if variable := load.variable_of(error.field, environ):
            told = f"{error} (in the environment: {variable})"
            raise ConfigError(told, hint=error.hint) from None
        raise


def _resolve(name: str, path: Path, config: Config) -> Settings:
    _check_credentials(config)
    ws_url, rest_url, warnings = _addresses(config)
    failover_urls = _failover_urls(config, ws_url)
    return Settings(
        name=name,
        path=path,
        config=config,
        stream=_stream(name, config),
        data_dir=data_dir(name, path, config.data_dir),
        ws_url=ws_url,
        rest_url=rest_url,
        failover_urls=failover_urls,
        rotation=_rotation(config.binance.reconnect),
        since_ms=_since(config.record.since),
        warnings=(
            *warnings,
            *_redundancy_warning(config, failover_urls),
            *_command_warning(name, config),
        ),
    )


def _stream(name: str, config: Config) -> Stream:
    keys = config.binance.stream
    if not keys.symbol:
        hint = "symbol: btcusdt"
        if config.binance == Binance():
            hint += f"; or, to run a command instead of recording, ops.sessions.{name}.command"
            hint += f" (there are {', '.join(others)})" if (others := config.ops.sessions) else ""
        raise ConfigError("missing", field="binance.stream.symbol", hint=hint)
    if not keys.timeframe:
        raise ConfigError("missing", field="binance.stream.timeframe", hint="timeframe: 1h")
    symbol = keys.symbol.upper()
    if _SYMBOL.fullmatch(symbol) is None:
        raise ConfigError(
            f"{keys.symbol!r} is no symbol", field="binance.stream.symbol", hint="such as btcusdt"
        )
    return Stream(symbol, _interval(keys.timeframe))


def _interval(text: str) -> Interval:
    try:
        return intervals.parse(text)
    except ValueError as error:
        raise ConfigError(str(error), field="binance.stream.timeframe") from None


def _addresses(config: Config) -> tuple[str | None, str | None, tuple[str, ...]]:
    """WebSocket and REST addresses of one venue."""
    binance = config.binance
    if config.exchange.embedded:
        return None, None, ()
    venue = VENUES[binance.environment]
    ws_url = _url(binance.ws_url or venue.ws_url, ("ws", "wss"), "binance.ws_url")
    ws_venue = venue_of(ws_url)
    if binance.rest_url is None:
        if ws_venue is None:
            told = f"no rest_url for {shown_url(ws_url)}: what is missed can not be filled in"
            return ws_url, None, (told,)
        return ws_url, VENUES[ws_venue].rest_url, ()
    rest_url = _url(binance.rest_url, ("http", "https"), "binance.rest_url")
    if venue_of(rest_url) != ws_venue:
        raise ConfigError(
            f"{shown_url(rest_url)} is another market than {shown_url(ws_url)}: its candles differ",
            field="binance.rest_url",
            hint="leave rest_url out, or give the one of the same venue",
        )
    return ws_url, rest_url, ()


def _failover_urls(config: Config, ws_url: str | None) -> tuple[str, ...]:
    """Other addresses of the same market: those given, else those known of its venue."""
    if ws_url is None:
        return ()
    field = "binance.failover_urls"
    venue = venue_of(ws_url)
    given = config.binance.failover_urls
    if given is None:
        known = VENUES[venue].failover_urls if venue is not None else ()
        return tuple(url for url in known if url != ws_url)
    urls = tuple(dict.fromkeys(_url(url, ("ws", "wss"), field) for url in given))
    for url in urls:
        if venue_of(url) != venue:
            raise ConfigError(
                f"{shown_url(url)} is another market than {shown_url(ws_url)}: its prices and"
                " volumes differ, and candles of two markets in one file are worth nothing",
                field=field,
                hint="give addresses of the same venue only",
            )
    return tuple(url for url in urls if url != ws_url)


def _redundancy_warning(config: Config, failover_urls: tuple[str, ...]) -> tuple[str, ...]:
    wanted, there = config.websocket.redundancy, 1 + len(failover_urls)
    if wanted <= there:
        return ()
    return (f"websocket.redundancy is {wanted}, and there are {there} addresses: some are shared",)


def _command_warning(name: str, config: Config) -> tuple[str, ...]:
    if config.ops.sessions.get(name, SessionKeys()).command is None:
        return ()
    return (f"ops.sessions.{name}.command is left alone: with a binance section, {name} records",)


def rest_address(url: str | None, environment: str) -> str:
    """A REST address as it was given, else that of the environment.

    Raises:
        ConfigError: no such environment, or no such address.
    """
    if environment not in VENUES:
        raise ConfigError(
            f"no environment {environment!r}", field="--environment", hint=", ".join(VENUES)
        )
    return _url(url or VENUES[environment].rest_url, ("http", "https"), "--rest-url")


def _url(text: str, schemes: tuple[str, ...], field: str) -> str:
    if not _is_address(text, schemes):
        raise ConfigError(
            f"{shown_url(text)!r} is no {schemes[0]}:// or {schemes[1]}:// address",
            field=field,
            hint=VENUES["mainnet"].ws_url if schemes[0] == "ws" else VENUES["mainnet"].rest_url,
        )
    return text.rstrip("/")


def _is_address(text: str, schemes: tuple[str, ...]) -> bool:
    try:
        parts = urlsplit(text)
        good = parts.scheme in schemes and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
    return good and not any(character.isspace() for character in text)


def _check_credentials(config: Config) -> None:
    """Their values are secrets, wrong ones as well: none is told."""
    for name, url in config.credentials.items():
        if not _is_address(url.reveal(), ("http", "https")):
            raise ConfigError(
                "no http:// or https:// address",
                field=f"credentials.{name}",
                hint="a Slack webhook",
            )


def _rotation(keys: PlannedRestart) -> Rotation | None:
    prefix = "binance.reconnect"
    if keys.modulo is not None and keys.modulo_minutes is not None:
        raise ConfigError("given beside modulo", field=f"{prefix}.modulo_minutes", hint="keep one")
    modulo = keys.modulo if keys.modulo is not None else keys.modulo_minutes
    if modulo is None:
        return None
    field = f"{prefix}.modulo" if keys.modulo is not None else f"{prefix}.modulo_minutes"
    try:
        period = parse_modulo(modulo) / 1000.0
    except ValueError as error:
        raise ConfigError(str(error), field=field) from None
    margin = min(5.0, period / 4) if keys.margin_seconds is None else keys.margin_seconds
    if margin >= period / 2:
        raise ConfigError(
            f"{margin:g} s is half of the modulo ({period:g} s) or more",
            field=f"{prefix}.margin_seconds",
            hint=f"less than {period / 2:g}",
        )
    shortest = keys.min_connection_duration
    if shortest is None:
        shortest = min(60.0, period / 4)
    elif shortest >= period:
        raise ConfigError(
            f"{shortest:g} s is not shorter than the modulo ({period:g} s): no restart would come",
            field=f"{prefix}.min_connection_duration",
            hint=f"at most {period / 4:g}",
        )
    return Rotation(modulo, margin, shortest)


def _since(text: str | None) -> int | None:
    if text is None:
        return None
    try:
        since_ms = timestamp.to_ms(text)
    except ValueError:
        raise ConfigError(
            f"{text!r} is no time", field="record.since", hint="2026-01-27T14:00:00Z"
        ) from None
    if since_ms > SystemClock().wall_ms():
        raise ConfigError(f"{text} lies in the future", field="record.since", hint="leave it out")
    return since_ms
