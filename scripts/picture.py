"""Draw a session, its status and its gap report as an SVG, from real commands.

    python scripts/picture.py KLINE_OPS docs/demo.svg

Records from the embedded exchange for 25 s, in a home of its own.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time

from rich.console import Console
from rich.text import Text

WIDTH = 104
COMMANDS = (
    "start demo",
    "status demo",
    "logs demo -n 4",
    "analyze-gaps demo",
    "stop demo",
)
#: Without rich's web fonts: the picture asks no other host for anything.
SVG = """<svg viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">
<style>
.{unique_id}-matrix {{
  font-family: monospace; font-size: {char_height}px; line-height: {line_height}px;
}}
.{unique_id}-title {{ font-size: 18px; font-weight: bold; font-family: sans-serif; }}
{styles}
</style>
<defs><clipPath id="{unique_id}-clip-terminal">
<rect x="0" y="0" width="{terminal_width}" height="{terminal_height}" /></clipPath>{lines}</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">{matrix}</g>
</g>
</svg>
"""


def main() -> None:
    kline_ops, target = sys.argv[1:]
    console = Console(record=True, width=WIDTH, file=open(os.devnull, "w"))
    with tempfile.TemporaryDirectory() as folder:
        home = "/home/me"
        environ = os.environ | {
            "XDG_STATE_HOME": f"{folder}/state",
            "XDG_DATA_HOME": f"{folder}/data",
            "TMUX_TMPDIR": folder,
        }
        for command in COMMANDS:
            ran = subprocess.run(
                [kline_ops, *command.split()],
                env=environ,
                capture_output=True,
                text=True,
                check=False,
            )
            output = ran.stdout.replace(f"{folder}/data", f"{home}/.local/share").rstrip()
            console.print(Text.assemble(("$ ", "bold green"), (f"kline-ops {command}", "bold")))
            console.print(Text(output), "", sep="\n")
            if command.startswith("start"):
                time.sleep(25)
    console.save_svg(target, title="kline-ops", code_format=SVG)


if __name__ == "__main__":
    main()
