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
import yaml

from kline_ops.config.model import CREDENTIAL_NAME, Config
from kline_ops.errors import ConfigError
from kline_ops.secret import Secret

#: Names of sessions: they become names of files and of tmux sessions, unchanged.
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
ENV_PREFIX = "KLINE_OPS__"
_MAX_BYTES = 1 << 20
_CREDENTIALS = "credentials"
_WORD = re.compile(r"[A-Za-z0-9_]{1,32}")

Tree = dict[str, Any]


def find(name: str, explicit: Path | None) -> Path:
    """The config file of a session.

    Raises:
        ConfigError: the name can not be one, or there is no file; it says where it looked.
    """
    if NAME.fullmatch(name) is None:
        raise ConfigError(
            f"{name!r} is no session name", hint="letters, digits, - and _, at most 64 of them"
        )
    if explicit is not None:
        return explicit.expanduser().absolute()
    places = [Path("configs"), _user_configs(), shipped()]
    for place in places:
        if (path := place / f"{name}.yml").is_file():
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
    tree = _parse(path)
    where = str(path)
    _check_keys(tree, Config, "", where)
    for variable, value in sorted(environ.items()):
        if variable.startswith(ENV_PREFIX):
            _override(tree, variable, value)
    try:
        return msgspec.convert(tree, Config, dec_hook=_decode)
    except msgspec.ValidationError as error:
        what, _, place = str(error).partition(" - at `")
        field = place.rstrip("`").removeprefix("$.")
        if source := variable_of(field, environ):
            where = f"the environment: {source}"
        raise ConfigError(f"{what} (in {where})", field=field, hint=_allowed(field)) from None


def _decode(kind: type, value: Any) -> Any:
    """What msgspec does not know by itself."""
    if kind is not Secret:
        raise NotImplementedError
    if not isinstance(value, str | int) or isinstance(value, bool):
        raise ValueError("Expected `str`")
    return Secret(str(value))


def variable_of(field: str, environ: Mapping[str, str]) -> str | None:
    """The variable that a key's value came from (its section's, or one of its own keys'), if any."""
    for variable in sorted(environ, reverse=True):
        if not variable.startswith(ENV_PREFIX) or not field:
            continue
        key = ".".join(_key_of(variable))
        if f"{field}.".startswith(f"{key}.") or f"{key}.".startswith(f"{field}."):
            return variable
    return None


def _key_of(variable: str) -> list[str]:
    """``KLINE_OPS__WEBSOCKET__PING__INTERVAL`` is ``websocket.ping.interval``."""
    return variable.removeprefix(ENV_PREFIX).lower().split("__")


def shipped() -> Path:
    """The folder of the configs that come with the package."""
    package = Path(__file__).resolve().parent.parent
    inside = package / "configs"
    return inside if inside.is_dir() else package.parent / "configs"


def _user_configs() -> Path:
    return Path(os.environ.get("XDG_CONFIG_HOME") or "~/.config").expanduser() / "kline-ops"


class _Loader(yaml.SafeLoader):
    """Plain YAML, but times stay text, and a key that stands twice is an error."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, regexp) for tag, regexp in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def _mapping(loader: _Loader, node: yaml.MappingNode) -> dict[Any, Any]:
    seen = set()
    for key_node, _ in node.value:
        key = loader.construct_object(key_node)
        if key in seen:
            line = key_node.start_mark.line + 1
            raise ConfigError(f"line {line}: the key {key!r} stands twice", hint="remove one")
        seen.add(key)
    return loader.construct_mapping(node, deep=True)


_Loader.add_constructor("tag:yaml.org,2002:map", _mapping)


def _parse(path: Path) -> Tree:
    try:
        if path.is_dir():
            raise ConfigError(f"{path} is a directory", hint="give the YAML file in it")
        with path.open(encoding="utf-8") as file:
            text = file.read(_MAX_BYTES)
    except FileNotFoundError:
        raise ConfigError(f"{path} does not exist", hint="check the path") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read {path}: {error}") from None
    tree = _from_yaml(text, str(path), hint="check the indentation there")
    if tree is None:
        raise ConfigError(f"{path} is empty", hint="see the shipped configs for an example")
    if not isinstance(tree, dict):
        raise ConfigError(f"{path} is not a mapping of keys to values")
    return tree


def _from_yaml(text: str, where: str, *, hint: str) -> Any:
    try:
        return yaml.load(text, _Loader)  # noqa: S506 - a SafeLoader
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}", hint=error.hint) from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f" line {mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or "not YAML"
        raise ConfigError(f"{where}{line}: {problem}", hint=hint) from None


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
    for key in field.replace("[...]", "").split("."):  # msgspec's for names of the user's
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
    *sections, key = _key_of(variable)
    # A secret is taken as it is: what is wrong with it as YAML would be told with parts of it.
    secret = sections == [_CREDENTIALS]
    parsed = value if secret else _from_yaml(value, variable, hint="put the value in quotes")
    update: Tree = {key: parsed}
    for section in reversed(sections):
        update = {section: update}
    _check_keys(update, Config, "", f"the environment: {variable}")
    _merge(tree, update)


def _merge(tree: Tree, update: Tree) -> None:
    for key, value in update.items():
        if isinstance(value, dict) and isinstance(tree.get(key), dict):
            _merge(tree[key], value)
        else:
            tree[key] = value
