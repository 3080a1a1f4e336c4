"""Whom ``kline-ops watchdog`` watches over, and by which settings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from kline_ops.config.model import Alerts, Config, WatchdogKeys
from kline_ops.config.paths import textfile_of
from kline_ops.errors import EXIT_USAGE, ConfigError, SessionError
from kline_ops.ops.guard import Ward
from kline_ops.watch.registry import KnownSession, find_session

if TYPE_CHECKING:
    from kline_ops.config.command import CommandSettings
    from kline_ops.config.settings import Settings


@dataclass(frozen=True, slots=True)
class Watched:
    """A session, and how it is watched. Times in seconds."""

    name: str
    ward: Ward
    state_file: Path
    interval: float
    max_age: float
    #: Between two alarms on what comes and goes.
    floor: float
    #: None where it can not be read; ``problem`` says why.
    config: Config | None
    problem: str
    #: What is found, for node_exporter; None: not wanted.
    textfile: Path | None
    #: The same, found anew.
    again: Callable[[], Watched]


def find_watched(
    name: str,
    config: Path | None,
    *,
    interval: float | None,
    max_age: float | None,
    textfile: Path | None = None,
) -> Watched:
    """The session of this name: as it was started, or as its config says where it was not yet.

    A config that can not be used (a secret that can not be decrypted) is no reason not to watch.

    Raises:
        SessionError: there is none, and no config was given.
        ConfigError: there is none, and the config that was given can not be used.
    """
    known = _known(name)
    if known is None and config is None:
        find_session(name)  # says so
    settings: Settings | CommandSettings | None = None
    problem = ""
    try:
        settings = _load(name, config or Path(known.config if known is not None else ""))
    except ConfigError as error:
        if known is None:
            raise
        problem = error.one_line()
    keys = WatchdogKeys() if settings is None else settings.config.resilience.watchdog
    floor = Alerts().floor if settings is None else settings.config.alerts.floor
    described = _described(settings) if settings is not None else known
    assert described is not None  # noqa: S101 - one of them is there
    own = Path((known or described).state_file)
    other = None
    if settings is not None and keys.state_file is not None:
        path = settings.data_dir / keys.state_file
        other = path if path != own else None
    if textfile is None and settings is not None and keys.textfile is not None:
        textfile = settings.data_dir / textfile_of(keys.textfile)
    age = max_age or keys.max_heartbeat_age
    return Watched(
        name=name,
        ward=Ward(name, lambda: _entry(name, described), other, age),
        state_file=other or own,
        interval=interval or keys.cycle_interval,
        max_age=age,
        floor=floor,
        config=None if settings is None else settings.config,
        problem=problem,
        textfile=textfile,
        again=lambda: find_watched(
            name, config, interval=interval, max_age=max_age, textfile=textfile
        ),
    )


def _known(name: str) -> KnownSession | None:
    try:
        return find_session(name)
    except SessionError as error:
        if error.exit_code == EXIT_USAGE:
            raise
        return None


def _entry(name: str, described: KnownSession) -> KnownSession:
    """As it is now: each start changes it, and it may be taken away."""
    known = _known(name)
    return known if known is not None else replace(described, keeper_pid=None)


def _load(name: str, config: Path) -> Settings | CommandSettings:
    from kline_ops.config.settings import load_session

    return load_session(name, config)


def _described(settings: Settings | CommandSettings) -> KnownSession:
    from kline_ops.cli.known import describe_session

    return describe_session(settings)
