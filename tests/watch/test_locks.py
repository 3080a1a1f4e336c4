"""Who holds a candle file's lock, by the kernel's own table."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from kline_ops.record.lock import FileLock
from kline_ops.watch.locks import lock_holder


def test_the_holder_is_named_and_nobody_is_disturbed(tmp_path: Path) -> None:
    csv = tmp_path / "candles.csv"
    assert lock_holder(str(csv)) is None
    lock = FileLock(csv)
    lock.acquire("demo")
    assert lock_holder(str(csv)) == os.getpid()
    lock.release()
    assert lock_holder(str(csv)) is None


def test_another_process_is_the_holder(tmp_path: Path) -> None:
    csv = tmp_path / "candles.csv"
    code = (
        "import sys; from pathlib import Path; from kline_ops.record.lock import FileLock\n"
        "FileLock(Path(sys.argv[1])).acquire('demo'); print('held', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(csv)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as child:  # fmt: skip
        assert child.stdout is not None
        assert child.stdout.readline() == "held\n"
        assert lock_holder(str(csv)) == child.pid
        child.communicate()
    assert lock_holder(str(csv)) is None
