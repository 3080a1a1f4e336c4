"""The recorder of a drill, a process of its own: ``python -m kline_ops.drill.recorder CONFIG CONTROL``.

The session is the one that ``kline-ops run`` runs, wired in ``service.py``. Only its disk may fail on
purpose, SIGUSR1 is a planned restart, and it ends with whoever holds its stdin: a drill that is
killed leaves nobody behind.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
from pathlib import Path

from kline_ops.clock import SystemClock
from kline_ops.config.settings import Settings, load_settings
from kline_ops.drill.disk import DiskControl, DrillDisk
from kline_ops.errors import EXIT_GOOD, KlineOpsError
from kline_ops.observe.logs import Logging, log_event, text_handler
from kline_ops.record.journal import Journal
from kline_ops.service import Session
from kline_ops.session.parts import new_journal

#: The session's name.
NAME = "drill"


def load(config: Path) -> Settings:
    """The settings of a drill's config; nothing in the user's environment changes them.

    Raises:
        ConfigError: as for any config.
    """
    return load_settings(NAME, config, {})


async def _record(settings: Settings, journal: Journal) -> None:
    log = Logging(None, settings.config.logger.preset, text_handler(sys.stdout))
    try:
        session = Session(
            settings,
            journal,
            clock=SystemClock(),
            draw=random.SystemRandom().random,
            listeners=(log_event,),
        )
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, session.stop, "SIGTERM")
        loop.add_signal_handler(signal.SIGUSR1, session.renew)
        loop.add_reader(sys.stdin.fileno(), session.stop, "the drill has ended")
        await session.run()
    finally:
        log.close()


def main(config: str, control: str) -> int:
    """Record until SIGTERM, or the end of stdin."""
    try:
        settings = load(Path(config))
        journal = new_journal(settings, DrillDisk(DiskControl(Path(control))))
        asyncio.new_event_loop().run_until_complete(_record(settings, journal))
    except KlineOpsError as error:
        sys.stdout.write(f"{error.one_line()}\n")
        return error.exit_code
    return EXIT_GOOD


if __name__ == "__main__":
    _code = main(*sys.argv[1:])
    sys.stdout.flush()
    # A thread that hangs on purpose must not hold up the end.
    os._exit(_code)
