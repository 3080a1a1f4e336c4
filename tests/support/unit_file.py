"""A unit file as systemd reads it: systemd.syntax(7), systemd.service(5) ("Command lines").

Written from the manual, apart from what writes the files.
"""

from __future__ import annotations

_ESCAPES = {"t": "\t", "n": "\n", "r": "\r", "\\": "\\", '"': '"', "'": "'", "s": " "}


def values(text: str, key: str) -> list[str]:
    """What stands at a key, as often as it does."""
    lines = (line.partition("=") for line in text.splitlines() if not line.startswith(("#", ";")))
    return [value for name, _, value in lines if name == key]


def value(text: str, key: str) -> str:
    """What stands at a key that stands once."""
    (found,) = values(text, key)
    return found


def words(text: str, *, escapes: bool = True) -> list[str]:
    """The words of a value, without their quotes; ``%%`` is one percent sign."""
    found: list[str] = []
    word: str | None = None
    quote = ""
    signs = iter(text)
    for sign in signs:
        if quote and sign == quote:
            quote = ""
        elif not quote and sign in "\"'":
            quote, word = sign, word or ""
        elif sign == "\\" and escapes:
            word = (word or "") + _ESCAPES[next(signs)]
        elif not quote and sign in " \t":
            found += [] if word is None else [word]
            word = None
        else:
            word = (word or "") + sign
    assert not quote
    found += [] if word is None else [word]
    for each in found:
        assert "%" not in each.replace("%%", ""), f"a specifier: {each}"
    return [each.replace("%%", "%") for each in found]


def command_line(text: str) -> list[str]:
    """What ``ExecStart=`` runs. A ``:`` before the program leaves ``$`` alone."""
    program, *arguments = words(text)
    assert program[0] == ":"
    assert ";" not in arguments
    return [program[1:], *arguments]
