"""Who is told of a session, by its config.

``credentials`` holds Slack webhooks by what they are for: ``sops_hb`` (heartbeat), ``sops_wd``
(watchdog), ``sops_<environment>`` (the stream). One that is missing is stood in for: the watchdog's by
the heartbeat's, that by the stream's. ``alerts.urls`` are told everything.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from kline_ops.alerts.channels import channel_of, send_patiently
from kline_ops.alerts.manager import AlertManager, resolved
from kline_ops.alerts.message import AlertError, Channel, Message
from kline_ops.alerts.outlet import OnFailed
from kline_ops.alerts.ping import Ping
from kline_ops.alerts.slack import SlackChannel
from kline_ops.clock import Clock
from kline_ops.config.model import Config
from kline_ops.errors import ConfigError
from kline_ops.worker import Worker

#: Hears of a channel that can not be used, which is left out then.
OnProblem = Callable[[ConfigError], None]

HEARTBEAT = "sops_hb"
WATCHDOG = "sops_wd"


@dataclass(frozen=True, slots=True)
class Route:
    """A channel, and whose messages go through it."""

    #: Where the config names it.
    field: str
    #: None: all messages.
    key: str | None
    channel: Channel


def stream_key(config: Config) -> str:
    """The key of what happens to the stream."""
    return f"sops_{config.binance.environment}"


def keys_of(config: Config) -> tuple[str, ...]:
    """The keys that concern this session: what else ``credentials`` holds is for others."""
    return (stream_key(config), HEARTBEAT, WATCHDOG)


def routes(config: Config, session: str = "", on_problem: OnProblem | None = None) -> list[Route]:
    """The channels of a session. Nothing is sent, and no thread or process is started.

    Raises:
        ConfigError: one of them can not be used, and there is no ``on_problem``; says which, and
            nothing of its address.
    """
    found: list[Route] = []
    for key in keys_of(config):
        if (url := config.credentials.get(key)) is not None:
            with _named(field := f"credentials.{key}", on_problem):
                found.append(Route(field, key, SlackChannel(url.reveal())))
    for number, url in enumerate(config.alerts.urls, 1):
        with _named(field := f"alerts.urls, number {number}", on_problem):
            found.append(Route(field, None, channel_of(url, session)))
    return found


def routes_of(config: Config, key: str, session: str = "") -> list[Route]:
    """The channels that are told what is of this key.

    Raises:
        ConfigError: like :func:`routes`.
    """
    found = routes(config, session)
    meant = resolved(key, [route.key for route in found], fallbacks(config))
    return [route for route in found if route.key is None or route.key == meant]


def new_manager(
    config: Config,
    *,
    session: str = "",
    clock: Clock | None = None,
    on_failed: OnFailed | None = None,
    on_problem: OnProblem | None = None,
) -> AlertManager:
    """The manager of a session's channels; it may have none.

    Raises:
        ConfigError: like :func:`routes`.
    """
    manager = AlertManager(clock=clock, on_failed=on_failed, fallbacks=fallbacks(config))
    for route in routes(config, session, on_problem):
        manager.add_channel(route.channel, key=route.key)
    return manager


def new_ping(
    config: Config, *, on_failed: OnFailed | None = None, on_problem: OnProblem | None = None
) -> Ping | None:
    """The dead man's switch of ``alerts.ping_url``, if there is one; it is not started.

    Raises:
        ConfigError: the address is none, and there is no ``on_problem``.
    """
    if (url := config.alerts.ping_url) is not None:
        with _named("alerts.ping_url", on_problem):
            return Ping(url, on_failed=on_failed)
    return None


def check_alerts(config: Config) -> None:
    """Refuse what nobody could be told through, before anything is begun. Half a second a service.

    Raises:
        ConfigError: like :func:`routes` and :func:`new_ping`; or Apprise knows no such address.
    """
    from kline_ops.alerts.apprise_channel import AppriseChannel  # noqa: PLC0415 - an extra

    for route in routes(config):
        if isinstance(route.channel, AppriseChannel):
            with _named(route.field):
                route.channel.check()
    new_ping(config)


def tell(channels: Sequence[Channel], message: Message) -> list[AlertError]:
    """Send one message by itself, to all at the same time; what went wrong. Takes a minute at most."""
    workers = [Worker("tell") for _ in channels]
    sent = [
        worker.submit(send_patiently, channel, message)
        for worker, channel in zip(workers, channels, strict=True)
    ]
    errors = []
    for worker, future in zip(workers, sent, strict=True):
        worker.shutdown(wait=False)
        error = future.exception()
        if isinstance(error, AlertError):
            errors.append(error)
        elif error is not None:
            raise error
    return errors


def fallbacks(config: Config) -> dict[str, str]:
    """By key: the one that stands in where it has no channel."""
    return {WATCHDOG: HEARTBEAT, HEARTBEAT: stream_key(config)}


@contextlib.contextmanager
def _named(field: str, on_problem: OnProblem | None = None) -> Iterator[None]:
    """What is wrong with a channel is wrong with the config."""
    try:
        yield
    except AlertError as error:
        told = ConfigError(error.reason, field=field, hint=error.hint)
        if on_problem is None:
            raise told from None
        on_problem(told)
