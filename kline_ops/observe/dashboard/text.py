"""Text from elsewhere (an exchange's words, a path) made fit for a terminal. Pure."""

from __future__ import annotations

from kline_ops.observe.dashboard.look import UNICODE, Glyphs
from kline_ops.plain import visible


def clean(text: str, glyphs: Glyphs) -> str:
    """One line, without what a terminal would obey, and only ASCII where it shows no more."""
    if not text.isprintable():
        text = "".join(c if c.isprintable() else " " for c in visible(text))
    return text if glyphs is UNICODE else text.encode("ascii", "replace").decode()
