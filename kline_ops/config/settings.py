"""What a config comes to: every value resolved and checked against the others."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from kline_ops.clock import SystemClock
from kline_ops.config.addresses import addresses, failover_urls
from kline_ops.config.command import (
    CommandSettings,
    Session,
    check_state_files,
    data_dir,
    is_command,
    resolve_command,
)
from kline_ops.config.faults import Faults
from kline_ops.config.load import Loaded, find, load
from kline_ops.config.model import Binance, Config, PlannedRestart, SessionKeys
from kline_ops.config.notices import (
    clear_secrets,
    notes,
    open_to_all,
    reaches_nobody,
    secret_files,
    without_effect,
)
from kline_ops.config.sops import PATIENCE, Secrets
from kline_ops.errors import ConfigError
from kline_ops.market import interval as intervals
from kline_ops.market import timestamp
from kline_ops.market.interval import Interval
from kline_ops.market.stream import Stream
from kline_ops.resilience.time_trigger import parse_modulo

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
    #: Why it goes on without secrets, which could not be had when it was begun; empty: it has them.
    lacks_secrets: str = ""

    @property
    def uses_tls(self) -> bool:
        """Does it ask an exchange for a certificate?"""
        return any(
            url and url.startswith(("wss:", "https:"))
            for url in (self.ws_url, self.rest_url, *self.failover_urls)
        )

    @property
    def csv(self) -> Path:
        """The candle file."""
        return self.data_dir / self.stream.file_name


@dataclass(frozen=True, slots=True)
class Examined:
    """A config, whatever came of it; ``session`` is None where there are problems."""

    loaded: Loaded
    session: Settings | CommandSettings | None
    problems: tuple[ConfigError, ...]
    warnings: tuple[str, ...]
    #: Keys without effect, and why.
    notes: tuple[str, ...]


def load_settings(
    name: str,
    explicit: Path | None = None,
    environ: Mapping[str, str] | None = None,
    *,
    secrets: Secrets = Secrets.NEEDED,
    patience: float = PATIENCE,
) -> Settings:
    """The config of a session that records.

    Raises:
        ConfigError: like :func:`load_session`; or the session is only a command.
    """
    settings = load_session(name, explicit, environ, secrets=secrets, patience=patience)
    if isinstance(settings, CommandSettings):
        raise ConfigError(
            f"{name} is a command and records nothing (in {settings.path})",
            hint=f"kline-ops start {name}, or give the file a binance section",
        )
    return settings


def load_session(
    name: str,
    explicit: Path | None = None,
    environ: Mapping[str, str] | None = None,
    *,
    secrets: Secrets = Secrets.NEEDED,
    patience: float = PATIENCE,
) -> Settings | CommandSettings:
    """Find, read and resolve a session's config; ``patience``: seconds to decrypt a file of it.

    Raises:
        ConfigError: one line that names the key, what is wrong with it, and where it stands; the first
            one, where there are several.
    """
    examined = examine(name, explicit, environ, secrets=secrets, patience=patience)
    if examined.session is None:
        raise examined.problems[0]
    return examined.session


def examine(
    name: str,
    explicit: Path | None = None,
    environ: Mapping[str, str] | None = None,
    *,
    secrets: Secrets = Secrets.NEEDED,
    patience: float = PATIENCE,
) -> Examined:
    """The same, with all that is wrong.

    Raises:
        ConfigError: the name can not be one, or there is no file.
    """
    environ = os.environ if environ is None else environ
    loaded = load(find(name, explicit), environ, secrets=secrets, patience=patience)
    faults = Faults(loaded.problems)
    session: Settings | CommandSettings | None = None
    records = not is_command(name, loaded)
    if loaded.is_whole:  # else what is missing stands in a file that could not be read, perhaps
        resolve = _resolve if records else resolve_command
        session = resolve(name, loaded, faults)
    problems = faults.placed(loaded)
    told = session.warnings if session else (*loaded.warnings, *clear_secrets(loaded))
    return Examined(
        loaded,
        None if problems else session,
        problems,
        told,
        (*notes(loaded), *(without_effect(name, loaded) if records else ())),
    )


def _resolve(name: str, loaded: Loaded, faults: Faults) -> Settings | None:
    config = loaded.config
    ws_url, rest_url, told = faults.tried(lambda: addresses(config), (None, None, ()))
    others = faults.tried(lambda: failover_urls(config, ws_url), ())
    symbol = faults.tried(lambda: _symbol(name, config), None)
    interval = faults.tried(lambda: _interval(config), None)
    rotation = faults.tried(lambda: _rotation(config.binance.reconnect), None)
    since_ms = faults.tried(lambda: _since(config.record.since), None)
    folder = faults.tried(lambda: data_dir(name, loaded.path, config.data_dir), None)
    check_state_files(config, faults)
    if symbol is None or interval is None or folder is None:
        return None
    return Settings(
        name=name,
        path=loaded.path,
        config=config,
        stream=Stream(symbol, interval),
        data_dir=folder,
        ws_url=ws_url,
        rest_url=rest_url,
        failover_urls=others,
        rotation=rotation,
        since_ms=since_ms,
        lacks_secrets=loaded.lacks_secrets,
        secret_files=secret_files(loaded),
        warnings=(
            *loaded.warnings,
            *clear_secrets(loaded),
            *told,
            *_redundancy_warning(config, others),
            *_command_warning(name, config),
            *reaches_nobody(config),
            *open_to_all(config),
        ),
    )


def _symbol(name: str, config: Config) -> str:
    field, given = "binance.stream.symbol", config.binance.stream.symbol
    if not given:
        hint = "symbol: btcusdt"
        if config.binance == Binance():
            hint += f"; or, to run a command instead of recording, ops.sessions.{name}.command"
            hint += f" (there are {', '.join(others)})" if (others := config.ops.sessions) else ""
        raise ConfigError("missing", field=field, hint=hint)
    if _SYMBOL.fullmatch(symbol := given.upper()) is None:
        raise ConfigError(f"{given!r} is no symbol", field=field, hint="such as btcusdt")
    return symbol


def _interval(config: Config) -> Interval:
    field, given = "binance.stream.timeframe", config.binance.stream.timeframe
    if not given:
        raise ConfigError("missing", field=field, hint="timeframe: 1h")
    try:
        return intervals.parse(given)
    except ValueError as error:
        raise ConfigError(str(error), field=field) from None


def _redundancy_warning(config: Config, failover_urls: tuple[str, ...]) -> tuple[str, ...]:
    wanted, there = config.websocket.redundancy, 1 + len(failover_urls)
    if wanted <= there:
        return ()
    return (f"websocket.redundancy is {wanted}, and there are {there} addresses: some are shared",)


def _command_warning(name: str, config: Config) -> tuple[str, ...]:
    if config.ops.sessions.get(name, SessionKeys()).command is None:
        return ()
    return (f"ops.sessions.{name}.command is left alone: with a binance section, {name} records",)


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
