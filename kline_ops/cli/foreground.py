"""A session in this process: its log, its signals, its keys, its entry in the registry."""

from __future__ import annotations

import asyncio
import logging
import os
import random
import signal
import sys
from dataclasses import replace

from kline_ops.cli.known import describe_session
from kline_ops.clock import SystemClock
from kline_ops.config.settings import Settings
from kline_ops.observe.keys import Keys
from kline_ops.observe.logs import Logging, log_event
from kline_ops.ops.supervise import KEEPER_VARIABLE
from kline_ops.record.journal import Journal
from kline_ops.service import Session
from kline_ops.watch.process import started_at
from kline_ops.watch.registry import remember

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

_log = logging.getLogger(__name__)


async def record(settings: Settings, journal: Journal, preset: str) -> None:
    """Record until a key or a signal ends it.

    Raises:
        JournalError: the candle file is not ours to write.
    """
    log = Logging(settings.log_file, preset, sys.stdout)
    keys = Keys()
    try:
        _register(settings)
        session = Session(
            settings,
            journal,
            clock=SystemClock(),
            draw=random.SystemRandom().random,
            listeners=(log_event,),
        )
        loop = asyncio.get_running_loop()
        for number in _SIGNALS:
            if number == signal.SIGHUP and signal.getsignal(number) is signal.SIG_IGN:
                continue  # started by nohup: it is to outlive its terminal
            loop.add_signal_handler(number, session.stop, signal.Signals(number).name)
        keys.listen({"q": lambda: session.stop("key q"), "F10": lambda: session.stop("key F10")})
        await session.run()
    finally:
        keys.close()
        journal.close()
        log.close()


def _register(settings: Settings) -> None:
    """So that status, logs and stop find the session; recording does not depend on it."""
    keeper = os.environ.get(KEEPER_VARIABLE, "")
    pid = int(keeper) if keeper.isdecimal() else os.getpid()
    entry = replace(describe_session(settings), keeper_pid=pid, keeper_started=started_at(pid))
    try:
        remember(entry)
    except OSError as error:
        _log.warning("the session could not be registered: %s", error.strerror)
