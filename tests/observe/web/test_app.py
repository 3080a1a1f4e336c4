"""Who may ask, what is answered, and what is told of the answer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any
from urllib.parse import quote

import pytest
from starlette.requests import Request
from starlette.responses import Response

from kline_ops.observe.snapshot import Snapshot
from kline_ops.observe.web import files
from kline_ops.observe.web.answers import JsonAnswer, prefers_json
from kline_ops.observe.web.app import Sources, new_app
from kline_ops.observe.web.server import Server, bound
from kline_ops.observe.web.stream import Stream
from kline_ops.secret import Secret
from tests.observe.web.test_health import snapshot
from tests.support.web import Answer, ask, request

Script = Callable[[int], Coroutine[Any, Any, None]]


class Counted:
    def __init__(self) -> None:
        self.answers: list[tuple[str, int]] = []
        self.rendered = 0

    def render(self, accept: str, now: Snapshot) -> tuple[bytes, str]:
        self.rendered += 1
        return b"one 1\n", "text/plain; version=0.0.4"

    def count_request(self, path: str, code: int) -> None:
        self.answers.append((path, code))


def served(
    script: Script, token: str | None = None, *, local: bool = False, **changes: Any
) -> Counted:
    """Run a script against an app on a real port."""
    counted = Counted()

    async def echo(asked: Request) -> Response:
        return JsonAnswer(dict(asked.query_params))

    async def main() -> None:
        sources: dict[str, Any] = {
            "session": "btc",
            "version": "1.2.3",
            "snapshot": snapshot,
            "status": lambda: {"state": "RECORDING"},
            "counting": counted,
            "stream": Stream(1),
            "events_of": lambda name, limit: [b'{"kind":"live"}'] * min(limit, 3),
            "now": lambda: 0.0,
            "data": {"/api/candles": echo},
        }
        secret = None if token is None else Secret(token)
        app = new_app(Sources(**sources | changes), secret, local=local)
        server, sock = Server(app), bound("127.0.0.1", 0)
        port = sock.getsockname()[1]
        await server.listen(sock)
        try:
            await asyncio.wait_for(script(port), 20)
        finally:
            await server.close()

    asyncio.run(main())
    return counted


def test_what_there_is() -> None:
    async def script(port: int) -> None:
        got = await ask(port, "/", accept="application/json")
        assert got.json() == {
            "service": "kline-ops",
            "version": "1.2.3",
            "session": "btc",
            "endpoints": ["/", "/api/candles", "/api/events", "/api/status", "/complete",
                          "/healthz", "/metrics", "/ready"],
        }  # fmt: skip
        assert (await ask(port, "/metrics")).body == b"one 1\n"
        assert (await ask(port, "/api/candles?limit=5")).json() == {"limit": "5"}
        assert (await ask(port, "/api/events", accept="application/json")).json() == [
            {"kind": "live"}
        ] * 3

    counted = served(script)
    assert counted.answers == [
        ("/", 200), ("/metrics", 200), ("/api/candles", 200), ("/api/events", 200),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("accept", "json"),
    [
        ("", False),
        ("*/*", False),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", False),
        ("application/json", True),
        ("application/json, text/html;q=0.9", True),
        ("application/json;q=0.5, text/html", False),
        ("text/html, application/json", False),
        ("application/json;q=0", False),
        ("application/json;q=x", False),
        ("text/event-stream", False),
        ("Application/JSON ; q=1", True),
    ],
)
def test_who_wants_json(accept: str, json: bool) -> None:
    assert prefers_json(accept) is json


def test_refusals_are_json_and_say_what_to_try() -> None:
    async def script(port: int) -> None:
        missing = await ask(port, "/nothing/here")
        assert (missing.code, missing.json()["error"]) == (
            404,
            "nothing is here; see / for what is",
        )
        for method in ("POST", "PUT", "DELETE", "OPTIONS", "TRACE", "PATCH", "BREW"):
            got = await ask(port, "/healthz", method)
            assert (got.code, got.headers["allow"]) == (405, "GET, HEAD")
            assert got.json()
        for limit in ("0", "x", "-1", "1001", "9" * 40, "٣"):
            got = await ask(port, f"/api/events?limit={quote(limit)}", accept="application/json")
            assert got.code == 400

    assert {path for path, _ in served(script).answers} == {"other", "/healthz", "/api/events"}


def test_no_banner_and_headers_that_keep_a_browser_safe() -> None:
    seen: list[Answer] = []

    async def script(port: int) -> None:
        seen.extend([await ask(port, path) for path in ("/", "/healthz", "/nothing", "/metrics")])

    served(script)
    for got in seen:
        assert not {"server", "date", "x-powered-by"} & got.headers.keys()
        assert got.headers["content-security-policy"].startswith("default-src 'self';")
        assert "script-src" not in got.headers["content-security-policy"]
        assert got.headers["x-content-type-options"] == "nosniff"
    assert [got.headers["cache-control"] for got in seen] == ["no-cache", *["no-store"] * 3]


def test_head_is_get_without_its_body() -> None:
    async def script(port: int) -> None:
        for path in ("/healthz", "/metrics", "/", "/page/page.css", "/nothing"):
            got, head = await ask(port, path), await ask(port, path, "HEAD")
            assert (head.code, head.body) == (got.code, b"")
            assert head.headers["content-length"] == got.headers["content-length"]
        events = await ask(port, "/api/events", "HEAD")
        assert events.headers["content-type"].startswith("text/event-stream")

    served(script)


def test_a_token_is_wanted_for_data_and_compared_as_a_whole() -> None:
    async def script(port: int) -> None:
        codes = {}
        for given in ("", "Bearer", "Bearer ", "Bearer s3cret-tokeN", "Bearer s3cret-toke",
                      "Basic s3cret-token", "s3cret-token", "Bearer \xff"):  # fmt: skip
            codes[given] = (await ask(port, "/metrics", authorization=given)).code
        assert set(codes.values()) == {401}
        for given in ("Bearer s3cret-token", "bearer   s3cret-token "):
            assert (await ask(port, "/metrics", authorization=given)).code == 200
        for path in ("/healthz", "/", "/page/page.css"):
            assert (await ask(port, path)).code == 200
        # What there is behind it is not told either.
        assert (await ask(port, "/nothing")).code == 401
        assert (await ask(port, "/page/../metrics")).code in {401, 404}

    served(script, "s3cret-token")


def test_a_flood_is_answered_from_one_look() -> None:
    async def script(port: int) -> None:
        for _ in range(20):
            await ask(port, "/metrics")

    assert served(script).rendered == 1


def test_files_are_sent_once_and_nothing_beside_them() -> None:
    async def script(port: int) -> None:
        got = await ask(port, "/page/page.css")
        assert got.headers["content-type"] == "text/css; charset=utf-8"
        assert got.body == (files.FOLDER / "page.css").read_bytes()
        again = await ask(port, "/page/page.css", if_none_match=got.headers["etag"])
        assert (again.code, again.body) == (304, b"")
        for name in ("..", "../app.py", "%2e%2e/app.py", "", ".", "/etc/passwd", "%00", "x.js",
                     "%2fetc%2fpasswd", "..%2fapp.py", ".hidden", "a" * 5000):  # fmt: skip
            assert (await ask(port, f"/page/{name}")).code == 404, name
        index = await ask(port, "/", accept="text/html")
        assert index.headers["content-type"] == "text/html; charset=utf-8"

    served(script)


def test_the_chart_library_comes_from_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    async def script(port: int) -> None:
        got = await ask(port, "/page/plotly.js")
        assert got.headers["content-type"] == "text/javascript; charset=utf-8"
        assert len(got.body) == int(got.headers["content-length"]) > 1_000_000
        assert b"plotly.js" in got.body[:300]

    served(script)

    async def without(port: int) -> None:
        got = await ask(port, "/page/plotly.js")
        assert got.code == 404
        assert got.json()["hint"] == "pip install 'kline-ops[web]'"

    monkeypatch.setattr(files, "_library", lambda: None)
    served(without)


def test_what_fails_tells_nothing_of_how(caplog: pytest.LogCaptureFixture) -> None:
    def fails() -> None:
        raise RuntimeError("/home/me/secret.py")

    async def script(port: int) -> None:
        for _ in range(2):
            got = await ask(port, "/api/status")
            assert got.code == 500
            assert b"secret" not in got.body
        assert (await ask(port, "/healthz")).code == 200

    assert ("/api/status", 500) in served(script, status=fails).answers
    assert len(caplog.records) == 1


def test_a_connection_is_kept_and_requests_may_come_at_once() -> None:
    async def script(port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(request("/healthz") * 3 + request("/ready", connection="close"))
        assert (await reader.read()).count(b"HTTP/1.1 200 OK") == 4
        writer.close()

    served(script)


@pytest.mark.parametrize(
    ("host", "code"),
    [
        ("localhost", 200),
        ("LOCALHOST:8080", 200),
        ("127.0.0.1:8080", 200),
        ("[::1]:8080", 200),
        ("192.168.1.7", 200),
        ("evil.example", 403),
        ("evil.example:8080", 403),
        ("localhost.evil.example", 403),
        ("[evil.example]", 403),
    ],
)
def test_a_page_whose_name_was_made_to_lead_here_reads_nothing(host: str, code: int) -> None:
    """DNS rebinding."""
    codes = []

    async def script(port: int) -> None:
        codes.extend(
            [await code_of(port, path, host) for path in ("/api/status", "/metrics", "/ready")]
        )
        for path in ("/healthz", "/"):
            assert await code_of(port, path, host) == 200

    served(script, local=True)
    assert set(codes) == {code}


@pytest.mark.parametrize("told", [{"token": "open-sesame"}, {"local": False}])
def test_any_name_will_do_with_a_token_or_on_another_address(told: dict[str, Any]) -> None:
    async def script(port: int) -> None:
        bearer = {"authorization": "Bearer open-sesame"}
        assert await code_of(port, "/ready", "proxy.example", **bearer) == 200

    served(script, **{"local": True} | told)


async def code_of(port: int, path: str, host: str, **headers: str) -> int:
    sent = request(path, connection="close", **headers).replace(b"localhost", host.encode())
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(sent)
    got = await reader.read()
    writer.close()
    return int(got.split()[1])
