"""What the user gave, and what a terminal can show: for commands that take files, names and times."""

from __future__ import annotations

from pathlib import Path

#: Until ``now``: a candle that closed just before may be on its way to the disk still.
_UNDER_WAY_MS = 5_000
_FILE_ENDINGS = (".csv", ".gz", ".zip")


def is_file(name: str) -> bool:
    """A path, and no session's name."""
    if "/" in name or name.endswith(_FILE_ENDINGS):
        return True
    try:
        return Path(name).exists()
    except OSError:  # longer than a file name can be
        return True


def moment(option: str, text: str | None) -> int | None:
    """Milliseconds since the epoch of an option's time; ``now`` is known to ``--until`` only."""
    from kline_ops.clock import SystemClock
    from kline_ops.errors import InputError
    from kline_ops.market import timestamp

    if text is None:
        return None
    if option == "--until" and text == "now":
        return SystemClock().wall_ms() - _UNDER_WAY_MS
    try:
        return timestamp.to_ms(text)
    except ValueError:
        raise InputError(
            f"{option} {text!r}: not a time", hint="2026-01-27 or 2026-01-27T14:00:00Z"
        ) from None


def printable(text: str) -> str:
    """What stdout can not encode (a symbol, a path) is escaped instead of failing."""
    name = encoding()
    return text.encode(name, "backslashreplace").decode(name)


def encoding() -> str:
    """How stdout is encoded; ``utf-8`` by its one name."""
    import codecs
    import sys

    return codecs.lookup(sys.stdout.encoding or "ascii").name


def run_text(first_ms: int, last_ms: int, candles: int) -> str:
    """Neighbouring candles, for people."""
    from kline_ops.market import timestamp

    first, last = timestamp.to_text(first_ms), timestamp.to_text(last_ms)
    return f"{first}, 1 candle" if candles == 1 else f"{first} to {last}, {candles} candles"
