"""A config as it is used, as YAML, with a comment on each line: where the value comes from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
import yaml

from kline_ops.config.command import CommandSettings
from kline_ops.config.layers import origin
from kline_ops.config.load import Loaded
from kline_ops.config.notices import WITHOUT_EFFECT
from kline_ops.config.settings import Settings
from kline_ops.plain import visible
from kline_ops.secret import redacted, shown_url

#: Where comments begin, if there is room.
_COLUMN = 44
_TERMINAL = 80
_WIDTH = 2
_DEFAULT = "default"

Keys = tuple[str, ...]
Tree = dict[str, Any]


def shown(loaded: Loaded, session: Settings | CommandSettings) -> Iterator[str]:
    """The lines, without the secrets. Together they are YAML."""
    # ``str`` makes ``…`` of a secret.
    tree: Tree = msgspec.to_builtins(loaded.config, enc_hook=str)
    tree["data_dir"] = str(session.data_dir)
    follows: dict[Keys, str] = {}
    if isinstance(session, CommandSettings):
        tree = {key: tree[key] for key in ("data_dir", "ops")}
        # With the others its folder would be one below this data_dir.
        tree["ops"]["sessions"] = {session.name: tree["ops"]["sessions"][session.name]}
    else:
        follows = _resolve(tree, session)
    for keys in (*WITHOUT_EFFECT, ("websocket", "presets"), ("websocket", "preset")):
        if origin(loaded.layers, keys) is None:
            _remove(tree, keys)
    yield from _lines(tree, (), loaded, follows)


def _resolve(tree: Tree, settings: Settings) -> dict[Keys, str]:
    """Put in what follows from other keys; answers from which."""
    follows: dict[Keys, str] = {}

    def put(keys: Keys, value: Any, source: str) -> None:
        section = tree
        for key in keys[:-1]:
            section = section[key]
        if section[keys[-1]] is None:
            follows[keys] = source
        section[keys[-1]] = value

    venue = "exchange.embedded" if settings.ws_url is None else "binance.environment"
    put(("binance", "ws_url"), settings.ws_url, f"from {venue}")
    put(("binance", "failover_urls"), list(settings.failover_urls), "from binance.ws_url")
    put(("binance", "rest_url"), settings.rest_url, "from binance.ws_url")
    if (rotation := settings.rotation) is not None:
        reconnect = ("binance", "reconnect")
        put((*reconnect, "margin_seconds"), rotation.margin, _DEFAULT)
        put((*reconnect, "min_connection_duration"), rotation.min_connection_duration, _DEFAULT)
    return follows


def _remove(tree: Tree, keys: Keys) -> None:
    section = tree
    for key in keys[:-1]:
        section = section.get(key, {})
    section.pop(keys[-1], None)


def _lines(
    tree: Mapping[str, Any], above: Keys, loaded: Loaded, follows: Mapping[Keys, str]
) -> Iterator[str]:
    for key, value in tree.items():
        keys = (*above, str(key))
        head = f"{' ' * _WIDTH * len(above)}{_scalar(redacted(str(key)))}:"
        if isinstance(value, dict) and value:
            yield head
            yield from _lines(value, keys, loaded, follows)
            continue
        comment = _comment(keys, loaded, follows)
        if isinstance(value, list) and len(_scalar(value)) > _COLUMN:
            yield f"{head}  # {comment}"
            yield from (f"{' ' * _WIDTH * len(keys)}- {_scalar(_hidden(one))}" for one in value)
            continue
        text = f"{head} {_scalar(_hidden(value))}"
        room = _COLUMN if _COLUMN + len(comment) + 4 <= _TERMINAL else 0
        yield f"{text:<{room}}  # {comment}"


def _comment(keys: Keys, loaded: Loaded, follows: Mapping[Keys, str]) -> str:
    if keys in follows:
        return follows[keys]
    spoken = origin(loaded.layers, keys)
    return visible(spoken.origin_of(keys)) if spoken else _DEFAULT


def _scalar(value: Any) -> str:
    """A value on one line, as YAML."""
    style = '"' if isinstance(value, str) and visible(value) != value else None
    text: str = yaml.safe_dump(
        value, default_flow_style=True, default_style=style, allow_unicode=True, width=1 << 20
    )
    return text.removesuffix("...\n").strip()


def _hidden(value: Any) -> Any:
    """The same without what its addresses hold of secrets."""
    if isinstance(value, list):
        return [_hidden(one) for one in value]
    if isinstance(value, dict):
        return {key: _hidden(one) for key, one in value.items()}
    if isinstance(value, str) and "://" in value:
        # A command's words are no address, and may hold some.
        return redacted(value) if " " in value else shown_url(value)
    return value
