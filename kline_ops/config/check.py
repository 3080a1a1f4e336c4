"""Is what a place says of the keys good by itself: known keys, values of their kinds, finite numbers?

What is wrong is told with its place, and left out of what goes on, so that all that is wrong can be told
at once. No rule here needs two keys: those are in ``settings.py``.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Callable, Mapping, Sequence
from ipaddress import ip_address
from typing import Any, Literal, get_args, get_origin

import msgspec

from kline_ops.address import HTTP, is_address
from kline_ops.config.include import KEY
from kline_ops.config.layers import Layer, Tree
from kline_ops.config.model import CREDENTIALS, Config
from kline_ops.errors import ConfigError
from kline_ops.secret import HIDDEN, Secret

Keys = tuple[str, ...]

_CREDENTIALS: Keys = ("credentials",)
#: Sections whose keys may be the secret itself, in the wrong place; and what is none.
_SECRETS = {_CREDENTIALS, ("binance_credentials",)}
_WORD = re.compile(r"[A-Za-z_-]{1,24}")
#: What a key looks like, or the beginning of one.
_HEAD = re.compile(r"[A-Za-z0-9_-]{1,64}")
_SERVICE = re.compile(r"[a-z][a-z0-9+.-]*://[^\s]+", re.IGNORECASE)
#: What can stand in a header as it is.
_TOKEN = re.compile(r"[!-~]{8,512}")
_WRONG: Any = object()


def checked(layer: Layer) -> tuple[Tree, list[ConfigError]]:
    """What is good of a layer, its values of the kinds that the keys have; and what is wrong."""
    check = _Check(layer)
    return check.section(layer.tree, Config, ()), check.problems


def converted(tree: Tree) -> Config:
    """The typed config of a tree that was checked."""
    return msgspec.convert(tree, Config, dec_hook=_decode)


class _Check:
    def __init__(self, layer: Layer) -> None:
        self.problems: list[ConfigError] = []
        self._layer = layer

    def _complain(self, keys: Keys, told: str, hint: str = "", *, suffix: str = "") -> None:
        self.problems.append(
            ConfigError(
                f"{self._layer.hushed(told)} (in {self._layer.place(keys)})",
                field=".".join(_told(keys)) + suffix,
                hint=hint,
            )
        )

    def section(self, tree: Tree, section: type[msgspec.Struct], above: Keys) -> Tree:
        kinds = _fields(section)
        good: Tree = {}
        for key, value in tree.items():
            keys = (*above, str(key))
            if key in kinds:
                self._put(good, key, self._value(value, kinds[key], keys))
                continue
            known = [*kinds, *([] if above else [KEY])]
            near = _near(str(key), known)
            hint = ".".join((*_told(above), near)) if near else _one_of(known)
            self._complain(keys, "unknown key", hint)
        return good

    @staticmethod
    def _put(tree: Tree, key: str, value: Any) -> None:
        if value is not _WRONG:
            tree[key] = value

    def _value(self, value: Any, kind: Any, keys: Keys) -> Any:
        inner, named = _section_of(kind), get_origin(kind) is dict
        if inner is None and not named:
            return self._leaf(value, kind, keys)
        if value is None:
            return {}
        if not isinstance(value, dict):
            return self._leaf(value, kind, keys)
        if not named:
            return self.section(value, inner or Config, keys)
        names = {_CREDENTIALS: self._credential}.get(keys, self._named)
        good: Tree = {}
        for name, one in value.items():
            self._put(good, str(name), names(name, one, get_args(kind)[1], keys))
        return good

    def _named(self, name: Any, value: Any, kind: Any, keys: Keys) -> Any:
        """A thing whose name is the user's: a session, a preset, a variable of a command."""
        if not isinstance(name, str):  # 0x10 would be another one
            self._complain(keys, "a name that is no text", "put it in quotes")
            return _WRONG
        if keys[-1] != "env":
            return self._value(value, kind, (*keys, str(name)))
        good = self._leaf(value, kind, keys)
        text = f"{name}{good.reveal() if isinstance(good, Secret) else ''}"
        if not name or "=" in name or "\0" in text:
            told = name.partition("=")[0] + "=…" * ("=" in name)  # what follows may be the value
            self._complain(keys, f"{told!r} can not be set", "NAME: value")
            return _WRONG
        return good

    def _credential(self, name: Any, value: Any, _kind: Any, above: Keys) -> Any:
        """What stands here is a secret: a value is never told, and a name only where it is one."""
        keys = (*above, str(name))
        if name not in CREDENTIALS:
            near = _near(str(name), CREDENTIALS)
            hint = ".".join((*above, near)) if near else _one_of(CREDENTIALS)
            self._complain(keys, "unknown key", hint)
        elif not isinstance(value, str):
            self._complain(keys, "not a text", "a Slack webhook")
        elif not is_address(value, HTTP):
            self._complain(keys, "no http:// or https:// address", "a Slack webhook")
        else:
            return Secret(value)
        return _WRONG

    def _leaf(self, value: Any, kind: Any, keys: Keys) -> Any:
        if value is None and get_origin(kind) is tuple:
            return ()  # all that stood there is a comment now
        if isinstance(value, float) and not math.isfinite(value):
            self._complain(keys, "not a finite number")
            return _WRONG
        try:
            good = msgspec.convert(value, kind, dec_hook=_decode)
        except msgspec.ValidationError as error:
            told, _, place = str(error).partition(" - at `$")
            suffix = place.rstrip("`") if place[:2] != "[." else ""
            self._complain(keys, told, "" if suffix else _allowed(kind), suffix=suffix)
            return _WRONG
        if (rule := _RULES.get(keys)) is not None and (wrong := rule(good)):
            self._complain(keys, *wrong)
            return _WRONG
        return good


