"""``analyze-gaps NAME --digest``: was the last whole day complete? Silence is no sign of health."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from kline_ops.cli.given import printable

if TYPE_CHECKING:
    from pathlib import Path


def tell_digests(
    names: list[str], config: Path | None, *, quiet: bool, notify: bool, as_json: bool
) -> int:
    """Print the digest of each session, send it if asked to; answers the exit code.

    ``quiet``: only what is a finding is printed and sent.

    Raises:
        KlineOpsError: no such session, its file can not be read, or it has no channel.
    """
    import json

    from kline_ops.cli.digest import digest
    from kline_ops.cli.gap_notice import send
    from kline_ops.cli.gap_search import session_of
    from kline_ops.clock import SystemClock
    from kline_ops.gaps.turn import alone

    code, told = 0, []
    for name in names:
        session = session_of(name, config)
        with alone(session.csv):
            found = digest(session, SystemClock().wall_ms())
            is_told = bool(found.exit_code) or not quiet
            if notify and is_told:
                code = max(code, send(session.name, config, found.message()))
        code = max(code, found.exit_code)
        told.append({"session": session.name, "text": found.text, **found.facts})
        if is_told and not as_json:
            typer.echo(printable(found.text))
    if as_json:
        typer.echo(json.dumps(told))
    return code
