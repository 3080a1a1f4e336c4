"""Sessions that are only a command: no ``binance`` section, and ``ops.sessions.NAME.command``."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from kline_ops.config.model import Binance, Config, SessionKeys
from kline_ops.errors import ConfigError
from kline_ops.secret import Secret


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """What all sessions have."""

    name: str
    #: The file it was read from.
    path: Path
    config: Config
    data_dir: Path

    @property
    def state_file(self) -> Path:
        """The heartbeat state file."""
        return self.data_dir / self.config.resilience.heartbeat.state_file

    @property
    def events_file(self) -> Path:
        """The event log."""
        return self.data_dir / "events.jsonl"

    @property
    def log_file(self) -> Path:
        """The log."""
        return self.data_dir / "session.log"

    @property
    def exit_file(self) -> Path:
        """How the last run ended."""
        return self.data_dir / "exit.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandSettings(Session):
    """A session that records nothing: a command to be kept running."""

    #: Its words; no shell has a part in it.
    argv: tuple[str, ...]
    working_dir: Path
    env: Mapping[str, Secret]


def data_dir(name: str, path: Path, given: str | None) -> Path:
    """Where the files of a session are; a relative place is relative to its config."""
    if given is None:
        home = Path(os.environ.get("XDG_DATA_HOME") or "~/.local/share").expanduser()
        return home / "kline-ops" / name
    return (path.parent / Path(given).expanduser()).absolute()


def is_command(name: str, config: Config, read_file: Callable[[], Config]) -> bool:
    """Does this session run a command? A file that speaks of an exchange records.

    ``read_file`` is the file alone: the environment may speak of an exchange to all sessions.
    """
    if config.ops.sessions.get(name, SessionKeys()).command is None:
        return False
    return config.binance == Binance() or read_file().binance == Binance()


def resolve_command(name: str, path: Path, config: Config) -> CommandSettings:
    """The command of a session.

    Raises:
        ConfigError: it is no command line, or its folder or environment can not be used.
    """
    keys, field = config.ops.sessions[name], f"ops.sessions.{name}"
    try:
        argv = tuple(shlex.split(keys.command or ""))
    except ValueError as error:  # "No closing quotation"
        raise ConfigError(
            str(error).lower(), field=f"{field}.command", hint="quotes as in a shell"
        ) from None
    if not argv or not argv[0]:
        raise ConfigError("empty", field=f"{field}.command", hint="command: python collect.py")
    if any("\0" in word for word in argv):
        raise ConfigError("holds a NUL", field=f"{field}.command", hint="remove it")
    working_dir = path.parent / Path(keys.working_dir or ".").expanduser()
    if not working_dir.is_dir():
        raise ConfigError(
            f"{working_dir} is no folder",
            field=f"{field}.working_dir",
            hint="one that is there; a relative one is relative to the config",
        )
    for key, value in keys.env.items():
        if not key or "=" in key or "\0" in key + value.reveal():
            told = key.partition("=")[0] + "=…" * ("=" in key)  # what follows may be the value
            raise ConfigError(f"{told!r} can not be set", field=f"{field}.env", hint="NAME: value")
    return CommandSettings(
        name=name,
        path=path,
        config=config,
        data_dir=_own_folder(name, path, config),
        argv=argv,
        working_dir=working_dir.resolve(),
        env=keys.env,
    )


def _own_folder(name: str, path: Path, config: Config) -> Path:
    """Several sessions of one file have a folder each below its ``data_dir``."""
    folder = data_dir(name, path, config.data_dir)
    shared = config.data_dir is not None and len(config.ops.sessions) > 1
    return folder / name if shared else folder
