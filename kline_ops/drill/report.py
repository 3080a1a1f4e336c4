"""What a drill comes to: each fault, and whether a candle is lost, doubled or wrong. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from kline_ops.drill.faults import Trouble
from kline_ops.drill.holes import Hole
from kline_ops.market.candle import Candle

#: What closed before the first fault, as a fault.
BEFORE = "(before)"


@dataclass(frozen=True, slots=True)
class Counts:
    """Candles."""

    owed: int = 0
    on_disk: int = 0
    stream: int = 0
    rest: int = 0
    lost: int = 0
    doubled: int = 0
    wrong: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(*(mine + yours for mine, yours in zip(self, other, strict=True)))

    def __iter__(self) -> Any:
        return iter(asdict(self).values())

    def final(self, end: Counts) -> Counts:
        """The same candles at the end: one that was doubled or wrong before stays so."""
        doubled, wrong = max(self.doubled, end.doubled), max(self.wrong, end.wrong)
        return replace(end, doubled=doubled, wrong=wrong)


def count(
    truth: Iterable[Candle],
    amended: Iterable[Candle],
    rows: Mapping[int, Sequence[bytes]],
    from_rest: Collection[int],
    again: Collection[int] = (),
) -> Counts:
    """Compare what the exchange had with the rows of a file, by open time.

    ``amended``: the same candles as REST has them, which is as true where one came from there, be it
    ``again``, into a file that was begun anew. A row of a candle that the exchange never had is wrong.
    """
    owed = {candle.open_ms: candle.row() for candle in truth}
    told_by_rest = {candle.open_ms: candle.row() for candle in amended}
    lost = doubled = rest = wrong = 0
    for open_ms, row in owed.items():
        lines = rows.get(open_ms, ())
        came_from_rest = bool(lines) and open_ms in from_rest
        good = {row}
        if open_ms in from_rest or open_ms in again:
            good.add(told_by_rest.get(open_ms, row))
        lost += not lines
        doubled += max(0, len(lines) - 1)
        rest += came_from_rest
        wrong += any(line not in good for line in lines)
    wrong += sum(1 for open_ms in rows if open_ms not in owed)
    on_disk = len(owed) - lost
    return Counts(len(owed), on_disk, on_disk - rest, rest, lost, doubled, wrong)


@dataclass(slots=True)
class Outcome:
    """One fault. Times in seconds; None: it did not happen, or there was nothing to happen."""

    trouble: Trouble
    began_ms: int
    lasted: float = 0.0
    noticed: float | None = None
    noticed_by: str | None = None
    #: From its end until every owed candle was on disk and a connection was live.
    recovered: float | None = None
    counts: Counts = field(default_factory=Counts)
    #: Where nothing is fetched from REST: the holes that it left.
    holes: list[Hole] = field(default_factory=list)

    @property
    def in_time(self) -> bool:
        """Whether it was noticed within its deadline, or there was nothing to notice."""
        if not self.trouble.signs:
            return True
        return self.noticed is not None and self.noticed <= self.trouble.within


@dataclass(slots=True)
class Report:
    """A whole drill, or as much of it as there was before it was ended."""

    seed: int
    seconds: float
    time_outs: dict[str, float]
    outcomes: list[Outcome]
    left_out: tuple[str, ...]
    #: Candles that closed before the first fault.
    before: Counts = field(default_factory=Counts)
    #: What must not be and is no fault's own: a recorder that died, lines that are no rows.
    remarks: list[str] = field(default_factory=list)
    interrupted: bool = False
    #: False: losses are expected, and it is asked whether each is explained truly.
    backfill: bool = True
    #: Those of the candles that closed before the first fault.
    holes_before: list[Hole] = field(default_factory=list)

    def total(self) -> Counts:
        """All candles of the drill."""
        return sum((outcome.counts for outcome in self.outcomes), self.before)

    def findings(self) -> list[str]:
        """What is wrong, a line each; empty: nothing is."""
        found = list(self.remarks)
        for name, hole in self.holes():
            if not hole.is_true:
                truth = " or ".join(sorted(hole.truth)) or "anything: it should cost none"
                told = f"{hole.gap.missing} candle(s) put down to {hole.cause.kind}"
                found.append(f"{name}: {told}, not to {truth}")
        for outcome in self.outcomes:
            name, within = outcome.trouble.name, outcome.trouble.within
            # Without REST what it is needed for is not noticed.
            if self.backfill and outcome.trouble.signs and outcome.noticed is None:
                found.append(f"{name}: not noticed")
            elif self.backfill and not outcome.in_time:
                found.append(f"{name}: noticed after {outcome.noticed:.2f} s, not {within:.2f} s")
            if outcome.recovered is None:
                found.append(f"{name}: not all was well again")
        total = self.total()
        flaws = {"doubled": total.doubled, "wrong": total.wrong}
        if self.backfill:
            flaws = {"lost": total.lost, **flaws}
        return found + [f"candles {what}: {number}" for what, number in flaws.items() if number]

    def holes(self) -> list[tuple[str, Hole]]:
        """All holes that were looked into, each with the name of its fault."""
        before = [(BEFORE, hole) for hole in self.holes_before]
        return before + [(each.trouble.name, hole) for each in self.outcomes for hole in each.holes]

    def as_object(self) -> dict[str, Any]:
        """The same for JSON. Times of day in milliseconds, durations in seconds."""
        told = {
            "seed": self.seed,
            "seconds": round(self.seconds, 3),
            "interrupted": self.interrupted,
            "time_outs": self.time_outs,
            "faults": [_object(outcome) for outcome in self.outcomes],
            "left_out": list(self.left_out),
            "before": asdict(self.before),
            "total": asdict(self.total()),
            "findings": self.findings(),
        }
        if not self.backfill:
            holes = [{"fault": name, **hole.as_object()} for name, hole in self.holes()]
            told |= {"backfill": False, "holes": holes}
        return told


def _object(outcome: Outcome) -> dict[str, Any]:
    return {
        "fault": outcome.trouble.name,
        "began_ms": outcome.began_ms,
        "lasted": round(outcome.lasted, 3),
        "noticed": outcome.noticed,
        "noticed_by": outcome.noticed_by,
        "within": outcome.trouble.within if outcome.trouble.signs else None,
        "in_time": outcome.in_time,
        "recovered": outcome.recovered,
        **asdict(outcome.counts),
    }
