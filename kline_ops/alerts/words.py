"""What is told of each topic, in words that a person on a phone understands. Pure.

A message says what, since when, what it means for the candles, and what to do, if there is anything.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass

from kline_ops.alerts.incident import Step, Told
from kline_ops.alerts.message import Level, Message
from kline_ops.market import timestamp
from kline_ops.plain import duration
from kline_ops.secret import redacted

_HUNG_UP = "SIGHUP"
#: What a reason may be long in a title: a phone shows about so much.
_REASON = 90


class Topic(enum.StrEnum):
    """What incidents are about."""

    STREAM = "stream"
    DISK = "disk"
    CANDLES = "candles"
    BAN = "ban"
    PROCESS = "process"
    MEMORY = "memory"
    MACHINE = "machine"
    CLOCK = "clock"
    MARKET = "market"
    HEARTBEAT = "heartbeat"


@dataclass(frozen=True, slots=True)
class Subject:
    """Whom it is about."""

    session: str
    symbol: str
    interval: str

    def __str__(self) -> str:
        return f"{self.symbol}@{self.interval}"


@dataclass(frozen=True, slots=True)
class Account:
    """What there is to say of an incident at a moment. Times in exchange milliseconds, or seconds."""

    reason: str
    now_ms: int
    #: When the episode began, and the trouble that lasts, or was the last; and when that was over.
    since_ms: int
    wrong_ms: int
    well_ms: int
    #: Seconds that it has lasted; of trouble in all; and how often it came.
    lasted: float
    trouble: float
    times: int
    #: Candles that REST has brought since, and that the exchange has none of.
    recovered: int = 0
    nowhere: int = 0
    missing: int = 0
    waiting: int = 0
    #: It is over, or has just happened.
    is_well: bool = False
    #: Do candles come from REST where the stream brings none?
    backfill: bool = True


@dataclass(frozen=True, slots=True)
class _Words:
    """Of one topic. Titles may name ``{reason}``, ``{lasted}`` and ``{times}``."""

    opened: str
    resolved: str
    passed: str
    grave: str = ""
    means: str = ""
    todo: str = ""
    #: Where candles may be late for it: how many is told when it is over.
    counts: bool = False


_LATER = "Candles that close meanwhile are fetched from REST as soon as that can be."
_NO_REST = "There is no REST address: what closes meanwhile is lost."
_WORDS = {
    Topic.STREAM: _Words(
        opened="Disconnected: {reason}",
        grave="No data for {lasted}: {reason}",
        resolved="Connected again after {lasted}",
        passed="Reconnected after {lasted}: {reason}",
        means=_LATER,
        todo="It goes on trying, for ever. Is the network up? kline-ops doctor {session} looks.",
        counts=True,
    ),
    Topic.DISK: _Words(
        opened="The disk takes no candles: {reason}",
        resolved="The disk takes candles again after {lasted}",
        passed="The disk took no candles for {lasted}: {reason}",
        means="{waiting} candle(s) wait in memory; they are written in order once it is back.",
        todo="Free some space, or look after the disk. Do not stop the session meanwhile.",
        counts=True,
    ),
    Topic.CANDLES: _Words(
        opened="Candles are missing: {reason}",
        grave="Nothing is recorded: {reason}",
        resolved="The candles are complete again after {lasted}",
        passed="{reason}",
        means="{missing} candle(s) that are due are not on disk. They are asked for until they come.",
        counts=True,
    ),
    Topic.BAN: _Words(
        opened="Banned by the exchange {reason}",
        resolved="The ban is over after {lasted}",
        passed="Was banned by the exchange {reason}",
        means="Nobody on this machine asks it before. What is missing is fetched afterwards.",
        todo="If other programs use this address, let them ask less.",
        counts=True,
    ),
    Topic.PROCESS: _Words(
        opened="Restarted: {reason}",
        resolved="Runs without a crash again",
        passed="Restarted: {reason}",
        todo="kline-ops logs {session} shows its last words.",
        counts=True,
    ),
    Topic.MEMORY: _Words(
        opened="Much memory: {reason}",
        resolved="Memory is as it should be",
        passed="Much memory: {reason}",
        means="A fresh process takes over without a gap, where there is a supervisor.",
    ),
    Topic.MACHINE: _Words(
        opened="{reason}",
        resolved="The machine is awake again",
        passed="{reason}",
        counts=True,
    ),
    Topic.CLOCK: _Words(
        opened="The clock is wrong: {reason}",
        resolved="The clock is right again after {lasted}",
        passed="The clock was changed: {reason}",
        means="Candles are not affected: the exchange's time counts.",
        todo="Let NTP set the clock of this machine.",
    ),
    Topic.MARKET: _Words(
        opened="The market is closed: {reason}",
        resolved="The market is open again",
        passed="The market is closed: {reason}",
        means="Nothing is owed while it does not trade; recording goes on when it does.",
    ),
    Topic.HEARTBEAT: _Words(
        opened="The stream died and was restarted: {reason}",
        resolved="The stream lives",
        passed="The stream died and was restarted: {reason}",
        means=_LATER,
        todo="This should not happen: kline-ops logs {session} shows more.",
        counts=True,
    ),
}


def counts(topic: Topic) -> bool:
    """Is it told of it what became of the candles?"""
    return _WORDS[topic].counts


def message(topic: Topic, told: Told, subject: Subject, account: Account) -> Message:
    """One step of an incident."""
    words = _WORDS[topic]
    reason = _whole(account.reason)
    values = {
        "reason": _cut(reason),
        "lasted": duration(account.lasted),
        "session": subject.session,
        "waiting": f"{account.waiting:,}",
        "missing": f"{account.missing:,}",
    }
    title = _title(words, told, account).format(**values)
    lines = [_when(account)]
    if len(reason) > _REASON and told.step is not Step.RESOLVED:
        lines.append(f"{reason}.")
    if not told.is_over and words.means:
        no_rest = words.means is _LATER and not account.backfill
        lines.append(_NO_REST if no_rest else words.means.format(**values))
    if told.is_over and words.counts:
        lines.append(_counted(account))
    if account.times > 1:
        since, in_all = _at(account.since_ms, account), ""
        if account.trouble >= 1.0:
            in_all = f", {duration(account.trouble)} in all"
        lines.append(f"It came {account.times} times since {since}{in_all}.")
    if words.todo and told.step is not Step.RESOLVED and told.level > Level.SUCCESS:
        lines.append(words.todo.format(**values))
    return Message(told.level, f"{title} ({subject})", "\n".join(lines), _facts(subject))


def _title(words: _Words, told: Told, account: Account) -> str:
    match told.step:
        case Step.RESOLVED:
            return words.resolved
        case Step.PASSED:
            return words.passed if account.times == 1 else f"{words.passed} ({account.times} times)"
        case Step.REMINDED:
            return "Still: " + (words.grave or words.opened)
        case Step.AGAIN:
            since = _at(account.since_ms, account)
            return f"Again, {account.times} times since {since}: {words.opened}"
        case _:
            grave = words.grave and told.level is Level.CRITICAL
            return words.grave if grave else words.opened


def _when(account: Account) -> str:
    since = _at(account.wrong_ms, account)
    if not account.is_well:
        return f"Since {since}."
    until = _at(account.well_ms, account)
    return f"At {until}." if since == until else f"From {since} to {until}."


def _counted(account: Account) -> str:
    lost = account.recovered + account.nowhere + account.missing
    if not lost:
        return "No candle was lost."
    parts = [f"lost on the wire {lost:,}", f"recovered {account.recovered:,}"]
    if account.nowhere:
        parts.append(f"the exchange has none of {account.nowhere:,}")
    later = ": they are asked for until they come" if account.missing and account.backfill else ""
    return f"Candles: {', '.join(parts)}, still missing {account.missing:,}{later}."


def _at(ms: int, account: Account) -> str:
    """``14:05:00 UTC``, with its day where that is not today."""
    day, _, time = timestamp.to_text(ms // 1000 * 1000).rstrip("Z").partition("T")
    today = timestamp.to_text(account.now_ms).partition("T")[0]
    return f"{time} UTC" if day == today else f"{day} {time} UTC"


def _whole(reason: str) -> str:
    return redacted(" ".join(reason.split())) or "no reason is known"


def _cut(reason: str) -> str:
    """For a title: what was tried, and what came of it; a path may stand between the two."""
    if len(reason) <= _REASON:
        return reason
    return f"{reason[: _REASON // 3]}…{reason[1 - _REASON + _REASON // 3 :]}"


def _facts(subject: Subject) -> Mapping[str, str]:
    return {"Session": subject.session, "Stream": f"{subject.symbol} {subject.interval}"}


def connected(subject: Subject, seconds: float, *, catches_up: bool) -> Message:
    """The first connection of a session delivers; ``catches_up``: the candle file goes on."""
    text = f"Data came after {seconds:.1f} s."
    if catches_up:
        text += " What closed before, and is not on disk, is fetched from REST."
    return Message(Level.INFO, f"Connected to {subject}", text, _facts(subject))


def renewed(subject: Subject, overlap: float) -> Message:
    """A planned restart."""
    text = f"The new connection delivered for {overlap:.1f} s before the old one was let go."
    return Message(Level.INFO, f"Planned restart ({subject})", text, _facts(subject))


def stopped(subject: Subject, reason: str, unwritten: int, missing: int) -> Message:
    """A clean end: somebody asked for it."""
    text = f"Ended cleanly ({reason}). Every candle that is due is on disk."
    level = Level.INFO
    if reason == _HUNG_UP:
        level = Level.WARNING
        text = "Its terminal or its supervisor went away; nobody asked for it."
        text += f" To go on: kline-ops start {subject.session}"
    elif missing:
        text = f"Ended cleanly ({reason}). {missing:,} candle(s) are missing still."
    if unwritten:
        level = Level.WARNING
        text += f" {unwritten:,} candle(s) could not be written: the next start asks REST for them."
    return Message(level, f"Stopped ({subject})", text, _facts(subject))
