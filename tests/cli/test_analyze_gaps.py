"""``analyze-gaps`` as people and scripts call it: text, JSON, exit codes, streams."""

import gzip
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from kline_ops.cli.analyze_gaps import analyze_gaps
from kline_ops.errors import InputError, SessionError
from kline_ops.watch import registry

REPOSITORY = Path(__file__).parents[2]
DATA = REPOSITORY.parent / "shared" / "data"
HEADER = "timestamp,open,high,low,close,volume\n"

app = typer.Typer()
app.command("analyze-gaps")(analyze_gaps)


@dataclass(frozen=True)
class Said:
    code: int
    out: str
    err: str


def run(*arguments: str | Path) -> Said:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return Said(result.exit_code, result.stdout, result.stderr)


def write(folder: Path, *hours: int, name: str = "candles_BTCUSDT_1h.csv") -> Path:
    rows = "".join(f"2026-01-27T{hour:02d}:00:00Z,1.0,2.0,0.5,1.5,10.0\n" for hour in hours)
    path = folder / name
    path.write_text(HEADER + rows)
    return path


def test_complete(tmp_path: Path) -> None:
    path = write(tmp_path, 1, 2, 3)
    said = run(path)
    assert said == Said(
        0,
        f"{path}\n"
        "  BTCUSDT 1h   2026-01-27T01:00:00Z … 2026-01-27T03:00:00Z\n"
        "  ▏███▕\n"
        "  owed 3 · on disk 3 · complete\n",
        "",
    )
    assert run(path, "--quiet") == Said(0, "", "")
    assert run(path, "--quiet", "--json") == Said(0, "", "")


def test_missing(tmp_path: Path) -> None:
    path = write(tmp_path, 0, 1, 3, 3, 2, 14, 16)
    with path.open("a") as file:
        file.write("2026-01-27T17:0")
    said = run(path)
    assert said.code == 1
    assert said.out.splitlines() == [
        f"{path}",
        "  BTCUSDT 1h   2026-01-27T00:00:00Z … 2026-01-27T16:00:00Z",
        "  ▏████          █ █▕",
        "  owed 17 · on disk 6 · missing 11, 2 gaps",
        "  first missing          last missing           candles   lasted",
        "  ──────────────────────────────────────────────────────────────",
        "  2026-01-27T04:00:00Z   2026-01-27T13:00:00Z        10   10 h",
        "  2026-01-27T15:00:00Z                                1   1 h",
        "  1 doubled  (line 5)",
        "  1 out of order  (line 6)",
        "  1 unreadable  (line 9)",
        "  the rows of one open time agree",
    ]
    assert run(path, "--quiet").out == said.out


def test_json(tmp_path: Path) -> None:
    path = write(tmp_path, 1, 2, 5)
    said = run(path, "--json", "--until", "2026-01-27T08:00Z")
    assert said.code == 1
    told = json.loads(said.out)
    assert (told["missing"], told["unknown"], told["ours"]) == (4, 4, 0)
    (file,) = told["files"]
    first, second = file.pop("gaps")
    nothing = {"kind": "unknown", "text": "", "dark_seconds": None, "recovered": 0}
    assert first == {
        "before": "2026-01-27T02:00:00Z",
        "after": "2026-01-27T05:00:00Z",
        "gap_seconds": 10800,
        "missing_candles": 2,
        "first_missing": "2026-01-27T03:00:00Z",
        "last_missing": "2026-01-27T04:00:00Z",
        "whose": {"ours": 0, "exchange": 0, "exchange_provisional": 0, "unknown": 2},
        "cause": nothing,
        "note": "",
    }
    assert (second["after"], second["last_missing"]) == (None, "2026-01-27T07:00:00Z")
    assert file == {
        "session": None,
        "path": str(path),
        "paths": [str(path)],
        "symbol": "BTCUSDT",
        "interval": "1h",
        "first": "2026-01-27T01:00:00Z",
        "last": "2026-01-27T07:00:00Z",
        "owed": 7,
        "on_disk": 3,
        "missing": 4,
        **dict.fromkeys(("duplicates", "conflicts", "overlapping", "out_of_order", "off_grid"), 0),
        **dict.fromkeys(("bad_rows", "impossible", "zero_volume"), 0),
        "from_stream": None,
        "from_rest": None,
        "ours": 0,
        "exchange": 0,
        "exchange_provisional": 0,
        "unknown": 4,
        "quiet": [],
        "lines": {},
        "cut_short": {},
        "remarks": [],
    }


