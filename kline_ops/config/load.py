"""Finding and reading a session's config file.

In this order: ``--config FILE``, ``./configs/NAME.yml``, ``~/.config/kline-ops/NAME.yml``, and the one
shipped with the package. ``KLINE_OPS__BINANCE__WS_URL=…`` in the environment overrides any key.
"""

from __future__ import annotations

import difflib
import math
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import msgspec

from kline_ops.config import yaml_text
from kline_ops.config.model import CREDENTIAL_NAME, Config
from kline_ops.errors import ConfigError
from kline_ops.secret import Secret

#: Names of sessions: they become names of files and of tmux sessions, unchanged.
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
ENV_PREFIX = "KLINE_OPS__"
_MAX_BYTES = 1 << 20
_CREDENTIALS = "credentials"
#: What msgspec tells in the place of a name of the user's.
_ANY = "[...]"
_WORD = re.compile(r"[A-Za-z0-9_]{1,32}")

Tree = dict[str, Any]


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
        return explicit.expanduser().absolute()
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


def read(path: Path, environ: Mapping[str, str]) -> Config:
    """The typed config of a file, with the environment's overrides.

    Raises:
        ConfigError: unreadable, not YAML, an unknown key, a value of the wrong kind.
    """
    try:
        return _convert(path, environ)
    except msgspec.ValidationError as error:
        what, _, place = str(error).partition(" - at `")
        field = place.rstrip("`").removeprefix("$.")
        source = _source(path, field, environ)
        where = f"the environment: {source}" if source else str(path)
        raise ConfigError(f"{what} (in {where})", field=field, hint=_allowed(field)) from None


def _convert(path: Path, environ: Mapping[str, str]) -> Config:
    """Raises ConfigError, msgspec.ValidationError."""
    tree = _read_file(path)
    _check_keys(tree, Config, "", str(path))
    for variable, value in sorted(environ.items()):
        if variable.startswith(ENV_PREFIX):
            _override(tree, variable, value)
    return msgspec.convert(tree, Config, dec_hook=_decode)


def _source(path: Path, field: str, environ: Mapping[str, str]) -> str | None:
    """The variable that a wrong value came from. Of a name of the user's only ``[...]`` is known."""
    if _ANY not in field:
        return variable_of(field, environ)
    meant = [variable for variable in sorted(environ) if variable_of(field, {variable: ""})]
    for variables in ([], *([variable] for variable in meant)):
        try:
            _convert(path, {variable: environ[variable] for variable in variables})
        except msgspec.ValidationError:
            return variables[0] if variables else None
    return None


def _decode(kind: type, value: Any) -> Any:
    """What msgspec does not know by itself."""
    if kind is not Secret:
        raise NotImplementedError
    if not isinstance(value, str):
        raise ValueError("Expected `str`")
    return Secret(value)


def variable_of(field: str, environ: Mapping[str, str]) -> str | None:
    """The variable that a key's value came from (its section's, or one of its own keys'), if any."""
    asked = field.lower().replace(_ANY, ".*").split(".")
    for variable in sorted(environ, reverse=True):
        if not variable.startswith(ENV_PREFIX) or not field:
            continue
        keys = [key.lower() for key in _keys_of(variable)]
        if all("*" in pair or len({*pair}) == 1 for pair in zip(keys, asked, strict=False)):
            return variable
    return None


def _keys_of(variable: str) -> list[str]:
    """``KLINE_OPS__WEBSOCKET__PING__INTERVAL`` is ``websocket.ping.interval``.

    What a session's ``env`` holds are names of variables, which keep their capitals and underscores.
    """
    words = variable.removeprefix(ENV_PREFIX).split("__")
    keys = [word.lower() for word in words]
    if len(keys) > 4 and keys[:2] == ["ops", "sessions"] and keys[3] == "env":
        return [*keys[:4], "__".join(words[4:])]
    return keys


def shipped() -> Path:
    """The folder of the configs that come with the package."""
    package = Path(__file__).resolve().parent.parent
    inside = package / "configs"
    return inside if inside.is_dir() else package.parent / "configs"


def _user_configs() -> Path:
    return Path(os.environ.get("XDG_CONFIG_HOME") or "~/.config").expanduser() / "kline-ops"


