"""The time-outs of a drill, and the deadlines that follow from them. Pure.

Everything is in seconds. Candles of 1 s and short time-outs make a month of operation pass in a minute;
the ratios are those of a real session.
"""

from __future__ import annotations

from typing import Any

#: One candle.
CANDLE = 1.0
GRACE = 0.4
STALL = 2.4
PROOF = 1.2
OPEN = 1.0
PING_INTERVAL = 1.0
PING_TIMEOUT = 1.0
BACKOFF, BACKOFF_MOST = 0.1, 0.5

# Deadlines for noticing, from the beginning of the fault.

#: Whatever ends a connection, or comes as a frame.
AT_ONCE = 1.0
#: A connection that is open and brings nothing.
SILENT = STALL
#: The same of connections that have to be opened before.
SILENT_ANEW = BACKOFF_MOST + STALL
#: From the close of a candle whose closing frame does not come.
MISSING = GRACE + 1.0
#: The same where the next close is up to a candle away.
MISSING_NEXT = CANDLE + MISSING
#: The same where the candle that forms now still comes.
MISSING_WHOLE = 2 * CANDLE + MISSING
#: A handshake that is not answered.
UNANSWERED = BACKOFF_MOST + OPEN + 0.5
#: The disk fails at the next candle.
DISK = CANDLE + 1.0
#: A file that is gone is looked for each second.
GONE = 2.0
#: Data from another address, after one attempt in vain.
FAILOVER = 2 * BACKOFF_MOST + CANDLE + 1.0
#: A process that begins again: the interpreter has to start.
START = 5.0
#: The clocks are compared each second, and a leap needs a witness.
SKEW = 3 * CANDLE + 1.0

#: What the beginning and the end of a drill take.
OVERHEAD = 4.0


def time_outs() -> dict[str, float]:
    """What is told at the beginning: the settings that differ from those of a real session."""
    return {
        "grace": GRACE,
        "stall_timeout": STALL,
        "proof_timeout": PROOF,
        "connection.timeout": OPEN,
        "ping.interval": PING_INTERVAL,
        "ping.timeout": PING_TIMEOUT,
        "reconnect.delay": BACKOFF,
        "reconnect.max_delay": BACKOFF_MOST,
    }


def config(
    ws_url: str, failover_url: str, rest_url: str, since: str, *, backfill: bool = True
) -> dict[str, Any]:
    """The recorder's config file, as a tree; candles are owed from ``since`` on."""
    return {
        "data_dir": "data",
        "binance": {
            "ws_url": ws_url,
            "failover_urls": [failover_url],
            "rest_url": rest_url,
            "stream": {"symbol": "btcusdt", "timeframe": "1s"},
        },
        "resilience": {
            "heartbeat": {"interval": 1.0},
            "circuit_breaker": {"failures": 5, "cooldown": 2.0},
        },
        "websocket": {
            "ping": {"interval": PING_INTERVAL, "timeout": PING_TIMEOUT},
            "connection": {"timeout": OPEN},
            "reconnect": {"delay": BACKOFF, "max_delay": BACKOFF_MOST},
            "stall_timeout": STALL,
            "proof_timeout": PROOF,
        },
        "record": {"grace": GRACE, "rest_patience": 1.0, "since": since, "backfill": backfill},
        "logger": {"preset": "dev"},
    }
