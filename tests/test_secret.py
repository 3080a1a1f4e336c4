"""What is secret is in no text, whoever makes it; what is not is told as it is."""

from __future__ import annotations

import copy
import json
import pickle
from dataclasses import asdict, dataclass

import msgspec
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from kline_ops.config.venues import VENUES
from kline_ops.secret import Secret, redacted, shown_url

PLAIN = [url for venue in VENUES.values() for url in (venue.ws_url, venue.rest_url)] + [
    "wss://stream.binance.com:9443/ws/btcusdt@kline_1m",
    "http://[::1]:8080/a/b",
    "ws://127.0.0.1:41233/ws",
    "https://api.telegram.org/docs",
    "http://x/ws",
    "postgres://db/candles",
    "file:///a/b",
    "tgram://",
    "embedded exchange",
    "nowhere",
    "",
]


@pytest.mark.parametrize(
    "text",
    [
        repr,
        str,
        lambda secret: f"{secret}",
        lambda secret: f"{secret!r:>1}",
        lambda secret: "%s" % secret,  # noqa: UP031
        lambda secret: "%r" % [secret],
        lambda secret: json.dumps({"x": secret}, default=str, ensure_ascii=False),
        lambda secret: msgspec.json.encode([secret], enc_hook=str).decode(),
        lambda secret: str(msgspec.to_builtins([secret], enc_hook=str)),
        lambda secret: str(pickle.loads(pickle.dumps(secret)).reveal()),  # noqa: S301
    ],
)
def test_no_text_that_is_made_of_it_shows_it(text) -> None:
    shown = text(Secret("hidden-value"))
    assert "…" in shown
    assert "hidden" not in shown


@pytest.mark.parametrize("encode", [json.dumps, msgspec.json.encode, yaml.safe_dump, len, bytes])
def test_what_does_not_know_it_refuses_it(encode) -> None:
    with pytest.raises((TypeError, yaml.YAMLError)) as refused:
        encode(Secret("hidden-value"))
    assert "hidden" not in str(refused.value)


def test_it_is_a_value() -> None:
    one, same, other = Secret("a"), Secret("a"), Secret("b")
    assert one == same != other
    assert (one == "a", one != "a", len({one, same, other})) == (False, True, 2)
    assert one.reveal() == "a"
    assert copy.copy(one) is copy.deepcopy(one) is one

    @dataclass
    class Holder:
        secret: Secret

    assert asdict(Holder(one))["secret"].reveal() == "a"
    assert "a" not in repr(Holder(one)).removeprefix("test_it_is_a_value.<locals>.Holder(secret=")


@pytest.mark.parametrize("url", PLAIN)
def test_an_address_without_secrets_is_told_as_it_is(url: str) -> None:
    assert shown_url(url) == url
    assert redacted(f"to {url}: refused") == f"to {url}: refused"


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("ws://user:pw@host/ws?token=abc", "ws://…@host/ws?token=…"),
        ("wss://host:9443/ws?a=1&b=&tok", "wss://host:9443/ws?a=…&b=&…"),
        ("https://user@host/", "https://…@host/"),
        ("https://u:p@ss@host/x#frag", "https://…@host/x#…"),
        ("https://hooks.slack.com/services/T0/B0/tok", "https://hooks.slack.com/services/…"),
        ("https://HOOKS.slack.com/workflows/T0/tok", "https://HOOKS.slack.com/workflows/…"),
        ("https://discord.com/api/webhooks/1/tok", "https://discord.com/api/webhooks/…"),
        ("https://ptb.discord.com/api/v10/webhooks/1/tok", "https://ptb.discord.com/api/v10/webhooks/…"),
        ("https://api.telegram.org/bot1:tok/sendMessage", "https://api.telegram.org/bot…"),
        ("https://x.webhook.office.com/webhookb2/tok", "https://x.webhook.office.com/…"),
        ("https://hc-ping.com/tok", "https://hc-ping.com/…"),
        ("tgram://123456:tok/12345", "tgram://…"),
        ("discord://1/tok?a=b#c", "discord://…"),
        ("workflows://h/tok/tok", "workflows://…"),
        ("--to=Slack://tok/tok", "--to=Slack://…"),
        # What a user mistyped is told in an error.
        ("user:pw@host/ws?token=abc", "…@host/ws?token=…"),
        ("ws:/user:pw@host/x", "…@host/x"),
        ("ws:///user:pw@host/x", "ws:///…@host/x"),
        ("ws://user:p/w@host:1/ws", "ws://…@host:1/ws"),
    ],
)  # fmt: skip
def test_the_secrets_of_an_address_are_not_told(url: str, told: str) -> None:
    assert shown_url(url) == told
    assert shown_url(told) == told


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("refused (ws://u:p@h/ws?t=abc).", "refused (ws://…@h/ws?t=…)."),
        ("'ws://u:p'q@h:1/ws'", "'ws://…@h:1/ws'"),
        ("a https://hooks.slack.com/services/T/B/x, b", "a https://hooks.slack.com/services/…, b"),
        ("exceeded with url: /services/T/B/x (Cau", "exceeded with url: /services/… (Cau"),
        ('https://h:443 "POST /bot1:x/send HTTP/1.1"', 'https://h:443 "POST /bot… HTTP/1.1"'),
        ("> GET /ws/a@b?token=abc HTTP/1.1", "> GET /ws/a@b?token=… HTTP/1.1"),
        ("> Authorization: Basic dTpw", "> Authorization: …"),
        ("proxy-authorization: Basic dTpw\nnext", "proxy-authorization: …\nnext"),
        ("\\u001b[31mhttps://h/a?t=abc", "\\u001b[31mhttps://h/a?t=…"),
        ("no address, and a /path?x=1", "no address, and a /path?x=1"),
        ("notify 'tgram://1:tok/2', or pover://u@tok.", "notify 'tgram://…', or pover://…."),
    ],
)  # fmt: skip
def test_in_text_of_others_addresses_lose_their_secrets(text: str, told: str) -> None:
    assert redacted(text) == told
    assert redacted(told) == told


@given(
    user=st.from_regex(r"[a-z]{0,5}", fullmatch=True),
    password=st.from_regex(r"[A-Za-z0-9!$'()*,;=:@%.~_-]{0,20}", fullmatch=True),
    token=st.from_regex(r"[A-Za-z0-9=%._-]{0,20}", fullmatch=True),
    path=st.sampled_from(["", "/", "/ws", "/ws/btcusdt@kline_1m"]),
)
def test_whatever_the_password_is(user: str, password: str, token: str, path: str) -> None:
    url = f"wss://{user}:XX{password}YY@host:9443{path}?key=XX{token}YY"
    told = f"wss://…@host:9443{path}?key=…"
    assert shown_url(url) == told
    assert redacted(f"cannot connect to {url} now") == f"cannot connect to {told} now"


@given(st.text(st.sampled_from("a:/@?#&=.…[] '\n"), max_size=200))
def test_any_text_is_taken_and_to_hide_twice_is_to_hide_once(text: str) -> None:
    assert redacted(redacted(text)) == redacted(text)
    assert shown_url(shown_url(text)) == shown_url(text)


@pytest.mark.parametrize("part", ["a", ":", "@", "/", "://", "a:", "a@", "a://", "url: /", "GET /"])
def test_long_text_takes_no_longer_than_its_length(part: str) -> None:
    """A frame of an exchange may be long and hold anything; the log's thread must not hang on it."""
    redacted(part * (100_000 // len(part)) + "://")
    shown_url(part * (100_000 // len(part)))
