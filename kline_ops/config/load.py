"""Finding and reading a session's config.

In this order: ``--config FILE``, ``./configs/NAME.yml``, ``~/.config/kline-ops/NAME.yml``, and the one
shipped with the package. ``KLINE_OPS__BINANCE__WS_URL=…`` in the environment overrides any key.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from kline_ops.config.check import checked, converted
from kline_ops.config.environment import layers_of
from kline_ops.config.include import read_files
from kline_ops.config.layers import Layer, merged, origin
from kline_ops.config.model import Config
from kline_ops.config.paths import path_of
from kline_ops.config.presets import preset_layers
from kline_ops.config.sops import PATIENCE, Secrets
from kline_ops.errors import ConfigError

#: Names of sessions: they become names of files and of tmux sessions, unchanged.
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")


def find(name: str, explicit: Path | None) -> Path:
    """The config file of a session.

    Raises:
        ConfigError: the name can not be one, or there is no file; it says where it looked.
    """
    if NAME.fullmatch(name) is None:
        raise ConfigError(
            f"{name!r} is no session name",
            hint="letters, digits, - and _ (a letter or digit first), at most 64 of them",
        )
    if explicit is not None:
        return path_of(explicit, "--config").absolute()
    places = [Path("configs"), _user_configs(), shipped()]
    for place in places:
        # Path.is_file raises PermissionError below a folder that may not be looked into.
        if os.path.isfile(path := place / f"{name}.yml"):  # noqa: PTH113
            return path.absolute()
    known = sorted(path.stem for path in shipped().glob("*.yml"))
    raise ConfigError(
        f"no config for {name!r}: looked for {name}.yml in {', '.join(map(str, places[:2]))}",
        hint=f"--config FILE, or one of the shipped ones: {', '.join(known)}",
    )


@dataclass(frozen=True, slots=True)
class Loaded:
    """A config with all that it was put together from."""

    path: Path
    #: Who says what, the lowest first; what is wrong there is left out.
    layers: tuple[Layer, ...]
    config: Config
    problems: tuple[ConfigError, ...]
    warnings: tuple[str, ...]
    #: Could all files be read? What is not there may stand in one that could not.
    is_whole: bool
    #: Why a file with secrets could not be decrypted, and is done without.
    lacks_secrets: str = ""

    @property
    def from_files(self) -> Config:
        """The same without the environment."""
        return converted(merged(layer for layer in self.layers if layer.path is not None))

    def placed(self, error: ConfigError) -> ConfigError:
        """The same error, with the place of the key that it is about."""
        keys = error.field.split(".")
        spoken = origin(self.layers, keys) if error.field else None
        where = spoken.place(keys) if spoken else str(self.path)
        told = str(error).removeprefix(f"{error.field}: ")
        told = spoken.hushed(told) if spoken else told
        return ConfigError(f"{told} (in {where})", field=error.field, hint=error.hint)


def load(
    path: Path,
    environ: Mapping[str, str],
    *,
    secrets: Secrets = Secrets.NEEDED,
    patience: float = PATIENCE,
) -> Loaded:
    """Read a file, what it includes, and what the environment says of it.

    ``patience``: seconds for each file that has to be decrypted. Raises nothing: see ``problems``.
    """
    reading = read_files(path, secrets, patience)
    problems, layers = reading.problems, list[Layer]()
    is_whole = not problems

    def add(layer: Layer) -> None:
        tree, wrong = checked(layer)
        layers.append(replace(layer, tree=tree))
        problems.extend(wrong)

    for layer in reading.layers:
        add(layer)
    for layer in [*layers_of(environ, layers, problems)]:
        add(layer)
    try:
        layers[:0] = preset_layers(layers)
    except ConfigError as error:
        problems.append(error)
    return Loaded(
        path=path,
        layers=tuple(layers),
        config=converted(merged(layers)),
        # A file that is included twice is wrong once.
        problems=tuple({error.one_line(): error for error in problems}.values()),
        warnings=tuple(dict.fromkeys(reading.warnings)),
        is_whole=is_whole,
        lacks_secrets=reading.lacks_secrets,
    )


def shipped() -> Path:
    """The folder of the configs that come with the package."""
    package = Path(__file__).resolve().parent.parent
    inside = package / "configs"
    return inside if inside.is_dir() else package.parent / "configs"


def _user_configs() -> Path:
    return Path(os.environ.get("XDG_CONFIG_HOME") or "~/.config").expanduser() / "kline-ops"