def _told(keys: Keys) -> Keys:
    """Where something is, as far as that may be told: without its space, ``url:https://…`` is a key."""
    told: Keys = ()
    for place, key in enumerate(keys):
        if keys[:place] in _SECRETS:
            return (*told, key) if _WORD.fullmatch(key) else told
        head = _HEAD.match(key)
        cut = head[0] if head is not None else ""
        told = (*told, key if cut == key else cut + HIDDEN)
    return told


def _near(key: str, known: Sequence[str]) -> str:
    """The key that may be meant; empty where none looks like it."""
    return next(iter(difflib.get_close_matches(key.lower(), known, n=1)), "")


def _one_of(known: Sequence[str]) -> str:
    return f"one of {', '.join(known)}"


def _services(urls: tuple[Secret, ...]) -> tuple[str, str] | None:
    for place, url in enumerate(urls, 1):
        if _SERVICE.fullmatch(url.reveal()) is None:
            return f"number {place} is no address", "tgram://… or https://…"
    return None


def _ping(url: Secret | None) -> tuple[str, str] | None:
    if url is None or is_address(url.reveal(), HTTP):
        return None
    return "no http:// or https:// address", "https://… of a service that expects to be asked"


def _host(host: str) -> tuple[str, str] | None:
    try:
        is_good = host == "localhost" or (bool(ip_address(host)) and "%" not in host)
    except ValueError:
        is_good = False
    return None if is_good else (f"{host!r} is no IP address", "127.0.0.1, or 0.0.0.0 for all")


def _token(token: Secret | None) -> tuple[str, str] | None:
    if token is None or _TOKEN.fullmatch(token.reveal()):
        return None
    return "no token: 8 or more letters, digits and signs, without spaces", "openssl rand -hex 16"


_RULES: Mapping[Keys, Callable[[Any], tuple[str, str] | None]] = {
    ("alerts", "urls"): _services,
    ("alerts", "ping_url"): _ping,
    ("http", "host"): _host,
    ("http", "token"): _token,
}


def _decode(kind: type, value: Any) -> Any:
    """What msgspec does not know by itself."""
    if kind is not Secret:
        raise NotImplementedError
    if isinstance(value, Secret):
        return value
    if not isinstance(value, str):
        raise ValueError("Expected `str`")
    return Secret(value)


def _fields(section: type[msgspec.Struct]) -> dict[str, Any]:
    return {field.name: field.type for field in msgspec.structs.fields(section)}


def _section_of(kind: Any) -> type[msgspec.Struct] | None:
    """The section that a key is; of one whose names are the user's, what stands below each."""
    for option in (kind, *get_args(kind)):
        if isinstance(option, type) and issubclass(option, msgspec.Struct):
            return option
    return None


def _allowed(kind: Any) -> str:
    """The values that a key may have, where they are a few words: ``dev, trace or prod``; or a list."""
    if any(get_origin(option) is tuple for option in (kind, *get_args(kind))):
        return "a list: [one, another]"
    if get_origin(kind) is not Literal:
        return ""
    *others, last = map(str, get_args(kind))
    return f"{', '.join(others)} or {last}" if others else last
