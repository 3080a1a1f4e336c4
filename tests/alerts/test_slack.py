"""A message on its way to a webhook: a real server that answers, refuses, hangs and babbles."""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from kline_ops.alerts import AlertError, Level, Message, SlackChannel, channels
from kline_ops.alerts.channels import slack_payload

SECRET = "T0SECRET/B0SECRET/x0SECRETx"
MESSAGE = Message(Level.WARNING, "demo: 2 missing", "03:00, 04:00", {"Owed": "24", "On disk": "22"})


class Webhook:
    """What was posted, and how each post is answered, in order; the last answer is repeated."""

    def __init__(self) -> None:
        self.posted: list[tuple[str, dict[str, Any]]] = []
        self.answers: list[tuple[int, dict[str, str], bytes]] = [(200, {}, b"ok")]
        hook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                hook.posted.append((self.path, json.loads(body)))
                status, headers, answer = hook.answers[0]
                if len(hook.answers) > 1:
                    del hook.answers[0]
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.channel = SlackChannel(url(self.server.server_port))


def url(port: int) -> str:
    return f"http://127.0.0.1:{port}/services/{SECRET}"


@pytest.fixture
def hook() -> Iterator[Webhook]:
    made = Webhook()
    yield made
    made.server.shutdown()
    made.server.server_close()


