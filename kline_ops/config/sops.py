"""Files that only the ``sops`` program can read: decrypted in memory, and never written in clear.

Source: the README of getsops/sops for its options, its ``cmd/sops/codes`` for what its exit codes mean.
"""

from __future__ import annotations

import contextlib
import enum
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kline_ops.config.yaml_text import Lines
from kline_ops.errors import ConfigError
from kline_ops.plain import visible
from kline_ops.secret import HIDDEN, redacted

#: Seconds that sops has: it may have to ask a key service.
PATIENCE = 30.0
ENDINGS = (".sops.yml", ".sops.yaml", ".sops.json")

_WHERE = "https://github.com/getsops/sops"
_METADATA = "sops"
_CIPHERTEXT = "ENC[AES256_GCM,"
_MAC_MISMATCH, _NO_KEY = 51, 128
#: As much as one line should hold.
_SHOWN = 400
_PRIVATE_KEY = re.compile(r"AGE-[A-Z-]*[A-Z0-9]{20,}", re.IGNORECASE)
_SECRET_VARIABLE = re.compile(r"KEY|TOKEN|SECRET|PASS|CREDENTIAL")
_PATH_VARIABLE = re.compile(r"(FILE|CONFIG|HOME|DIR|CREDENTIALS|CMD)$")


class Secrets(enum.Enum):
    """What a command needs of the files that are encrypted."""

    #: All: one that can not be decrypted is an error.
    NEEDED = "needed"
    #: A recorder that is to go on goes on without: a warning.
    TRIED = "tried"
    #: Nothing: those that hold nothing but secrets are passed over.
    LEFT = "left"


class SopsError(ConfigError):
    """A file can not be decrypted. Not for good, perhaps: a key service may be out of reach."""


class SopsHangsError(SopsError):
    """It does not answer; it would not do so for another file either."""


def is_named(path: Path) -> bool:
    """Does its name say that it is encrypted?"""
    return path.name.lower().endswith(ENDINGS)


def named(path: Path) -> str:
    """The name that it should have."""
    return f"{path.stem.removesuffix('.enc')}.sops{path.suffix or '.yml'}"


def line_to_encrypt(path: Path) -> str:
    """What to type; the keys for it are those of the user's own .sops.yaml."""
    return shlex.join(["sops", "--encrypt", "--in-place", str(path)])


def is_encrypted(data: Any) -> bool:
    """Does it have the section that sops adds to what it encrypts?"""
    section = data.get(_METADATA) if isinstance(data, dict) else None
    return isinstance(section, dict) and bool({"mac", "lastmodified", "version"} & {*section})


def ciphertext_line(lines: Lines | None) -> int | None:
    """Where the first encrypted value stands, whatever is around it."""
    found = lines.scalars() if lines else ()
    return next((line for line, text in found if text.startswith(_CIPHERTEXT)), None)


def decrypt(path: Path, patience: float = PATIENCE) -> str:
    """The text of a file as YAML. Nothing of it is written anywhere.

    Raises:
        SopsError: no sops, no key for it, not as it was encrypted.
        SopsHangsError: no answer in time (seconds).
    """
    program = _program()
    if program is None:
        raise SopsError(
            f"{path} is encrypted, and there is no program sops to decrypt it",
            hint=f"install it ({_WHERE}), or put its folder into PATH",
        )
    kind = "json" if path.suffix.lower() == ".json" else "yaml"
    command = [program, "--decrypt", "--input-type", kind, "--output-type", "yaml", str(path)]
    with _start(command) as child:
        try:
            out, err = child.communicate(timeout=patience)
        except subprocess.TimeoutExpired:
            _end(child)
            raise SopsHangsError(
                f"sops did not decrypt {path} within {patience:g} s",
                hint=f"sops --decrypt {path} shows what it waits for",
            ) from None
        except BaseException:  # Ctrl+C, which it does not hear of
            _end(child)
            raise
    if child.returncode:
        raise _refused(path, child.returncode, err.decode("utf-8", "replace"), os.environ)
    try:
        return out.decode()
    except UnicodeDecodeError:
        raise SopsError(f"{path} holds no text", hint="encrypt a YAML file") from None


def _start(command: list[str]) -> subprocess.Popen[bytes]:
    """In a session of its own: it asks nothing on our terminal, and ends with all that it has started.

    Raises:
        SopsError: it can not be run.
    """
    try:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
    except OSError as error:
        raise SopsError(
            f"{command[0]} can not be run: {(error.strerror or str(error)).lower()}",
            hint=f"install it again ({_WHERE})",
        ) from None


def _program() -> str | None:
    """In PATH, or beside the Python that runs us, where pip puts it."""
    beside = str(Path(sys.executable).parent)
    return shutil.which("sops") or shutil.which("sops", path=beside)


def _end(child: subprocess.Popen[bytes]) -> None:
    """It, and what it may have started that keeps our pipes open."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, signal.SIGKILL)


def _refused(path: Path, code: int, said: str, environ: Mapping[str, str]) -> SopsError:
    told = _one_line(said, environ)
    if code == _MAC_MISMATCH or "MAC mismatch" in said:
        return SopsError(
            f"{path} is not as it was encrypted (MAC mismatch)",
            hint=f"take it from a backup, and change it with: sops {path}",
        )
    if "does not match sops' data format" in said:  # and it tells the value
        return SopsError(
            f"{path} holds a value that is not encrypted, beside others that are",
            hint=f"remove it, and put it in with: sops {path}",
        )
    if "\ngoroutine " in said:
        return SopsError(
            f"sops breaks down over {path}: its section `sops` is not as sops has made it",
            hint="take it from a backup; where nothing in it is encrypted, remove that section",
        )
    if code == _NO_KEY or "Failed to get the data key" in said:
        # A heading for each group and key, why the last one does not do, where it looked, and advice.
        told = told.partition(" Recovery failed")[0].rpartition("FAILED ")[2]
        told = re.sub(r"\.? Did not find keys? in locations? .*", "", told)
        return SopsError(
            f"no key here decrypts {path}: {_short(told)}",
            hint="set SOPS_AGE_KEY_FILE (age), GNUPGHOME (PGP) or what its key service needs",
        )
    how = f"exit code {code}" if code > 0 else f"ended by signal {-code}"
    return SopsError(
        f"sops can not decrypt {path} ({how}){f': {_short(told)}' if told else ''}",
        hint=f"sops --decrypt {path}",
    )


def _one_line(said: str, environ: Mapping[str, str]) -> str:
    """What it complains of, without its frames, and without keys that it may have quoted."""
    lines = (visible(line).lstrip(" |-:\t").rstrip() for line in said.splitlines())
    text = " ".join(line for line in lines if line).rstrip(" :")
    for name, value in environ.items():
        # GOOGLE_CREDENTIALS is a path, or the key itself.
        is_path = _PATH_VARIABLE.search(name) and "{" not in value
        is_secret = _SECRET_VARIABLE.search(name) and not is_path
        if is_secret and len(value) >= 8:  # a shorter one may be a word of its own
            text = text.replace(value, HIDDEN)
    return redacted(_PRIVATE_KEY.sub(HIDDEN, text))


def _short(text: str) -> str:
    if len(text) <= _SHOWN:
        return text
    return f"{text[:_SHOWN].rpartition(' ')[0] or text[:_SHOWN]} {HIDDEN}"
