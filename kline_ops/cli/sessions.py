"""``kline-ops list``."""

from __future__ import annotations

from kline_ops.cli.options import AsJson


def list_sessions(as_json: AsJson = False) -> None:
    """All sessions that were started on this machine, and how they are."""
    from kline_ops.cli.status import show_all
    from kline_ops.clock import SystemClock
    from kline_ops.watch.registry import sessions
    from kline_ops.watch.status import look

    now_ms = SystemClock().wall_ms()
    show_all([look(known, now_ms)[1] for known in sessions()], as_json=as_json)
