"""What a watchdog calls, and with what."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from kline_ops.kit.faults import is_fault
from kline_ops.kit.watched import Source
from kline_ops.plain import duration
from kline_ops.watch.vigil import Kind, Telling

_log = logging.getLogger(__name__)

OnTimeout = Callable[[], object]
OnAlert = Callable[[str, str, Mapping[str, Any]], object]

#: What ``on_alert`` is called with first.
_CHANNEL = "watchdog"
_LEVELS = {Kind.RECOVERED: "SUCCESS", Kind.ENDED: "INFO"}


@dataclass(slots=True)
class Callbacks:
    """Those of one watchdog."""

    name: str
    on_timeout: OnTimeout | None
    on_alert: OnAlert | None
    source: Source

    def of(self, telling: Telling | None) -> list[Callable[[], object]]:
        """What is to be called, in order; an async one answers what is to be awaited."""
        calls: list[Callable[[], object]] = []
        if telling is None:
            return calls
        if telling.kind is Kind.ALARM and self.on_timeout is not None:
            calls.append(self.on_timeout)
        on_alert = self.on_alert
        if on_alert is not None:
            text, context = self._text(telling), self._context(telling)
            calls.append(lambda: on_alert(_CHANNEL, text, context))
        return calls

    @contextlib.contextmanager
    def harmless(self) -> Iterator[None]:
        """What raises here is logged, and that is all: the watching goes on."""
        try:
            yield
        except BaseException as error:
            if not is_fault(error):
                raise
            _log.exception("a callback of %s, or a check, failed", self.name)

    def _text(self, telling: Telling) -> str:
        if telling.kind is Kind.RECOVERED:
            return f"{self.name}: well again after {duration(telling.lasted)} (was {telling.was})"
        if telling.kind is Kind.ENDED:
            return f"{self.name}: stopped, after {duration(telling.lasted)} of {telling.was}"
        still = "still " if telling.kind is Kind.REMINDER else ""
        return f"{self.name}: {still}{telling.finding}"

    def _context(self, telling: Telling) -> dict[str, Any]:
        finding = telling.finding
        return {
            "name": self.name,
            "event": telling.kind.value,
            "level": _LEVELS.get(telling.kind, "CRITICAL"),
            "word": finding.word.value,
            "reason": finding.reason,
            "age": finding.age,
            "lasted": telling.lasted,
            "max_age": self.source.max_age,
            **self.source.facts,
        }
