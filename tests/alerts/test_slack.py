"""A message on its way to a webhook: a real server that answers, refuses, hangs and babbles."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kline_ops.alerts import (
    AlertError,
    Level,
    Message,
    SlackChannel,
    channels,
    post,
    send_patiently,
)
from kline_ops.alerts.slack import slack_payload
from kline_ops.exchange.tls import make_authority
from tests.alerts.hook import SECRET, Webhook, raw, url

MESSAGE = Message(Level.WARNING, "demo: 2 missing", "03:00, 04:00", {"Owed": "24", "On disk": "22"})


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
    SlackChannel(hook.url).send(MESSAGE)
    ((path, payload),) = hook.posted
    assert path == f"/services/{SECRET}"
    assert payload == slack_payload(MESSAGE)


def test_the_address_is_in_no_text(hook: Webhook) -> None:
    channel = SlackChannel(hook.url)
    for text in (repr(channel), str(channel), f"{channel}", f"{[channel]}"):
        assert "SECRET" not in text
    assert channel.host == "127.0.0.1"


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
    assert refused(SlackChannel(hook.url)) == words
    assert len(hook.posted) == 1


@pytest.mark.parametrize("body", [b"ok", b"", b'{"success":true}', b"\xff\xfe"])
def test_what_speaks_like_slack_is_good(hook: Webhook, body: bytes) -> None:
    hook.answers = [(200, {}, body)]
    SlackChannel(hook.url).send(MESSAGE)


def patiently(hook: Webhook) -> str:
    """Why a message that is sent by itself was not delivered; empty where it was."""
    try:
        send_patiently(SlackChannel(hook.url), MESSAGE)
    except AlertError as error:
        return error.reason
    return ""


def test_too_many_is_tried_once_more(hook: Webhook, monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr(channels.time, "sleep", slept.append)
    hook.answers = [(429, {"Retry-After": "30"}, b""), (200, {}, b"ok")]
    assert patiently(hook) == ""
    assert (slept, len(hook.posted)) == ([30.0], 2)

    hook.answers = [(429, {"Retry-After": "2"}, b"")]
    assert patiently(hook) == "answered 429"
    assert (slept, len(hook.posted)) == ([30.0, 2.0], 4)

    for odd in ("", "soon", "-5", "Wed, 21 Oct 2026 07:28:00 GMT"):
        hook.answers = [(429, {"Retry-After": odd}, b""), (200, {}, b"ok")]
        assert patiently(hook) == ""
        assert slept[-1] == 1.0


def test_a_long_wait_is_not_waited_for(hook: Webhook, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channels.time, "sleep", lambda _: pytest.fail("it slept"))
    hook.answers = [(429, {"Retry-After": "31"}, b"")]
    assert patiently(hook) == "answered 429 and asks for 31 s of silence"
    assert len(hook.posted) == 1


@pytest.mark.parametrize(
    ("said", "retryable", "retry_after"),
    [
        ((429, {"Retry-After": "7"}, b""), True, 7.0),
        ((429, {}, b""), True, 1.0),
        ((503, {"Retry-After": "120"}, b""), True, 120.0),
        ((500, {"Retry-After": "120"}, b"rollup_error"), True, None),
        ((408, {}, b""), True, None),
        ((200, {}, b"<html>log in first</html>"), True, None),
        ((302, {"Location": "http://127.0.0.1:1/"}, b""), False, None),
        ((400, {}, b"invalid_payload"), False, None),
        ((403, {}, b"invalid_token"), False, None),
        ((404, {}, b"no_service"), False, None),
        ((410, {}, b"channel_is_archived"), False, None),
    ],
)
def test_would_another_try_help(
    hook: Webhook, said: tuple[int, dict[str, str], bytes], retryable: bool, retry_after: float
) -> None:
    hook.answers = [said]
    with pytest.raises(AlertError) as raised:
        SlackChannel(hook.url).send(MESSAGE)
    assert (raised.value.retryable, raised.value.retry_after) == (retryable, retry_after)
    assert len(hook.posted) == 1


def test_an_answer_that_repeats_a_part_of_the_address_is_not_repeated(hook: Webhook) -> None:
    hook.answers = [(404, {}, b"services")]
    assert refused(SlackChannel(hook.url)) == "answered 404"


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
    monkeypatch.setattr(post, "TIMEOUT", 0.5)
    began = time.monotonic()
    with raw(answer) as address:
        assert refused(SlackChannel(address)) == "did not answer within 0.5 s"
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

    with raw(babble) as address:
        assert refused(SlackChannel(address)).startswith("can not be reached: ")


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
    with raw(babble) as address:
        ran = subprocess.run(
            [sys.executable, "-c", script, address], capture_output=True, text=True, check=True
        )
    assert ran.stdout == "the message was not delivered: 127.0.0.1 answered 500\n"
    assert "SECRET" not in ran.stderr
    assert ran.stderr == ""


def test_it_trusts_whom_the_exchange_is_checked_by(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = make_authority(tmp_path)
    with closing(Webhook(authority.good())) as hook:
        channel = SlackChannel(hook.url)
        assert refused(channel).startswith("can not be reached: its certificate is not valid (")
        monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
        channel.send(MESSAGE)
        assert len(hook.posted) == 1
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "nothing"))
    assert refused(channel) == "can not be reached: OSError"


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


def check_limits(payload: dict[str, Any]) -> None:
    """Block Kit's limits, and those that others measured."""
    blocks = payload["blocks"] + [
        block for part in payload.get("attachments", []) for block in part["blocks"]
    ]
    assert len(blocks) <= 20
    assert len(json.dumps(blocks, ensure_ascii=False)) < 13_000
    for block in blocks:
        texts = [block["text"]] if "text" in block else []
        limit = {"header": 150, "section": 3000}.get(block["type"], 3000)
        if "fields" in block:
            texts, limit = block["fields"], 2000
            assert 1 <= len(texts) <= 10
        if block["type"] == "context":
            texts = block["elements"]
            assert 1 <= len(texts) <= 10
        assert texts
        for text in texts:
            assert 1 <= len(text["text"]) <= limit
            if text["type"] == "mrkdwn":
                assert not re.search(r"[<>]|&(?!amp;|lt;|gt;)", text["text"])
    json.dumps(payload).encode()
    json.dumps(payload, ensure_ascii=False).encode()  # no halves of characters
    assert 1 <= len(payload["text"]) <= 3000


