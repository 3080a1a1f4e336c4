"""A receiver of OpenTelemetry's protocol (OTLP over HTTP) on loopback, with the official messages."""

from __future__ import annotations

import asyncio
import gzip
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from kline_ops.clock import SystemClock
from kline_ops.market import interval as intervals
from kline_ops.observe.otel.exporting import Exporting, Subject
from kline_ops.observe.otel.wanted import Wanted

ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
SECRET = "S3CR3T-of-the-collector"

REQUESTS: dict[str, Any] = {
    "/v1/traces": ExportTraceServiceRequest,
    "/v1/logs": ExportLogsServiceRequest,
    "/v1/metrics": ExportMetricsServiceRequest,
}


def plain(attributes: Any) -> dict[str, Any]:
    """Attributes as a dict."""
    return {each.key: getattr(each.value, each.value.WhichOneof("value")) for each in attributes}


@dataclass
class Receiver:
    """What came. ``answer``: a status, ``garbage`` (200), or ``hang``."""

    port: int = 0
    answer: int | str = 200
    requests: list[tuple[str, dict[str, str], Any]] = field(default_factory=list)
    released: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def _of(self, path: str) -> list[Any]:
        return [message for at, _, message in list(self.requests) if at == path]

    def resources(self) -> list[dict[str, Any]]:
        return [
            plain(each.resource.attributes)
            for kind in ("traces", "logs", "metrics")
            for message in self._of(f"/v1/{kind}")
            for each in getattr(message, {"traces": "resource_spans"}.get(kind, f"resource_{kind}"))
        ]

    def spans(self, name: str | None = None) -> list[Any]:
        return [
            span
            for message in self._of("/v1/traces")
            for resource in message.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
            if name in {None, span.name}
        ]

    def logs(self) -> list[Any]:
        return [
            record
            for message in self._of("/v1/logs")
            for resource in message.resource_logs
            for scope in resource.scope_logs
            for record in scope.log_records
        ]

    def metrics(self) -> dict[str, Any]:
        """The newest of each name."""
        return {
            metric.name: metric
            for message in self._of("/v1/metrics")
            for resource in message.resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
        }


@contextmanager
def receiver(answer: int | str = 200) -> Iterator[Receiver]:
    """One on a free port; nothing of it is left at the end."""
    told = Receiver(answer=answer)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            message = REQUESTS[self.path].FromString(body)
            told.requests.append(
                (self.path, {key.lower(): value for key, value in self.headers.items()}, message)
            )
            if told.answer == "hang":
                told.released.wait(30)
                return
            garbage = told.answer == "garbage"
            self.send_response(200 if isinstance(told.answer, str) else told.answer)
            reply = b"\xff\x00 no message <html>" if garbage else b""
            self.send_header("Content-Length", str(len(reply)))
            self.end_headers()
            self.wfile.write(reply)

        def log_message(self, *_: Any) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    told.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield told
    finally:
        told.released.set()
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def exporting(endpoints: dict[str, str]) -> Iterator[Exporting]:
    """One that exports by itself; all has arrived at the end."""

    async def make() -> Exporting:
        subject = Subject("x", "BTCUSDT", intervals.parse("1h"), "1")
        return Exporting(Wanted(endpoints), subject, SystemClock(), lambda: b"")

    one = asyncio.run(make())
    try:
        yield one
    finally:
        one.join(30)
