"""``kline-ops import``: real processes, real files of many makers."""

from __future__ import annotations

import gzip
import json
import os
import pty
import random
import signal
import zipfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import MISSING, fields
from functools import cache
from pathlib import Path

import pytest
import yaml

from kline_ops.clock import SystemClock
from kline_ops.gaps import report
from kline_ops.market.candle import HEADERS, Candle
from kline_ops.market.interval import MINUTE_MS, Interval
from kline_ops.market.timestamp import to_ms
from kline_ops.record.contents import HEADER_LINE
from kline_ops.record.journal import Journal
from kline_ops.watch.registry import KnownSession
from tests.support.machine import Machine, until

DATA = Path(__file__).parents[2].parent / "shared" / "data"
NAME = "candles_BTCUSDT_1m.csv"
START = to_ms("2025-01-06T00:00:00Z")
MINUTES = 600


def candle(minute: int, volume: str | None = None) -> Candle:
    open_ms = START + minute * MINUTE_MS
    price = f"{minute % 977 + 1}.00000638"
    return Candle(
        open_ms, price, price, price, price, volume or f"{minute % 31}.50000000",
        minute % 7, open_ms + MINUTE_MS - 1, "6.60000000", "1.10000000", "2.20000000",
    )  # fmt: skip


def file_of(minutes: Iterable[int]) -> bytes:
    return HEADER_LINE + b"".join(candle(minute).row() for minute in minutes)


def full_of(minutes: Iterable[int]) -> bytes:
    rows = b"".join(candle(minute).row("full") for minute in minutes)
    return HEADERS["full"].encode() + b"\n" + rows


def answer(one: Candle, unit: int = 1) -> list[str | int]:
    """A row of REST, and with other units of a dump."""
    close = one.close_ms * unit + unit - 1
    return [
        one.open_ms * unit, *one.values(), close, one.quote_volume, one.trades,
        one.taker_volume, one.taker_quote_volume, "0",
    ]  # fmt: skip


@cache
def dump(minutes: Sequence[int], unit: int = 1) -> bytes:
    lines = (",".join(map(str, answer(candle(minute), unit))) for minute in minutes)
    return "".join(f"{line}\n" for line in lines).encode()


def session(machine: Machine, name: str = "mine", **keys: object) -> Path:
    """A config for a session; answers where its candles are."""
    folder = machine.folder / "config" / "kline-ops"
    folder.mkdir(parents=True, exist_ok=True)
    tree = {"binance": {"stream": {"symbol": "btcusdt", "timeframe": "1m"}}, **keys}
    (folder / f"{name}.yml").write_text(yaml.safe_dump(tree))
    return machine.data(name) / NAME


