"""What a drill goes through, from its seed and the time it has. Pure."""

from __future__ import annotations

import math
import random
from collections.abc import Collection
from dataclasses import dataclass

from kline_ops.drill import pace
from kline_ops.drill.faults import TROUBLES, Trouble
from kline_ops.errors import InputError

#: A fault lasts at most so many times as long as it needs to; what time is left is calm.
_LONGEST = 3.0


@dataclass(frozen=True, slots=True)
class Plan:
    """The faults in their order, and those that there is no time for."""

    chosen: tuple[Trouble, ...]
    left_out: tuple[Trouble, ...]
    #: How many times as long as it needs everything takes; 1 or more.
    pace: float

    @property
    def seconds(self) -> float:
        """About how long it takes."""
        return pace.OVERHEAD + self.pace * sum(trouble.needs for trouble in self.chosen)

    def lasts(self, trouble: Trouble) -> float:
        """For how long (s)."""
        return trouble.lasts * min(self.pace, _LONGEST)


def make_plan(
    seed: int, seconds: float, only: Collection[str] = (), *, backfill: bool = True
) -> Plan:
    """The same seed is the same order; with less time there are fewer of them.

    Without ``backfill`` what makes the recorder forget comes first: there is least to forget then.

    Raises:
        InputError: no such fault, or no time for any.
    """
    wanted = _named(only)
    random.Random(seed).shuffle(wanted)  # noqa: S311 - an order, no secret
    wanted.sort(key=lambda each: (backfill or not each.forgets, each.last))
    chosen: list[Trouble] = []
    if not math.isfinite(seconds):
        raise InputError(f"--seconds {seconds:g} is no time", hint="--seconds 90")
    left = seconds - pace.OVERHEAD
    for trouble in wanted:
        if trouble.needs <= left:
            chosen.append(trouble)
            left -= trouble.needs
    if not chosen:
        least = pace.OVERHEAD + min(trouble.needs for trouble in wanted)
        hint = f"{math.ceil(least)} or more"
        raise InputError(f"--seconds {seconds:g} is too short", hint=hint)
    needed = sum(trouble.needs for trouble in chosen)
    left_out = tuple(trouble for trouble in wanted if trouble not in chosen)
    return Plan(tuple(chosen), left_out, max(1.0, (seconds - pace.OVERHEAD) / needed))


def _named(only: Collection[str]) -> list[Trouble]:
    by_name = {trouble.name: trouble for trouble in TROUBLES}
    for name in only:
        if name not in by_name:
            raise InputError(f"there is no fault {name!r}", hint=", ".join(by_name))
    return [trouble for name, trouble in by_name.items() if not only or name in only]
