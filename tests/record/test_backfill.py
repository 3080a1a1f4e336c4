"""Candles from REST: a real HTTP host on loopback that answers as it is told."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest

from kline_ops.budget import Budget, budget_path
from kline_ops.errors import VenueError
from kline_ops.market.interval import parse
from kline_ops.market.span import Span
from kline_ops.market.stream import Stream
from kline_ops.record.backfill import Backfill, BudgetSpentError, RefusalError
from tests.support.told_clock import ToldClock

STREAM = Stream("BTCUSDT", parse("1h"))
HOUR = 3_600_000
ROW = [HOUR, "1.10", "2.0", "0.5", "1.5", "3", 2 * HOUR - 1, "0", 7, "0", "0", "0"]


class Host(ThreadingHTTPServer):
    """One answer for all, and the questions that came."""

    daemon_threads = True
    status = 200
    headers: dict[str, str] = {}  # noqa: RUF012 - set anew by each test
    body = b"[]"

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[tuple[str, dict[str, list[str]]]] = []
        self.url = f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    server: Host

    def do_GET(self) -> None:
        split = urlsplit(self.path)
        self.server.asked.append((split.path, parse_qs(split.query)))
        self.send_response(self.server.status)
        for name, value in self.server.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(self.server.body)))
        self.end_headers()
        self.wfile.write(self.server.body)

    def log_message(self, *_: object) -> None:
        """Nothing on stderr."""


@pytest.fixture(scope="module")
def running() -> Iterator[Host]:
    with Host() as host:
        thread = threading.Thread(target=host.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield host
        host.shutdown()
        thread.join()


@pytest.fixture
def host(running: Host) -> Host:
    running.status, running.headers, running.body = 200, {}, b"[]"
    running.asked.clear()
    return running


def ask(url: str, span: Span | None = None, budget: Budget | None = None) -> object:
    async def main() -> object:
        backfill = Backfill(url, None, budget)
        try:
            if span is None:
                return await backfill.server_time()
            return await backfill.candles(STREAM, span)
        finally:
            backfill.close()
            if backfill._session is not None:
                backfill._session.close()

    return asyncio.run(main())


def refusal(url: str) -> VenueError:
    with pytest.raises(VenueError) as caught:
        ask(url, Span(0, HOUR))
    return caught.value


def test_candles_of_a_span_are_asked_for_without_the_one_after_it(host: Host) -> None:
    host.body = json.dumps([ROW]).encode()
    (found,) = ask(host.url + "/", Span(HOUR, 3 * HOUR))  # type: ignore[misc]
    assert found.values() == ("1.10", "2.0", "0.5", "1.5", "3")
    ((path, query),) = host.asked
    assert path == "/api/v3/klines"
    assert query["startTime"] == [str(HOUR)]
    assert query["endTime"] == [str(3 * HOUR - 1)]
    assert query["limit"] == ["1000"]


def test_the_time_of_the_exchange_is_asked_for(host: Host) -> None:
    host.body = b'{"serverTime": 1767225600000}'
    assert ask(host.url) == 1_767_225_600_000
    assert host.asked[0][0] == "/api/v3/time"


def test_a_redirect_is_not_followed(host: Host) -> None:
    host.status, host.headers = 302, {"Location": f"{host.url}/elsewhere"}
    error = refusal(host.url)
    assert "answered 302" in str(error)
    assert error.retryable
    assert len(host.asked) == 1


@pytest.mark.parametrize("status", [418, 429, 403, 451, 500, 502, 503])
def test_a_refusal_is_told_by_its_status_and_may_be_tried_again(host: Host, status: int) -> None:
    host.status, host.body = status, b"<html>no</html>"
    error = refusal(host.url)
    assert f"answered {status}" in str(error)
    assert error.retryable
    assert error.retry_after is None


@pytest.mark.parametrize(
    ("told", "wait"),
    [
        ("7", 7.0),
        ("0", 0.0),
        ("86400", 86400.0),
        ("9" * 400, 259200.0),
        ("", None),
        ("soon", None),
        ("-1", None),
        ("Wed, 21 Oct 2026 07:28:00 GMT", None),
        ("1.5", None),
        ("1e3", None),
    ],
)
def test_the_wait_that_the_exchange_asks_for_is_passed_on(
    host: Host, told: str, wait: float | None
) -> None:
    host.status, host.headers = 429, {"Retry-After": told}
    host.body = b'{"code": -1003, "msg": "Too many requests"}'
    error = refusal(host.url)
    assert error.retry_after == wait
    assert "Too many requests (code -1003)" in str(error)


def test_an_unknown_symbol_will_not_get_better(host: Host) -> None:
    host.status, host.body = 400, b'{"code": -1121, "msg": "Invalid symbol."}'
    error = refusal(host.url)
    assert not error.retryable
    assert "Invalid symbol" in str(error)


@pytest.mark.parametrize("body", [b"", b"<html>", b"{}", b"[[1]]", b'{"a":' + b"[" * 5_000])
def test_an_answer_that_is_none_is_told_and_may_be_asked_again(host: Host, body: bytes) -> None:
    host.body = body
    with pytest.raises(VenueError, match="not as documented") as told:
        ask(host.url, Span(0, HOUR))
    assert told.value.retryable


def test_nobody_there_is_told_in_plain_words() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        error = refusal(f"http://127.0.0.1:{taken.getsockname()[1]}")
    assert error.retryable
    assert str(error).lower().endswith("connection refused")


def new_budget() -> Budget:
    return Budget(budget_path(), "mainnet", ToldClock())


@pytest.mark.parametrize(
    ("status", "after", "away", "banned"),
    [
        (429, "7", 7, False),
        (429, None, 60, False),
        (418, "7200", 7200, True),
        (418, None, 120, True),
        (403, None, 300, True),
        (403, "9", 9, True),
        (418, "9" * 12, 3 * 86_400, True),
        (429, "9" * 400, 3 * 86_400, False),
    ],
)
def test_after_a_refusal_nobody_on_this_machine_asks_before_its_time(
    host: Host, status: int, after: str | None, away: int, banned: bool
) -> None:
    host.status, host.headers = status, {} if after is None else {"Retry-After": after}
    with pytest.raises(RefusalError) as refused:
        ask(host.url, None, new_budget())
    assert (refused.value.seconds, refused.value.banned) == (away, banned)
    host.status = 200
    with pytest.raises(BudgetSpentError) as waiting:
        ask(host.url, None, new_budget())
    assert waiting.value.seconds == away
    assert len(host.asked) == 1


def test_what_the_exchange_has_counted_is_kept_to(host: Host) -> None:
    host.body, host.headers = b'{"serverTime": 1767225600000}', {"X-MBX-USED-WEIGHT-1M": "4799"}
    assert ask(host.url, None, new_budget())
    host.headers = {}
    with pytest.raises(BudgetSpentError) as waiting:
        ask(host.url, Span(0, HOUR), new_budget())
    assert waiting.value.seconds == 60
    assert [path for path, _ in host.asked] == ["/api/v3/time"]


def test_a_refusal_for_another_reason_bans_nobody(host: Host) -> None:
    host.status = 503
    with pytest.raises(VenueError):
        ask(host.url, None, new_budget())
    host.status, host.body = 200, b'{"serverTime": 1767225600000}'
    assert ask(host.url, None, new_budget()) == 1_767_225_600_000
