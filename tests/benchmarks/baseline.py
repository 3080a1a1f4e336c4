"""What other recorders make of the same faults, to be printed beside ours.

The figures were measured once, with the public software that is named, under the same faults on
loopback with 1 s candles, each with the time-outs that it comes with. Nothing of it is run again here.
"""

from __future__ import annotations

from typing import NamedTuple

#: The recorder example that comes with kstlib 2.0.0, unchanged but for the address, 1 s candles and the
#: shortest time between restarts that it takes (1 min).
NAME = "kstlib 2.0.0 example"

PLANNED = "gap 5.05 s each, 65 of 794 lost"
CLEAN_CLOSE = "never reconnects (watched 169 s)"
GOING_AWAY = "never reconnects (watched 108 s)"
SHUTDOWN_NOTICE = "never reconnects (watched 29 s)"
ERROR_CLOSE = "gap 0.01 s each, 0 lost"
RESET = "gap 0.05 s each, 0 of 100 lost"
HALF_OPEN = "noticed after 28.9 s, 29 lost each"
SILENT = "never noticed (watched 754 s)"
REFUSED = "gap 31.1 s, 31 lost"
PORT_CLOSED = "gap 63.2 s, 63 lost"
#: 3.8.2 waits for 30 s after one attempt, whatever the exchange does.
FLAPPING = "1,052 attempts, 21 lost (3.8.2: 1 attempt, 30 lost)"
KILLED = "gap 0.96 s each (0.3 s of it a pause before the start), 15 lost, 0 torn"
TWICE = "both write: 9 doubled in 10 s"
BAD_PRICE = "ends and starts anew: 3 lost"
NO_OBJECT = "ends and starts anew: 3 lost"
FOREIGN = "written as it came"
SMALL_PRICES = "34 of 34 rows all 0.00"
NOT_MEASURED = "not measured"


class Other(NamedTuple):
    """The smallest honest recorder that is built on a library of today."""

    name: str
    half_open: str
    flapping: str
    garbage: str


#: Half-open: noticed after. Flapping: attempts in 20 s at an exchange that accepts and closes.
OTHERS = (
    Other("unicorn-binance-websocket-api 2.16.1", "13.5 s", "4", "stops for good"),
    Other("python-binance 1.0.37", "28 s", "11 to 14", "stops, or exits"),
    Other("ccxt.pro 4.5.90", "never in 430 s", "34,252", "stops for good"),
    Other("cryptofeed 2.5.0", "139 s", "127", "goes on"),
    Other("binance-sdk-spot 13.2.0", "never", "1, then ends", "stops for good"),
    Other("binance-connector 3.13.0", "never", "1, then ends", "stops"),
    Other("websockets 17.4, `async for`, by hand", "28 s", "about 27,000", "as written"),
)
