"""What a config says that its user should know, though it can be used."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from kline_ops.config.layers import Layer, origin
from kline_ops.config.load import Loaded
from kline_ops.config.model import Config
from kline_ops.config.sops import is_named, line_to_encrypt, named
from kline_ops.secret import Secret, redacted, shown_url

#: Keys of other programs' files that can have no effect here, and why.
WITHOUT_EFFECT = {
    ("binance_credentials",): "is not needed: public streams",
    ("websocket", "proactive"): "has no effect: a planned restart comes by the clock, and its"
    " successor is there first; nothing is polled",
    ("websocket", "queue"): "has no effect: each frame is taken as it comes, there is no queue",
    ("logger", "icons"): "has no effect: log lines have none",
    ("ops", "default_backend"): "has no effect: there is tmux only",
    ("ops", "tmux_binary"): "has no effect: it is the tmux in PATH",
}
#: Where a secret is in place, or is perhaps none.
_NOT_MEANT = (("binance_credentials",), ("ops", "sessions"))


def notes(loaded: Loaded) -> Iterator[str]:
    """Keys that have no effect, with the reason: of no interest but to who asks."""
    for keys, why in WITHOUT_EFFECT.items():
        spoken = origin(loaded.layers, keys)
        if spoken is not None:
            yield f"{'.'.join(keys)} {why} (in {spoken.place(keys)})"


def without_effect(name: str, loaded: Loaded) -> Iterator[str]:
    """Commands in a file that records: they are never run."""
    for session in loaded.config.ops.sessions:
        for key in ("backend", "command", "working_dir", "env"):
            keys = ("ops", "sessions", session, key)
            is_told = (session, key) == (name, "command")  # by a warning
            if not is_told and (spoken := origin(loaded.layers, keys)) is not None:
                why = "has no effect: a file with a binance section records"
                yield f"{'.'.join(keys)} {why} (in {spoken.place(keys)})"


def reaches_nobody(config: Config) -> Iterator[str]:
    """A warning where ``credentials`` are those of other environments alone."""
    mine = f"sops_{config.binance.environment}"
    others = config.credentials.keys() - {mine, "sops_hb", "sops_wd"}
    if others and others == config.credentials.keys() and not config.alerts.urls:
        yield (
            f"credentials has {', '.join(sorted(others))} and no {mine}: nobody is told of"
            f" sessions of environment {config.binance.environment}"
        )


def open_to_all(config: Config) -> Iterator[str]:
    """A warning where anybody who reaches this machine may look."""
    http = config.http
    if http.port is None or http.token is not None or is_loopback(http.host):
        return
    yield (
        f"http.host {http.host} is open to whoever reaches this machine: set http.token, or leave"
        " http.host out"
    )


def is_loopback(host: str) -> bool:
    """Does only this machine itself reach it?"""
    return host == "localhost" or ip_address(host).is_loopback


def clear_secrets(loaded: Loaded) -> Iterator[str]:
    """A warning for each file with secrets in clear text."""
    for path, layer in _clear_files(loaded).items():
        found = [".".join(keys) for keys in _meant_secrets(layer)]
        if found and not is_named(path):  # of one that is named so, it is told already
            beside = path.with_name(named(path))
            yield (
                f"{path} holds secrets in clear text ({', '.join(found)}): move them to"
                f" {beside.name}, include that, and: {line_to_encrypt(beside)}"
            )


def secret_files(loaded: Loaded) -> tuple[Path, ...]:
    """Files with anything in clear text that others should not read: a command's words, too."""
    files = _clear_files(loaded)
    return tuple(path for path, layer in files.items() if any(_all_secrets(layer.tree, ())))


def _clear_files(loaded: Loaded) -> dict[Path, Layer]:
    """Each once, wherever it is included."""
    return {layer.path: layer for layer in loaded.layers if layer.path and not layer.encrypted}


def _meant_secrets(layer: Layer) -> Iterator[tuple[str, ...]]:
    for keys in _all_secrets(layer.tree, ()):
        value: Any = layer.tree
        for key in keys:
            value = value[key]
        in_place = any(keys[: len(place)] == place for place in _NOT_MEANT)
        if not in_place and (isinstance(value, Secret) or _hold_tokens(value)):
            yield keys


def _hold_tokens(value: Any) -> bool:
    """A service whose address has no part that is hidden may be known to anybody."""
    if not isinstance(value, tuple):
        return False
    urls = [url.reveal() for url in value if isinstance(url, Secret)]
    return any(shown_url(url) != url or not url.startswith(("http:", "https:")) for url in urls)


def _all_secrets(value: Any, keys: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _all_secrets(inner, (*keys, str(key)))
    elif isinstance(value, tuple | list):
        if any(True for part in value for _ in _all_secrets(part, keys)):
            yield keys
    elif isinstance(value, Secret) or (isinstance(value, str) and _tells(value)):
        yield keys


def _tells(text: str) -> bool:
    """An address, or a command's words, with a password in it."""
    return redacted(text) != text or ("://" in text and shown_url(text) != text)
