"""What is recorded: the klines of one symbol at one interval."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from kline_ops.market.interval import Interval

#: ``candles_BTCUSDT_1h.csv``, ``BTCUSDT-1h-2018.csv.gz``: the symbol stands before the interval.
_SYMBOL = re.compile(
    r"(?:^|[_\-. ])([^\W_]+)[_\-. ][0-9]{1,2}(?:mo|[smhdwM])(?:\+0800)?(?=$|[_\-. ])"
)


@dataclass(frozen=True, slots=True)
class Stream:
    """``symbol`` in capitals, as in frames and REST."""

    symbol: str
    interval: Interval
    #: As in the URL: ``btcusdt@kline_1h``, ``btcusdt@kline_1d@+08:00``; always lower case.
    name: str = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        # Kept: it is looked up with each message.
        name = f"{self.symbol.lower()}@kline_{self.interval.name}"
        object.__setattr__(self, "name", name)

    @property
    def file_name(self) -> str:
        """``candles_BTCUSDT_1h.csv``."""
        return f"candles_{self.symbol}_{self.interval.file_token}.csv"


def symbol_of(name: str) -> str | None:
    """The symbol that stands before the interval in a file's name, or None."""
    found = None
    for match in _SYMBOL.finditer(name):
        if match[1] == match[1].upper() and not match[1].isdigit():
            found = match[1]
    return found
