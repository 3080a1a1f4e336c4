"""One recorder a file: real processes, real locks, a real kill -9."""

import fcntl
import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from kline_ops.errors import JournalError
from kline_ops.record.lock import FileLock

HOLDER = """
import sys, time
from pathlib import Path
from kline_ops.record.lock import FileLock
FileLock(Path(sys.argv[1])).acquire("other")
print("held", flush=True)
time.sleep(60)
"""


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "candles_BTCUSDT_1h.csv"


@pytest.fixture
def holder(target: Path) -> Iterator[subprocess.Popen[bytes]]:
    argv = [sys.executable, "-c", HOLDER, str(target)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        yield process
        process.kill()


def test_a_lock_is_a_file_of_its_own_that_names_its_holder(target: Path) -> None:
    lock = FileLock(target)
    lock.acquire("mine")
    assert not target.exists()
    told = json.loads(target.with_name(target.name + ".lock").read_text())
    assert told == {"pid": os.getpid(), "session": "mine"}
    lock.release()
    lock.release()
    again = FileLock(target)
    again.acquire("next")
    again.release()


def test_another_process_is_refused_by_the_holders_pid_until_that_is_killed(
    target: Path, holder: subprocess.Popen[bytes]
) -> None:
    lock = FileLock(target)
    for _ in range(2):
        with pytest.raises(JournalError, match=rf"pid {holder.pid} \(session other\)") as caught:
            lock.acquire("mine")
        assert not caught.value.transient
        assert caught.value.hint
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    lock.acquire("mine")
    assert json.loads(lock.path.read_text())["pid"] == os.getpid()
    lock.release()


def test_a_second_lock_in_the_same_process_is_refused_as_well(target: Path) -> None:
    one, other = FileLock(target), FileLock(target)
    one.acquire("one")
    with pytest.raises(JournalError, match=rf"pid {os.getpid()} \("):
        other.acquire("other")
    one.release()
    other.acquire("other")
    other.release()


@pytest.mark.parametrize(
    "content", [b"", b"{", b"5", b"[]", b'{"pid": "x"}', b"\xff", b'{"pid":1}']
)
def test_a_holder_that_did_not_say_its_name_is_another_process(
    target: Path, content: bytes
) -> None:
    one, other = FileLock(target), FileLock(target)
    one.acquire("one")
    one.path.write_bytes(content)
    with pytest.raises(JournalError, match="by another process"):
        other.acquire("other")
    one.release()


def test_refusals_leave_no_descriptor_open(target: Path) -> None:
    one, other = FileLock(target), FileLock(target)
    one.acquire("one")
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(20):
        with pytest.raises(JournalError):
            other.acquire("other")
    assert len(list(Path("/proc/self/fd").iterdir())) == before
    one.release()


def test_a_folder_that_is_not_there_is_told_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(JournalError, match=r"cannot lock .* No such file") as caught:
        FileLock(tmp_path / "none" / "x.csv").acquire("mine")
    assert "\n" not in caught.value.one_line()


def test_a_disk_too_full_for_the_holders_name_brings_no_other_error(target: Path) -> None:
    lock, limits = FileLock(target), resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, limits[1]))
    try:
        lock.acquire("mine")
    except JournalError:
        pass
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    lock.release()
    after = FileLock(target)
    after.acquire("next")
    after.release()


def test_a_lock_file_that_is_replaced_meanwhile_is_locked_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between opening the lock file and locking it, somebody removes it: that lock holds nobody off."""
    lock = FileLock(tmp_path / "x.csv")
    flock, calls = fcntl.flock, []

    def late(fd: int, operation: int) -> None:
        if not calls:
            lock.path.unlink()
        calls.append(fd)
        flock(fd, operation)

    monkeypatch.setattr(fcntl, "flock", late)
    lock.acquire("one")
    assert len(calls) == 2
    with pytest.raises(JournalError, match="being recorded by pid"):
        FileLock(tmp_path / "x.csv").acquire("two")
    lock.release()