def test_csv_and_markdown(tmp_path: Path) -> None:
    path = write(tmp_path, 1, 2, 5)
    header, row = run(path, "--csv").out.splitlines()
    assert row == (
        f"BTCUSDT,1h,2026-01-27T03:00:00Z,2026-01-27T04:00:00Z,2,10800,0,0,0,2,unknown,,,0,{path}"
    )
    assert header.count(",") == row.count(",")
    said = run(path, "--markdown").out
    assert "| 2026-01-27T03:00:00Z | 2026-01-27T04:00:00Z | 2 | 2 h | unknown |  |" in said
    with pytest.raises(InputError, match="--json and --csv at once"):
        run(path, "--csv", "--json")


def test_from_and_until(tmp_path: Path) -> None:
    path = write(tmp_path, 1, 2, 5)
    narrow = run(path, "--from", "2026-01-27T01:00:00Z", "--until", "2026-01-27T03:00:00+00:00")
    assert narrow.code == 0
    assert run(path, "--from", "2026-01-27", "--until", "2026-01-28").code == 1
    for option in ("--from", "--until"):
        with pytest.raises(InputError, match=f"{option} 'soon': not a time"):
            run(path, option, "soon")
    with pytest.raises(InputError, match="--from 'now': not a time"):
        run(path, "--from", "now")


def test_until_now(tmp_path: Path) -> None:
    this_day = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    path = tmp_path / "candles_BTCUSDT_1d.csv"
    days = [this_day - timedelta(days=n) for n in (4, 3)]
    path.write_text(HEADER + "".join(f"{day:%Y-%m-%dT%XZ},1,1,1,1,1\n" for day in days))
    assert run(path).code == 0
    said = run(path, "--until", "now", "--json")
    assert said.code == 1
    # Yesterday's candle is closed, today's is not. (A run over midnight owes one more.)
    assert json.loads(said.out)["missing"] in {2, 3}


def test_several_files(tmp_path: Path) -> None:
    whole = write(tmp_path, 1, 2, name="candles_ETHUSDT_1h.csv")
    holed = write(tmp_path, 1, 3)
    said = run(whole, holed)
    assert said.code == 1
    assert said.out.splitlines()[-1] == "2 series: owed 5 · on disk 4 · missing 1, 1 gap"
    assert [file["missing"] for file in json.loads(run(whole, holed, "--json").out)["files"]] == [
        0,
        1,
    ]
    quiet = run(whole, holed, "--quiet")
    assert (quiet.code, quiet.out.splitlines()[0]) == (1, str(holed))


def test_files_of_one_symbol_are_one_series(tmp_path: Path) -> None:
    late = write(tmp_path, 5, 6, 7, name="BTCUSDT-1h-late.csv")
    early = write(tmp_path, 1, 2, 3, name="BTCUSDT-1h-early.csv")
    (file,) = json.loads(run(late, early, "--json").out)["files"]
    assert (file["owed"], file["missing"], file["paths"]) == (7, 1, [str(late), str(early)])
    assert len(json.loads(run(late, early, "--each", "--json").out)["files"]) == 2
    assert run(late, early, "--each").code == 0
    over = write(tmp_path, 3, 4, 5, name="BTCUSDT-1h-over.csv")
    (file,) = json.loads(run(late, early, over, "--json").out)["files"]
    assert (file["missing"], file["overlapping"], file["conflicts"]) == (0, 2, 0)


def test_a_pipe(tmp_path: Path) -> None:
    text = write(tmp_path, 1, 2, 4).read_bytes()
    command = [sys.executable, "-m", "kline_ops", "analyze-gaps", "-", "--json"]
    for data in (text, gzip.compress(text)):
        done = subprocess.run(command, cwd=REPOSITORY, input=data, capture_output=True, check=False)
        assert (done.returncode, done.stderr) == (1, b"")
        assert json.loads(done.stdout)["files"][0]["missing"] == 1


