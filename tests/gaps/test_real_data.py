"""The exchange's own history: its outages, its off-grid bars, its change of units."""

import csv
import json
from pathlib import Path

import pytest

from kline_ops.gaps import report

DATA = Path(__file__).parents[2].parent / "shared" / "data"

pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason="needs ../shared/data beside the project")

YEARS = range(2018, 2026)


def test_eight_years_of_hours() -> None:
    reports = [report(DATA / "klines-1h" / f"BTCUSDT-1h-{year}.csv.gz") for year in YEARS]
    assert sum(found.on_disk for found in reports) == 69_965
    assert sum(found.missing for found in reports) == 163
    assert sum(found.owed for found in reports) == 70_128
    assert sum(found.off_grid for found in reports) == 43
    assert {
        (found.symbol, found.interval.code, found.duplicates, found.out_of_order, found.bad_rows)
        for found in reports
    } == {("BTCUSDT", "1h", 0, 0, 0)}

    with (DATA / "gaps" / "BTCUSDT-1h-2018-2025.grid-slots-absent.csv").open() as file:
        known = [
            (int(row["start_open_time"]), int(row["end_open_time"]), int(row["missing_slots"]))
            for row in csv.DictReader(file)
        ]
    assert len(known) == 27
    assert known == [
        (gap.first_missing_ms, gap.last_missing_ms, gap.missing)
        for found in reports
        for gap in found.gaps
    ]


def test_interval_is_told_by_the_rows_too(tmp_path: Path) -> None:
    for name in ("klines-1h/BTCUSDT-1h-2018.csv.gz", "klines-1m/BTCUSDT-1m-2023-03-24.zip"):
        copy = tmp_path / f"x{''.join(Path(name).suffixes[-1:])}"
        copy.write_bytes((DATA / name).read_bytes())
        assert report(copy).gaps == report(DATA / name).gaps
        assert report(copy).interval == report(DATA / name).interval


def test_outage_of_2023_03_24_by_minutes() -> None:
    found = report(DATA / "klines-1m" / "BTCUSDT-1m-2023-03-24.zip")
    (gap,) = found.gaps
    assert (found.owed, found.on_disk, gap.missing, gap.seconds) == (1440, 1360, 80, 81 * 60)


def test_the_other_days_of_march_are_whole() -> None:
    for path in sorted((DATA / "klines-1m").glob("*.zip")):
        if not path.stem.endswith("-24"):
            found = report(path)
            assert (found.owed, found.on_disk, found.off_grid, found.bad_rows) == (1440, 1440, 0, 0)


def test_rest_rows_as_csv(tmp_path: Path) -> None:
    rows = json.loads((DATA / "rest" / "kriss-BTCUSDT-15m-klines.json").read_text())
    path = tmp_path / "BTCUSDT-15m.csv"
    path.write_text("".join(",".join(map(str, row)) + "\n" for row in rows))
    found = report(path)
    assert (found.owed, found.missing, found.bad_rows) == (779, 0, 0)
