"""From what the user typed to the session it means."""

from __future__ import annotations

import contextlib
import os
import shlex
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from kline_ops.errors import SessionError
from kline_ops.secret import redacted, shown_url
from kline_ops.watch.evidence import end_in_registry
from kline_ops.watch.registry import KnownSession, find_session, remember

if TYPE_CHECKING:
    from kline_ops.config.command import CommandSettings
    from kline_ops.config.settings import Settings


def known_session(name: str, config: Path | None) -> KnownSession:
    """The session of this name as it was started, or as its config file says.

    One whose entry is lost is known by its file, if it has left anything where that says.

    Raises:
        SessionError: it was never started here.
        ConfigError: the file that was given can not be used.
    """
    if config is None:
        return find_session(name)
    from kline_ops.config.settings import load_session
    from kline_ops.config.sops import Secrets

    described = describe_session(load_session(name, config, secrets=Secrets.LEFT))
    try:
        found = find_session(name)
    except SessionError:
        traces = (described.state_file, described.events_file, described.exit_file)
        if not any(map(os.path.exists, traces)):
            raise
        return _with_its_supervisor(described)
    return replace(
        described,
        keeper_pid=found.keeper_pid,
        keeper_started=found.keeper_started,
        supervised=found.supervised,
        tmux_tmpdir=found.tmux_tmpdir,
        unit=found.unit,
        ended=found.ended,
    )


def _with_its_supervisor(session: KnownSession) -> KnownSession:
    """Without it, a stop would end a command that the supervisor starts again."""
    from kline_ops.ops.running import find_supervisor
    from kline_ops.watch.process import started_at

    pid = find_supervisor(session)
    if pid is None:
        return session
    return replace(session, keeper_pid=pid, keeper_started=started_at(pid), supervised=True)


def describe_session(settings: Settings | CommandSettings) -> KnownSession:
    """A session's entry for the registry."""
    from kline_ops.config.command import CommandSettings
    from kline_ops.ops.tmux_socket import tmpdir

    entry = KnownSession(
        name=settings.name,
        config=str(settings.path),
        data_dir=str(settings.data_dir),
        csv="",
        state_file=str(settings.state_file),
        events_file=str(settings.events_file),
        log_file=str(settings.log_file),
        exit_file=str(settings.exit_file),
        symbol="",
        interval="",
        endpoint="",
        tmux_socket=settings.config.ops.tmux_socket,
        tmux_tmpdir=str(tmpdir(os.environ)),
    )
    if isinstance(settings, CommandSettings):
        return replace(entry, command=redacted(shlex.join(settings.argv)))
    return replace(
        entry,
        csv=str(settings.csv),
        symbol=settings.stream.symbol,
        interval=settings.stream.interval.name,
        endpoint=shown_url(settings.ws_url or "embedded exchange"),
    )


def remember_session(
    settings: Settings | CommandSettings,
    keeper_pid: int | None,
    *,
    supervised: bool = False,
    tmux_tmpdir: str = "",
) -> None:
    """Put a session into the registry, so that status, logs and stop find it.

    ``tmux_tmpdir``: where its tmux server is, if not below today's ``$TMUX_TMPDIR``.
    Recording does not depend on it: where the registry can not be written, that is said once.
    """
    from kline_ops.ops.running import unit_of
    from kline_ops.watch.process import started_at

    started = None if keeper_pid is None else started_at(keeper_pid)
    entry = replace(
        describe_session(settings),
        keeper_pid=keeper_pid,
        keeper_started=started,
        supervised=supervised,
        unit="" if keeper_pid is None else unit_of(keeper_pid, settings.name),
    )
    if tmux_tmpdir:
        entry = replace(entry, tmux_tmpdir=tmux_tmpdir)
    with contextlib.suppress(SessionError):
        before = find_session(settings.name)
        if keeper_pid is not None and before.keeper_pid == keeper_pid:
            # It goes on where it is, whoever asks now: from cron, $TMUX_TMPDIR is another.
            entry = replace(entry, tmux_tmpdir=before.tmux_tmpdir)
        # How the one before ended counts until the new one has said something.
        entry = replace(entry, ended=end_in_registry(before))
    try:
        remember(entry)
    except OSError as error:
        typer.echo(f"the session could not be registered: {error.strerror}", err=True)