def put(path: Path, content: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def ours(path: Path, minutes: Sequence[int]) -> None:
    path.write_bytes(file_of(minutes))


def gzipped(path: Path, minutes: Sequence[int]) -> None:
    path.write_bytes(gzip.compress(dump(minutes)))


def zipped(path: Path, minutes: Sequence[int]) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        half = len(minutes) // 2
        archive.writestr("BTCUSDT-1m-2025-01-06.csv", dump(minutes[:half]))
        archive.writestr("BTCUSDT-1m-2025-01-07.csv", dump(minutes[half:], 1000))


def json_answer(path: Path, minutes: Sequence[int]) -> None:
    path.write_text(json.dumps([answer(candle(minute)) for minute in minutes], indent=1))


def shuffled(path: Path, minutes: Sequence[int]) -> None:
    path.write_bytes(dump(tuple(random.Random(1).sample(minutes, len(minutes)))))


def doubled(path: Path, minutes: Sequence[int]) -> None:
    """Each row twice, and before some of them what they were while they formed."""
    rows: list[bytes] = []
    for minute in minutes:
        whole = candle(minute).row()
        forming = [candle(minute, "0.1").row()] if minute % 31 and not minute % 5 else []
        rows += [*forming, whole, whole]
    path.write_bytes(HEADER_LINE + b"".join(rows))


def spreadsheet(path: Path, minutes: Sequence[int]) -> None:
    lines = ['"Date";"Symbol";"Open";"High";"Low";"Close";"Volume"']
    for minute in minutes:
        time = f"2025/01/06 {minute // 60:02}:{minute % 60:02}:00 UTC"
        lines.append(";".join([time, '"BTCUSDT"', *candle(minute).values()]))
    path.write_text("\r\n".join(lines) + "\r\n")


FORMATS: dict[str, tuple[str, Callable[[Path, Sequence[int]], None]]] = {
    "ours": ("old.csv", ours),
    "dump": ("BTCUSDT-1m-2024.csv", lambda path, minutes: put(path, dump(minutes)) and None),
    "dump in microseconds": (
        "x.csv",
        lambda path, minutes: put(path, dump(minutes, 1000)) and None,
    ),
    "gzip": ("BTCUSDT-1m.csv.gz", gzipped),
    "zip": ("klines.zip", zipped),
    "REST": ("klines.json", json_answer),
    "unordered": ("BTCUSDT_1m.csv", shuffled),
    "doubled": ("BTCUSDT_1m.csv", doubled),
    "spreadsheet": ("BTCUSDT_1m.csv", spreadsheet),
}


@pytest.mark.parametrize("kind", FORMATS)
def test_a_session_that_never_ran_takes_any_file(machine: Machine, kind: str) -> None:
    path = session(machine)
    name, make = FORMATS[kind]
    make(machine.folder / name, range(MINUTES))
    done = machine.run("import", name, "mine")
    assert path.read_bytes() == file_of(range(MINUTES)), done
    assert (done.returncode, done.stderr) == (0, "")
    assert f"{MINUTES} new, 0 there already, 0 conflicts" in done.stdout
    assert f"{path}: 2025-01-06T00:00:00Z to 2025-01-06T09:59:00Z, {MINUTES} rows, no hole" in (
        done.stdout
    )
    assert "kline-ops verify mine" in done.stdout
    if kind == "doubled":
        assert ", 600 doubled, 116 of candles that were forming\n" in done.stdout
    again = machine.run("import", name, "mine")
    assert f"0 new, {MINUTES} there already" in again.stdout
    assert "verify" not in again.stdout
    assert path.read_bytes() == file_of(range(MINUTES))


def test_what_is_there_stays_and_what_is_missing_comes_before_between_and_after(
    machine: Machine,
) -> None:
    path = put(session(machine), file_of([*range(100, 200), *range(300, 400)]))
    for name, minutes in (("a.csv", range(250)), ("b.csv", range(240, 600))):
        ours(machine.folder / name, [minute for minute in minutes if minute != 222])
    before = path.read_bytes()
    looked = machine.run("import", "b.csv", "a.csv", "mine", "--dry-run")
    sums = "BTCUSDT 1m: 609 rows read, 399 new, 200 there already, 0 conflicts, 10 doubled"
    assert looked.returncode == 0
    assert looked.stdout == f"{sums}; nothing was written\n"
    assert path.read_bytes() == before
    assert [found.name for found in path.parent.iterdir()] == [NAME]
    done = machine.run("import", "b.csv", "a.csv", "mine")
    assert done.returncode == 0
    called = f"mine --config {machine.folder}/config/kline-ops/mine.yml"
    assert done.stdout == (
        f"{sums}\n"
        f"{path}: 2025-01-06T00:00:00Z to 2025-01-06T09:59:00Z, 599 rows, 1 missing in 1 hole"
        f" (kline-ops analyze-gaps {called})\n"
        "the last row of an export may have been forming when it was made:"
        f" kline-ops verify {called} compares\n"
    )
    assert machine.run("analyze-gaps", *called.split()).returncode == 1
    assert path.read_bytes() == file_of(minute for minute in range(600) if minute != 222)


def test_a_session_that_was_started_is_told_by_its_name(machine: Machine) -> None:
    path = session(machine)
    config = machine.folder / "config" / "kline-ops" / "mine.yml"
    told = {field.name: "-" for field in fields(KnownSession) if field.default is MISSING}
    told |= {"name": "mine", "config": str(config), "csv": str(path), "interval": "1m"}
    put(machine.folder / "state/kline-ops/sessions/mine.json", json.dumps(told).encode())
    ours(machine.folder / "BTCUSDT-1m.csv", [1, 3])
    done = machine.run("import", "BTCUSDT-1m.csv", "mine")
    assert "2 rows, 1 missing in 1 hole (kline-ops analyze-gaps mine)\n" in done.stdout
    assert done.stdout.endswith("kline-ops verify mine compares\n")
    assert machine.run("analyze-gaps", "mine").returncode == 1


def test_findings_are_told_and_make_the_exit_code(machine: Machine) -> None:
    path = put(session(machine), file_of(range(50)))
    rows = [candle(minute).row().decode() for minute in range(100)]
    for minute in range(10, 17):
        rows[minute] = candle(minute, "7.25").row().decode()
    rows[60] = "torn,row\n"
    rows[70] = rows[70].replace("71.00000638,", "-71.00000638,", 1)
    rows[71] = rows[71].replace("01:11:00Z", "01:11:30Z")
    (machine.folder / "x.csv").write_text(HEADER_LINE.decode() + "".join(rows))
    done = machine.run("import", "x.csv", "mine")
    assert done.returncode == 1
    *conflicts, more, bad, impossible, sums, _, _ = done.stdout.splitlines()
    assert conflicts == [
        f"conflict: 2025-01-06T00:{m}:00Z volume: {m}.50000000 stays, the file has 7.25"
        for m in range(10, 15)
    ]
    assert more == "and 2 more conflicts"
    assert bad == "no rows: 1 line, the first: x.csv: 62"
    assert impossible == (
        "no candles: 1 row, the first: x.csv: 2025-01-06T01:10:00Z: a number that is none, or below zero"
    )
    assert sums == (
        "BTCUSDT 1m: 100 rows read, 47 new, 43 there already, 7 conflicts, 1 off the grid, 1 no rows,"
        " 1 no candles"
    )
    assert path.read_bytes() == file_of(m for m in range(100) if m not in {60, 70, 71})


def test_an_archive_that_is_cut_short_is_read_as_far_as_it_goes(machine: Machine) -> None:
    path = session(machine)
    packed = gzip.compress(dump(range(9000)))
    (machine.folder / "x.csv.gz").write_bytes(packed[: len(packed) // 2])
    done = machine.run("import", "x.csv.gz", "mine")
    assert done.returncode == 1
    assert "cut short: x.csv.gz: " in done.stdout
    lines = path.read_bytes().splitlines(keepends=True)
    assert len(lines) > 1000
    assert b"".join(lines) == file_of(range(len(lines) - 1))


def test_a_candle_that_is_not_closed_yet_is_left_out(machine: Machine) -> None:
    path = session(machine)
    now_ms = Interval("1m").floor(SystemClock().wall_ms())
    # Two minutes ahead, so that none of the open ones closes while this runs.
    opens = [now_ms + at * MINUTE_MS for at in range(-30, 4) if at not in {-1, 0, 1}]
    rows = (Candle(open_ms, "1", "1", "1", "1", "1").row() for open_ms in opens)
    (machine.folder / "BTCUSDT-1m.csv").write_bytes(HEADER_LINE + b"".join(rows))
    done = machine.run("import", "BTCUSDT-1m.csv", "mine")
    assert done.returncode == 0
    assert "31 rows read, 29 new, 0 there already, 0 conflicts, 2 not closed yet" in done.stdout
    assert len(path.read_bytes().splitlines()) == 30


def test_nothing_to_take_in_begins_no_file(machine: Machine) -> None:
    path = session(machine)
    ahead = SystemClock().wall_ms() // MINUTE_MS * MINUTE_MS + 60 * MINUTE_MS
    row = Candle(ahead, "1", "1", "1", "1", "1").row()
    (machine.folder / "BTCUSDT-1m.csv").write_bytes(HEADER_LINE + row)
    done = machine.run("import", "BTCUSDT-1m.csv", "mine")
    assert done.returncode == 0
    assert done.stdout == (
        "BTCUSDT 1m: 1 row read, 0 new, 0 there already, 0 conflicts, 1 not closed yet\n"
    )
    assert not list(path.parent.iterdir())


def test_a_full_file_takes_what_has_all_columns(machine: Machine) -> None:
    path = session(machine, record={"columns": "full"})
    (machine.folder / "a.csv").write_bytes(dump(range(100), 1000))
    json_answer(machine.folder / "b.json", range(100, 200))
    (machine.folder / "c.csv").write_bytes(full_of(range(200, 300)))
    done = machine.run("import", "a.csv", "b.json", "c.csv", "mine")
    assert done.returncode == 0, done.stderr
    assert path.read_bytes() == full_of(range(300))
    again = machine.run("import", "a.csv", "b.json", "c.csv", "mine")
    assert "0 new, 300 there already, 0 conflicts" in again.stdout
    ours(machine.folder / "d.csv", range(300, 400))
    refused = machine.run("import", "d.csv", "mine")
    assert refused.returncode == 2
    assert "d.csv: no quote_volume" in refused.stderr
    assert "record.columns: basic" in refused.stderr
    # What the file has counts, whatever the config says by now.
    session(machine)
    assert machine.run("import", "d.csv", "mine").returncode == 2
    assert path.read_bytes() == full_of(range(300))


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["mine"], 2, "Missing argument"),
        (["x.csv"], 2, "Missing argument"),
        (["mine", "x.csv"], 2, "NAME comes last. Try: kline-ops import mine x.csv NAME"),
        (["x.csv", "nobody"], 4, "no session 'nobody'"),
        (["x.csv", "mine", "--config", "no.yml"], 2, "no.yml"),
        (["none.csv", "mine"], 2, "none.csv: no such file"),
        (["x" * 400, "mine"], 2, "name too long"),
        (["-", "mine"], 2, "a pipe"),
        ([".", "mine"], 2, "directory"),
        (
            ["ETHUSDT-1m.csv", "mine"],
            2,
            "holds ETHUSDT candles by its name, and the session records",
        ),
        (["x.csv", "BTCUSDT-1h.csv", "mine"], 2, "holds 1h candles by its name"),
        (["hours.csv", "mine"], 2, "holds 1h candles by its rows, and the session records 1m"),
        (["table.csv", "mine"], 2, "not a candle file"),
        ([f"data/kline-ops/mine/{NAME}", "mine"], 2, "is the session's own file"),
    ],
)
def test_input_that_can_not_be_used_is_one_line(
    machine: Machine, arguments: list[str], code: int, words: str
) -> None:
    path = put(session(machine), file_of(range(10)))
    for name in ("x.csv", "ETHUSDT-1m.csv", "BTCUSDT-1h.csv"):
        ours(machine.folder / name, range(20))
    hours = b"".join(candle(hour * 60).row() for hour in range(20))
    (machine.folder / "hours.csv").write_bytes(HEADER_LINE + hours)
    (machine.folder / "table.csv").write_text("my,own,table\n1,2,3\n")
    done = machine.run("import", *arguments)
    assert (done.returncode, done.stdout) == (code, "")
    assert words in done.stderr
    assert done.stderr.count("\n") == 1
    assert path.read_bytes() == file_of(range(10))


