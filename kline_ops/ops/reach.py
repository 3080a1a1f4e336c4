"""Can an exchange be reached from here? For ``kline-ops doctor``; five seconds a question at the most.

Every one of them counts against what the exchange allows this machine, so the shared budget is asked
before, and told what came of it: a ban is not made longer by looking at it.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Sequence

from kline_ops.budget import Budget, budget_path
from kline_ops.causes import root_cause
from kline_ops.clock import SystemClock
from kline_ops.config.trust import tls_context
from kline_ops.config.venues import venue_key
from kline_ops.errors import VenueError
from kline_ops.record.backfill import Backfill, BudgetSpentError
from kline_ops.secret import shown_url
from kline_ops.watch import doctor
from kline_ops.watch.doctor import Finding, Reached

#: Seconds for TCP, TLS and the upgrade together, or for an answer of REST.
_PATIENCE = 5.0


def stream_addresses(urls: Sequence[str]) -> list[Finding]:
    """A WebSocket handshake with each, side by side."""
    from concurrent.futures import wait  # noqa: PLC0415

    from kline_ops.worker import Worker  # noqa: PLC0415

    asked = []
    for url in urls:
        worker = Worker(url)
        asked.append(worker.submit(_shake_hands, url))
        worker.shutdown(wait=False)
    # A resolver knows no time-out: it may hang for longer.
    done, _ = wait(asked, _PATIENCE + 1.0)
    hangs = f"no handshake within {_PATIENCE:g} s"
    return doctor.addresses(
        "stream",
        [
            answer.result() if answer in done else Reached(shown_url(url), hangs)
            for url, answer in zip(urls, asked, strict=True)
        ],
    )


def _shake_hands(url: str) -> Reached:
    from websockets.exceptions import InvalidStatus, WebSocketException  # noqa: PLC0415
    from websockets.sync.client import connect  # noqa: PLC0415

    shown = shown_url(url)
    budget = Budget(budget_path(), venue_key(url), SystemClock())
    if waits := budget.connect():
        return Reached(shown, waits=waits)
    tls = tls_context(os.environ) if url.startswith("wss:") else None
    began = time.monotonic()
    try:
        with connect(url, ssl=tls, open_timeout=_PATIENCE, close_timeout=0.2):
            return Reached(shown, seconds=time.monotonic() - began)
    except InvalidStatus as error:
        status = error.response.status_code
        return Reached(shown, f"it answered {status}", status)
    except TimeoutError:
        return Reached(shown, f"no handshake within {_PATIENCE:g} s")
    except (OSError, WebSocketException, EOFError) as error:
        return Reached(shown, root_cause(error))


def rest_address(url: str) -> list[Finding]:
    """Ask for the exchange's time: whether REST answers, and how far off this machine's clock is."""
    return asyncio.new_event_loop().run_until_complete(_ask_time(url))


async def _ask_time(url: str) -> list[Finding]:
    clock = SystemClock()
    tls = tls_context(os.environ) if url.startswith("https:") else None
    rest = Backfill(url, tls, Budget(budget_path(), venue_key(url), clock))
    shown = shown_url(url)
    began_ms, began = clock.wall_ms(), clock.monotonic()
    try:
        async with asyncio.timeout(_PATIENCE):
            told_ms = await rest.server_time()
    except BudgetSpentError as error:
        return doctor.addresses("rest", [Reached(shown, waits=error.seconds)])
    except VenueError as error:
        return [_unreached(shown, str(error), error.status)]
    except TimeoutError:
        return [_unreached(shown, f"{shown} did not answer within {_PATIENCE:g} s")]
    finally:
        rest.close()
    took = clock.monotonic() - began
    skew = (began_ms + took * 500 - told_ms) / 1000.0
    reached = doctor.addresses("rest", [Reached(shown, seconds=took)])
    # Nobody knows where between the question and the answer the exchange read its clock.
    return [*reached, doctor.clock(skew, shown, took / 2)]


def _unreached(url: str, reason: str, status: int | None = None) -> Finding:
    """REST fills in what the stream missed; a recorder goes on without it."""
    advice = (
        "check the network, the proxy and rest_url; what is missed can not be filled in meanwhile"
    )
    if status in doctor.BLOCKED:
        advice = "this region or network is blocked there; give another rest_url of the venue"
    return doctor.warning("rest", reason if url in reason else f"{url}: {reason}", advice)
