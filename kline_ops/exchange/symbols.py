"""The symbols that the embedded exchange lists, and how it writes numbers.

Source: Binance spot API, "Exchange information" (tick and lot sizes). Every price and volume is
an integer inside: prices in ticks, volumes in lots, amounts in units of 0.00000001. They become
text only here, with eight decimals, as the exchange prints all of them.
"""

from __future__ import annotations

from dataclasses import dataclass

#: All amounts are printed with this many decimals.
DECIMALS = 8
UNIT = 10**DECIMALS


@dataclass(frozen=True, slots=True)
class Symbol:
    """One listed pair and the size of its market."""

    base: str
    quote: str
    #: The price around which the market moves, in ticks.
    price_ticks: int
    #: Decimals of the tick size: 2 means steps of 0.01.
    price_decimals: int
    #: Decimals of the lot size.
    lot_decimals: int
    trades_per_day: int
    #: Mean volume of a trade, in lots.
    lots_per_trade: int

    @property
    def name(self) -> str:
        """As the exchange writes it: ``BTCUSDT``."""
        return self.base + self.quote

    @property
    def tick(self) -> int:
        """The tick size in units of 0.00000001."""
        return int(10 ** (DECIMALS - self.price_decimals))

    @property
    def lot(self) -> int:
        """The lot size in units of 0.00000001."""
        return int(10 ** (DECIMALS - self.lot_decimals))


_LISTED = (
    Symbol("BTC", "USDT", 6_700_000, 2, 5, 1_400_000, 1_700),
    Symbol("ETH", "USDT", 260_000, 2, 4, 900_000, 3_500),
    Symbol("BNB", "USDT", 60_000, 2, 3, 300_000, 900),
    Symbol("SOL", "USDT", 15_000, 2, 3, 450_000, 5_000),
    Symbol("XRP", "USDT", 6_000, 4, 1, 300_000, 8_000),
    Symbol("DOGE", "USDT", 12_000, 5, 0, 200_000, 3_000),
    Symbol("SHIB", "USDT", 2_345, 8, 0, 150_000, 9_000_000),
    Symbol("1000SATS", "USDT", 3_210, 7, 0, 40_000, 1_500_000),
    Symbol("ETH", "BTC", 3_900, 5, 4, 120_000, 3_000),
    Symbol("LRC", "BTC", 638, 8, 0, 400, 900),
    Symbol("NKN", "USDT", 3_520, 4, 0, 9_000, 600),
    Symbol("BLZ", "ETH", 5_800, 8, 0, 300, 500),
    Symbol("RUNE", "EUR", 4_200, 3, 1, 700, 250),
)

#: Every symbol listed from the start, by name.
LISTED = {symbol.name: symbol for symbol in _LISTED}


def text(units: int) -> str:
    """An amount in units of 0.00000001 as the exchange prints it: ``0.00000638``."""
    return f"{units // UNIT}.{units % UNIT:08d}"
