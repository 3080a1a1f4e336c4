"""HTTP around the REST answers: limits per IP, headers and statuses.

Source: Binance spot API, "HTTP Return Codes" and "IP Limits".
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import format_datetime
from http import HTTPStatus
from types import MappingProxyType

from websockets.datastructures import Headers
from websockets.http11 import Request, Response

from kline_ops.exchange.bar import MarketData
from kline_ops.exchange.limits import Refusal, WeightLimit
from kline_ops.exchange.rest import Lag, RestApi, error_body
from kline_ops.exchange.session import ExchangeOptions

NO_HEADERS: Mapping[str, str] = MappingProxyType({})
_JSON = "application/json;charset=UTF-8"


class HttpFront:
    """Answers HTTP requests, and counts their weight by the IP that they come from."""

    def __init__(self, market: MarketData, options: ExchangeOptions) -> None:
        self._api = RestApi(market, options.weight_per_minute)
        self._options = options
        self._weights: dict[str, WeightLimit] = {}

    def answer(self, request: Request, client: str, now_ms: int, lag: Lag) -> Response:
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
            return self.refused(refusal, now_ms, headers)
        answer = self._api.answer(path, query, now_ms, lag)
        return _response(answer.status, answer.body, now_ms, headers)

    def refused(
        self, refusal: Refusal, now_ms: int, headers: Mapping[str, str] = NO_HEADERS
    ) -> Response:
        """The response to a request that is one too many."""
        told = {**headers, "Retry-After": str(refusal.retry_after_s)}
        return _response(refusal.status, self._refusal(refusal), now_ms, told)

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


def refusal(status: int, retry_after: float | None, now_ms: int) -> Response:
    """No service, for the reason that the status says."""
    headers = {} if retry_after is None else {"Retry-After": str(math.ceil(retry_after))}
    body = f"{HTTPStatus(status).phrase}\n".encode()
    return _response(status, body, now_ms, headers, kind="text/plain")


def page(status: int, content: object, now_ms: int) -> Response:
    """An answer of the exchange's own desk, as JSON."""
    body = json.dumps(content, indent=1).encode() + b"\n"
    return _response(status, body, now_ms, {})


def too_many_attempts(now_ms: int, window_seconds: float) -> Response:
    """Too many handshakes of one IP."""
    return refusal(429, window_seconds, now_ms)


def too_many_streams(now_ms: int, limit: int) -> Response:
    """An address that names more streams than a connection may have."""
    body = f"A connection can listen to at most {limit} streams\n".encode()
    return _response(400, body, now_ms, {}, kind="text/plain")


def _response(
    status: int, body: bytes, now_ms: int, headers: Mapping[str, str], *, kind: str = _JSON
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
