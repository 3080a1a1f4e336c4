"""``kline-ops alert-test NAME``: does every channel bring a message to somebody?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from kline_ops.cli.options import ConfigFile, NewName

if TYPE_CHECKING:
    from pathlib import Path

    from kline_ops.alerts import Message
    from kline_ops.alerts.routes import Route
    from kline_ops.config.model import Config


def alert_test(name: NewName, config: ConfigFile = None) -> None:
    """Send one message of each level to every channel of a session, and say what came of it.

    A dead man's switch (alerts.ping_url) is asked once. Exits with 0 if all were taken, 1 if one was
    not, 2 if there is none, or one that can not be used: nothing is sent then, as in config check.
    """
    from kline_ops.alerts.routes import check_alerts, new_ping, routes, stream_key
    from kline_ops.cli.given import printable
    from kline_ops.errors import EXIT_FINDING, EXIT_GOOD, ConfigError

    settings = _config(name, config)
    check_alerts(settings)
    found, ping = routes(settings, name), new_ping(settings)
    if not found and ping is None:
        hint = f"a webhook there, or one in credentials.{stream_key(settings)}"
        raise ConfigError(f"{name} has no alert channel", field="alerts.urls", hint=hint)
    lines = [
        (_place(route), reason, _purposes(settings, found, route))
        for route, reason in zip(found, _results(name, settings, found), strict=True)
    ]
    if ping is not None:
        lines.append((f"alerts.ping_url ({ping.host})", ping.ask(), "asked once"))
    width = max(len(place) for place, _, _ in lines)
    for place, reason, good in lines:
        word = typer.style("FAIL", fg="red") if reason else typer.style("ok  ", fg="green")
        typer.echo(printable(f"{word}  {place.ljust(width)}  {reason or good}"))
    raise typer.Exit(EXIT_FINDING if any(reason for _, reason, _ in lines) else EXIT_GOOD)


def _place(route: Route) -> str:
    return f"{route.field} ({route.channel.host})"


def _config(name: str, config: Path | None) -> Config:
    """Of the file that is given, else of the one it was started with, else of the one of its name."""
    from pathlib import Path

    from kline_ops.config.settings import load_session
    from kline_ops.watch.registry import sessions

    known = (Path(session.config) for session in sessions() if session.name == name)
    return load_session(name, config or next(known, None)).config


def _results(name: str, config: Config, found: list[Route]) -> list[str]:
    """Why each channel failed, empty where it took all; all channels at the same time."""
    from kline_ops.alerts import AlertError
    from kline_ops.worker import Worker

    def send_all(route: Route) -> str:
        from kline_ops.alerts import send_patiently
        from kline_ops.cli.given import printable

        def tell_wait(seconds: float) -> None:
            told = f"{_place(route)} asks for {seconds:g} s of silence: waiting"
            typer.echo(printable(f"kline-ops: {told}"), err=True)

        try:
            for message in _messages(name, _purposes(config, found, route)):
                send_patiently(route.channel, message, tell_wait)
        except AlertError as error:
            return error.reason
        return ""

    workers = [Worker("alert-test") for _ in found]
    results = [worker.submit(send_all, route) for worker, route in zip(workers, found, strict=True)]
    return [result.result() for result in results]


def _purposes(config: Config, found: list[Route], route: Route) -> str:
    """``stream, heartbeat, watchdog``: what a channel is told of."""
    from kline_ops.alerts.manager import resolved
    from kline_ops.alerts.routes import HEARTBEAT, WATCHDOG, fallbacks, stream_key

    keys = [other.key for other in found]
    named = {stream_key(config): "stream", HEARTBEAT: "heartbeat", WATCHDOG: "watchdog"}
    return ", ".join(
        word
        for key, word in named.items()
        if route.key is None or resolved(key, keys, fallbacks(config)) == route.key
    )


def _messages(name: str, purposes: str) -> list[Message]:
    from kline_ops.alerts import Level, Message
    from kline_ops.clock import SystemClock

    now_ms = SystemClock().wall_ms()
    asks = {
        Level.INFO: "says what is good to know, and asks for nothing",
        Level.SUCCESS: "says that something is well again",
        Level.WARNING: "asks for a look when there is time",
        Level.CRITICAL: "asks for a look now",
    }
    return [
        Message(
            level,
            f"{name}: test {number} of {len(asks)}",
            f"A message of level {level.name} {what}. This one is a test: there is nothing to do.",
            {"Session": name, "Told here": purposes},
            now_ms,
        )
        for number, (level, what) in enumerate(asks.items(), 1)
    ]