def _read_file(path: Path) -> Tree:
    try:
        if path.is_dir():
            raise ConfigError(f"{path} is a directory", hint="give the YAML file in it")
        with path.open(encoding="utf-8") as file:
            text = file.read(_MAX_BYTES)
    except FileNotFoundError:
        raise ConfigError(f"{path} does not exist", hint="check the path") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read {path}: {error}") from None
    tree = yaml_text.parse(text, str(path), hint="check the indentation there")
    if tree is None:
        raise ConfigError(f"{path} is empty", hint="see the shipped configs for an example")
    if not isinstance(tree, dict):
        raise ConfigError(f"{path} is not a mapping of keys to values")
    return tree


def _check_keys(tree: Tree, section: type[msgspec.Struct], prefix: str, where: str) -> None:
    """Every key must be known; a section must be a mapping."""
    fields = {field.name: field.type for field in msgspec.structs.fields(section)}
    for key, value in tree.items():
        path = f"{prefix}{key}"
        if key not in fields:
            near = difflib.get_close_matches(str(key), fields, n=1, cutoff=0.0)
            raise ConfigError(
                f"unknown key (in {where})", field=path, hint=f"{prefix}{near[0]}" if near else ""
            )
        inner = _section_of(fields[key])
        if isinstance(value, float) and not math.isfinite(value):
            raise ConfigError(f"not a finite number (in {where})", field=path)
        named = get_origin(fields[key]) is dict
        if inner is None and not named:
            continue
        if value is None:
            tree[key] = {}
        elif isinstance(value, dict):
            if path == _CREDENTIALS:
                _check_credentials(value, where)
            elif inner is not None and named:
                _check_named(value, inner, f"{path}.", where)
            elif inner is not None:
                _check_keys(value, inner, f"{path}.", where)


def _check_named(tree: Tree, section: type[msgspec.Struct], prefix: str, where: str) -> None:
    """Sections whose names are the user's."""
    for name, value in tree.items():
        if value is None:
            tree[name] = {}
        elif isinstance(value, dict):
            _check_keys(value, section, f"{prefix}{name}.", where)


def _check_credentials(values: Tree, where: str) -> None:
    """Their names are the user's. What stands here is a secret: a value is never told."""
    for name, value in values.items():
        # Something else in the place of a name may be the secret itself.
        path = f"{_CREDENTIALS}.{name}" if _WORD.fullmatch(str(name)) else _CREDENTIALS
        if re.fullmatch(CREDENTIAL_NAME, str(name)) is None:
            raise ConfigError(f"unknown key (in {where})", field=path, hint="sops_mainnet")
        if not isinstance(value, str):
            raise ConfigError(f"not a text (in {where})", field=path, hint="a Slack webhook")


def _section_of(kind: Any) -> type[msgspec.Struct] | None:
    for option in (kind, *get_args(kind)):
        if isinstance(option, type) and issubclass(option, msgspec.Struct):
            return option
    return None


def _allowed(field: str) -> str:
    """The values that a key may have, where they are a few words: ``dev, trace or prod``."""
    kind: Any = Config
    for key in field.replace(_ANY, "").split("."):
        section = _section_of(kind)
        kinds = {
            known.name: known.type for known in msgspec.structs.fields(section or msgspec.Struct)
        }
        kind = kinds.get(key)
    if get_origin(kind) is not Literal:
        return ""
    *others, last = map(str, get_args(kind))
    return f"{', '.join(others)} or {last}" if others else last


def _override(tree: Tree, variable: str, value: str) -> None:
    """``KLINE_OPS__WEBSOCKET__PING__INTERVAL=5`` is ``websocket.ping.interval: 5``."""
    *sections, key = keys = _keys_of(variable)
    parsed = value  # a secret is taken as it is
    if not yaml_text.is_secret_text(keys):
        parsed = yaml_text.parse(value, variable, keys, hint="put the value in quotes")
    update: Tree = {key: parsed}
    for section in reversed(sections):
        update = {section: update}
    _check_keys(update, Config, "", f"the environment: {variable}")
    _merge(tree, update)


def _merge(tree: Tree, update: Tree) -> None:
    for key, value in update.items():
        there = key
        if isinstance(value, dict) and key not in tree:
            # The name of a session may have capitals, which a variable does not tell.
            there = next((known for known in tree if str(known).lower() == key), key)
        if isinstance(value, dict) and isinstance(tree.get(there), dict):
            _merge(tree[there], value)
        else:
            tree[there] = value
