"""What waits for one channel, and when it is tried. Pure: the shell is ``manager.py``.

- In order, one at a time. A failure that may pass is tried again after a wait with full jitter of up to
  8 s, and of up to 5 minutes once 20 tries have failed; a silence that was asked for is kept.
- At most ``most`` messages wait. Where there is no room the oldest INFO or SUCCESS is lost, else the
  oldest WARNING. A CRITICAL message is not: two of them become one, the newer, which says for how many
  it stands, since when, and which other titles are among them.
- A refusal that will not pass (the webhook was revoked) loses the message, and the next one is tried as
  if nothing had been. A CRITICAL one lets the others pass, and is tried again every 5 minutes and when
  the channel has taken another message; refused after that, it is itself at fault, and lost.
- What was lost is counted, and the next message that arrives says so.

Times are seconds on the monotonic clock, but for those in ``_ms``: milliseconds since the epoch.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

from kline_ops.alerts.message import AlertError, Level, Message
from kline_ops.market import timestamp
from kline_ops.resilience.backoff import Backoff
from kline_ops.resilience.rate_limiter import RateLimiter

#: A message that is delivered later than this (ms) says when it was true.
_LATE_MS = 60_000
#: Of the titles that became part of one message, so many are named.
_NAMED = 20
#: Characters of a text that leave room for what is said of its way (Slack takes 3,000).
_TEXT = 2000
_BACKOFF = Backoff(delay=1.0, max_delay=300.0, max_attempts=20)
#: Seconds between two tries of what was refused.
_ASIDE = 300.0
#: A longer silence than this (s) is not kept, whoever asks for it.
_LONGEST_SILENCE = 3600.0
#: Slack, "Rate limits": one message a second, and short bursts.
_BURST, _RATE = 5.0, 1.0
_LEAST_FIRST = (frozenset({Level.INFO, Level.SUCCESS}), frozenset({Level.WARNING}))


@dataclass(frozen=True, slots=True)
class Letter:
    """A message that waits, with what became part of it."""

    message: Message
    at_ms: int
    #: Of the oldest that is part of it.
    since_ms: int
    #: For how many messages it stands.
    times: int = 1
    #: The other titles among them.
    others: tuple[str, ...] = ()
    #: It was refused; and the channel has taken another one since.
    aside: bool = False
    last_try: bool = False


@dataclass(frozen=True, slots=True)
class Try:
    """What is sent now, and how many lost messages it tells of."""

    letter: Letter
    message: Message
    lost: int


class Outbox:
    """The messages of one channel. ``draw`` gives a number in [0, 1)."""

    def __init__(self, draw: Callable[[], float], *, most: int = 100) -> None:
        self._draw = draw
        self.most = most
        #: All that were lost since this process began.
        self.lost_ever = 0
        self._waiting: list[Letter] = []
        self._aside: list[Letter] = []
        self._limiter = RateLimiter(_BURST, _RATE)
        self._failures = 0
        #: Nothing is tried before these.
        self._wait_until = self._silent_until = self._aside_until = -math.inf
        #: The last try failed.
        self.fails = False
        #: Messages that are lost and of which no message has told yet; when the first of them was true.
        self.lost = 0
        self._lost_since_ms: int | None = None
        #: Of those lost since it fails: how many there are, and how many were told when last asked.
        self._spell_lost = self._spell_told = 0

    def __len__(self) -> int:
        """How many messages wait, those that have become part of another one included."""
        return sum(letter.times for letter in (*self._waiting, *self._aside))

    def put(self, message: Message, at_ms: int) -> None:
        """Add a message that is true at ``at_ms``."""
        self._waiting.append(Letter(message, at_ms, at_ms))
        if len(self._waiting) > self.most:
            self._make_room()

    def withdraw(self) -> list[Letter]:
        """All that waits, which is for somebody else to send."""
        letters = [*self._waiting, *self._aside]
        self._waiting, self._aside = [], []
        return letters

    def resume(self, letters: list[Letter]) -> None:
        """Go on with what somebody else has withdrawn: before all that came since."""
        self._waiting[:0] = [replace(letter, aside=False) for letter in letters]
        while len(self._waiting) > self.most:
            self._make_room()

    def wait(self, now: float) -> float:
        """Seconds until :meth:`take` may have something; infinite while nothing waits."""
        if self._waiting:
            moment = -math.inf
        elif self._aside:
            moment = self._aside_until
        else:
            return math.inf
        return max(0.0, max(moment, self._wait_until, self._silent_until) - now)

    def take(self, now: float, now_ms: int) -> Try | None:
        """What is to be sent now; :meth:`taken` or :meth:`failed` is to hear what became of it."""
        if self.wait(now) > 0.0:
            return None
        if pause := self._limiter.take(now):
            self._wait_until = now + pause
            return None
        letter = (self._waiting or self._aside).pop(0)
        told = _told(letter, now_ms, self.lost, self._lost_since_ms)
        return Try(letter, told, self.lost)

    def taken(self, done: Try, now: float) -> int | None:
        """It is delivered. Answers how many were lost while the channel failed, if that is news."""
        self.lost -= done.lost
        if not self.lost:
            self._lost_since_ms = None
        news = self._spell_lost if self._spell_lost > self._spell_told else None
        self._spell_lost = self._spell_told = self._failures = 0
        self.fails = False
        self._aside = [replace(letter, last_try=True) for letter in self._aside]
        self._aside_until = now
        return news

    def failed(self, done: Try, error: AlertError, now: float) -> int | None:
        """It is not delivered, and waits on or is lost.

        Answers how many have been lost since the channel fails, if that is news: it has just begun to
        fail, or to lose messages.
        """
        begins, self.fails = not self.fails, True
        if error.retryable:
            self._failures += 1
            self._wait_until = now + _BACKOFF.wait(self._failures, self._draw)
            self._silent_until = now + min(error.retry_after or 0.0, _LONGEST_SILENCE)
            (self._aside if done.letter.aside else self._waiting).insert(0, done.letter)
        elif done.letter.message.level < Level.CRITICAL or done.letter.last_try:
            self._lose(done.letter)
        else:
            self._aside.append(replace(done.letter, aside=True))
            self._aside_until = now + _ASIDE
            if len(self._aside) > self.most:
                _merge(self._aside)
        if begins or (self._spell_lost and not self._spell_told):
            self._spell_told = self._spell_lost
            return self._spell_lost
        return None

    def hurry(self, now: float) -> None:
        """The end is near: what waits is tried now, unless silence was asked for."""
        self._wait_until = self._aside_until = now

    def _make_room(self) -> None:
        for levels in _LEAST_FIRST:
            for index, letter in enumerate(self._waiting):
                if letter.message.level in levels:
                    self._lose(self._waiting.pop(index))
                    return
        _merge(self._waiting)

    def _lose(self, letter: Letter) -> None:
        self.lost += letter.times
        self.lost_ever += letter.times
        self._spell_lost += letter.times
        if self._lost_since_ms is None:
            self._lost_since_ms = letter.since_ms


def _merge(letters: list[Letter]) -> None:
    """Make one of the two oldest with the same title; else of the two oldest."""
    first, second = 0, 1
    seen: dict[str, int] = {}
    for index, letter in enumerate(letters):
        title = letter.message.title
        if title in seen:
            first, second = seen[title], index
            break
        seen[title] = index
    older, newer = letters[first], letters[second]
    others = dict.fromkeys((*older.others, older.message.title, *newer.others))
    others.pop(newer.message.title, None)
    letters[second] = replace(
        newer,
        since_ms=min(older.since_ms, newer.since_ms),
        times=older.times + newer.times,
        others=tuple(others)[-_NAMED:],
    )
    del letters[first]


def _told(letter: Letter, now_ms: int, lost: int, lost_since_ms: int | None) -> Message:
    """The message as it is sent: with what has to be said of its way."""
    notes = []
    if letter.times > 1:
        among = f", among them: {'; '.join(letter.others)}" if letter.others else ""
        since = _when(letter.since_ms, now_ms)
        notes.append(f"This stands for {letter.times} messages since {since}{among}")
    if now_ms - letter.at_ms > _LATE_MS:
        notes.append(f"Told late: this was at {_when(letter.at_ms, now_ms)}")
    if lost:
        were = "message was" if lost == 1 else "messages were"
        since = _when(letter.at_ms if lost_since_ms is None else lost_since_ms, now_ms)
        notes.append(f"{lost} {were} not delivered since {since}")
    message = letter.message
    at_ms = letter.at_ms if message.at_ms is None else message.at_ms
    if not notes:
        return replace(message, at_ms=at_ms)
    text = "\n\n".join(part for part in (message.text.strip()[:_TEXT], "\n".join(notes)) if part)
    return replace(message, text=text, at_ms=at_ms)


def _when(ms: int, now_ms: int) -> str:
    """``14:02 UTC``; with the day where it is another one."""
    day, time = timestamp.to_text(ms - ms % 60_000).removesuffix(":00Z").split("T")
    today = timestamp.to_text(now_ms).startswith(day)
    return f"{time} UTC" if today else f"{day} {time} UTC"
