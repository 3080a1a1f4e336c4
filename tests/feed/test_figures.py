"""What a feed says of itself: by the real exchange, in virtual time."""

from __future__ import annotations

import asyncio
from pathlib import Path

from kline_ops import events
from tests.support.trial import Trial, run_trial

PING = {"interval": 5.0, "timeout": 5.0}


def test_the_last_pong_is_the_librarys_own(tmp_path: Path) -> None:
    async def script(trial: Trial) -> None:
        await asyncio.sleep(4)
        feed = trial.session._feed
        assert feed.figures().pong_ago is None
        await asyncio.sleep(7)
        told = feed.figures()
        assert told.latency is not None
        assert told.latency < 1
        assert told.pong_ago is not None
        assert told.pong_ago <= 5.1
        (connection,) = feed._relay._connections.values()
        assert connection._socket is not None
        assert connection._socket.latency == told.latency
        # No pong comes any more: the last one grows old, and the connection ends for want of it.
        trial.server.half_open(15)
        await asyncio.sleep(9)
        told = feed.figures()
        assert told.pong_ago is not None
        assert told.pong_ago > 5.1

    trial = run_trial(tmp_path, 40, script, websocket__ping=PING)
    assert "keepalive ping timeout" in {e.reason for e in trial.of(events.Disconnected)}
    assert trial.rows() == trial.truth()


def test_where_its_addresses_and_its_attempts_stand(tmp_path: Path) -> None:
    async def script(trial: Trial) -> None:
        await asyncio.sleep(5)
        feed = trial.session._feed
        told = feed.figures()
        assert told.connections == {"live": 1}
        assert (told.attempts, told.retry_in) == (1, 0.0)
        assert told.heard_ago is not None
        assert told.heard_ago < 2
        (address,) = told.addresses
        assert address[1:] == ("closed", 0, 0)
        trial.server.refuse(300)
        trial.server.cut()
        await asyncio.sleep(30)
        told = feed.figures()
        assert told.attempts > 3
        (address,) = told.addresses
        assert address.breaker in {"open", "half open"}
        assert address.failures == address.failed > 2
        assert told.heard_ago is not None
        assert told.heard_ago > 25
        waits = []
        for _ in range(20):
            await asyncio.sleep(1)
            waits.append(feed.figures().retry_in)
        assert 0 < max(waits) <= 8

    run_trial(
        tmp_path, 58, script, resilience__circuit_breaker={"failures": 2},
        websocket__reconnect={"delay": 2.0, "max_delay": 8.0},
    )  # fmt: skip
