"""Standard output as every command writes to it: where it can not be written, that is told as such.

An error of the output must not look like one of a candle file, nor like a finding. So it is caught where
bytes leave the process, whoever printed them: a command, Typer's help, a table.
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
from typing import TYPE_CHECKING

from kline_ops.errors import EXIT_USAGE, KlineOpsError

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer


class OutputError(KlineOpsError):
    """The output can not be written: a full disk, a closed descriptor."""

    exit_code = EXIT_USAGE


class ReaderGoneError(OutputError):
    """Whoever read our output has gone (``… | head``): nothing that anybody has to be told."""


class _Output(io.FileIO):
    """Raises OutputError instead of OSError, which Typer would answer with the code of a finding."""

    def write(self, data: ReadableBuffer, /) -> int:
        try:
            return super().write(data)
        except BrokenPipeError:
            raise ReaderGoneError("nobody reads the output") from None
        except OSError as error:
            raise OutputError(f"cannot write the output: {error.strerror}") from None


def guard() -> None:
    """Put the guarded output in the place of ``sys.stdout``, whether that was open or not."""
    _hold_closed_descriptors()
    out = sys.stdout
    buffer = io.BufferedWriter(_Output(1, "w", closefd=False))
    if out is None:
        sys.stdout = io.TextIOWrapper(buffer, "utf-8")
    else:
        sys.stdout = io.TextIOWrapper(buffer, out.encoding, out.errors, line_buffering=out.isatty())


def discard() -> None:
    """What could not be written is given up: Python would try again at exit, and complain."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def _hold_closed_descriptors() -> None:
    """A file opened later must not become the standard output of somebody who still writes to it.

    Opened for reading only, so that a write fails as it would on a closed one.
    """
    for standard in (0, 1, 2):
        try:
            os.fstat(standard)
        except OSError:
            with contextlib.suppress(OSError):
                os.open(os.devnull, os.O_RDONLY)
