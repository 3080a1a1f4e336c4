"""``analyze-gaps --notify``: findings go to the alert channel of the session that they are about."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from kline_ops.cli.given import printable
from kline_ops.errors import EXIT_FINDING, EXIT_GOOD, InputError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from kline_ops.alerts import Message
    from kline_ops.cli.gap_search import Asked
    from kline_ops.gaps.model import Finding

#: Gaps that a message names.
_NAMED = 10


def notify_of(findings: Sequence[Finding], asked: Asked) -> int:
    """Send each; answers the exit code of the sending.

    Raises:
        InputError: a finding is of no session, or its session has no channel.
    """
    code = EXIT_GOOD
    for finding in findings:
        if finding.session is None:
            raise InputError(
                f"{finding.report.path}: no session records into it", hint="--notify with a NAME"
            )
        code = max(code, send(finding.session, asked.config, _message(finding)))
    return code


def send(name: str, config: Path | None, message: Message) -> int:
    """Send a message to a session's channels; a failure is told on stderr, and is a finding.

    Raises:
        ConfigError: its config can not be used, or names no channel.
    """
    from pathlib import Path

    from kline_ops.alerts.routes import routes_of, stream_key, tell
    from kline_ops.config.settings import load_settings
    from kline_ops.errors import ConfigError
    from kline_ops.watch.registry import find_session

    settings = load_settings(name, config or Path(find_session(name).config))
    key = stream_key(settings.config)
    found = routes_of(settings.config, key, name)
    if not found:
        raise ConfigError(
            f"{name} has no alert channel", field=f"credentials.{key}", hint="a Slack webhook there"
        )
    errors = tell([route.channel for route in found], message)
    for error in errors:
        typer.echo(printable(f"kline-ops: {error.one_line()}"), err=True)
    return EXIT_FINDING if errors else EXIT_GOOD


def _message(finding: Finding) -> Message:
    from kline_ops.alerts import Level, Message
    from kline_ops.gaps import render
    from kline_ops.market import timestamp

    report, marks = finding.report, render.Marks()
    lines = []
    for gap in finding.gaps[:_NAMED]:
        why = render.reason(gap)
        first = timestamp.to_text(gap.gap.first_missing_ms)
        lines.append(f"{first}: {gap.gap.missing:,} missing{f' ({why})' if why else ''}")
    if len(finding.gaps) > _NAMED:
        lines.append(f"and {len(finding.gaps) - _NAMED:,} more gaps")
    lines += render.oddities(report, marks)
    return Message(
        Level.WARNING,
        f"{finding.session}: {render.missing(finding)}",
        "\n".join(lines),
        {
            "Stream": f"{report.symbol or ''} {report.interval}",
            "Owed": f"{report.owed:,}",
            "On disk": f"{report.on_disk:,}",
            "Missing": f"{report.missing:,}",
        },
    )
