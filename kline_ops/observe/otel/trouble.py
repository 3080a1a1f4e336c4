"""A collector that does not take what it is sent: told once, and once when it takes it again.

What the SDK logs itself (a line for each failed export, and its own retries) goes no further than here:
so it fills no log, and exporting logs makes none.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping

from kline_ops.causes import root_cause
from kline_ops.secret import redacted, shown_url

#: Seconds in which it is told once at most, however often it comes and goes.
_SELDOM = 3600.0
#: Characters of what the SDK says.
_LONGEST = 200
#: Its logger that says, with the whole of it, which header it can not use.
_HEADERS = "opentelemetry.util.re"
#: What it says when it has given up, whose reason was said before.
_AFTERWORDS = "due to timeout, max retries or shutdown"

_LATE, _UNTOLD = "it does not answer in time", "why is not said"

_log = logging.getLogger("kline_ops.otel")


class Trouble(logging.Handler):
    """Told of each export by :meth:`noted`; as a handler, of what the SDK says. From any thread.

    Args:
        endpoints: where each signal goes.
        seconds: a clock.
    """

    def __init__(
        self, endpoints: Mapping[str, str], seconds: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__(logging.WARNING)
        self._endpoints = endpoints
        self._seconds = seconds
        self._guard = threading.Lock()
        self._failing: set[str] = set()
        self._told_at = float("-inf")
        self._is_told = self._is_header_told = False
        #: The thread that sets up the SDK; and why, by those that export. Others' are another session's.
        self._maker = threading.get_ident()
        self._reasons: dict[int, str] = {}
        self._sdk = logging.getLogger("opentelemetry")
        self._sdk.addHandler(self)
        self._sdk.propagate = False

    def close(self) -> None:
        """The SDK logs where it did before, unless another one of these listens to it."""
        self._sdk.removeHandler(self)
        self._sdk.propagate = not any(isinstance(each, Trouble) for each in self._sdk.handlers)
        super().close()

    def emit(self, record: logging.LogRecord) -> None:
        """The SDK says why, before an export is known to have failed."""
        thread = threading.get_ident()
        if record.name == _HEADERS and thread == self._maker:
            self._tell_header()
        if (before := self._reasons.get(thread)) is None:
            return
        told = _reason(record)
        if _AFTERWORDS not in told:
            self._reasons[thread] = told
        elif before == _UNTOLD:
            self._reasons[thread] = _LATE

    @contextlib.contextmanager
    def noted(self, signal: str) -> Iterator[Callable[[bool], None]]:
        """Around an export, which says whether it came to something; if it says nothing, it did not."""
        said: list[bool] = []
        self._reasons[threading.get_ident()] = _UNTOLD
        try:
            yield said.append
        finally:
            self._note(signal, self._reasons.pop(threading.get_ident()), ok=said == [True])

    def _tell_header(self) -> None:
        if not self._is_header_told:
            _log.warning(
                "OpenTelemetry: a header of OTEL_EXPORTER_OTLP_HEADERS is passed over: it takes"
                " NAME=VALUE, URL-encoded, with commas between"
            )
        self._is_header_told = True

    def _note(self, signal: str, reason: str, *, ok: bool) -> None:
        with self._guard:
            if ok:
                self._failing.discard(signal)
                if self._is_told and not self._failing:
                    self._is_told = False
                    _log.info("OpenTelemetry: what is exported arrives again")
                return
            self._failing.add(signal)
            now = self._seconds()
            if self._is_told or now - self._told_at < _SELDOM:
                return
            self._is_told, self._told_at = True, now
        where = shown_url(self._endpoints.get(signal, ""))
        _log.warning(
            "OpenTelemetry: %s do not arrive at %s (%s); recording goes on, and so does trying",
            signal,
            where,
            redacted(reason)[:_LONGEST],
        )


def _reason(record: logging.LogRecord) -> str:
    """Of an exception that it is about, what it comes down to."""
    about = record.args if isinstance(record.args, tuple) else ()
    for each in about:
        if isinstance(each, ValueError):  # whose words may hold a header, and so a key
            return f"the OTEL_EXPORTER_OTLP_* variables make no good request: {type(each).__name__}"
        if isinstance(each, Exception):
            return _LATE if "Timeout" in type(each).__name__ else root_cause(each)
    return record.getMessage()
