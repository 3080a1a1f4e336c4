"""OpenTelemetry's variables: what they ask for."""

from __future__ import annotations

import pytest

from kline_ops.observe.otel.wanted import Wanted, wanted

URL = "http://collector:4318"
ENDPOINT = {"OTEL_EXPORTER_OTLP_ENDPOINT": URL}
ALL = dict.fromkeys(("metrics", "logs", "traces"), URL)


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, None),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": " "}, None),
        ({"OTEL_SERVICE_NAME": "x"}, None),
        (ENDPOINT, Wanted(ALL)),
        (ENDPOINT | {"OTEL_SDK_DISABLED": "TRUE"}, None),
        (ENDPOINT | {"OTEL_SDK_DISABLED": "no"}, Wanted(ALL)),
        ({"OTEL_EXPORTER_OTLP_LOGS_ENDPOINT": "http://l"}, Wanted({"logs": "http://l"})),
        (
            ENDPOINT | {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://t"},
            Wanted(ALL | {"traces": "http://t"}),
        ),
        (
            ENDPOINT | {"OTEL_LOGS_EXPORTER": "None", "OTEL_TRACES_EXPORTER": " none "},
            Wanted({"metrics": URL}),
        ),
        (ENDPOINT | {f"OTEL_{name.upper()}_EXPORTER": "none" for name in ALL}, None),
        (ENDPOINT | {"OTEL_METRICS_EXPORTER": "console, otlp"}, Wanted(ALL)),
        (ENDPOINT | {"OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"}, Wanted(ALL)),
        (ENDPOINT | {"OTEL_EXPORTER_OTLP_PROTOCOL": ""}, Wanted(ALL)),
    ],
)
def test_what_is_asked_for(environ: dict[str, str], expected: Wanted | None) -> None:
    assert wanted(environ) == expected


def test_what_can_not_be_had_is_told_once_for_all_signals() -> None:
    told = wanted(ENDPOINT | {"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"})
    assert told is not None
    assert told.endpoints == ALL
    (problem,) = told.problems
    assert problem.startswith("OTEL_EXPORTER_OTLP_PROTOCOL=grpc: http/protobuf is spoken")


def test_another_exporter_is_passed_over_with_a_word() -> None:
    told = wanted(ENDPOINT | {"OTEL_TRACES_EXPORTER": "zipkin"})
    assert told is not None
    assert set(told.endpoints) == {"metrics", "logs"}
    assert told.problems == ("OTEL_TRACES_EXPORTER=zipkin: only otlp and none are known",)
