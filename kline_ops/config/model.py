"""The keys of a config file, with their types and defaults. Nothing is resolved here.

Durations are seconds. A key that is not here is an error; the loader names the nearest known one.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from kline_ops.secret import Secret

Positive = Annotated[float, Meta(gt=0)]
NotNegative = Annotated[float, Meta(ge=0)]
#: ``sops_mainnet``: who is told of sessions of this environment.
CREDENTIAL_NAME = r"^sops_[a-z0-9_]+$"


class Section(msgspec.Struct, frozen=True, kw_only=True):
    """The root of all sections."""


class Exchange(Section, frozen=True, kw_only=True):
    """``embedded: true`` starts the embedded exchange and records from it."""

    embedded: bool = False


class StreamKeys(Section, frozen=True, kw_only=True):
    """What is recorded. Both are required; ``type`` may say ``kline``, as in older files."""

    symbol: str | None = None
    timeframe: str | None = None
    type: Literal["kline"] = "kline"


class PlannedRestart(Section, frozen=True, kw_only=True):
    """When the connection is renewed: ``modulo: 4h``, or ``modulo_minutes: 240``; null: never."""

    modulo: str | int | None = None
    modulo_minutes: Annotated[int, Meta(ge=1)] | None = None
    margin_seconds: NotNegative | None = None
    min_connection_duration: NotNegative | None = None


class Binance(Section, frozen=True, kw_only=True):
    """The exchange. The addresses follow from ``environment`` unless given."""

    environment: Literal["mainnet", "testnet", "us"] = "mainnet"
    ws_url: str | None = None
    failover_urls: tuple[str, ...] | None = None
    rest_url: str | None = None
    stream: StreamKeys = msgspec.field(default_factory=StreamKeys)
    reconnect: PlannedRestart = msgspec.field(default_factory=PlannedRestart)


class Heartbeat(Section, frozen=True, kw_only=True):
    """How often the state file is written, and where (relative to ``data_dir``)."""

    interval: Annotated[float, Meta(ge=0.1, le=300)] = 5.0
    state_file: str = "state/heartbeat.state.json"


class CircuitBreakerKeys(Section, frozen=True, kw_only=True):
    """When an address is left alone for a while: see ``resilience/circuit_breaker.py``."""

    enabled: bool = True
    failures: Annotated[int, Meta(ge=1)] = 5
    cooldown: Positive = 60.0
    successes: Annotated[int, Meta(ge=1)] = 1


class Resilience(Section, frozen=True, kw_only=True):
    """The resilience kit's settings."""

    heartbeat: Heartbeat = msgspec.field(default_factory=Heartbeat)
    circuit_breaker: CircuitBreakerKeys = msgspec.field(default_factory=CircuitBreakerKeys)


class Ping(Section, frozen=True, kw_only=True):
    """Our own keepalive; the exchange's pings are answered in any case."""

    interval: Positive = 15.0
    timeout: Positive = 10.0


class Connect(Section, frozen=True, kw_only=True):
    """How long a handshake may take."""

    timeout: Positive = 30.0


class Reconnect(Section, frozen=True, kw_only=True):
    """Backoff: see ``resilience/backoff.py``."""

    delay: Positive = 0.5
    max_delay: Positive = 30.0
    max_attempts: Annotated[int, Meta(ge=1)] = 20


class Websocket(Section, frozen=True, kw_only=True):
    """The connections; ``redundancy``: how many are live at a time."""

    redundancy: Annotated[int, Meta(ge=1, le=4)] = 1
    ping: Ping = msgspec.field(default_factory=Ping)
    connection: Connect = msgspec.field(default_factory=Connect)
    reconnect: Reconnect = msgspec.field(default_factory=Reconnect)
    stall_timeout: Positive = 60.0
    proof_timeout: Positive = 10.0


class Record(Section, frozen=True, kw_only=True):
    """The candle file. ``fsync: never`` leaves it to the system when rows reach the disk.

    ``columns: full`` adds to each row all that both the stream and REST say of a candle.
    """

    fsync: Literal["always", "never"] = "always"
    grace: NotNegative = 2.0
    rest_patience: NotNegative = 3.0
    backfill: bool = True
    since: str | None = None
    columns: Literal["basic", "full"] = "basic"


class Logger(Section, frozen=True, kw_only=True):
    """How much is told: ``prod`` < ``dev`` < ``trace``."""

    preset: Literal["dev", "trace", "prod"] = "prod"


class SessionKeys(Section, frozen=True, kw_only=True):
    """A session that is only a command: what is run, where (relative to this file), with what set.

    What ``env`` holds is shown nowhere: it may be a password.
    """

    backend: Literal["tmux"] = "tmux"
    command: str | None = None
    working_dir: str | None = None
    env: dict[str, Secret] = msgspec.field(default_factory=dict)


class Ops(Section, frozen=True, kw_only=True):
    """The tmux server that sessions run in, and commands to be run in it, by their sessions' names."""

    tmux_socket: Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$")] = "kline-ops"
    #: A recorder that holds more is changed for a fresh process, without a gap; null: never.
    memory_limit_mb: Positive | None = 256.0
    sessions: dict[str, SessionKeys] = msgspec.field(default_factory=dict)


class Config(Section, frozen=True, kw_only=True):
    """A whole file."""

    data_dir: str | None = None
    exchange: Exchange = msgspec.field(default_factory=Exchange)
    binance: Binance = msgspec.field(default_factory=Binance)
    resilience: Resilience = msgspec.field(default_factory=Resilience)
    websocket: Websocket = msgspec.field(default_factory=Websocket)
    record: Record = msgspec.field(default_factory=Record)
    #: Slack webhooks.
    credentials: dict[Annotated[str, Meta(pattern=CREDENTIAL_NAME)], Secret] = msgspec.field(
        default_factory=dict
    )
    logger: Logger = msgspec.field(default_factory=Logger)
    ops: Ops = msgspec.field(default_factory=Ops)
