"""Small JSON files: whole at every moment, whatever reads, dies or fails meanwhile."""

import json
import os
import resource
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from kline_ops.watch.files import read_json, write_json
from kline_ops.watch.sight import sight_of

WRITER = """
import sys
from pathlib import Path
from kline_ops.watch.files import write_json
path, number = Path(sys.argv[1]), 0
while True:
    number += 1
    write_json(path, {"number": number, "fill": str(number % 10) * 20_000})
    if number == 3:
        print("going", flush=True)
"""


def test_what_is_written_is_read_and_nothing_else_is_left(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "er" / "state.json"
    for value in ({"a": 1}, {}, {"ü": None, "b": [1.5, True]}):
        write_json(path, value)
        assert read_json(path) == value
        assert path.read_text().endswith("}\n")
    assert [p.name for p in path.parent.iterdir()] == ["state.json"]


def test_a_reader_never_meets_half_a_file_and_a_kill_leaves_a_whole_one(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    with subprocess.Popen([sys.executable, "-c", WRITER, path], stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"going\n"
        for _ in range(300):
            value = json.loads(path.read_text())
            assert value["fill"] == str(value["number"] % 10) * 20_000
        writer.send_signal(signal.SIGKILL)
    assert read_json(path) is not None


@pytest.mark.parametrize("value", [{"a": object()}, {"a": {1, 2}}, {("a",): 1}])
def test_what_is_no_json_leaves_the_old_file_and_nothing_beside_it(
    tmp_path: Path, value: dict
) -> None:
    path = tmp_path / "state.json"
    write_json(path, {"old": True})
    with pytest.raises(TypeError):
        write_json(path, value)
    assert read_json(path) == {"old": True}
    assert [p.name for p in tmp_path.iterdir()] == ["state.json"]


def test_a_full_disk_leaves_the_old_file_and_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    write_json(path, {"old": True})
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000, limits[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            write_json(path, {"new": "x" * 100_000})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert read_json(path) == {"old": True}
    assert [p.name for p in tmp_path.iterdir()] == ["state.json"]


def test_a_target_that_can_not_be_replaced_is_an_os_error_and_nothing_is_left(
    tmp_path: Path,
) -> None:
    (tmp_path / "state.json" / "x").mkdir(parents=True)
    with pytest.raises(OSError, match="Errno"):
        write_json(tmp_path / "state.json", {})
    assert [p.name for p in tmp_path.iterdir()] == ["state.json"]
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="Errno"):
        write_json(tmp_path / "file" / "state.json", {})


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b'{"a": 1',
        b"[]",
        b"5",
        b"null",
        b'"x"',
        b"\xff\xfe",
        b"\x00" * 50,
        b'{"a": 1}}',
        b"[" * 100000,
        b'{"a":' * 100000,
        b'{"a": ' + b"9" * 5000 + b"}",
    ],
    ids=lambda content: repr(content[:9]),
)
def test_what_is_torn_or_no_object_is_nothing(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "state.json"
    path.write_bytes(content)
    assert read_json(path) is None


def test_half_a_file_is_nothing_wherever_it_is_cut(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    write_json(path, {"a": 1, "b": {"c": [None, "é"]}})
    whole = path.read_bytes().rstrip(b"\n")
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        assert read_json(path) is None


def test_no_file_is_nothing(tmp_path: Path) -> None:
    assert read_json(tmp_path / "none") is None
    assert read_json(tmp_path) is None
    assert read_json(tmp_path / "none" / "none") is None


def test_two_threads_do_not_tear_each_others_file(tmp_path: Path) -> None:
    failed: list[BaseException] = []

    def write(name: str) -> None:
        try:
            for number in range(50):
                write_json(tmp_path / name, {"name": name, "number": number})
        except OSError as error:
            failed.append(error)

    threads = [threading.Thread(target=write, args=(f"{n}.json",)) for n in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    assert [read_json(tmp_path / f"{n}.json") for n in range(3)] == [
        {"name": f"{n}.json", "number": 49} for n in range(3)
    ]
    assert len(list(tmp_path.iterdir())) == 3


def test_what_is_no_regular_file_is_not_waited_for(tmp_path: Path) -> None:
    """A FIFO has no end, and a device neither."""
    fifo = tmp_path / "state.json"
    os.mkfifo(fifo)
    assert read_json(fifo) is None
    assert read_json(tmp_path) is None
    assert read_json(Path("/dev/zero")) is None
    sight = sight_of(fifo)
    assert (sight.content, sight.is_there) == (None, True)
    assert sight.problem == "its state file can not be read: it is no regular file"


def test_what_is_too_large_to_be_ours_is_not_read_to_its_end(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    with path.open("wb") as file:
        file.write(b'{"a": 1}')
        file.truncate(1 << 40)
    assert read_json(path) is None
    assert sight_of(path).problem == "its state file is torn"