def test_a_running_session_has_to_stop_first(machine: Machine) -> None:
    path = put(session(machine), file_of(range(10)))
    ours(machine.folder / "x.csv", range(20))
    for owner, hint in (("mine", "kline-ops stop mine first"), ("backfill", "again when that")):
        journal = Journal(path, Interval("1m"), owner=owner)
        journal.lock()
        journal.open()
        refused = machine.run("import", "x.csv", "mine")
        assert refused.returncode == 1
        assert f"is being recorded by pid {os.getpid()} (session {owner}). Try: {hint}" in (
            refused.stderr
        )
        assert refused.stderr.count("\n") == 1
        looked = machine.run("import", "x.csv", "mine", "--dry-run")
        assert "10 new, 10 there already" in looked.stdout
        journal.close()
        assert path.read_bytes() == file_of(range(10))
    assert machine.run("import", "x.csv", "mine").returncode == 0
    assert path.read_bytes() == file_of(range(20))


def test_a_file_of_another_kind_is_not_touched(machine: Machine) -> None:
    path = put(session(machine), b"my,own,table\n1,2,3\n")
    ours(machine.folder / "x.csv", range(20))
    refused = machine.run("import", "x.csv", "mine")
    assert refused.returncode == 2
    assert "is not a candle file of kline-ops" in refused.stderr
    assert path.read_bytes() == b"my,own,table\n1,2,3\n"


