"""``kline-ops watchdog NAME --textfile FILE``: what it finds, for node_exporter to export.

Written anew after each check. Where that fails it is told once, and watching goes on.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from kline_ops.cli.watched import Watched
    from kline_ops.clock import Clock
    from kline_ops.observe.metrics.textfile import Checked
    from kline_ops.ops.guard import Memory
    from kline_ops.watch.staleness import Finding
    from kline_ops.watch.verdict import Evidence

#: Seconds in which its disk may answer.
_PATIENCE = 5.0
#: node_exporter is another user.
_MODE = 0o644
_MOST = 1 << 16


class Textfile:
    """Of one session: :meth:`before` a check, :meth:`after` it. Neither raises.

    Args:
        watched: whose, and where the file is; nothing is done where it has none.
        memory: what the watchdog keeps.
        clock: the clocks.
        complain: told in a line what is wrong with the file, once, and that it is over.
    """

    def __init__(
        self, watched: Watched, memory: Memory, clock: Clock, complain: Callable[[str], None]
    ) -> None:
        from kline_ops.worker import Patient

        self._watched = watched
        self._memory = memory
        self._clock = clock
        self._complain = complain
        self._was_told = False
        #: Its disk may hang.
        self._patient = Patient("textfile")

    def before(self) -> None:
        """A check begins."""
        self._was_told = self._memory.vigil.told_at is not None

    def after(self, finding: Finding, evidence: Evidence) -> None:
        """Write down what was found."""
        path, memory = self._path(), self._memory
        if path is None:
            return
        is_told = memory.vigil.told_at is not None and not self._was_told
        checked = _checked(
            self._watched.name, finding, evidence, self._clock.wall_ms() / 1000.0, is_told=is_told
        )
        problem = self._problem(path, checked)
        if problem and not memory.textfile:
            self._complain(f"{path} can not be written: {problem}")
        elif memory.textfile and not problem:
            self._complain(f"{path} is written again")
        memory.textfile = problem

    def _path(self) -> Path | None:
        if self._watched.textfile is None and self._watched.problem:
            # Its config could not be used, and may be put right by now.
            with contextlib.suppress(Exception):
                self._watched = self._watched.again()
        return self._watched.textfile

    def _problem(self, path: Path, checked: Checked) -> str:
        """Write it; why that was not possible, or nothing."""
        from kline_ops.worker import HangsError

        try:
            self._patient.call(_PATIENCE, _write, path, checked)
        except HangsError:
            return "its disk does not answer"
        except OSError as error:
            return error.strerror or str(error)
        except Exception as error:  # noqa: BLE001 - a boundary: the next check comes in any case
            return f"{type(error).__name__}: {error}"
        return ""


def _checked(
    name: str, finding: Finding, evidence: Evidence, now: float, *, is_told: bool
) -> Checked:
    from kline_ops.observe.metrics.textfile import Checked
    from kline_ops.watch.files import section
    from kline_ops.watch.staleness import Pulse

    told = section(evidence.state, "metadata")
    closed_ms, missing = told.get("last_candle_closed_ms"), told.get("missing")
    return Checked(
        session=name,
        state=finding.word.value,
        states=tuple(word.value for word in Pulse),
        at=now,
        beaten_at=None if finding.age is None else now - finding.age,
        closed_at=closed_ms / 1000.0 if type(closed_ms) is int else None,
        missing=missing if type(missing) is int else None,
        disk_free=evidence.disk_free,
        is_told=is_told,
    )


def _write(path: Path, checked: Checked) -> None:
    """Replace the file in one step; readable by all, whatever the umask. Raises OSError."""
    from kline_ops.observe.metrics.textfile import numbers, text
    from kline_ops.watch.files import read_small

    try:
        content = read_small(path, _MOST)[0].decode("utf-8", "replace")
        before = numbers(content, checked.session)
    except FileNotFoundError:
        before = {}
    # Another end than node_exporter looks for, and a name of its own for each process.
    beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with beside.open("w", encoding="utf-8") as file:
            file.write(text(checked, before))
            os.fchmod(file.fileno(), _MODE)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
