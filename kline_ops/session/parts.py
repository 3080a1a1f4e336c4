"""The parts of a session, made from its settings."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from dataclasses import dataclass

from kline_ops.budget import Budget
from kline_ops.clock import Clock
from kline_ops.config.settings import Settings
from kline_ops.errors import JournalError
from kline_ops.events import Bus
from kline_ops.feed.connection import Options
from kline_ops.feed.endpoints import BreakerOptions
from kline_ops.feed.feed import Feed, FeedOptions
from kline_ops.feed.gate import Gate
from kline_ops.feed.plan import Timing
from kline_ops.feed.rotation import Rotation
from kline_ops.market.messages import Kline
from kline_ops.market.server_time import ServerTime
from kline_ops.record.backfill import Backfill
from kline_ops.record.disk import Disk
from kline_ops.record.journal import Journal
from kline_ops.record.recorder import Recorder, RecordOptions
from kline_ops.resilience import Backoff, TimeTrigger


@dataclass(frozen=True, slots=True)
class Common:
    """What all of them share."""

    settings: Settings
    bus: Bus
    clock: Clock
    server_time: ServerTime
    budget: Budget
    #: Of all connections: each of its own would cost 16 ms and 2 MB.
    tls: ssl.SSLContext | None


def new_journal(
    settings: Settings, disk: Disk | None = None, *, takes_over: bool = False
) -> Journal:
    """The session's journal, locked: from here on this process is the file's only recorder.

    ``disk``: the file calls; None: those of the system. ``takes_over``: not locked yet, as the process
    that it takes over from still is the recorder.

    Raises:
        JournalError: somebody else records into it; nothing was touched.
    """
    try:
        settings.data_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise JournalError(
            f"cannot create {settings.data_dir}: {error.strerror}",
            transient=True,
            hint="check its disk and permissions, or give data_dir another place",
        ) from None
    record = settings.config.record
    journal = Journal(
        settings.csv,
        settings.stream.interval,
        owner=settings.name,
        sync=record.fsync == "always",
        columns=record.columns,
        disk=disk,
    )
    if not takes_over:
        journal.lock()
    return journal


def new_recorder(common: Common, journal: Journal, rest_url: str | None) -> Recorder:
    """Keeps the candles; asks REST for what is missing, where there is an address."""
    settings = common.settings
    record = settings.config.record
    backfill = None
    if rest_url is not None and record.backfill:
        backfill = Backfill(rest_url, common.tls, common.budget)
    return Recorder(
        settings.stream,
        journal,
        backfill,
        RecordOptions(record.grace, settings.since_ms),
        bus=common.bus,
        clock=common.clock,
        server_time=common.server_time,
    )


def new_feed(
    common: Common, ws_url: str, on_kline: Callable[[Kline], None], draw: Callable[[], float]
) -> Feed:
    """Keeps the data flowing."""
    settings = common.settings
    websocket, record = settings.config.websocket, settings.config.record
    connection = Options(
        open_timeout=websocket.connection.timeout,
        ping_interval=websocket.ping.interval,
        ping_timeout=websocket.ping.timeout,
        tls=common.tls,
    )
    retry = websocket.reconnect
    timing = Timing(
        stall=websocket.stall_timeout,
        proof=websocket.proof_timeout,
        linger=record.grace + record.rest_patience,
    )
    breaker = settings.config.resilience.circuit_breaker
    return Feed(
        [settings.stream],
        FeedOptions(
            (ws_url, *settings.failover_urls),
            connection,
            Backoff(retry.delay, retry.max_delay, retry.max_attempts),
            timing,
            BreakerOptions(breaker.enabled, breaker.failures, breaker.cooldown, breaker.successes),
            websocket.redundancy,
        ),
        bus=common.bus,
        clock=common.clock,
        server_time=common.server_time,
        on_kline=on_kline,
        draw=draw,
        gate=Gate(common.budget),
    )


def new_rotation(common: Common, feed: Feed, last_boundary_ms: int | None) -> Rotation | None:
    """Renews the connection at each boundary; None where that is not wanted."""
    keys = common.settings.rotation
    if keys is None:
        return None
    return Rotation(
        TimeTrigger(keys.modulo, last_boundary_ms=last_boundary_ms),
        keys.margin,
        keys.min_connection_duration,
        feed,
        bus=common.bus,
        clock=common.clock,
        server_time=common.server_time,
    )
