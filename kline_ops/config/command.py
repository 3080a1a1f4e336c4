"""Sessions that are only a command: no ``binance`` section, and ``ops.sessions.NAME.command``."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from kline_ops.config.faults import Faults
from kline_ops.config.load import Loaded
from kline_ops.config.model import Binance, Config, SessionKeys
from kline_ops.config.notices import clear_secrets, secret_files
from kline_ops.config.paths import path_of, textfile_of
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
    #: Files of its config with anything in clear text that others should not read.
    secret_files: tuple[Path, ...] = ()
    #: What the user should know, though it is no error.
    warnings: tuple[str, ...] = ()

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
    """Where the files of a session are; a relative place is relative to its config.

    Raises:
        ConfigError: it can be no path.
    """
    if given is None:
        home = Path(os.environ.get("XDG_DATA_HOME") or "~/.local/share").expanduser()
        return home / "kline-ops" / name
    return (path.parent / path_of(given, "data_dir")).absolute()


def check_state_files(config: Config, faults: Faults) -> None:
    """Can they be paths? So with the watchdog's textfile."""
    keys = config.resilience
    for section, given in (("heartbeat", keys.heartbeat), ("watchdog", keys.watchdog)):
        if (file := given.state_file) is not None:
            field = f"resilience.{section}.state_file"
            faults.tried(partial(path_of, file, field), None)
    if (file := keys.watchdog.textfile) is not None:
        faults.tried(partial(textfile_of, file, "resilience.watchdog.textfile"), None)


def is_command(name: str, loaded: Loaded) -> bool:
    """Does this session run a command? A file that speaks of an exchange records.

    The file, that is: the environment may speak of an exchange to all sessions.
    """
    config, nothing = loaded.config, Binance()
    if config.ops.sessions.get(name, SessionKeys()).command is None:
        return False
    return nothing in (config.binance, loaded.from_files.binance)


def resolve_command(name: str, loaded: Loaded, faults: Faults) -> CommandSettings:
    """The command of a session; what is wrong with it goes to ``faults``."""
    keys, path = loaded.config.ops.sessions[name], loaded.path
    field = f"ops.sessions.{name}"
    argv = faults.tried(lambda: _argv(keys.command or "", f"{field}.command"), ())
    working_dir = faults.tried(lambda: _working_dir(keys, path, f"{field}.working_dir"), Path())
    folder = faults.tried(lambda: _own_folder(name, path, loaded.config), Path())
    check_state_files(loaded.config, faults)
    return CommandSettings(
        name=name,
        path=path,
        config=loaded.config,
        data_dir=folder,
        argv=argv,
        working_dir=working_dir.resolve(),
        env=keys.env,
        secret_files=secret_files(loaded),
        warnings=(*loaded.warnings, *clear_secrets(loaded)),
    )


def _argv(command: str, field: str) -> tuple[str, ...]:
    """Raises ConfigError."""
    try:
        argv = tuple(shlex.split(command))
    except ValueError as error:  # "No closing quotation"
        raise ConfigError(str(error).lower(), field=field, hint="quotes as in a shell") from None
    if not argv or not argv[0]:
        raise ConfigError("empty", field=field, hint="command: python collect.py")
    if any("\0" in word for word in argv):
        raise ConfigError("holds a NUL", field=field, hint="remove it")
    return argv


def _working_dir(keys: SessionKeys, path: Path, field: str) -> Path:
    """Raises ConfigError."""
    folder = path.parent / path_of(keys.working_dir or ".", field)
    if not folder.is_dir():
        hint = "one that is there; a relative one is relative to the config"
        raise ConfigError(f"{folder} is no folder", field=field, hint=hint)
    return folder


def _own_folder(name: str, path: Path, config: Config) -> Path:
    """Several sessions of one file have a folder each below its ``data_dir``. Raises ConfigError."""
    folder = data_dir(name, path, config.data_dir)
    shared = config.data_dir is not None and len(config.ops.sessions) > 1
    return folder / name if shared else folder
