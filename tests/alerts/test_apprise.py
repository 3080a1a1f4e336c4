"""Other services by Apprise: the real library, posting to a real server."""

from __future__ import annotations

import logging
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from kline_ops.alerts import AlertError, Level, Message, apprise_channel, channel_of
from kline_ops.alerts.apprise_channel import AppriseChannel, apprise_text
from kline_ops.secret import Secret
from tests.alerts.hook import Webhook

MESSAGE = Message(Level.WARNING, "demo: 2\nmissing", "<03:00> *04:00*", {"Owed": "24"})


def address(url: str) -> str:
    """Apprise's own way to post JSON."""
    return url.replace("http://", "json://user:SECRET@")


def children() -> list[str]:
    """Processes of ours."""
    path = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children")
    return path.read_text().split()


def test_it_is_delivered(hook: Webhook) -> None:
    channel = channel_of(Secret(address(hook.url)))
    assert isinstance(channel, AppriseChannel)
    channel.send(MESSAGE)
    ((_, payload),) = hook.posted
    assert payload["title"] == "WARNING: demo: 2 missing"
    assert payload["message"] == "<03:00> *04:00*\n\nOwed: 24"
    assert payload["type"] == "warning"


def test_levels(hook: Webhook) -> None:
    channel = AppriseChannel(address(hook.url))
    for level in Level:
        channel.send(Message(level, "x"))
    assert [(payload["type"], payload["title"]) for _, payload in hook.posted] == [
        ("info", "x"), ("success", "x"), ("warning", "WARNING: x"), ("failure", "CRITICAL: x"),
    ]  # fmt: skip


def test_a_service_of_pages_gets_text_and_no_markup(hook: Webhook) -> None:
    AppriseChannel(address(hook.url) + "?format=html").send(MESSAGE)
    told = hook.posted[0][1]["message"]
    assert told.startswith("&lt;03:00&gt;")
    assert "<br" in told


def test_a_message_always_has_a_text() -> None:
    assert apprise_text(Message(Level.INFO, "all is well")) == ("all is well", "all is well")
    facts = {f"n{number}": "v" for number in range(50)}
    assert apprise_text(Message(Level.INFO, "x", "", facts))[1].endswith("\n… and 10 more")


@pytest.mark.parametrize(("status", "retryable"), [(500, True), (429, True), (404, False)])
def test_it_is_refused(hook: Webhook, status: int, retryable: bool) -> None:
    hook.answers = [(status, {}, b"")]
    with pytest.raises(AlertError) as raised:
        AppriseChannel(address(hook.url)).send(MESSAGE)
    assert raised.value.one_line() == f"the message was not delivered: json://… answered {status}"
    assert raised.value.retryable is retryable


def test_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(AlertError) as raised:
        AppriseChannel(f"json://127.0.0.1:{port}/SECRET").send(MESSAGE)
    assert raised.value.one_line() == "the message was not delivered: json://… did not take it"
    assert raised.value.retryable


def test_it_hangs(hook: Webhook, monkeypatch: pytest.MonkeyPatch) -> None:
    channel = AppriseChannel(address(hook.url))
    hook.open.clear()
    monkeypatch.setattr(apprise_channel, "PATIENCE", 1.5)
    with pytest.raises(AlertError, match=r"did not answer within 1\.5 s"):
        channel.send(MESSAGE)
    # Its process is gone.
    assert children() == []


def test_a_service_with_an_error_of_its_own(hook: Webhook, monkeypatch: pytest.MonkeyPatch) -> None:
    channel = AppriseChannel(address(hook.url))
    monkeypatch.setattr(apprise_channel.sys, "executable", "/bin/false")
    with pytest.raises(AlertError, match="ended with an error of its own"):
        channel.send(MESSAGE)
    monkeypatch.setattr(apprise_channel.sys, "executable", "/nowhere/python")
    with pytest.raises(AlertError, match="no process could be started"):
        channel.send(MESSAGE)


def test_a_module_of_the_working_directory_is_not_taken_for_the_library(
    hook: Webhook, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "apprise.py").write_text("raise SystemExit")
    monkeypatch.chdir(tmp_path)
    AppriseChannel(address(hook.url)).send(MESSAGE)
    assert len(hook.posted) == 1


@pytest.mark.parametrize(
    "unknown", ["nosuch://SECRET/SECRET", "tgram://SECRET", "discord://SECRET", "json://"]
)
def test_an_address_that_nobody_knows(unknown: str, caplog: pytest.LogCaptureFixture) -> None:
    channel = AppriseChannel(unknown)
    with pytest.raises(AlertError) as raised:
        channel.check()
    told = raised.value.one_line()
    assert told.startswith("Apprise knows no such address. Try: see https://")
    assert not raised.value.retryable
    assert "SECRET" not in told + caplog.text
    with pytest.raises(AlertError, match="no such address") as raised:
        channel.send(MESSAGE)
    assert not raised.value.retryable


def test_it_is_made_without_a_process(hook: Webhook, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before the first candle there is no time for one."""
    started: list[object] = []
    monkeypatch.setattr(
        apprise_channel.subprocess, "run", lambda *given, **_options: started.append(given)
    )
    channel_of(Secret(address(hook.url)))
    assert not started


def test_nothing_of_the_address_is_told(
    hook: Webhook, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    channel = AppriseChannel(address(hook.url))
    channel.send(MESSAGE)
    hook.answers = [(500, {}, b"SECRET")]
    with pytest.raises(AlertError) as raised:
        channel.send(MESSAGE)
    printed = capfd.readouterr()
    assert (printed.out, printed.err) == ("", "")
    told = [caplog.text, repr(channel), str(raised.value), channel.host]
    assert "SECRET" not in "".join(told)
    assert repr(channel) == "AppriseChannel(host='json://…')"


def test_without_the_library() -> None:
    script = (
        "import sys\nsys.modules['apprise'] = None\n"
        "from kline_ops.alerts.routes import check_alerts\n"
        "from kline_ops.config.model import Alerts, Config\n"
        "from kline_ops.secret import Secret\n"
        "from kline_ops.errors import ConfigError\n"
        "try:\n    check_alerts(Config(alerts=Alerts(urls=(Secret('tgram://SECRET/x'),))))\n"
        "except ConfigError as error:\n    print(error.one_line(), error.exit_code)\n"
    )
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ran.stdout == (
        "alerts.urls, number 1: Apprise is not installed. Try: pip install 'kline-ops[notify]' 2\n"
    )
    assert ran.stderr == ""
