"""Gap searches that users would write: ``python readers.py polars|pandas|dictreader FILE``.

Each is given what makes it quick: the time column alone, the format of its times, the step by its first
two rows. ``dictreader`` is the algorithm of the recorder example of kstlib: rows one by one, their
times by ``strptime``, neighbours compared.
"""

from __future__ import annotations

import sys

FORMAT = "%Y-%m-%dT%H:%M:%SZ"


def with_polars(path: str) -> int:
    import polars as pl

    texts = pl.read_csv(path, columns=["timestamp"])["timestamp"]
    steps = texts.str.to_datetime(FORMAT, time_unit="ms").diff().drop_nulls().cast(pl.Int64)
    odd = steps.filter(steps != steps[0])
    return int((odd // steps[0] - 1).sum())


def with_pandas(path: str) -> int:
    import pandas as pd

    texts = pd.read_csv(path, usecols=["timestamp"])["timestamp"]
    steps = pd.to_datetime(texts, format=FORMAT).diff().dropna()
    odd = steps[steps != steps.iloc[0]]
    return int((odd // steps.iloc[0] - 1).sum())


def with_dictreader(path: str) -> int:
    import csv
    from datetime import UTC, datetime
    from pathlib import Path

    gaps, before, expected = [], None, None
    with Path(path).open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            after = datetime.strptime(row["timestamp"], FORMAT).replace(tzinfo=UTC)
            if before is not None:
                seconds = (after - before).total_seconds()
                expected = expected or seconds
                if seconds != expected:
                    gaps.append((before, after, int(seconds / expected) - 1))
            before = after
    return sum(missing for _, _, missing in gaps)


if __name__ == "__main__":
    readers = {"polars": with_polars, "pandas": with_pandas, "dictreader": with_dictreader}
    print(readers[sys.argv[1]](sys.argv[2]))
