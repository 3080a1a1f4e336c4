"""Candles that are not lines of text: REST answers in JSON, and Parquet and Feather tables.

Each becomes the lines of a CSV, so that all that is known of those holds for them. JSON is read whole:
an answer of REST is a page, and collections of them are small.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from typing import IO, TYPE_CHECKING, Any

from kline_ops.errors import InputError

if TYPE_CHECKING:
    import pyarrow

#: How a table's index is called in a file that a data frame was written to.
_INDEX = "__index_level_0__"
_ROWS = 50_000
_BROKEN = "copy or export it again"


def from_json(path: str, stream: IO[bytes]) -> Iterator[bytes]:
    """Rows as lists (the exchange's own answer) or as objects, in one list or one a line.

    Raises:
        InputError: it is no JSON, or holds no rows.
    """
    import msgspec  # noqa: PLC0415 - for files that need it

    data = stream.read().removeprefix(b"\xef\xbb\xbf")
    try:
        found = msgspec.json.decode(data)
    except msgspec.DecodeError as error:
        try:
            found = msgspec.json.Decoder().decode_lines(data)
        except msgspec.DecodeError:
            raise InputError(f"{path}: broken JSON ({error})", hint=_BROKEN) from None
    rows = _rows(found)
    if rows is None:
        raise InputError(
            f"{path}: no rows of candles in this JSON", hint='[[1499040000000, "0.016", …], …]'
        )
    lines = _object_lines(rows) if rows and isinstance(rows[0], dict) else map(_line, rows)
    yield b"".join(line.encode() for line in lines)


def _rows(found: object) -> list[Any] | None:
    """The list of rows, which may lie in an object under whatever name."""
    if isinstance(found, dict):
        found = next((value for value in found.values() if isinstance(value, list)), None)
    if isinstance(found, list) and all(isinstance(row, list | dict) for row in found):
        return found
    return None


def _object_lines(rows: Sequence[object]) -> Iterator[str]:
    first = rows[0]
    names = list(first) if isinstance(first, dict) else []
    yield _line(names)
    for row in rows:
        yield _line([row.get(name, "") for name in names] if isinstance(row, Mapping) else ["?"])


def _line(row: Sequence[object]) -> str:
    """Numbers as their text; whatever is none of them makes a bad row of its line."""
    texts = (value if isinstance(value, str) else repr(value) for value in row)
    return ",".join(text.replace(",", " ").replace("\n", " ") for text in texts) + "\n"


def from_arrow(path: str, stream: IO[bytes]) -> Iterator[bytes]:
    """A table, batch by batch; its time column by its name, or by its type.

    Raises:
        InputError: it can not be read, or pyarrow is not installed.
    """
    try:
        import pyarrow as pa  # noqa: PLC0415 - an extra
        from pyarrow import csv  # noqa: PLC0415
    except ImportError:
        raise InputError(
            f"{path}: Parquet and Feather need pyarrow", hint="pip install 'kline-ops[arrow]'"
        ) from None
    header = True
    try:
        for batch in _batches(stream):
            text = io.BytesIO()
            csv.write_csv(_plain(batch), text, csv.WriteOptions(include_header=header))
            header = False
            yield text.getvalue().replace(b'"', b"")
    except (pa.ArrowException, OSError) as error:
        first = str(error).partition("\n")[0]
        raise InputError(f"{path}: can not be read as a table ({first})", hint=_BROKEN) from None


def _batches(stream: IO[bytes]) -> Iterator[pyarrow.RecordBatch]:
    import pyarrow as pa  # noqa: PLC0415
    from pyarrow import feather, parquet  # noqa: PLC0415

    data = stream.read()
    if data.startswith(b"PAR1"):
        yield from parquet.ParquetFile(pa.BufferReader(data)).iter_batches(_ROWS)
    else:
        yield from feather.read_table(pa.BufferReader(data)).to_batches(_ROWS)


def _plain(batch: pyarrow.RecordBatch) -> pyarrow.RecordBatch:
    """Times as milliseconds, and a name for a time that is an index without one."""
    import pyarrow as pa  # noqa: PLC0415

    columns, names = [], []
    for field, column in zip(batch.schema, batch.columns, strict=True):
        is_time = pa.types.is_timestamp(field.type) or pa.types.is_date(field.type)
        # What is finer than a millisecond is cut off: tables from elsewhere have none of it.
        moment = column.cast(pa.timestamp("ms"), safe=False) if is_time else column
        columns.append(moment.cast(pa.int64()) if is_time else moment)
        names.append("timestamp" if field.name == _INDEX and is_time else field.name)
    return pa.RecordBatch.from_arrays(columns, names=names)
