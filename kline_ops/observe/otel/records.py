"""Log records as OpenTelemetry has them, each with the span that it belongs to."""

from __future__ import annotations

import logging

from opentelemetry._logs import Logger, LogRecord, SeverityNumber
from opentelemetry.context import Context

from kline_ops.events import Event
from kline_ops.observe.describe import describe
from kline_ops.observe.json_lines import OURS, below, bounded, fields_of
from kline_ops.observe.lines import STATISTICS
from kline_ops.observe.statistics import Statistics
from kline_ops.secret import redacted

#: "Logs Data Model", SeverityNumber.
_SEVERITIES = {
    logging.DEBUG: SeverityNumber.DEBUG,
    logging.INFO: SeverityNumber.INFO,
    logging.WARNING: SeverityNumber.WARN,
    logging.ERROR: SeverityNumber.ERROR,
    logging.CRITICAL: SeverityNumber.FATAL,
}

Value = str | int | float | bool

_ours = logging.getLogger(OURS)


class Records:
    """Gives them to the SDK. Times are nanoseconds since the epoch."""

    def __init__(self, logger: Logger) -> None:
        self._logger = logger

    def event(self, event: Event, at: int, context: Context | None) -> None:
        """An event, where the log tells it as well."""
        level, text = describe(event)
        if not _ours.isEnabledFor(level):
            return
        connection, fields = fields_of(event)
        told = {"connection": connection, **fields}
        attributes = {
            f"kline_ops.{key}": value for key, value in told.items() if isinstance(value, Value)
        }
        self._emit(at, context, level, text, attributes, f"kline_ops.{event.kind}")

    def record(self, record: logging.LogRecord, at: int, context: Context | None) -> None:
        """Anything else that was logged."""
        attributes: dict[str, Value] = {"logger": record.name}
        if (connection := getattr(record, "connection", None)) is not None:
            attributes["kline_ops.connection"] = connection
        if trace := below(record):
            # "Attributes for exceptions on logs", semantic conventions.
            attributes["exception.stacktrace"] = redacted(bounded(trace))
        name = None
        if isinstance(told := getattr(record, "event", None), Statistics):
            name = f"kline_ops.{STATISTICS}"
            for key in told.__struct_fields__:
                if isinstance(value := getattr(told, key), Value):
                    attributes[f"kline_ops.{key}"] = value
        text = redacted(bounded(record.getMessage()))
        self._emit(at, context, record.levelno, text, attributes, name)

    def _emit(
        self,
        at: int,
        context: Context | None,
        level: int,
        text: str,
        attributes: dict[str, Value],
        name: str | None,
    ) -> None:
        self._logger.emit(
            LogRecord(
                timestamp=at,
                context=context or Context(),
                severity_number=_severity(level),
                severity_text=logging.getLevelName(level),
                body=text,
                attributes=attributes,
                event_name=name,
            )
        )


def _severity(level: int) -> SeverityNumber:
    reached = [number for limit, number in _SEVERITIES.items() if level >= limit]
    return reached[-1] if reached else SeverityNumber.TRACE
