"""YAML as configs are written in it: plain, with texts kept as they stand, and secrets never told.

What lies at :data:`SECRETS` and in ``ops.sessions.NAME.env`` is a password or a token. An error tells
the line of such a thing, and what kind of mistake it is, and nothing of what stands there; nor does it
tell tags and aliases, wherever they are: a secret that begins with ``!`` or ``*`` is one to YAML.

Source: YAML 1.1, chapter 5 ("Characters"); PyYAML's ``composer.py``, ``constructor.py``, ``parser.py``
and ``scanner.py`` for what its errors hold.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from kline_ops.config.yaml_merge import merge_keys
from kline_ops.errors import ConfigError

#: Where secrets are, and below which sections each value is one; None: a name of the user's.
_BELOW = (("credentials",), ("binance_credentials",))
_ALONE = (("alerts", "ping_url"), ("http", "token"))
SECRETS = (*_BELOW, ("alerts", "urls"), *_ALONE)
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
_SECOND = "but found another document"
#: What else it found there (a character), but for its own words (``'<block end>'``).
_FOUND = re.compile(r",? but (found|got) (?!'<[a-z ]+>'$).*", re.DOTALL)
#: What a value that its tag does not fit raises (``!!int x``, a number of 5000 digits, 1000 brackets).
_UNFIT = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)

Place = Sequence[str | None]


class _Loader(yaml.SafeLoader):
    """Plain YAML, but times and dates stay text, and a key that stands twice is an error."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        #: Nodes whose keys are not told.
        self.hidden: set[int] = set()


#: As PyYAML has them, less numbers to the base of sixty: ``10:30`` is a time of day, and text.
_NUMBERS = {
    "tag:yaml.org,2002:int": re.compile(
        r"[-+]?(?:0b[01_]+|0[0-7_]+|0x[0-9a-fA-F_]+|0|[1-9][0-9_]*)$"
    ),
    "tag:yaml.org,2002:float": re.compile(
        r"(?:[-+]?[0-9][0-9_]*\.[0-9_]*(?:[eE][-+][0-9]+)?|\.[0-9][0-9_]*(?:[eE][-+][0-9]+)?"
        r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$"
    ),
}
_Loader.yaml_implicit_resolvers = {
    first: [
        (tag, _NUMBERS.get(tag, regexp))
        for tag, regexp in resolvers
        if tag != "tag:yaml.org,2002:timestamp"
    ]
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


class Lines:
    """Where the keys of a text stand in it."""

    def __init__(self, root: yaml.Node) -> None:
        self._root = root

    def nearest(self, keys: Sequence[str]) -> int | None:
        """The line of a key, else of the section that it would be in; None for the whole text."""
        node, line = self._root, None
        for key in keys:
            pairs = node.value if isinstance(node, yaml.MappingNode) else ()
            found = next((pair for pair in pairs if str(pair[0].value) == key), None)
            if found is None:
                break
            node, line = found[1], found[0].start_mark.line + 1
        return line

    def scalars(self) -> Iterator[tuple[int, str]]:
        """Each text and number as it is written, with its line; what an alias stands for, once."""
        seen: set[int] = set()
        waiting = [self._root]
        while waiting:
            node = waiting.pop()
            if id(node) in seen:
                continue
            seen.add(id(node))
            if isinstance(node, yaml.ScalarNode):
                yield node.start_mark.line + 1, str(node.value)
                continue
            for part in reversed(node.value):
                waiting.extend(reversed(part) if isinstance(part, tuple) else (part,))


@dataclass(frozen=True, slots=True)
class Parsed:
    """What a text says, and where; ``lines`` is None where it says nothing."""

    data: Any
    lines: Lines | None


def parse(text: str, where: str, at: Place = (), *, hint: str) -> Parsed:
    """What a YAML text says; ``at``: the keys above it, where it is a part of a config.

    Raises:
        ConfigError: it is no YAML, or not of the plain kind; ``where`` and the line are told.
    """
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        if node is None:
            return Parsed(None, None)
        merge_keys(node)
        return Parsed(loader.construct_document(_as_written(loader, node, at)), Lines(node))
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}", hint=error.hint) from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f" line {mark.line + 1}" if mark else ""
        written = text.splitlines()[mark.line : mark.line + 1] if mark else []
        problem, hint = _problem(getattr(error, "problem", None) or "not YAML", hint, *written)
        raise ConfigError(f"{where}{line}: {problem}", hint=hint) from None
    except _UNFIT as error:
        deep = isinstance(error, RecursionError)
        told = "nested too deeply" if deep else "a value that is no good"
        raise ConfigError(f"{where}: {told}", hint="put texts in quotes") from None


def is_secret_text(at: Place) -> bool:
    """Is what stands at these keys a secret, and a text whatever it looks like?"""
    below = any(_is_at(at[:-1], place) for place in (*_BELOW, _ENV))
    return (len(at) > 1 and below) or any(_is_at(at, place) for place in _ALONE)


def _problem(told: str, hint: str, written: str = "") -> tuple[str, str]:
    if told.startswith("expected ',' or") and "://" in written:
        return "an address without quotes", "put it in quotes"
    if told == _SECOND:
        return "a second document", "remove the line `---` and what is not meant"
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
    if any(_is_at(at, place) for place in SECRETS):
        _hide(loader, node)
        return node
    leads = any(_leads_to(at, place) for place in (*SECRETS, _ENV))
    if not isinstance(node, yaml.MappingNode) or not leads:
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
