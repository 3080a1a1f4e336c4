"""Text for people: on a terminal whatever stands in it moves no cursor and forges no line.

What an exchange says, and what a command prints, ends up in logs; a control character in it would be
obeyed by the terminal of whoever reads them.
"""

from __future__ import annotations

import re

#: C0 (but for the tab), DEL, C1, the two line separators, and halves of characters.
_UNSEEN = re.compile("[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
#: "ECMA-48", 5.4 (control sequences), 5.6 (command strings), 5.5 (the other escape sequences).
_SEQUENCE = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"
    r"|\x1b[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)?"
    r"|\x1b[ -/]*(?![\[\]PX^_])[0-~]"
)
_SHORT = {"\n": "\\n", "\r": "\\r"}


def visible(text: str) -> str:
    """The text with its control characters escaped, so that JSON stays JSON: ``\\u001b``, ``\\n``."""
    return _UNSEEN.sub(lambda found: _SHORT.get(found[0]) or f"\\u{ord(found[0]):04x}", text)


def encodable(text: str) -> str:
    """The text without the halves of characters that a file name may hold."""
    return text.encode("utf-8", "replace").decode()


def without_colours(text: str) -> str:
    """What a terminal would show of a line: no colours, and the last of what overwrites itself."""
    return _SEQUENCE.sub("", text).rstrip("\r").rpartition("\r")[2]


def duration(seconds: float) -> str:
    """``8 s``, ``3 min 12 s``, ``4 h 05 min``, ``12 d 3 h``."""
    whole = max(0, int(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    if whole < 86400:
        return f"{whole // 3600} h {whole // 60 % 60:02} min"
    return f"{whole // 86400} d {whole // 3600 % 24} h"
