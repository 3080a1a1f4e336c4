"""HTTP around the REST answers: limits per IP, headers and statuses.

Source: Binance spot API, "HTTP Return Codes" and "IP Limits".
"""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import format_datetime
from http import HTTPStatus

from websockets.datastructures import Headers
from websockets.http11 import Request, Response

from kline_ops.exchange.bar import MarketData
from kline_ops.exchange.limits import Refusal, WeightLimit
from kline_ops.exchange.rest import RestApi, error_body
from kline_ops.exchange.session import ExchangeOptions

_JSON = "application/json;charset=UTF-8"


class HttpFront:
    """Answers HTTP requests, and counts their weight by the IP that they come from."""

    def __init__(self, market: MarketData, options: ExchangeOptions) -> None:
        self._api = RestApi(market, options.weight_per_minute)
        self._options = options
        self._weights: dict[str, WeightLimit] = {}

    def answer(self, request: Request, client: str, now_ms: int) -> Response:
        """The response to a request of this IP at the exchange's time."""
        path, _, query = request.path.partition("?")
        weight = self._api.weight(path)
        if weight is None:
            return _response(404, b"Not Found\n", now_ms, {}, kind="text/plain")
        if request.method != "GET":
            body = error_body(-1000, "This method is not allowed here.")
            return _response(405, body, now_ms, {"Allow": "GET"})
        used = self._weights.setdefault(
            client,
            WeightLimit(self._options.weight_per_minute, self._options.refusals_before_ban),
        )
        refusal = used.charge(weight, now_ms)
        headers = {
            "x-mbx-used-weight": str(used.used),
            "x-mbx-used-weight-1m": str(used.used),
        }
        if refusal is not None:
            headers["Retry-After"] = str(refusal.retry_after_s)
            return _response(refusal.status, self._refusal(refusal), now_ms, headers)
        answer = self._api.answer(path, query, now_ms)
        return _response(answer.status, answer.body, now_ms, headers)

    def _refusal(self, refusal: Refusal) -> bytes:
        if refusal.banned_until_ms:
            return error_body(
                -1003,
                "Way too much request weight used; IP banned until"
                f" {refusal.banned_until_ms}. Please use WebSocket Streams for live updates"
                " to avoid bans.",
            )
        return error_body(
            -1003,
            "Too much request weight used; current limit is"
            f" {self._options.weight_per_minute} request weight per 1 MINUTE. Please use"
            " WebSocket Streams for live updates to avoid polling the API.",
        )


def unavailable(now_ms: int) -> Response:
    """The service is down for now."""
    return _response(503, b"Service Unavailable\n", now_ms, {}, kind="text/plain")


def too_many_attempts(now_ms: int, window_seconds: float) -> Response:
    """Too many handshakes of one IP."""
    headers = {"Retry-After": str(int(window_seconds))}
    return _response(429, b"Too Many Requests\n", now_ms, headers, kind="text/plain")


def too_many_streams(now_ms: int, limit: int) -> Response:
    """An address that names more streams than a connection may have."""
    body = f"A connection can listen to at most {limit} streams\n".encode()
    return _response(400, body, now_ms, {}, kind="text/plain")


def _response(
    status: int, body: bytes, now_ms: int, headers: dict[str, str], *, kind: str = _JSON
) -> Response:
    date = format_datetime(datetime.fromtimestamp(now_ms // 1000, UTC), usegmt=True)
    return Response(
        status,
        HTTPStatus(status).phrase,
        Headers(
            {
                "Date": date,
                "Content-Type": kind,
                "Content-Length": str(len(body)),
                # Each request has a connection of its own: the port is a WebSocket server's.
                "Connection": "close",
                **headers,
            }
        ),
        body,
    )
