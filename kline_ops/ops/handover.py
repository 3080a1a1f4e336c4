"""The environment that ``start`` and ``restart`` hand to the session, in a file only its owner can read.

tmux gives a new session the environment of the *first* client of its server, so what was set for this
``start`` would be missing; and ``new-session -e`` would show it in ``ps`` and ``show-environment``. The
session removes the file as soon as it has read it.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator, Mapping, MutableMapping
from pathlib import Path

from kline_ops.errors import ConfigError
from kline_ops.places import absolute

_NAMES = {
    "HOME", "LANG", "LC_ALL", "LC_CTYPE", "LOGNAME", "PATH", "PYTHONPATH", "REQUESTS_CA_BUNDLE",
    "NO_COLOR", "SSL_CERT_DIR", "SSL_CERT_FILE", "TZ", "USER", "VIRTUAL_ENV",
    "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME",
    "ALL_PROXY", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY",
    "all_proxy", "http_proxy", "https_proxy", "no_proxy",
    "CLOUDSDK_CONFIG", "GNUPGHOME",
}  # fmt: skip

#: Ours, what sops and the key services that it asks go by, and where telemetry goes.
_PREFIXES = ("KLINE_OPS__", "SOPS_", "AWS_", "AZURE_", "GOOGLE_", "OTEL_", "VAULT_")

#: Paths that the session finds from another folder than the one that `start` was typed in.
_PATHS = {
    "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE", "CLOUDSDK_CONFIG", "GNUPGHOME",
    "GOOGLE_APPLICATION_CREDENTIALS", "OTEL_EXPORTER_OTLP_CERTIFICATE",
    "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", "OTEL_EXPORTER_OTLP_CLIENT_KEY",
    "REQUESTS_CA_BUNDLE", "SOPS_AGE_KEY_FILE",
    "SOPS_AGE_SSH_PRIVATE_KEY_FILE", "SOPS_CONFIG", "SSL_CERT_DIR", "SSL_CERT_FILE",
}  # fmt: skip

#: What the terminal of the session says itself, and what is true of the shell alone.
_NOT_ITS = {
    "COLORTERM", "COLUMNS", "LINES", "OLDPWD", "PWD", "SHLVL", "TERM", "TERM_PROGRAM",
    "TERM_PROGRAM_VERSION", "TMUX", "TMUX_PANE", "TMUX_TMPDIR", "_",
}  # fmt: skip


def write(path: Path, environ: Mapping[str, str], *, whole: bool) -> None:
    """Save what a session needs; ``whole``: all that a command would have here. Raises OSError."""
    kept = {
        # An empty path is as good as none, and stays so.
        key: absolute(value) if value and key in _PATHS else value
        for key, value in environ.items()
        if _is_kept(key, whole=whole)
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(fd, "w", encoding="utf-8", errors="surrogateescape") as file:
        json.dump(kept, file, ensure_ascii=False)


def take(path: Path) -> dict[str, str]:
    """What was saved, and the file is gone; empty where there is nothing that can be used."""
    try:
        told = json.loads(path.read_text(encoding="utf-8", errors="surrogateescape"))
    except (OSError, ValueError):
        return {}
    with contextlib.suppress(OSError):
        path.unlink()
    return {str(key): str(value) for key, value in told.items()} if isinstance(told, dict) else {}


def take_over(path: Path, environ: MutableMapping[str, str]) -> None:
    """Have what was saved, and nothing else of that kind: the server's own may be of another start."""
    taken = take(path)
    if taken:
        for name in [name for name in environ if _is_kept(name, whole=False)]:
            del environ[name]
    environ.update(taken)


@contextlib.contextmanager
def lent(path: Path, environ: Mapping[str, str]) -> Iterator[None]:
    """Have it ready for a fresh process, which takes it; it is gone in the end, taken or not.

    Raises:
        ConfigError: its folder takes no file.
    """
    try:
        write(path, environ, whole=False)
    except OSError as error:
        raise unwritable(path, error) from None
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)


def unwritable(path: Path, error: OSError) -> ConfigError:
    """Why it can not be handed over."""
    return ConfigError(
        f"cannot write {path}: {error.strerror}",
        field="data_dir",
        hint="check its permissions and its disk, or give another place",
    )


def file_in(data_dir: Path) -> Path:
    """Where it is handed over."""
    return data_dir / "session.env"


def _is_kept(key: str, *, whole: bool) -> bool:
    if whole:
        return key not in _NOT_ITS
    return key in _NAMES or key.startswith(_PREFIXES)
