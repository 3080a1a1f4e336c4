"""Draw the dashboard as an SVG, captured from a real tmux pane.

    python scripts/dashboard_picture.py KLINE_OPS docs/dashboard.svg [120x40]

Records from the embedded exchange, in a home and a tmux server of its own, until the chart is full.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from picture import SVG
from rich.console import Console
from rich.text import Text

#: Columns and rows; seconds before the picture is taken.
SIZE = "100x30"
SECONDS = 50
CONFIG = """\
exchange: {embedded: true}
binance:
  stream: {symbol: btcusdt, timeframe: 1s}
  reconnect: {modulo: 20s, margin_seconds: 2, min_connection_duration: 2}
"""


def capture(kline_ops: str, width: int, height: int, seconds: float) -> str:
    """What the pane shows after so many seconds, with its colours."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "demo.yml").write_text(CONFIG)
        environ = {key: value for key, value in os.environ.items() if key != "NO_COLOR"} | {
            "LC_ALL": "C.UTF-8",
            "XDG_STATE_HOME": f"{folder}/state",
            "XDG_DATA_HOME": f"{folder}/data",
            "TMUX_TMPDIR": folder,
        }
        tmux = ["tmux", "-L", "picture", "-f", os.devnull]
        size = ["-x", str(width), "-y", str(height)]
        run = [str(Path(kline_ops).absolute()), "run", "demo", "--config", f"{folder}/demo.yml"]
        subprocess.run(
            [*tmux, "new-session", "-d", "-s", "demo", *size, *run], env=environ, check=True
        )
        try:
            time.sleep(seconds)
            shown = [*tmux, "capture-pane", "-e", "-p", "-t", "demo"]
            while True:
                pane = subprocess.run(
                    shown, env=environ, capture_output=True, text=True, check=True
                ).stdout
                if "connections" not in pane:
                    return pane
                time.sleep(1)  # the connection is being renewed: a second later it has been
        finally:
            subprocess.run([*tmux, "send-keys", "-t", "demo", "q"], env=environ, check=False)
            time.sleep(2)
            subprocess.run([*tmux, "kill-server"], env=environ, check=False, capture_output=True)


def main() -> None:
    kline_ops, target, *size = sys.argv[1:]
    width, height = map(int, (size[0] if size else SIZE).split("x"))
    console = Console(record=True, width=width, file=open(os.devnull, "w"))
    console.print(Text.from_ansi(capture(kline_ops, width, height, SECONDS)), end="")
    console.save_svg(target, title="kline-ops attach demo", code_format=SVG)


if __name__ == "__main__":
    main()
