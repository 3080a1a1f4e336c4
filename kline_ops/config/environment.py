"""``KLINE_OPS__BINANCE__WS_URL=…`` is ``binance.ws_url: …``: the environment has the last word."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from kline_ops.config import yaml_text
from kline_ops.config.include import KEY
from kline_ops.config.layers import Layer, Tree, merged
from kline_ops.errors import ConfigError

PREFIX = "KLINE_OPS__"


def layers_of(
    environ: Mapping[str, str], below: list[Layer], problems: list[ConfigError]
) -> Iterator[Layer]:
    """A layer for each variable, in the order of their names; ``below``: what they stand over."""
    tree = merged(below)
    for variable in sorted(environ):
        if not variable.startswith(PREFIX):
            continue
        try:
            yield _layer(variable, environ[variable], tree)
        except ConfigError as error:
            problems.append(error)


def _layer(variable: str, value: str, below: Tree) -> Layer:
    """Raises ConfigError."""
    where = f"the environment: {variable}"
    keys = keys_of(variable)
    if keys[0] == KEY:
        raise ConfigError(f"stands in a file only (in {where})", field=KEY, hint="--config FILE")
    parsed: Any = value  # a secret is taken as it is
    if not yaml_text.is_secret_text(keys):
        parsed = yaml_text.parse(value, variable, keys, hint="put the value in quotes").data
    elif keys[-1] in {"ping_url", "token"}:
        parsed = value or None
    if keys == ["alerts", "urls"] and isinstance(parsed, str):
        parsed = [parsed]
    *sections, last = _named(keys, parsed, below)
    tree: Tree = {last: parsed}
    for section in reversed(sections):
        tree = {section: tree}
    return Layer(tree, where=where, origin=f"environment: {variable}")


def keys_of(variable: str) -> list[str]:
    """``KLINE_OPS__WEBSOCKET__PING__INTERVAL`` is ``websocket.ping.interval``.

    What a session's ``env`` holds are names of variables, which keep their capitals and underscores.
    """
    words = variable.removeprefix(PREFIX).split("__")
    keys = [word.lower() for word in words]
    if len(keys) > 4 and keys[:2] == ["ops", "sessions"] and keys[3] == "env":
        return [*keys[:4], "__".join(words[4:])]
    return keys


def _named(keys: list[str], value: Any, below: Tree) -> Iterator[str]:
    """The name of a session may have capitals, which a variable does not tell."""
    node: Any = below
    for place, key in enumerate(keys, 1):
        known = node if isinstance(node, dict) else {}
        there = key
        if key not in known and (place < len(keys) or isinstance(value, dict)):
            there = next((name for name in known if str(name).lower() == key), key)
        yield there
        node = known.get(there)