def test_unreadable_one_is_raised(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        run(tmp_path / "none.csv")
    with pytest.raises(InputError, match="no such file"):
        run("none.csv.gz")
    with pytest.raises(InputError, match="unknown interval '1H'"):
        run(write(tmp_path, 1), "--interval", "1H")


def test_unreadable_among_several(tmp_path: Path) -> None:
    missing = tmp_path / "none.csv"
    garbled = tmp_path / "x_1h.csv.gz"
    garbled.write_bytes(gzip.compress(HEADER.encode())[:-4])
    said = run(missing, write(tmp_path, 1, 2), garbled, "--json")
    assert said.code == 2
    assert len(json.loads(said.out)["files"]) == 1
    first, second = said.err.splitlines()
    assert first == f"{missing}: no such file. Try: check the path, or `kline-ops list`"
    assert second.startswith(f"{garbled}: corrupt or cut short")
    assert run(missing, garbled).out == ""


def known(monkeypatch: pytest.MonkeyPatch, csv: Path) -> None:
    @dataclass(frozen=True)
    class Session:
        csv: str
        symbol: str = "ETHUSDT"
        interval: str = "1h"
        name: str = "eth"
        events_file: str = "/nowhere/events.jsonl"
        command: str = ""

    def find_session(name: str) -> Session:
        if name != "eth":
            raise SessionError(f"no session {name!r}", exit_code=4)
        return Session(str(csv))

    monkeypatch.setattr(registry, "find_session", find_session)


def test_session_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path, 1, 3, name="whatever.csv")
    known(monkeypatch, path)
    monkeypatch.chdir(tmp_path)
    (file,) = json.loads(run("eth", "--json").out)["files"]
    assert (file["path"], file["symbol"], file["interval"]) == (str(path), "ETHUSDT", "1h")
    assert file["missing"] == 1
    with pytest.raises(SessionError) as raised:
        run("btc")
    assert raised.value.exit_code == 4
    assert run("btc", path, "--interval", "1h").code == 4
    assert run("btc", "none.csv").code == 2


def test_existing_file_wins_over_a_session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known(monkeypatch, tmp_path / "gone.csv")
    write(tmp_path, 1, 2, name="eth")
    monkeypatch.chdir(tmp_path)
    assert run("eth").code == 0


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_any_stdout_encoding(tmp_path: Path, encoding: str) -> None:
    path = write(tmp_path, 1, 4, name="candles_币_1h.csv")
    script = (
        "import typer; from kline_ops.cli.analyze_gaps import analyze_gaps; app = typer.Typer();"
        "app.command()(analyze_gaps); app()"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, path, tmp_path / "无.csv"],
        env={**os.environ, "PYTHONIOENCODING": encoding, "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        check=False,
    )
    out = done.stdout.decode(encoding)
    assert done.returncode == 2
    assert (" · " in out) == (" … " in out) == (encoding == "utf-8")
    assert (" | on disk 2 | missing 2, 1 gap" in out) == (encoding != "utf-8")
    assert b"Traceback" not in done.stderr


def test_imports_nothing_heavy() -> None:
    script = (
        "import sys, kline_ops.cli.analyze_gaps, kline_ops.gaps.render;"
        "print(*{'msgspec', 'rich.console', 'asyncio', 'zipfile'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == ""


@pytest.mark.skipif(not DATA.is_dir(), reason="needs ../shared/data beside the project")
def test_outage_of_2018() -> None:
    said = run(DATA / "klines-1h" / "BTCUSDT-1h-2018.csv.gz")
    assert said.code == 1
    lines = said.out.splitlines()
    assert lines[3] == "  owed 8,760 · on disk 8,656 · missing 104, 7 gaps"
    assert "  2018-02-08T01:00:00Z   2018-02-11T03:00:00Z        75   3 d 3 h" in lines
    assert lines[-1].startswith("  43 off the grid  (lines ")