@contextlib.contextmanager
def raw(answer: Callable[[socket.socket], None]) -> Iterator[SlackChannel]:
    """A server that takes one connection and does with it what it likes."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            with contextlib.suppress(OSError):
                connection, _ = server.accept()
                with connection:
                    answer(connection)

        threading.Thread(target=serve, daemon=True).start()
        yield SlackChannel(url(server.getsockname()[1]))


def refused(channel: SlackChannel) -> str:
    with pytest.raises(AlertError) as raised:
        channel.send(MESSAGE)
    error = raised.value
    assert error.exit_code == 1
    # Neither the error nor anything that it came from knows the secret.
    assert (error.__cause__, error.__context__) == (None, None)
    line = error.one_line()
    assert "SECRET" not in line
    assert "\n" not in line
    start = "the message was not delivered: 127.0.0.1 "
    assert line.startswith(start)
    return line.removeprefix(start)


def test_it_is_delivered(hook: Webhook) -> None:
    hook.channel.send(MESSAGE)
    ((path, payload),) = hook.posted
    assert path == f"/services/{SECRET}"
    assert payload == slack_payload(MESSAGE)


def test_the_address_is_in_no_text(hook: Webhook) -> None:
    for text in (repr(hook.channel), str(hook.channel), f"{hook.channel}", f"{[hook.channel]}"):
        assert "SECRET" not in text
    assert hook.channel.host == "127.0.0.1"


@pytest.mark.parametrize("address", ["", "hooks", "ftp://x/SECRET", "http://", "http://x:b/SECRET"])
def test_what_is_no_address(address: str) -> None:
    with pytest.raises(AlertError, match="no http:// or https:// address") as raised:
        SlackChannel(address)
    assert "SECRET" not in raised.value.one_line()


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (500, b"", "answered 500"),
        (500, b"Oops: /services/" + SECRET.encode(), "answered 500"),
        (404, b"no_service", "answered 404 (no_service)"),
        (400, b"invalid_payload\n", "answered 400 (invalid_payload)"),
        (403, b"<html>" + b"x" * 100_000, "answered 403"),
        (302, b"", "answered 302"),
        (200, b"<html>log in first</html>", "answered with a page, as no webhook does"),
    ],
)
def test_it_is_refused(hook: Webhook, status: int, body: bytes, words: str) -> None:
    hook.answers = [(status, {"Location": "http://127.0.0.1:1/"}, body)]
    assert refused(hook.channel) == words
    assert len(hook.posted) == 1


@pytest.mark.parametrize("body", [b"ok", b"", b'{"success":true}', b"\xff\xfe"])
def test_what_speaks_like_slack_is_good(hook: Webhook, body: bytes) -> None:
    hook.answers = [(200, {}, body)]
    hook.channel.send(MESSAGE)


def test_too_many_is_tried_once_more(hook: Webhook, monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr(channels.time, "sleep", slept.append)
    hook.answers = [(429, {"Retry-After": "30"}, b""), (200, {}, b"ok")]
    hook.channel.send(MESSAGE)
    assert (slept, len(hook.posted)) == ([30.0], 2)

    hook.answers = [(429, {"Retry-After": "2"}, b"")]
    assert refused(hook.channel) == "answered 429"
    assert (slept, len(hook.posted)) == ([30.0, 2.0], 4)

    for odd in ("", "soon", "-5", "Wed, 21 Oct 2026 07:28:00 GMT"):
        hook.answers = [(429, {"Retry-After": odd}, b""), (200, {}, b"ok")]
        hook.channel.send(MESSAGE)
        assert slept[-1] == 1.0


def test_a_long_wait_is_not_waited_for(hook: Webhook, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channels.time, "sleep", lambda _: pytest.fail("it slept"))
    hook.answers = [(429, {"Retry-After": "31"}, b"")]
    assert refused(hook.channel) == "answered 429 and asks for 31 s of silence"
    assert len(hook.posted) == 1


def test_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    assert refused(SlackChannel(url(port))) == "can not be reached: connection refused"


def hang(connection: socket.socket) -> None:
    connection.recv(1 << 16)
    time.sleep(5)


def drip(connection: socket.socket) -> None:
    """Never silent for long enough for a time-out of the socket."""
    connection.recv(1 << 16)
    for byte in b"HTTP/1.1 200 OK\r\nX-Pad: " + b"x" * 1000:
        connection.sendall(bytes([byte]))
        time.sleep(0.05)


@pytest.mark.parametrize("answer", [hang, drip])
def test_it_hangs(answer: Callable[[socket.socket], None], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channels, "_TIMEOUT", 0.5)
    began = time.monotonic()
    with raw(answer) as channel:
        assert refused(channel) == "did not answer within 0.5 s"
    assert time.monotonic() - began < 3


@pytest.mark.parametrize(
    "answer",
    [
        b"\x16\x03\x01 garbage\r\n\r\n",
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 99999 what\r\n\r\n",
        b"HTTP/1.1 /services/" + SECRET.encode() + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: " + b"y" * 100_000 + b"\r\n\r\n",
    ],
)
def test_garbage(answer: bytes) -> None:
    def babble(connection: socket.socket) -> None:
        connection.recv(1 << 16)
        connection.sendall(answer)

    with raw(babble) as channel:
        assert refused(channel).startswith("can not be reached: ")


def test_nothing_of_the_address_reaches_a_log_or_a_terminal() -> None:
    """The library warns of headers like these with the address that it asked."""

    def babble(connection: socket.socket) -> None:
        connection.recv(1 << 16)
        connection.sendall(b"HTTP/1.1 500 no\r\nX: y\r\n  : odd\r\nno header\r\n\r\n")

    script = (
        "import logging, sys\n"
        "logging.basicConfig(level=logging.DEBUG)\n"
        "from kline_ops.alerts import *\n"
        "try:\n    SlackChannel(sys.argv[1]).send(Message(Level.INFO, 'x'))\n"
        "except AlertError as error:\n    print(error)\n"
    )
    with raw(babble) as channel:
        ran = subprocess.run(
            [sys.executable, "-c", script, channel.url], capture_output=True, text=True, check=True
        )
    assert ran.stdout == "the message was not delivered: 127.0.0.1 answered 500\n"
    assert "SECRET" not in ran.stderr
    assert ran.stderr == ""


def test_a_host_that_is_none() -> None:
    for host in ("nowhere.invalid", f"{'x' * 64}.invalid", "x" * 300):
        channel = SlackChannel(f"https://{host}/{SECRET}")
        with pytest.raises(AlertError) as raised:
            channel.send(MESSAGE)
        assert "SECRET" not in raised.value.one_line()


def sections(payload: dict[str, Any]) -> list[dict[str, Any]]:
    (attachment,) = payload["attachments"]
    blocks: list[dict[str, Any]] = attachment["blocks"]
    return blocks


def test_the_payload() -> None:
    assert slack_payload(MESSAGE) == {
        "text": ":warning: demo: 2 missing",
        "blocks": [
            {
                "type": "header",
                "text": {"type": "plain_text", "text": ":warning: demo: 2 missing", "emoji": True},
            }
        ],
        "attachments": [
            {
                "color": "#daa038",
                "blocks": [
                    {
                        "type": "section",
                        "text": {"type": "mrkdwn", "text": "03:00, 04:00", "verbatim": True},
                    },
                    {
                        "type": "section",
                        "fields": [
                            {"type": "mrkdwn", "text": "*Owed*\n24", "verbatim": True},
                            {"type": "mrkdwn", "text": "*On disk*\n22", "verbatim": True},
                        ],
                    },
                ],
            }
        ],
    }


def test_levels() -> None:
    assert [(level.name, level.value) for level in Level] == [
        ("INFO", 10), ("SUCCESS", 11), ("WARNING", 20), ("CRITICAL", 30),
    ]  # fmt: skip
    told = [slack_payload(Message(level, "x", "y")) for level in Level]
    assert len({payload["text"] for payload in told}) == 4
    assert len({payload["attachments"][0]["color"] for payload in told}) == 4


def test_markup_is_text() -> None:
    payload = slack_payload(Message(Level.INFO, "<!channel> a\n b", "a & b <@U1>", {"<x>": "&"}))
    assert payload["blocks"][0]["text"]["text"] == ":information_source: <!channel> a b"
    assert payload["text"] == ":information_source: &lt;!channel&gt; a b"
    text, fields = sections(payload)
    assert text["text"]["text"] == "a &amp; b &lt;@U1&gt;"
    assert fields["fields"][0]["text"] == "*&lt;x&gt;*\n&amp;"


@pytest.mark.parametrize("character", ["x", "&", "é"])
def test_slack_takes_it_whatever_its_length(character: str) -> None:
    facts = {f"{n}{character * 500}": character * 5000 for n in range(123)}
    payload = slack_payload(Message(Level.CRITICAL, character * 999, character * 9999, facts))
    assert len(payload["blocks"][0]["text"]["text"]) == 150
    text, *rest, more = sections(payload)
    assert len(text["text"]["text"]) <= 3000
    assert [len(section["fields"]) for section in rest] == [10] * 10
    for section in rest:
        for item in section["fields"]:
            assert len(item["text"]) <= 2000
            assert item["text"].count("&") == item["text"].count("&amp;")
    assert more["elements"][0]["text"] == "… and 23 more"
    assert len(payload["blocks"]) + len(sections(payload)) <= 50


def test_a_title_alone() -> None:
    assert "attachments" not in slack_payload(Message(Level.SUCCESS, "all is well"))
