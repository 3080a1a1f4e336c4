"""How the other sessions of this machine stand, from their files: whatever hangs holds up no other."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from kline_ops.watch.registry import KnownSession, sessions
from kline_ops.watch.status import about, look, record_of
from kline_ops.worker import HangsError, Patient

#: Seconds for all of them; for one at most; and for each at least, though others hang.
_ALL, _ONE, _EACH = 2.0, 0.5, 0.05
#: The word for a session of which nothing can be seen.
UNKNOWN = "UNKNOWN"
_HANGS = "its files can not be looked at: their disk does not answer"


class Others:
    """All but one. For one thread; ``now_ms``: this machine's clock."""

    def __init__(self, own: str, now_ms: Callable[[], int]) -> None:
        self._own = own
        self._now_ms = now_ms
        #: One that hangs is waited for at the next look, and not asked a second time.
        self._patients: dict[str, Patient] = {}

    def records(self) -> list[dict[str, Any]]:
        """What ``status --json`` prints of each, by name, and that none of them is stopping."""
        until = time.monotonic() + _ALL
        known = [session for session in sessions() if session.name != self._own]
        self._patients = {
            session.name: self._patients.get(session.name) or Patient(f"look {session.name}")
            for session in known
        }
        return [{**self._record(session, until), "stopping": False} for session in known]

    def _record(self, session: KnownSession, until: float) -> dict[str, Any]:
        patient = self._patients[session.name]
        now_ms = self._now_ms()
        try:
            # What hung before is not waited for again, but looked after.
            left = 0.0 if patient.hangs else min(_ONE, until - time.monotonic())
            left = max(_EACH, left)
            return patient.call(left, look, session, now_ms)[1]
        except HangsError:
            why = _HANGS
        except Exception as error:  # noqa: BLE001 - files of another session, whatever is in them
            why = f"its files can not be read: {error}"
        return {**record_of(about(session), {}, UNKNOWN, why, None), "lock_holder": None}
