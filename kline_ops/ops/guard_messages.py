"""What a watchdog tells people of a session. Pure."""

from __future__ import annotations

from kline_ops.alerts.message import Level, Message
from kline_ops.plain import duration
from kline_ops.watch.remedy import Remedy
from kline_ops.watch.staleness import Pulse
from kline_ops.watch.verdict import Evidence
from kline_ops.watch.vigil import Kind, Telling

_ITS_FILE = "its state file"
_TITLES = {
    Pulse.STALLED: "stalled",
    Pulse.STALE: "no heartbeat",
    Pulse.DEAD: "dead",
    Pulse.GONE: "its state file is gone",
    Pulse.BAD: "its state file can not be read",
    Pulse.FUTURE: "a clock is wrong",
    Pulse.BEHIND: "a clock is wrong",
}
_DONE = {
    Remedy.START: "started again",
    Remedy.KILL: "its recorder was killed",
    Remedy.RENEW: "changed to a fresh process",
    Remedy.LEAVE: "left to whoever keeps it",
    Remedy.GIVE_UP: "not restarted any more",
}
_FAILED = {
    Remedy.START: "could not be started",
    Remedy.KILL: "its recorder could not be restarted",
    Remedy.RENEW: "could not be changed to a fresh process",
}


def of_telling(name: str, telling: Telling, evidence: Evidence) -> Message:
    """An alarm, a reminder, or the end of it."""
    finding = telling.finding
    lasted = duration(telling.lasted)
    if telling.kind is Kind.RECOVERED:
        return Message(Level.SUCCESS, f"{name}: well again", f"after {lasted} ({telling.was})")
    if telling.kind is Kind.ENDED:
        return Message(Level.INFO, f"{name}: stopped", f"after {lasted} ({telling.was})")
    is_reminder = telling.kind is Kind.REMINDER
    what = _TITLES[finding.word]
    reason = _said_once(what, finding.reason)
    if is_reminder and not reason.startswith("for "):
        reason = f"for {lasted}: {reason}"
    title = f"{name}: {'still: ' if is_reminder else ''}{what}"
    return Message(Level.CRITICAL, title, reason, _facts(evidence))


def _said_once(title: str, reason: str) -> str:
    """The reason, without what the title says: a reader sees both."""
    rest = reason.removeprefix(title)
    if rest != reason and rest[:1] in {" ", ":"}:
        return rest.lstrip(": ")
    reason = reason.removesuffix(f": {title}")
    if title.startswith(_ITS_FILE) and reason.startswith(_ITS_FILE):
        return f"it{reason.removeprefix(_ITS_FILE)}"
    return reason


def of_remedy(name: str, remedy: Remedy, text: str, *, is_done: bool) -> Message:
    """What was done about it, and what came of it."""
    what = _DONE[remedy] if is_done else _FAILED.get(remedy, _DONE[remedy])
    return Message(Level.WARNING, f"{name}: {what}", text)


def _facts(evidence: Evidence) -> dict[str, str]:
    state = evidence.state or {}
    told = {
        "last beat": state.get("timestamp"),
        "last candle": state.get("last_candle_time"),
        "pid": evidence.recorder_pid,
    }
    return {name: str(value) for name, value in told.items() if value is not None}
