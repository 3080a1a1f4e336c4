"""What the environment asks for, by OpenTelemetry's own variables. Pure.

"OTLP Exporter Configuration" and "General SDK Configuration" of its specification: a variable of a
signal goes before the general one, and an empty one is none. Headers are secrets, and not looked at.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

#: In the order in which they are told.
SIGNALS = ("metrics", "logs", "traces")
_SPOKEN = "http/protobuf"


@dataclass(frozen=True, slots=True)
class Wanted:
    """The signals to export, by where they go; and what of the environment is passed over, and why."""

    endpoints: Mapping[str, str]
    problems: tuple[str, ...] = ()


def wanted(environ: Mapping[str, str]) -> Wanted | None:
    """What is to be exported; None: nothing, and nothing of it is to be imported."""
    if environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return None
    endpoints: dict[str, str] = {}
    problems: dict[str, None] = {}
    for signal in SIGNALS:
        _, endpoint = _of(environ, signal, "ENDPOINT")
        if not endpoint:
            continue
        exporters = environ.get(f"OTEL_{signal.upper()}_EXPORTER", "").strip() or "otlp"
        if exporters.lower() == "none":
            continue
        if "otlp" not in exporters.lower().replace(" ", "").split(","):
            problems[
                f"OTEL_{signal.upper()}_EXPORTER={exporters}: only otlp and none are known"
            ] = None
            continue
        name, protocol = _of(environ, signal, "PROTOCOL")
        if protocol.lower() not in {"", _SPOKEN}:
            told = f"{name}={protocol}: {_SPOKEN} is spoken, which a collector takes at port 4318"
            problems[told] = None
        endpoints[signal] = endpoint
    if not endpoints and not problems:
        return None
    return Wanted(endpoints, tuple(problems))


def _of(environ: Mapping[str, str], signal: str, what: str) -> tuple[str, str]:
    """The name of the variable that counts, and its value."""
    own = f"OTEL_EXPORTER_OTLP_{signal.upper()}_{what}"
    if value := environ.get(own, "").strip():
        return own, value
    general = f"OTEL_EXPORTER_OTLP_{what}"
    return general, environ.get(general, "").strip()
