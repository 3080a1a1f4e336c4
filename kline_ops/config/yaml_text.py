"""YAML as configs are written in it: plain, with texts kept as they stand, and secrets never told.

What lies below ``credentials`` and ``ops.sessions.NAME.env`` is a password or a token. An error tells
the line of such a thing, and what kind of mistake it is, and nothing of what stands there; nor does it
tell tags and aliases, wherever they are: a secret that begins with ``!`` or ``*`` is one to YAML.

Source: YAML 1.1, chapter 5 ("Characters"); PyYAML's ``composer.py``, ``constructor.py``, ``parser.py``
and ``scanner.py`` for what its errors hold.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Sequence
from typing import Any

import yaml

from kline_ops.errors import ConfigError

#: Where secrets are; None: a name of the user's.
CREDENTIALS = ("credentials",)
_ENV = ("ops", "sessions", None, "env")
#: Mistakes of which PyYAML tells what was written: how they begin there, and what is told instead.
_KINDS = {
    "could not determine a constructor for the tag": "an unknown tag",
    "found undefined tag handle": "an unknown tag",
    "found undefined alias": "an unknown alias",
    "duplicate tag handle": "a tag handle that stands twice",
    "found duplicate anchor": "an anchor that stands twice",
    "found unknown escape character": "an unknown escape",
    "found character ": "a character that can not start a text",
}
#: What else it found there (a character), but for its own words (``'<block end>'``).
_FOUND = re.compile(r",? but (found|got) (?!'<[a-z ]+>'$).*", re.DOTALL)
#: What a value that its tag does not fit raises (``!!int x``, a number of 5000 digits, 1000 brackets).
_UNFIT = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)

Place = Sequence[str | None]


class _Loader(yaml.SafeLoader):
    """Plain YAML, but times stay text, and a key that stands twice is an error."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        #: Nodes whose keys are not told.
        self.hidden: set[int] = set()


_Loader.yaml_implicit_resolvers = {
    first: [(tag, regexp) for tag, regexp in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def _mapping(loader: _Loader, node: yaml.MappingNode) -> dict[Any, Any]:
    seen = set()
    for key_node, _ in node.value:
        line = key_node.start_mark.line + 1
        key = loader.construct_object(key_node)
        if not isinstance(key, Hashable):
            raise ConfigError(f"line {line}: a key that is no text", hint="one word")
        if key in seen:
            told = "a key" if id(node) in loader.hidden else f"the key {key!r}"
            raise ConfigError(f"line {line}: {told} stands twice", hint="remove one")
        seen.add(key)
    return loader.construct_mapping(node, deep=True)


_Loader.add_constructor("tag:yaml.org,2002:map", _mapping)


def parse(text: str, where: str, at: Place = (), *, hint: str) -> Any:
    """What a YAML text says; ``at``: the keys above it, where it is a part of a config.

    Raises:
        ConfigError: it is no YAML, or not of the plain kind; ``where`` and the line are told.
    """
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        if node is None:
            return None
        return loader.construct_document(_as_written(loader, node, at))
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}", hint=error.hint) from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f" line {mark.line + 1}" if mark else ""
        problem, hint = _problem(getattr(error, "problem", None) or "not YAML", hint)
        raise ConfigError(f"{where}{line}: {problem}", hint=hint) from None
    except _UNFIT as error:
        deep = isinstance(error, RecursionError)
        told = "nested too deeply" if deep else "a value that is no good"
        raise ConfigError(f"{where}: {told}", hint="put texts in quotes") from None


def is_secret_text(at: Place) -> bool:
    """Is what stands at these keys a secret, and a text whatever it looks like?"""
    return len(at) > 1 and (_is_at(at[:-1], CREDENTIALS) or _is_at(at[:-1], _ENV))


def _problem(told: str, hint: str) -> tuple[str, str]:
    for beginning, kind in _KINDS.items():
        if told.startswith(beginning):
            return kind, "put a text that begins with a sign in quotes"
    return _FOUND.sub("", told), hint


def _is_at(at: Place, place: Place) -> bool:
    return len(at) == len(place) and _leads_to(at, place)


def _leads_to(at: Place, place: Place) -> bool:
    pairs = zip(at, place, strict=False)
    return len(at) <= len(place) and all(name in {key, None} for key, name in pairs)


def _as_written(loader: _Loader, node: yaml.Node, at: Place) -> yaml.Node:
    """The same tree, where what an ``env`` holds is text: ``0123`` and ``12:30`` are no numbers there.

    Copied, as far as it leads there: an alias may stand for a part of it elsewhere.
    """
    if _is_at(at, CREDENTIALS):
        _hide(loader, node)
        return node
    if not isinstance(node, yaml.MappingNode) or not _leads_to(at, _ENV):
        return node
    if _is_at(at, _ENV):
        _hide(loader, node)
        pairs = [(_text(key), _text(value)) for key, value in node.value]
    else:
        pairs = [
            (key, _as_written(loader, value, (*at, str(key.value)))) for key, value in node.value
        ]
    copied = yaml.MappingNode(node.tag, pairs, node.start_mark, node.end_mark)
    if id(node) in loader.hidden:
        loader.hidden.add(id(copied))
    return copied


def _text(node: yaml.Node) -> yaml.Node:
    """A scalar as it is written; nothing at all stays nothing, which is no text."""
    if not isinstance(node, yaml.ScalarNode) or not node.tag.startswith("tag:yaml.org,2002:"):
        return node
    if not node.value and node.style is None:
        return node
    return yaml.ScalarNode(
        "tag:yaml.org,2002:str", node.value, node.start_mark, node.end_mark, node.style
    )


def _hide(loader: _Loader, node: yaml.Node) -> None:
    waiting = [node]
    while waiting:
        node = waiting.pop()
        if id(node) in loader.hidden or not isinstance(node, yaml.CollectionNode):
            continue
        loader.hidden.add(id(node))
        for part in node.value:
            waiting.extend(part if isinstance(part, tuple) else (part,))
