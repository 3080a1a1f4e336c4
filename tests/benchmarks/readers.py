"""Gap searches that users would write: ``python readers.py polars|pandas|dictreader FILE``.

``dictreader`` is the algorithm of the recorder example of kstlib: rows one by one, neighbours compared.
"""

from __future__ import annotations

import sys


def with_polars(path: str) -> int:
    import polars as pl

    frame = pl.read_csv(path, columns=["timestamp"], try_parse_dates=True)
    times = frame["timestamp"].cast(pl.Datetime("ms")).dt.epoch("ms").sort()
    steps = times.diff().drop_nulls()
    step = steps.mode()[0]
    return int(((steps // step) - 1).clip(lower_bound=0).sum())


def with_pandas(path: str) -> int:
    import pandas as pd

    frame = pd.read_csv(path, parse_dates=["timestamp"])
    steps = frame["timestamp"].sort_values().diff().dropna()
    step = steps.mode()[0]
    return int((steps // step - 1).clip(lower=0).sum())


def with_dictreader(path: str) -> int:
    import csv
    from datetime import datetime

    missing, before = 0, None
    expected = None
    with open(path, newline="") as file:
        for row in csv.DictReader(file):
            moment = datetime.fromisoformat(row["timestamp"].replace("Z", "+00:00"))
            if before is not None:
                delta = (moment - before).total_seconds()
                expected = expected or delta
                if delta != expected:
                    missing += int(delta / expected) - 1
            before = moment
    return missing


if __name__ == "__main__":
    readers = {"polars": with_polars, "pandas": with_pandas, "dictreader": with_dictreader}
    print(readers[sys.argv[1]](sys.argv[2]))