def test_on_a_terminal_there_is_a_bar_and_the_sum_stays(machine: Machine) -> None:
    session(machine)
    ours(machine.folder / "x.csv", range(3000))
    controller, terminal = pty.openpty()
    child = machine.begin("import", "x.csv", "mine", stdout=terminal)
    seen = b""
    while b"compares" not in seen:
        seen += os.read(controller, 4096)
    assert child.wait(20) == 0
    assert b"3000/3000" in seen
    assert b"3,000 new" in seen
    os.close(terminal)
    os.close(controller)


@pytest.mark.parametrize(
    "number", [signal.SIGKILL, pytest.param(signal.SIGINT, marks=pytest.mark.long)]
)
@pytest.mark.parametrize("way", ["appended", "merged", "anew"])
def test_an_end_in_the_middle_leaves_a_good_file_and_another_run_goes_on(
    machine: Machine, number: signal.Signals, way: str
) -> None:
    minutes = range(100_000)
    there = {"appended": 0, "merged": 100, "anew": 90_000}[way]
    path = session(machine)
    before = file_of(range(100_000, 100_000 + there)) if there else b""
    if before:
        put(path, before)
    (machine.folder / "BTCUSDT-1m.csv").write_bytes(dump(minutes))
    command = ("import", "BTCUSDT-1m.csv", "mine")
    child = machine.begin(*command)
    aside = path.with_name(NAME + ".import")
    grows = aside if way == "anew" else path
    until(lambda: grows.exists() and grows.stat().st_size > 500_000, 60)
    child.send_signal(number)
    _, errors = child.communicate(timeout=60)
    if number is signal.SIGINT:
        assert child.returncode == 130
        assert "candles taken in, another run goes on\n" in errors
        assert errors.count("\n") == 1
        assert not aside.exists()
    else:
        assert child.returncode == -number
    if way == "anew":
        assert path.read_bytes() == before
    whole = file_of(range(100_000 + there))
    kept = path.read_bytes().splitlines(keepends=True)
    assert set(kept[:-1]) <= set(whole.splitlines(keepends=True))
    done = machine.run(*command)
    assert done.returncode == 0, done.stderr
    assert path.read_bytes() == whole
    assert {found.name for found in path.parent.iterdir()} <= {NAME, f"{NAME}.lock", f"{NAME}.torn"}


