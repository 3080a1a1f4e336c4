"""What a watchdog has seen, as a file for node_exporter's textfile collector. Pure.

So a dead recorder is visible though it exports nothing: by its state. So is a watchdog that is dead
itself: by the time of its last check. What is counted, and when there was a heartbeat last, goes on from
one file to the next. Source: node_exporter, "Textfile Collector".
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from kline_ops.observe.metrics.board import Board, Told
from kline_ops.observe.metrics.catalogue import WATCHDOG

_BEATEN, _CLOSED, _ALARMS = (
    "watchdog_heartbeat_timestamp_seconds",
    "watchdog_last_candle_timestamp_seconds",
    "watchdog_alarms",
)
_SAMPLE = re.compile(r'kline_ops_(\w+?)(?:_total)?\{session="([^"]*)"\} (\S+)')


@dataclass(frozen=True, slots=True)
class Checked:
    """One check. Seconds since the epoch, by this machine's clock; None: nothing is known of it."""

    session: str
    #: The word that was found, and all that there are.
    state: str
    states: tuple[str, ...]
    at: float
    #: When it beat last, and when the newest candle on its disk closed.
    beaten_at: float | None
    closed_at: float | None
    missing: int | None
    disk_free: int | None
    #: An alarm was told at this check.
    is_told: bool


def text(checked: Checked, before: Mapping[str, float]) -> str:
    """The content of the file; ``before``: what :func:`numbers` found in the one that it replaces."""
    board = Board(checked.session, WATCHDOG)
    board.count(_ALARMS, by=before.get(_ALARMS, 0.0) + checked.is_told)
    return "".join(board.lines(_told(checked, before), openmetrics=False))


def numbers(content: str, session: str) -> dict[str, float]:
    """What such a file says of this session, by name; of a damaged one what is whole."""
    found = {}
    for line in content.splitlines():
        if (sample := _SAMPLE.fullmatch(line)) is not None and sample[2] == session:
            try:
                found[sample[1]] = float(sample[3])
            except ValueError:
                continue
    return found


def _told(checked: Checked, before: Mapping[str, float]) -> Iterator[Told]:
    yield "watchdog_session_up", (), float(checked.state == "WELL")
    for state in checked.states:
        yield "watchdog_session_state", (state,), float(state == checked.state)
    yield "watchdog_last_check_timestamp_seconds", (), checked.at
    for name, at in ((_BEATEN, checked.beaten_at), (_CLOSED, checked.closed_at)):
        known = before.get(name) if at is None else at
        if known is not None:
            yield name, (), known
    if checked.missing is not None:
        yield "watchdog_candles_missing", (), checked.missing
    if checked.disk_free is not None:
        yield "watchdog_disk_free_bytes", (), checked.disk_free
