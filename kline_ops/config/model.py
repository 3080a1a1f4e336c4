"""The keys of a config file, with their types and defaults. Nothing is resolved here.

Durations are seconds. A key that is not here is an error that names the nearest known one; beside these,
a file may have ``include`` (``include.py``).
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from kline_ops.secret import Secret

Positive = Annotated[float, Meta(gt=0)]
NotNegative = Annotated[float, Meta(ge=0)]
#: Whose webhook it is: the heartbeat's, the watchdog's, that of the stream of an environment.
CREDENTIALS = ("sops_hb", "sops_wd", "sops_mainnet", "sops_testnet", "sops_us")


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


class BinanceCredentials(Section, frozen=True, kw_only=True):
    """Keys of an account, as older files have them: known, and of no use for public streams."""

    api_key: Secret | None = None
    api_secret: Secret | None = None


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


class WatchdogKeys(Section, frozen=True, kw_only=True):
    """``kline-ops watchdog``: how often it looks, and how old the state file may be.

    ``state_file``: another one than the heartbeat's; ``textfile``: where it leaves what it finds, for
    node_exporter. Both are relative to ``data_dir``.
    """

    cycle_interval: Positive = 300.0
    max_heartbeat_age: Positive = 30.0
    state_file: str | None = None
    textfile: str | None = None


class Resilience(Section, frozen=True, kw_only=True):
    """The resilience kit's settings."""

    heartbeat: Heartbeat = msgspec.field(default_factory=Heartbeat)
    watchdog: WatchdogKeys = msgspec.field(default_factory=WatchdogKeys)
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


class Proactive(Section, frozen=True, kw_only=True):
    """Older files say here how often they ask whether to reconnect. Nothing is asked: no effect."""

    disconnect_check_interval: NotNegative | None = None
    reconnect_check_interval: NotNegative | None = None
    disconnect_margin: NotNegative | None = None


class Queue(Section, frozen=True, kw_only=True):
    """Older files say here how many frames may wait. None waits: no effect."""

    size: Annotated[int, Meta(ge=0)] | None = None


class Preset(Section, frozen=True, kw_only=True):
    """A name for some values of ``websocket``: see ``presets.py``."""

    ping: Ping = msgspec.field(default_factory=Ping)
    connection: Connect = msgspec.field(default_factory=Connect)
    reconnect: Reconnect = msgspec.field(default_factory=Reconnect)
    proactive: Proactive = msgspec.field(default_factory=Proactive)
    queue: Queue = msgspec.field(default_factory=Queue)


class Websocket(Section, frozen=True, kw_only=True):
    """The connections; ``redundancy``: how many are live at a time."""

    redundancy: Annotated[int, Meta(ge=1, le=4)] = 1
    #: ``trading``, ``monitoring``, or one of ``presets``: what is not given below comes from there.
    preset: str | None = None
    presets: dict[str, Preset] = msgspec.field(default_factory=dict)
    ping: Ping = msgspec.field(default_factory=Ping)
    connection: Connect = msgspec.field(default_factory=Connect)
    reconnect: Reconnect = msgspec.field(default_factory=Reconnect)
    stall_timeout: Positive = 60.0
    proof_timeout: Positive = 10.0
    proactive: Proactive = msgspec.field(default_factory=Proactive)
    queue: Queue = msgspec.field(default_factory=Queue)


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


class Alerts(Section, frozen=True, kw_only=True):
    """Who is told, beside the Slack webhooks of ``credentials``, and of what."""

    #: Services by their address: Apprise's (``tgram://…``), or one that takes JSON (``https://…``).
    urls: tuple[Secret, ...] = ()
    #: Tell of each planned restart; the digest counts them in any case.
    planned_restarts: bool = False
    #: When yesterday is summed up, UTC; null: never.
    digest: Annotated[str, Meta(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")] | None = "00:05"
    #: Seconds between two messages on one thing that comes and goes.
    floor: Positive = 300.0
    #: A dead man's switch: asked while nothing owed is missing.
    ping_url: Secret | None = None


class Http(Section, frozen=True, kw_only=True):
    """Where one can look at the session with a browser, a probe or Prometheus; no port: nowhere."""

    #: An IP address, or ``localhost``.
    host: str = "127.0.0.1"
    port: Annotated[int, Meta(ge=1, le=65_535)] | None = None
    #: Whoever asks for data has to know it: ``Authorization: Bearer …``.
    token: Secret | None = None


class Icons(Section, frozen=True, kw_only=True):
    """Older files say here whether log lines have pictures. They have none: no effect."""

    show: bool | None = None


class Logger(Section, frozen=True, kw_only=True):
    """How much is told: ``prod`` < ``dev`` < ``trace``."""

    preset: Literal["dev", "trace", "prod"] = "prod"
    #: Seconds between two records of how the session does; None: never.
    statistics: Annotated[float, Meta(ge=1)] | None = 60.0
    icons: Icons = msgspec.field(default_factory=Icons)


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
    #: Older files have these. No effect.
    default_backend: Literal["tmux"] = "tmux"
    tmux_binary: str | None = None


class Config(Section, frozen=True, kw_only=True):
    """A whole file."""

    data_dir: str | None = None
    exchange: Exchange = msgspec.field(default_factory=Exchange)
    binance: Binance = msgspec.field(default_factory=Binance)
    binance_credentials: BinanceCredentials = msgspec.field(default_factory=BinanceCredentials)
    resilience: Resilience = msgspec.field(default_factory=Resilience)
    websocket: Websocket = msgspec.field(default_factory=Websocket)
    record: Record = msgspec.field(default_factory=Record)
    #: Slack webhooks, by names of :data:`CREDENTIALS`.
    credentials: dict[str, Secret] = msgspec.field(default_factory=dict)
    alerts: Alerts = msgspec.field(default_factory=Alerts)
    http: Http = msgspec.field(default_factory=Http)
    logger: Logger = msgspec.field(default_factory=Logger)
    ops: Ops = msgspec.field(default_factory=Ops)
