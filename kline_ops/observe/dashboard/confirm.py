"""A key that would end a recording is asked for twice: an accident must not cost months. Pure."""

from __future__ import annotations

import enum

#: Seconds within which the second press counts.
WITHIN = 3.0


class Answer(enum.Enum):
    """What a press of a key comes to."""

    ASK = "say that a second press is needed"
    CONFIRMED = "do it"


class SecondPress:
    """Two presses within :data:`WITHIN` seconds confirm one another, the same key or another one.

    ``needed``: False where one press is enough. ``now`` is monotonic, in seconds.
    """

    def __init__(self, *, needed: bool) -> None:
        self._needed = needed
        self._key = ""
        self._until: float | None = None

    def press(self, key: str, now: float) -> Answer:
        """Take in a press of an ending key."""
        if not self._needed or self.asking(now) is not None:
            self._until = None
            return Answer.CONFIRMED
        self._key, self._until = key, now + WITHIN
        return Answer.ASK

    def asking(self, now: float) -> str | None:
        """The key that waits for its second press, or None."""
        return self._key if self._until is not None and now < self._until else None


def prompts(key: str, leave: str | None) -> tuple[str, ...]:
    """What is said then, the longest first; ``leave``: the keys that leave it running, if any."""
    short = f"press {key} again within {WITHIN:g} s to end the recording"
    long = () if leave is None else (f"{short}; {leave} leaves it running",)
    return (*long, short, f"{key} again within {WITHIN:g} s ends it")
