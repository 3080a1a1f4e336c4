"""Keys on a real terminal: each by itself, and nothing that was pasted or means something else."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import termios
from pathlib import Path

import pytest

from kline_ops.observe.keys import Keys
from tests.support.virtual_time import VirtualClock, run_virtual

#: Presses, and when; and what is heard of them.
HELD = [0.0, *(0.5 + i / 30 for i in range(60))]


@pytest.mark.parametrize(
    ("times", "heard"),
    [
        ([0.0], ["q"]),
        ([0.0, 0.3], ["q", "q"]),
        ([0.0, 1.0, 2.0], ["q"] * 3),
        # Held down: it comes again after a while, and then quickly. That is one press.
        (HELD, ["q"]),
        # A paste in pieces, however they are cut.
        ([0.0, 0.001, 0.002], []),
        ([0.0, 0.14], []),
    ],
)
def test_a_press_counts_by_itself_only(times: list[float], heard: list[str]) -> None:
    async def main(_clock: VirtualClock) -> list[str]:
        keys, told = Keys(), list[str]()
        keys._calls = {"q": lambda: told.append("q")}
        loop = asyncio.get_running_loop()
        for at in times:
            loop.call_later(at + 1.0, keys.take, "q")
        await asyncio.sleep(10)
        return told

    assert run_virtual(main) == heard


LISTENER = """
import asyncio, fcntl, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
from kline_ops.observe.keys import Keys

class TellingKeys(Keys):
    def take(self, key):
        super().take(key)
        # Long after it: what comes next is by itself again.
        asyncio.get_running_loop().call_later(0.4, lambda: print("read", flush=True))

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
        for pasted in (b"qq", b"quit the demo", b"\x1b[200~q\x1b[201~", b"x" * 64 + b"q"):
            assert told_of(pasted) == []
        assert told_of(b"r") == [b"<r>\n"]
        os.write(controller, b"x")
        assert child.wait(10) == 0
        assert termios.tcgetattr(theirs) == before
    finally:
        child.kill()
        child.communicate()
        os.close(controller)
        os.close(theirs)
