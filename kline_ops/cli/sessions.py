"""``kline-ops list``."""

from __future__ import annotations

from kline_ops.cli.options import AsJson


def list_sessions(as_json: AsJson = False) -> None:
    """All sessions that were started on this machine; exit code 1 where one is stalled or dead."""
    from kline_ops.cli.status import status

    status(as_json=as_json)
