"""The dashboard's few styles: of the 8 colours that every terminal with colours has."""

from __future__ import annotations

from rich.style import Style

PLAIN = Style()
DIM = Style(dim=True)
STRONG = Style(bold=True)
UP = Style(color="green")
DOWN = Style(color="red")
GOOD = Style(color="green", bold=True)
BAD = Style(color="red", bold=True)
WARNING = Style(color="yellow")
FRAME = Style(color="blue")
TITLE = Style(color="cyan", bold=True)
KEY = Style(bold=True, reverse=True)
ASK = Style(color="yellow", bold=True, reverse=True)
