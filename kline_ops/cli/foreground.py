"""A session in this process: its log, its signals, its pane, its entry in the registry."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal

from kline_ops.cli.known import remember_session
from kline_ops.cli.pane import Pane
from kline_ops.clock import SystemClock
from kline_ops.config.settings import Settings
from kline_ops.kit.shutdown import ending_signals
from kline_ops.observe.logs import Logging, log_event
from kline_ops.ops.care import MAKE_WAY
from kline_ops.ops.child import REASONS_VARIABLE, SUCCESSOR_VARIABLE, Teller
from kline_ops.ops.notify import Notifier
from kline_ops.ops.supervise import KEEPER_VARIABLE, RENEW
from kline_ops.record.journal import Journal
from kline_ops.resilience.shutdown import ENDING
from kline_ops.service import Host, Session


async def record(settings: Settings, journal: Journal, preset: str, *, plain: bool = False) -> None:
    """Record until a key or a signal ends it. The journal's lock is held, and let go at the end.

    ``plain``: log lines on the terminal, no dashboard.

    Where this process is a successor (see ``ops/care.py``), the lock is its predecessor's still.

    Raises:
        JournalError: the candle file is not ours to write.
    """
    supervised = KEEPER_VARIABLE in os.environ
    clock = SystemClock()
    pane = Pane(clock, supervised=supervised, plain=plain)
    stream = settings.stream
    about = {"session": settings.name, "symbol": stream.symbol, "interval": stream.interval.name}
    log = Logging(settings.log_file, preset, pane.console, about)
    # The watchdog may be meant for our supervisor.
    notifier = Notifier(os.environ, (str(os.getpid()), os.environ.get(KEEPER_VARIABLE, "")))
    try:
        if not supervised:
            remember_session(settings, os.getpid())

        def begin() -> None:
            pane.begin(session)
            notifier.start(session.is_sound, session.describe)

        teller = _teller()
        session = Session(
            settings,
            journal,
            clock=clock,
            draw=random.SystemRandom().random,
            listeners=(log_event, notifier.hear, *([teller.hear] if teller else [])),
            host=Host(
                supervised=supervised,
                on_begin=begin,
                on_live=teller.live if teller else None,
                ask_renewal=_ask_keeper if supervised else lambda: None,
            ),
        )
        loop = asyncio.get_running_loop()
        # No GracefulShutdown: the one thing to do at the end has a time-out of its own, Ctrl+C may be
        # asked for twice, and a second SIGTERM must not cost what is on its way to the disk.
        for number in ending_signals((*ENDING, signal.SIGQUIT)):
            loop.add_signal_handler(number, pane.signalled, number, session)
        # Meant for a supervisor, which this process may have been taken for.
        signal.signal(RENEW, signal.SIG_IGN)
        loop.add_signal_handler(MAKE_WAY, session.make_way)
        await session.run()
    finally:
        notifier.close()
        log.close()
        pane.close()


def _teller() -> Teller | None:
    """Through which a successor tells that it delivers; None for the only recorder."""
    told = os.environ.pop(SUCCESSOR_VARIABLE, None)
    reasons = os.environ.pop(REASONS_VARIABLE, None) is not None
    return None if told is None else Teller(int(told), reasons=reasons)


def _ask_keeper() -> None:
    """Have the supervisor change to a fresh process."""
    keeper = os.getppid()
    if os.environ.get(KEEPER_VARIABLE) == str(
        keeper
    ):  # else it is gone, and somebody else our parent
        with contextlib.suppress(OSError):
            os.kill(keeper, RENEW)
