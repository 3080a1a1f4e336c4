"""The recorder's process, as the drill sees it: begun, killed, stopped, begun again; always ended."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from pathlib import Path

import kline_ops

#: Seconds for a clean end, which takes two at most.
_END_TIMEOUT = 4.0
#: Seconds before one that has ended by itself is begun anew, the more the more often.
_FIRST_WAIT, _LONGEST_WAIT = 0.1, 2.0


class Child:
    """One recorder at a time, on the files of one folder.

    Args:
        folder: its home: nothing of the user's is read or written.
        config: its config file.
        control: what its disk does, see :class:`kline_ops.drill.disk.DiskControl`.
    """

    def __init__(self, folder: Path, config: Path, control: Path) -> None:
        self._folder = folder
        self._arguments = [str(config), str(control)]
        self._process: asyncio.subprocess.Process | None = None
        #: Where all that it says goes.
        self.output = folder / "recorder.log"
        #: How it ended when nobody had asked it to, in words.
        self.deaths: list[str] = []

    @property
    def pid(self) -> int | None:
        """Of the process that runs."""
        return None if self._process is None else self._process.pid

    async def start(self) -> None:
        """Begin one; it is not up yet when this returns. Raises OSError."""
        with self.output.open("ab") as output:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "kline_ops.drill.recorder",
                *self._arguments,
                env=self._environ(),
                stdin=asyncio.subprocess.PIPE,
                stdout=output,
                stderr=output,
                # Ctrl+C at the terminal is for the drill alone, which then ends this one.
                start_new_session=True,
            )

    async def kill(self) -> None:
        """``kill -9``; returns when the process is gone."""
        await self._end(signal.SIGKILL)

    async def terminate(self) -> int | None:
        """SIGTERM; returns its exit code when it is gone, by force if need be."""
        return await self._end(signal.SIGTERM)

    def send(self, number: signal.Signals) -> None:
        """Send a signal, whoever is gone already."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(number)

    async def revive(self) -> None:
        """Begin anew where it has ended though nobody asked it to, as its supervisor would."""
        if self._process is not None and (code := self._process.returncode) is not None:
            how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
            self.deaths.append(f"the recorder ended by itself: {how}")
            await asyncio.sleep(min(_LONGEST_WAIT, len(self.deaths) * _FIRST_WAIT))
            await self.start()

    async def _end(self, number: signal.Signals) -> int | None:
        process = self._process
        if process is None:
            return None
        self.send(number)
        # One that was stopped (SIGSTOP) hears nothing else.
        self.send(signal.SIGCONT)
        try:
            async with asyncio.timeout(_END_TIMEOUT):
                await process.wait()
        except TimeoutError:
            self.send(signal.SIGKILL)
            await process.wait()
        self._process = None
        return process.returncode

    def _environ(self) -> dict[str, str]:
        package = Path(kline_ops.__file__).parent.parent
        kept = {
            key: value
            for key, value in os.environ.items()
            if not key.lower().endswith("_proxy") and not key.startswith("KLINE_OPS__")
        }
        paths = [str(package), *filter(None, [os.environ.get("PYTHONPATH")])]
        homes = ("XDG_STATE_HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME", "HOME")
        return (
            kept | {"PYTHONPATH": os.pathsep.join(paths)} | dict.fromkeys(homes, str(self._folder))
        )
