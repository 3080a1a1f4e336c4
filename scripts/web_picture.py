"""Draw the page as a PNG, as Chromium shows it.

    python -m scripts.web_picture KLINE_OPS docs/page.png [1280]

A real session that records from the embedded exchange, in a home of its own. Its files begin some weeks
before: the script writes that past, with planned restarts, an outage of the exchange and a few troubles.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import requests

from kline_ops.market.timestamp import to_text
from tests.support.browser import browser
from tests.support.machine import until
from tests.support.web import free_port

WIDTH = 1280
NAME = "btcusdt-1m"
MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000
DAYS = 24
#: Hours ago, how many candles, what became of them, and why.
TROUBLES = (
    (0.9, 6, "filled", "no close frame"),
    (11.4, 31, "confirmed", "HTTP 503"),
    (70.0, 190, "filled", "HTTP 503"),
    (130.0, 12, "filled", "no close frame"),
    (333.0, 45, "filled", "HTTP 502"),
)
CONFIG = """\
binance:
  ws_url: ws://127.0.0.1:{exchange}/ws
  rest_url: http://127.0.0.1:{exchange}
  stream: {{symbol: btcusdt, timeframe: 1m}}
  reconnect: {{modulo: 4h}}
record: {{backfill: false}}
http: {{port: {http}}}
"""


class Past:
    """What a session would have written until now."""

    def __init__(self, now_ms: int) -> None:
        self.now_ms = now_ms
        self.first_ms = (now_ms - DAYS * DAY) // MINUTE * MINUTE
        self.lost: set[int] = set()
        self.events: list[tuple[int, dict[str, Any]]] = []

    def tell(self, ms: int, kind: str, **fields: Any) -> None:
        self.events.append((ms, {"ts": to_text(ms), "kind": kind, **fields}))

    def restarts(self) -> None:
        """Each four hours one."""
        start = self.first_ms // (4 * HOUR) * 4 * HOUR + 4 * HOUR
        for at, ms in enumerate(range(start, self.now_ms, 4 * HOUR)):
            self.tell(ms - 6_000, "restart_planned", boundary=to_text(ms))
            self.tell(ms + 2_150, "replaced", old=at, new=at + 1, why="planned", overlap=4.12)

    def trouble(self, ago: float, candles: int, outcome: str, reason: str) -> None:
        """A connection that ended, and what became of the candles meanwhile."""
        first = int(self.now_ms - ago * HOUR) // MINUTE * MINUTE
        end, url = first + candles * MINUTE, "wss://stream.binance.com:9443/ws"
        hole = {"first": to_text(first), "last": to_text(end - MINUTE), "candles": candles}
        told = {"topic": "stream", "title": f"Disconnected: {reason}"}
        ended = {"connection": 7, "endpoint": url, "code": 1006, "reason": reason, "seconds": 912.5}
        self.tell(first + 9_000, "disconnected", **ended)
        self.tell(first + 39_000, "alerted", level="WARNING", step="opened", **told)
        self.tell(first + 70_000, "hole_found", **hole)
        self.tell(end + 5_000, "live", connection=8, endpoint=url, seconds=0.41)
        told["title"] = f"Connected again after {candles} min"
        self.tell(end + 6_000, "alerted", level="SUCCESS", step="resolved", **told)
        if outcome == "filled":
            self.tell(end + 9_000, "hole_filled", **hole, source="rest")
            return
        if outcome == "confirmed":
            self.tell(end + 9_000, "hole_confirmed", **hole)
        self.lost |= set(range(first, end, MINUTE))

    def write(self, folder: Path, rest_url: str) -> None:
        """The candle file and the event log."""
        folder.mkdir(parents=True)
        rows = ["timestamp,open,high,low,close,volume"]
        for start in range(self.first_ms, self.now_ms, 1000 * MINUTE):
            query = {
                "symbol": "BTCUSDT",
                "interval": "1m",
                "startTime": str(start),
                "limit": "1000",
            }
            asked = requests.get(f"{rest_url}/api/v3/klines", params=query, timeout=10)
            for ms, *numbers in asked.json():
                if ms + MINUTE <= self.now_ms and ms not in self.lost:
                    rows.append(",".join((to_text(ms), *numbers[:5])))
        (folder / "candles_BTCUSDT_1m.csv").write_text("\n".join(rows) + "\n")
        told = [
            json.dumps(event, separators=(",", ":"))
            for _, event in sorted(self.events, key=lambda one: one[0])
        ]
        (folder / "events.jsonl").write_text("\n".join(told) + "\n")


def main() -> None:
    kline_ops, target, *more = sys.argv[1:]
    width = int(more[0]) if more else WIDTH
    exchange, http = free_port(), free_port()
    with tempfile.TemporaryDirectory() as home, browser() as chromium:
        environ = os.environ | {
            "HOME": home,
            "XDG_STATE_HOME": f"{home}/state",
            "XDG_DATA_HOME": f"{home}/data",
        }
        config = Path(home, f"{NAME}.yml")
        config.write_text(CONFIG.format(exchange=exchange, http=http))
        command = str(Path(kline_ops).absolute())
        children = []

        def begin(*arguments: str) -> None:
            quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL}
            children.append(subprocess.Popen([command, *arguments], env=environ, **quiet))  # type: ignore[call-overload]

        try:
            begin("exchange", "--port", str(exchange), "--seed", "7")
            until(lambda: _answers(f"http://127.0.0.1:{exchange}/api/v3/ping"))
            past = Past(int(time.time() * 1000))
            past.restarts()
            for trouble in TROUBLES:
                past.trouble(*trouble)
            past.write(Path(home, "data", "kline-ops", NAME), f"http://127.0.0.1:{exchange}")
            begin("run", NAME, "--config", str(config), "--plain")
            until(lambda: _answers(f"http://127.0.0.1:{http}/healthz"))
            chromium.look(f"http://127.0.0.1:{http}/", size=(width, 900))
            until(lambda: chromium.count("#month rect.k-rest"))
            until(lambda: chromium.count(".plot .boxlayer path"))
            time.sleep(70)  # a candle of its own has closed
            end = "return document.querySelector('#coverage').getBoundingClientRect().bottom"
            chromium.picture(Path(target), int(chromium.run(end)) + 16)
        finally:
            for child in children:
                child.terminate()
                child.wait(10)


def _answers(url: str) -> bool:
    try:
        return requests.get(url, timeout=2).ok
    except requests.RequestException:
        return False


if __name__ == "__main__":
    main()
