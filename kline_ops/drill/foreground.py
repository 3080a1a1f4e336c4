"""A drill in this process: its folder, its signals, its end."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kline_ops.drill.plan import Plan
from kline_ops.drill.report import Report
from kline_ops.drill.run import Drill, Tell
from kline_ops.errors import InputError, KlineOpsError
from kline_ops.resilience.shutdown import ENDING


def conduct(
    plan: Plan, seed: int, keep: Path | None, tell: Tell, *, backfill: bool = True
) -> Report:
    """Go through a plan. Ctrl+C and SIGTERM end it; the report then tells what was done so far.

    Without ``backfill`` candles are lost, and the report says what the event log puts each down to.

    Raises:
        InputError: ``keep`` is not empty, or no folder.
        KlineOpsError: the recorder does not begin, or the folder's disk fails for real.
    """
    try:
        with _folder(keep) as folder:
            return asyncio.run(_conduct(Drill(plan, seed, folder, tell, backfill=backfill)))
    except OSError as error:
        hint = "check the free space, or --keep with another folder"
        raise KlineOpsError(f"the drill can not go on: {error}", hint=hint) from None


async def _conduct(drill: Drill) -> Report:
    running = asyncio.ensure_future(drill.run())
    loop = asyncio.get_running_loop()
    for number in ENDING:
        # Once: the recorder is to be ended in peace, whoever is impatient.
        loop.add_signal_handler(number, lambda: running.cancelling() or running.cancel())
    with contextlib.suppress(asyncio.CancelledError):
        await running
    return drill.report


@contextmanager
def _folder(keep: Path | None) -> Iterator[Path]:
    if keep is None:
        with tempfile.TemporaryDirectory(prefix="kline-ops-drill-") as made:
            yield Path(made)
        return
    try:
        keep.mkdir(parents=True, exist_ok=True)
        taken = any(keep.iterdir())
    except OSError as error:
        raise InputError(f"{keep} can not be used: {error.strerror}", hint="--keep drill") from None
    if taken:
        raise InputError(f"{keep} is not empty", hint="--keep with a new folder")
    yield keep.absolute()
