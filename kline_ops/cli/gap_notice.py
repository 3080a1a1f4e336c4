"""``analyze-gaps --notify``: findings go to the alert channel of the session that they are about."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from kline_ops.cli.given import printable
from kline_ops.errors import EXIT_FINDING, EXIT_GOOD, InputError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence
    from pathlib import Path

    from kline_ops.alerts import Channel, Message
    from kline_ops.cli.gap_search import Asked
    from kline_ops.errors import KlineOpsError
    from kline_ops.gaps.model import Finding

#: Gaps that a message names.
_NAMED = 10


def without_channel(names: Iterable[str], config: Path | None) -> set[str]:
    """Those of the sessions that nobody is told of, which is told on stderr: before all is looked at."""
    from kline_ops.cli.given import is_file
    from kline_ops.errors import KlineOpsError, SessionError

    found = set()
    for name in dict.fromkeys(names):
        try:
            if name != "-" and not is_file(name):
                _channels(name, config)
        except SessionError:
            continue  # there is no such session: whoever looks at it says so
        except KlineOpsError as error:
            _complain(error)
            found.add(name)
    return found


def notify_of(findings: Sequence[Finding], asked: Asked, untold: Collection[str]) -> int:
    """Send each, but those of ``untold``; answers the exit code of the sending.

    What can not be sent is told on stderr: a finding is one whoever hears of it.
    """
    code = EXIT_GOOD
    for finding in findings:
        if finding.session is None:
            path = finding.report.path
            told = InputError(f"{path}: no session records into it", hint="--notify with a NAME")
            code = max(code, _complain(told))
        elif finding.session not in untold:
            code = max(code, send_or_say(finding.session, asked.config, _message(finding)))
    return code


def send_or_say(name: str, config: Path | None, message: Message) -> int:
    """Like :func:`send`, where what is wrong with the channels is told on stderr."""
    from kline_ops.errors import KlineOpsError

    try:
        return send(name, config, message)
    except KlineOpsError as error:
        return _complain(error)


def _complain(error: KlineOpsError) -> int:
    typer.echo(printable(f"kline-ops: {error.one_line()}"), err=True)
    return error.exit_code


def send(name: str, config: Path | None, message: Message) -> int:
    """Send a message to a session's channels; a failure is told on stderr, and is a finding.

    Raises:
        ConfigError: its config can not be used, or names no channel.
    """
    from kline_ops.alerts.routes import tell

    errors = tell(_channels(name, config), message)
    for error in errors:
        _complain(error)
    return EXIT_FINDING if errors else EXIT_GOOD


def _channels(name: str, config: Path | None) -> list[Channel]:
    """Those of its stream. Raises like :func:`send`."""
    from pathlib import Path

    from kline_ops.alerts.routes import routes_of, stream_key
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
    return [route.channel for route in found]


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