wild = st.text(st.characters(), max_size=200) | st.builds(
    lambda text, times: text * times, st.text(max_size=9), st.integers(0, 2000)
)


@given(st.sampled_from(Level), wild, wild, st.dictionaries(wild, wild, max_size=50))
def test_slack_takes_it_whatever_is_in_it(
    level: Level, title: str, text: str, facts: dict[str, str]
) -> None:
    check_limits(slack_payload(Message(level, title, text, facts)))


@pytest.mark.parametrize("character", ["x", "&", "é", "\ud800", "\0", "💥"])
def test_slack_takes_it_whatever_its_length(character: str) -> None:
    facts = {f"{n}{character * 500}": character * 5000 for n in range(123)}
    payload = slack_payload(Message(Level.CRITICAL, character * 999, character * 9999, facts))
    check_limits(payload)
    *_, more = sections(payload)
    told = sum(len(section.get("fields", ())) for section in sections(payload))
    assert told >= 7
    assert more["elements"][0]["text"] == f"… and {123 - told} more"


def test_what_is_cut_says_so() -> None:
    payload = slack_payload(Message(Level.INFO, "x" * 999, "y" * 9999, {"z" * 999: "w" * 9999}))
    text, fields = sections(payload)
    for told in (payload["blocks"][0]["text"]["text"], text["text"]["text"]):
        assert told.endswith("…")
    name, value = fields["fields"][0]["text"].split("\n")
    assert (name, len(value)) == (f"*{'z' * 74}…*", 600)


def test_a_title_alone() -> None:
    assert "attachments" not in slack_payload(Message(Level.SUCCESS, "all is well"))
