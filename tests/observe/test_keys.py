"""Keys on a real terminal: each by itself, and nothing that was pasted or means something else."""

from __future__ import annotations

import os
import subprocess
import sys
import termios
from pathlib import Path

LISTENER = """
import asyncio, fcntl, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
from kline_ops.observe.keys import Keys

class TellingKeys(Keys):
    def _read(self):
        super()._read()
        print("read", flush=True)

async def main():
    keys, over = TellingKeys(), asyncio.Event()
    told = lambda key: lambda: print(f"<{key}>", flush=True)
    keys.listen({key: told(key) for key in ("q", "d", "r", "A", "F10")} | {"x": over.set})
    print("<listening>" if keys.listening else "<nothing>", flush=True)
    await over.wait()
    keys.close()

asyncio.run(main())
"""


def test_what_is_pressed_and_what_is_not() -> None:
    controller, theirs = os.openpty()
    before = termios.tcgetattr(theirs)
    child = subprocess.Popen(
        [sys.executable, "-c", LISTENER], stdin=theirs, stdout=subprocess.PIPE,
        start_new_session=True, env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
    )  # fmt: skip
    assert child.stdout is not None

    def told_of(keys: bytes) -> list[bytes]:
        os.write(controller, keys)
        return list(iter(child.stdout.readline, b"read\n"))  # type: ignore[union-attr]

    try:
        assert child.stdout.readline() == b"<listening>\n"
        traps = termios.tcgetattr(theirs)
        assert not traps[0] & termios.IXON
        assert traps[6][termios.VSUSP] == b"\0"
        assert told_of(b"q") == [b"<q>\n"]
        assert told_of(b"\x1b[21~") == [b"<F10>\n"]
        for others in (b"\x1bq", b"\x1b[A", b"\x1b[d", b"\x1bOr", b"\xff"):
            assert told_of(others) == []
        for pasted in (b"qq", b"quit the demo", b"\x1b[200~q\x1b[201~"):
            assert told_of(pasted) == []
        assert told_of(b"r") == [b"<r>\n"]
        assert told_of(b"x") == []
        assert child.wait(10) == 0
        assert termios.tcgetattr(theirs) == before
    finally:
        child.kill()
        child.communicate()
        os.close(controller)
        os.close(theirs)
