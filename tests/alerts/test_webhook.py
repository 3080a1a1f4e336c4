"""A webhook of one's own, and which channel an address means."""

from __future__ import annotations

import pytest

from kline_ops.alerts import (
    AlertError,
    Level,
    Message,
    SlackChannel,
    WebhookChannel,
    channel_of,
)
from kline_ops.market.timestamp import to_ms
from kline_ops.secret import Secret
from tests.alerts.hook import SECRET, Webhook

AT = to_ms("2026-11-30T14:02:30Z")
MESSAGE = Message(Level.WARNING, "demo: 2 missing", "<03:00>", {"Owed": "24"}, AT)


def test_what_is_posted(hook: Webhook) -> None:
    WebhookChannel(hook.url, session="demo").send(MESSAGE)
    ((path, payload),) = hook.posted
    assert path == f"/services/{SECRET}"
    assert payload == {
        "level": "WARNING",
        "title": "demo: 2 missing",
        "text": "<03:00>",
        "facts": {"Owed": "24"},
        "session": "demo",
        "ts": "2026-11-30T14:02:30Z",
    }


def test_what_is_not_known_is_null_or_empty(hook: Webhook) -> None:
    WebhookChannel(hook.url).send(Message(Level.INFO, "x"))
    payload = hook.posted[0][1]
    assert payload == {
        "level": "INFO", "title": "x", "text": "", "facts": {}, "session": "", "ts": None,
    }  # fmt: skip


@pytest.mark.parametrize("said", [(200, b"<html>thanks</html>"), (204, b""), (299, b"{}")])
def test_any_answer_of_200_is_good(hook: Webhook, said: tuple[int, bytes]) -> None:
    hook.answers = [(said[0], {}, said[1])]
    WebhookChannel(hook.url).send(MESSAGE)


@pytest.mark.parametrize(("status", "retryable"), [(500, True), (404, False), (301, False)])
def test_it_is_refused(hook: Webhook, status: int, retryable: bool) -> None:
    hook.answers = [(status, {}, b"the-secret")]
    with pytest.raises(AlertError) as raised:
        WebhookChannel(hook.url).send(MESSAGE)
    assert raised.value.one_line() == (
        f"the message was not delivered: 127.0.0.1 answered {status}"
    )
    assert raised.value.retryable is retryable


def test_halves_of_characters_are_sent_as_they_are(hook: Webhook) -> None:
    WebhookChannel(hook.url).send(Message(Level.INFO, "\ud800\0"))
    assert hook.posted[0][1]["title"] == "\ud800\0"


@pytest.mark.parametrize(
    ("address", "kind"),
    [
        ("https://hooks.slack.com/services/T/B/x", SlackChannel),
        ("https://HOOKS.slack.com/services/T/B/x", SlackChannel),
        ("https://hooks.slack-gov.com/services/T/B/x", SlackChannel),
        ("https://hooks.slack.com.example.com/services/T/B/x", WebhookChannel),
        ("https://example.com/hooks.slack.com/", WebhookChannel),
        ("http://127.0.0.1:8080/x", WebhookChannel),
    ],
)
def test_what_an_address_means(address: str, kind: type) -> None:
    assert type(channel_of(Secret(address))) is kind


@pytest.mark.parametrize("address", ["", "x", "https:/x/SECRET", "http://", "HTTP://x y/SECRET"])
def test_what_is_no_address(address: str) -> None:
    with pytest.raises(AlertError, match="no address that a message can be sent to") as raised:
        channel_of(Secret(address))
    assert "SECRET" not in raised.value.one_line()


def test_the_address_is_in_no_text() -> None:
    channel = WebhookChannel("https://u:SECRET@example.com/SECRET?x=SECRET", session="demo")
    assert repr(channel) == "WebhookChannel(host='example.com', session='demo')"
    with pytest.raises(AlertError) as raised:
        WebhookChannel("ftp://example.com/SECRET")
    assert "SECRET" not in raised.value.one_line()
