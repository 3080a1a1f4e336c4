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
        KlineOpsError: no such session, or its file can not be read.
    """
    import json

    from kline_ops.cli.digest import digest
    from kline_ops.cli.gap_notice import send_or_say, without_channel
    from kline_ops.cli.gap_search import session_of
    from kline_ops.clock import SystemClock
    from kline_ops.errors import EXIT_USAGE
    from kline_ops.gaps.turn import alone

    # As for gaps: what was found comes before, nobody to tell it to is an error only where all is well.
    untold = without_channel(names, config) if notify else set()
    code, told = 0, []
    for name in names:
        session = session_of(name, config)
        with alone(session.csv):
            found = digest(session, SystemClock().wall_ms())
            is_told = bool(found.exit_code) or not quiet
            if notify and is_told and name not in untold:
                code = max(code, min(1, send_or_say(session.name, config, found.message())))
        code = max(code, found.exit_code)
        told.append({"session": session.name, "text": found.text, **found.facts})
        if is_told and not as_json:
            typer.echo(printable(found.text))
    if as_json:
        typer.echo(json.dumps(told))
    return code or (EXIT_USAGE if untold else code)
