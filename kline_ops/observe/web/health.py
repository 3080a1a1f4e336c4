"""Three questions of a probe, and their answers. Pure.

Does the loop turn, do the streams deliver, is nothing missing: one does not follow from another. A loop
that turns may hear nothing, and a stream that delivers mends no hole.
"""

from __future__ import annotations

from typing import Any

from kline_ops.observe.snapshot import Snapshot

OK, UNAVAILABLE = 200, 503
_STOPPING, _STALLED = "stopping", "STALLED"

Answer = tuple[int, dict[str, Any]]


def alive(snapshot: Snapshot) -> Answer:
    """Whoever gets this answer knows that the loop turns."""
    told = {"session": snapshot.session, "uptime_seconds": round(snapshot.uptime, 3)}
    return OK, {"status": "ok", **told}


def ready(snapshot: Snapshot) -> Answer:
    """Does every stream deliver, and go to the disk? Catching up with an old hole is no reason."""
    state = {"state": snapshot.word, "session": snapshot.session}
    if snapshot.is_stopping:
        return UNAVAILABLE, {"status": "not ready", **state, "reason": _STOPPING}
    if not snapshot.delivering or snapshot.word == _STALLED:
        reason = snapshot.disk_error or snapshot.reason or "no connection delivers"
        return UNAVAILABLE, {"status": "not ready", **state, "reason": reason}
    return OK, {"status": "ready", **state, "reason": snapshot.reason}


def complete(snapshot: Snapshot) -> Answer:
    """Is nothing missing that is owed? What the exchange itself has none of is owed by nobody."""
    told = snapshot.told
    owed, on_disk = told["owed"], told["on_disk"]
    missing = max(0, snapshot.missing - snapshot.confirmed)
    figures = {"owed": owed, "on_disk": on_disk, "missing": missing}
    if on_disk and not missing:
        return OK, {"status": "complete", **figures, "confirmed": snapshot.confirmed}
    reason = snapshot.disk_error or snapshot.reason or "nothing was recorded yet"
    if missing:
        reason = snapshot.disk_error or snapshot.reason or f"{missing} candle(s) are missing"
    pursued = {"pursued": snapshot.pursued, "waiting": snapshot.waiting}
    return UNAVAILABLE, {"status": "incomplete", **figures, **pursued, "reason": reason}