def test_floats_of_a_table_become_plain_numbers(machine: Machine) -> None:
    pa = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    path = session(machine)
    prices = [6.38e-06 + minute * 1e-08 for minute in range(50)]
    times = pa.array([START + minute * MINUTE_MS for minute in range(50)], pa.timestamp("ms"))
    columns = {"timestamp": times, "open": prices, "high": prices, "low": prices, "close": prices}
    table = pa.table(columns | {"volume": [float(minute) for minute in range(50)]})
    parquet.write_table(table, machine.folder / "BTCUSDT-1m.parquet")
    done = machine.run("import", "BTCUSDT-1m.parquet", "mine")
    assert done.returncode == 0, done
    lines = path.read_text().splitlines()[1:]
    assert [float(line.split(",")[1]) for line in lines] == prices
    assert lines[0].startswith("2025-01-06T00:00:00Z,0.00000638,0.00000638,")
    assert "e" not in "".join(lines)


@pytest.mark.skipif(not DATA.is_dir(), reason="needs ../shared/data beside the project")
def test_eight_years_of_the_exchange(machine: Machine) -> None:
    session(machine)
    config = machine.folder / "config" / "kline-ops" / "mine.yml"
    config.write_text("binance: {stream: {symbol: btcusdt, timeframe: 1h}}\n")
    files = sorted(str(path) for path in (DATA / "klines-1h").glob("*.csv.gz"))
    assert len(files) == 8
    done = machine.run("import", *files[4:], *files[:4], "mine")
    assert done.returncode == 0, done.stderr
    assert (
        "BTCUSDT 1h: 70,008 rows read, 69,965 new, 0 there already, 0 conflicts, 43 off the grid\n"
        in done.stdout
    )
    path = machine.data("mine") / "candles_BTCUSDT_1h.csv"
    assert (
        f"{path}: 2018-01-01T00:00:00Z to 2025-12-31T23:00:00Z, 69,965 rows, 163 missing in 27"
        in (done.stdout)
    )
    found = report(path)
    assert (found.on_disk, found.missing, len(found.gaps)) == (69_965, 163, 27)
    assert (found.off_grid, found.bad_rows, found.duplicates, found.out_of_order) == (0, 0, 0, 0)


@pytest.mark.skipif(not DATA.is_dir(), reason="needs ../shared/data beside the project")
def test_a_month_of_daily_archives_with_all_columns(machine: Machine) -> None:
    path = session(machine, record={"columns": "full"})
    files = sorted(str(path) for path in (DATA / "klines-1m").glob("*.zip"))
    done = machine.run("import", *reversed(files), "mine")
    assert done.returncode == 0, done.stderr
    assert "44,560 rows read, 44,560 new" in done.stdout
    assert "80 missing in 1 hole " in done.stdout
    found = report(path)
    assert (found.owed, found.missing) == (31 * 1440, 80)
    with zipfile.ZipFile(files[0]) as archive:
        first = archive.read(archive.namelist()[0]).splitlines()[0].decode().split(",")
    ours = path.read_text().splitlines()[1].split(",")
    assert (ours[1:6], ours[7:11]) == (first[1:6], first[7:11])


@pytest.mark.skipif(not DATA.is_dir(), reason="needs ../shared/data beside the project")
def test_an_answer_of_rest(machine: Machine) -> None:
    session(machine)
    config = machine.folder / "config" / "kline-ops" / "mine.yml"
    config.write_text("binance: {stream: {symbol: btcusdt, timeframe: 15m}}\n")
    answered = DATA / "rest" / "kriss-BTCUSDT-15m-klines.json"
    done = machine.run("import", str(answered), "mine")
    assert done.returncode == 0, done.stderr
    assert "BTCUSDT 15m: 779 rows read, 779 new" in done.stdout
    rows = json.loads(answered.read_text())
    lines = (machine.data("mine") / "candles_BTCUSDT_15m.csv").read_text().splitlines()[1:]
    assert [line.split(",")[1:] for line in lines] == [row[1:6] for row in rows]
