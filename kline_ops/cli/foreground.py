"""A session in this process: its log, its signals, its keys, its entry in the registry."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys

from kline_ops.cli.known import remember_session
from kline_ops.clock import SystemClock
from kline_ops.config.settings import Settings
from kline_ops.observe.keys import Keys
from kline_ops.observe.logs import Logging, log_event
from kline_ops.ops.supervise import KEEPER_VARIABLE
from kline_ops.record.journal import Journal
from kline_ops.service import Session

_SIGNALS = (signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGHUP)


async def record(settings: Settings, journal: Journal, preset: str) -> None:
    """Record until a key or a signal ends it. The journal's lock is held, and let go at the end.

    Raises:
        JournalError: the candle file is not ours to write.
    """
    log = Logging(settings.log_file, preset, sys.stdout)
    keys = Keys()
    try:
        supervised = KEEPER_VARIABLE in os.environ
        if not supervised:
            remember_session(settings, os.getpid())

        def begin() -> None:
            keys.listen(
                {"q": lambda: session.stop("key q"), "F10": lambda: session.stop("key F10")}
            )

        session = Session(
            settings,
            journal,
            clock=SystemClock(),
            draw=random.SystemRandom().random,
            listeners=(log_event,),
            supervised=supervised,
            on_begin=begin,
        )
        loop = asyncio.get_running_loop()
        for number in _SIGNALS:
            if number == signal.SIGHUP and signal.getsignal(number) is signal.SIG_IGN:
                continue  # started by nohup: it is to outlive its terminal
            loop.add_signal_handler(number, session.stop, signal.Signals(number).name)
        await session.run()
    finally:
        keys.close()
        log.close()
