"""Files that are encrypted in truth: an age key of one's own, and the real sops program."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

try:
    from pyrage import x25519
except ImportError:  # a platform that it has no wheel for
    x25519 = None

#: Where pip puts it, too.
_PATH = os.pathsep.join([os.environ.get("PATH", ""), str(Path(sys.executable).parent)])
PROGRAM = shutil.which("sops", path=_PATH)

needs_sops = pytest.mark.skipif(
    PROGRAM is None or x25519 is None, reason="there is no sops, or nothing to make an age key with"
)


class AgeKey:
    """A key in a file, as `age-keygen` writes it."""

    def __init__(self, folder: Path) -> None:
        identity = x25519.Identity.generate()
        self.recipient = str(identity.to_public())
        self.private = str(identity)
        self.file = folder / "keys.txt"
        self.file.write_text(f"# public key: {self.recipient}\n{identity}\n")
        self.file.chmod(0o600)

    @property
    def environ(self) -> dict[str, str]:
        """What whoever is to decrypt needs."""
        return {"SOPS_AGE_KEY_FILE": str(self.file)}

    def run(self, words: Sequence[str], folder: Path | None = None) -> None:
        """What a warning says to type, in the folder of a .sops.yaml."""
        program, *arguments = words
        assert program == "sops"
        assert PROGRAM is not None
        subprocess.run([PROGRAM, *arguments], check=True, capture_output=True, cwd=folder)

    def encrypt(self, path: Path, text: str, *options: str) -> Path:
        """Write a file, encrypted in place, as its user would."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        self.run(["sops", "--encrypt", "--in-place", "--age", self.recipient, *options, str(path)])
        return path
