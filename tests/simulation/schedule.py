"""What goes wrong in a simulated month, and when: drawn from a seed, or by hypothesis.

A trouble is data: a kind, a moment, and how long or how much. One table says what each kind may be.
"""

from __future__ import annotations

import enum
import math
import random
from dataclasses import dataclass

from hypothesis import strategies as st


class Kind(enum.StrEnum):
    """The troubles there are. Those of the stream hit one address, or all of them."""

    # What happens to connections that are open.
    CUT = "cut"
    CLOSE = "close"
    SHUTDOWN = "shutdown"
    HALF_OPEN = "half-open"
    DEAD_STREAM = "dead-stream"
    # What lasts, for new connections.
    REFUSE = "refuse"
    REFUSE_LASTING = "refuse-lasting"
    LIMIT = "limit"
    HANG = "hang"
    ACCEPT_CLOSE = "accept-close"
    ACK_ONLY = "ack-only"
    # What lasts, for frames.
    SILENCE = "silence"
    LOSE_CLOSES = "lose-closes"
    LATE = "late"
    DOUBLED = "doubled"
    DISORDERED = "disordered"
    # REST.
    REST_DOWN = "rest-down"
    REST_SLOW = "rest-slow"
    REST_LIMITED = "rest-limited"
    REST_BANNED = "rest-banned"
    REST_LAGGING = "rest-lagging"
    REST_STALE = "rest-stale"
    # The market.
    MAINTENANCE = "maintenance"
    QUIET = "quiet"
    # The recorder's own machine.
    KILL = "kill"
    DISK = "disk"
    SLOW_DISK = "slow-disk"

    #: That of the text: an enum's own takes ten times as long.
    __hash__ = str.__hash__


@dataclass(frozen=True, slots=True)
class Shape:
    """The range of ``seconds`` and of ``amount``: seconds of delay or of being down, or a share."""

    seconds: tuple[float, float] = (0.0, 0.0)
    amount: tuple[float, float] = (0.0, 0.0)


#: REST may show candles as they were less than half a minute ago: what is older counts as final.
SHAPES: dict[Kind, Shape] = {
    Kind.CUT: Shape(),
    Kind.CLOSE: Shape(),
    Kind.SHUTDOWN: Shape(amount=(1, 120)),
    Kind.HALF_OPEN: Shape(),
    Kind.DEAD_STREAM: Shape(amount=(0, 1)),
    Kind.REFUSE: Shape((1, 14_400)),
    Kind.REFUSE_LASTING: Shape((60, 40_000)),
    Kind.LIMIT: Shape((10, 1_800)),
    Kind.HANG: Shape((10, 7_200)),
    Kind.ACCEPT_CLOSE: Shape((5, 7_200)),
    Kind.ACK_ONLY: Shape((30, 7_200)),
    Kind.SILENCE: Shape((10, 7_200)),
    Kind.LOSE_CLOSES: Shape((60, 14_400), (0.2, 1.0)),
    Kind.LATE: Shape((60, 7_200), (0.5, 30.0)),
    Kind.DOUBLED: Shape((60, 14_400)),
    Kind.DISORDERED: Shape((60, 7_200)),
    Kind.REST_DOWN: Shape((10, 14_400)),
    Kind.REST_SLOW: Shape((60, 7_200), (1.0, 25.0)),
    Kind.REST_LIMITED: Shape((10, 600)),
    Kind.REST_BANNED: Shape((120, 14_400)),
    Kind.REST_LAGGING: Shape((60, 7_200), (1.0, 900.0)),
    Kind.REST_STALE: Shape((60, 7_200), (0.1, 25.0)),
    Kind.MAINTENANCE: Shape((60, 14_400), (0, 1)),
    Kind.QUIET: Shape((300, 14_400), (0, 1)),
    Kind.KILL: Shape((0.5, 20_000)),
    Kind.DISK: Shape((1, 14_400)),
    Kind.SLOW_DISK: Shape((60, 3_600), (0.1, 20.0)),
}


@dataclass(frozen=True, slots=True)
class Trouble:
    """One. ``at`` and ``seconds`` count from the beginning of the world; ``where``: -1 is all."""

    kind: Kind
    at: float
    seconds: float = 0.0
    amount: float = 0.0
    where: int = -1

    @property
    def end(self) -> float:
        """When it is over."""
        return self.at + self.seconds

    def __str__(self) -> str:
        day, rest = divmod(int(self.at), 86_400)
        time = f"day {day:2} {rest // 3600:02}:{rest // 60 % 60:02}:{rest % 60:02}"
        lasts = f" for {self.seconds:.0f} s" if self.seconds else ""
        amount = f" {self.amount:.2f}" if self.amount else ""
        where = f" at address {self.where}" if self.where >= 0 else ""
        return f"{time}  {self.kind}{amount}{lasts}{where}"


def draw_schedule(seed: int | str, seconds: float, every: float) -> list[Trouble]:
    """Troubles about ``every`` so many seconds, all over by ``seconds``."""
    draw = random.Random(seed)
    schedule: list[Trouble] = []
    at = draw.expovariate(1 / every)
    kinds = list(Kind)
    while at < seconds:
        kind = draw.choice(kinds)
        shape = SHAPES[kind]
        lasts = _spread(shape.seconds, draw.random())
        amount = shape.amount[0] + draw.random() * (shape.amount[1] - shape.amount[0])
        where = draw.choice((-1, -1, 0, 1, 2))
        lasts = min(lasts, seconds - at)
        schedule.append(Trouble(kind, round(at, 3), round(lasts, 3), round(amount, 3), where))
        # Now and then one trouble comes upon another.
        at += draw.uniform(1, 120) if draw.random() < 0.2 else draw.expovariate(0.8 / every)
    return schedule


def schedules(seconds: float, most: int) -> st.SearchStrategy[list[Trouble]]:
    """The same, drawn by hypothesis: it finds the shortest schedule that fails."""

    def trouble(kind: Kind) -> st.SearchStrategy[Trouble]:
        shape = SHAPES[kind]
        return st.builds(
            lambda at, share, amount, where: Trouble(
                kind, at, min(_spread(shape.seconds, share), seconds - at), amount, where
            ),
            st.floats(0, seconds).map(lambda value: round(value, 3)),
            st.floats(0, 1),
            st.floats(*shape.amount),
            st.integers(-1, 2),
        )

    return st.lists(st.sampled_from(Kind).flatmap(trouble), max_size=most)


def _spread(limits: tuple[float, float], share: float) -> float:
    """Short ones are as likely as long ones: even on a logarithmic scale."""
    low, high = limits
    return low * math.exp(share * math.log(high / low)) if low else 0.0
