"""Messages on their way through real servers: routing, levels, failures, and that nobody waits."""

from __future__ import annotations

import threading
import time

import pytest

from kline_ops.alerts import AlertError, AlertManager, Level, Message, SlackChannel, WebhookChannel
from kline_ops.alerts.manager import resolved
from kline_ops.alerts.outbox import Outbox, Try
from kline_ops.alerts.routes import (
    HEARTBEAT,
    WATCHDOG,
    check_alerts,
    new_manager,
    routes,
    routes_of,
    stream_key,
    tell,
)
from kline_ops.config.model import Alerts, Binance, Config
from kline_ops.errors import ConfigError
from kline_ops.secret import Secret
from tests.alerts.hook import TAKEN, Webhook
from tests.support.machine import until


def message(title: str, level: Level = Level.INFO) -> Message:
    return Message(level, title, "text")


class Told:
    """A channel that keeps what it is given; it fails while there are errors left."""

    def __init__(self, host: str = "here", *errors: Exception) -> None:
        self.host = host
        self.messages: list[Message] = []
        self.errors = list(errors)

    @property
    def titles(self) -> list[str]:
        return [one.title for one in self.messages]

    def send(self, message: Message) -> None:
        if self.errors:
            raise self.errors.pop(0)
        self.messages.append(message)


def test_it_is_delivered(hook: Webhook) -> None:
    alerts = AlertManager()
    alerts.add_channel(SlackChannel(hook.url))
    alerts.send(message("a"))
    alerts.send(message("b"))
    until(lambda: hook.titles == ["a", "b"])
    assert alerts.close() == 0


def test_what_waits_is_sent_at_the_end(hook: Webhook) -> None:
    alerts = AlertManager()
    alerts.add_channel(SlackChannel(hook.url))
    for title in "abcd":
        alerts.send(message(title))
    assert alerts.close(10.0) == 0
    assert hook.titles == ["a", "b", "c", "d"]
    alerts.send(message("too late"))
    assert alerts.close() == 0
    assert len(hook.posted) == 4


def test_no_channel_at_all() -> None:
    alerts = AlertManager()
    alerts.send(message("a"), key="x")
    assert (alerts.close(), alerts.keys) == (0, frozenset())


def test_levels_hold_with_and_without_a_key() -> None:
    alerts, keyed, plain = AlertManager(), Told(), Told()
    alerts.add_channel(keyed, min_level=Level.WARNING, key="k")
    alerts.add_channel(plain, min_level=Level.CRITICAL)
    for key in ("k", None, "unknown"):
        for level in Level:
            alerts.send(message(f"{key} {level.name}", level), key=key)
    assert alerts.close(30.0) == 0
    assert keyed.titles == [
        "k WARNING", "k CRITICAL", "unknown WARNING", "unknown CRITICAL",
    ]  # fmt: skip
    assert plain.titles == ["k CRITICAL", "None CRITICAL", "unknown CRITICAL"]


def test_keys() -> None:
    alerts = AlertManager(fallbacks={"wd": "hb", "hb": "env"})
    channels = {name: Told(name) for name in ("env", "hb", "all")}
    alerts.add_channel(channels["env"], key="env")
    alerts.add_channel(channels["hb"], key="hb")
    alerts.add_channel(channels["all"])
    assert alerts.keys == {"env", "hb"}
    for key in ("env", "hb", "wd", "other"):
        alerts.send(message(key), key=key)
    alerts.send(message("none"))
    assert alerts.close(30.0) == 0
    assert channels["env"].titles == ["env", "other"]
    assert channels["hb"].titles == ["hb", "wd"]
    assert channels["all"].titles == ["env", "hb", "wd", "other", "none"]


@pytest.mark.parametrize(
    ("key", "keys", "meant"),
    [
        ("a", ["a", None], "a"),
        ("wd", ["env", "hb"], "hb"),
        ("wd", ["env"], "env"),
        ("wd", ["other"], "other"),
        ("wd", [None], None),
        ("wd", [], None),
        (None, ["a", None], None),
        (None, ["a", "b"], "a"),
        ("x", ["b", "a"], "b"),
        ("p", ["b"], "b"),
    ],
)
def test_what_stands_in_for_a_key(
    key: str | None, keys: list[str | None], meant: str | None
) -> None:
    fallbacks = {"wd": "hb", "hb": "env", "p": "q", "q": "p"}
    assert resolved(key, keys, fallbacks) == meant


def test_nobody_waits_for_a_server_that_hangs(hook: Webhook) -> None:
    hook.open.clear()
    alerts = AlertManager()
    alerts.add_channel(SlackChannel(hook.url))
    alerts.send(message("first"))
    until(lambda: hook.posted)  # the server holds the request
    for number in range(1000):
        alerts.send(message(f"m{number}"))
    assert not hook.open.is_set()
    assert len(hook.posted) == 1
    began = time.monotonic()
    # 100 wait, 900 are lost, and the one under way: nobody knows.
    assert alerts.close(0.2) == 1001
    assert time.monotonic() - began < 5


def test_a_channel_that_hangs_holds_up_no_other(hook: Webhook) -> None:
    release = threading.Event()

    class Hangs:
        host = "hangs"

        def send(self, message: Message) -> None:
            release.wait(20)

    alerts = AlertManager()
    alerts.add_channel(Hangs())
    alerts.add_channel(SlackChannel(hook.url))
    alerts.send(message("a"))
    alerts.send(message("b"))
    until(lambda: hook.titles == ["a", "b"])
    assert alerts.close(0.1) == 2
    release.set()


def test_it_is_tried_again_and_told_once(hook: Webhook) -> None:
    heard: list[tuple[str, str, int]] = []
    hook.answers = [(500, {}, b""), (500, {}, b""), TAKEN]
    alerts = AlertManager(on_failed=lambda *told: heard.append(told))
    alerts.add_channel(SlackChannel(hook.url))
    alerts.send(message("a"))
    alerts.send(message("b"))
    until(lambda: hook.titles == ["a", "a", "a", "b"])
    assert alerts.close() == 0
    assert heard == [("127.0.0.1", "answered 500", 0)]


def test_a_silence_is_kept(hook: Webhook) -> None:
    hook.answers = [(429, {"Retry-After": "1"}, b""), TAKEN]
    alerts = AlertManager()
    alerts.add_channel(SlackChannel(hook.url))
    alerts.send(message("a"))
    until(lambda: hook.posted)
    first = time.monotonic()
    until(lambda: len(hook.posted) == 2)
    assert time.monotonic() - first > 0.8
    assert alerts.close() == 0


def test_what_is_refused_is_told_and_the_next_message_says_so(hook: Webhook) -> None:
    heard: list[tuple[str, str, int]] = []
    hook.answers = [(404, {}, b"no_service"), (404, {}, b"no_service"), TAKEN]
    alerts = AlertManager(on_failed=lambda *told: heard.append(told))
    alerts.add_channel(WebhookChannel(hook.url))
    for title in "abc":
        alerts.send(message(title))
    until(lambda: len(hook.posted) == 3)
    assert alerts.close() == 0
    assert "2 messages were not delivered since" in hook.posted[2][1]["text"]
    assert heard == [
        ("127.0.0.1", "answered 404 (no_service)", 1),
        ("127.0.0.1", "messages were lost while it failed", 2),
    ]


def test_what_was_lost_is_counted_at_the_end(hook: Webhook) -> None:
    hook.answers = [(403, {}, b"invalid_token")]
    alerts = AlertManager(on_failed=lambda *_: None)
    alerts.add_channel(SlackChannel(hook.url))
    alerts.send(message("a"))
    alerts.send(message("b", Level.CRITICAL))
    until(lambda: len(hook.posted) == 2)
    assert alerts.close() == 2


def test_the_end_waits_for_no_server_that_fails(hook: Webhook) -> None:
    hook.answers = [(500, {}, b"")]
    alerts = AlertManager(on_failed=lambda *_: None)
    alerts.add_channel(SlackChannel(hook.url))
    for title in "abc":
        alerts.send(message(title))
    until(lambda: hook.posted)
    began = time.monotonic()
    assert alerts.close(20.0) == 3
    assert time.monotonic() - began < 15


def test_a_fault_of_ours_ends_no_channel(monkeypatch: pytest.MonkeyPatch) -> None:
    channel, before = Told(), threading.active_count()
    alerts = AlertManager()
    alerts.add_channel(channel)
    faults = [RuntimeError("a fault")]

    def take(outbox: Outbox, *now: float) -> Try | None:
        if faults:
            raise faults.pop()
        return working(outbox, *now)

    working = Outbox.take
    monkeypatch.setattr(Outbox, "take", take)
    alerts.send(message("a"))
    until(lambda: not faults and threading.active_count() == before)
    alerts.send(message("b"))
    until(lambda: channel.titles == ["a", "b"])
    assert alerts.close() == 0


def test_a_channel_with_an_error_of_its_own_harms_nobody(caplog: pytest.LogCaptureFixture) -> None:
    channel = Told("mine", TypeError("https://x/SECRET"), AlertError("not now"))

    def fails(*told: object) -> None:
        raise ValueError("SECRET")

    for on_failed in (None, fails):
        channel.errors = [TypeError("https://x/SECRET")]
        alerts = AlertManager(on_failed=on_failed)
        alerts.add_channel(channel)
        alerts.send(message("a"))
        until(lambda channel=channel: channel.messages)
        assert alerts.close() == 0
        channel.messages.clear()
    assert "mine: a message was not delivered: failed: TypeError" in caplog.text


def test_a_broken_clock_is_no_matter() -> None:
    class Broken:
        def wall_ms(self) -> int:
            raise OSError

        monotonic = asleep = time.monotonic

    alerts = AlertManager(clock=Broken())
    alerts.add_channel(Told())
    alerts.send(message("a"))
    assert alerts.close() == 0


def test_what_is_no_message_and_no_key_is_no_matter() -> None:
    alerts = AlertManager()
    told = Told()
    alerts.add_channel(told)
    alerts.send("text")  # type: ignore[arg-type]
    alerts.send(message("a"), key=["sops_hb"])  # type: ignore[arg-type]
    assert alerts.close(timeout=5.0) == 0
    assert told.titles == ["a"]


def test_no_thread_is_left() -> None:
    before = threading.active_count()
    alerts = AlertManager()
    alerts.add_channel(Told())
    assert threading.active_count() == before  # nothing is told yet
    alerts.send(message("a"))
    assert alerts.close(10.0) == 0
    until(lambda: threading.active_count() == before)


HOOK = Secret("https://hooks.slack.com/services/T0/B0/SECRET")


def config(*keys: str, urls: tuple[str, ...] = (), **alerts: object) -> Config:
    return Config(
        binance=Binance(environment="testnet"),
        credentials=dict.fromkeys(keys, HOOK),
        alerts=Alerts(urls=tuple(map(Secret, urls)), **alerts),  # type: ignore[arg-type]
    )


def test_the_channels_of_a_session() -> None:
    given = config("sops_mainnet", HEARTBEAT, "sops_testnet", urls=("https://x/SECRET",))
    assert stream_key(given) == "sops_testnet"
    found = routes(given, "demo")
    assert [(route.field, route.key, route.channel.host) for route in found] == [
        ("credentials.sops_testnet", "sops_testnet", "hooks.slack.com"),
        ("credentials.sops_hb", "sops_hb", "hooks.slack.com"),
        ("alerts.urls, number 1", None, "x"),
    ]
    assert found[2].channel == WebhookChannel("https://x/SECRET", session="demo")
    assert "SECRET" not in repr(found)

    def fields(key: str) -> list[str]:
        return [route.field for route in routes_of(given, key)]

    assert fields(WATCHDOG) == fields(HEARTBEAT) == ["credentials.sops_hb", "alerts.urls, number 1"]
    assert fields("sops_testnet") == ["credentials.sops_testnet", "alerts.urls, number 1"]


def test_a_manager_for_a_session() -> None:
    alerts = new_manager(config(HEARTBEAT, "sops_testnet"))
    assert alerts.keys == {"sops_hb", "sops_testnet"}
    assert alerts.close() == 0
    assert new_manager(Config()).keys == frozenset()


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (
            config(urls=("https://x/", "x/SECRET")),
            "alerts.urls, number 2: no address that a message can be sent to",
        ),
        (config(ping_url=Secret("SECRET")), "alerts.ping_url: no http:// or https:// address"),
        (
            Config(credentials={HEARTBEAT: Secret("SECRET")}),
            "credentials.sops_hb: no http:// or https:// address",
        ),
    ],
)
def test_what_can_not_be_used(given: Config, told: str) -> None:
    with pytest.raises(ConfigError) as raised:
        check_alerts(given)
    assert raised.value.one_line() == told


def test_one_message_to_all() -> None:
    good, bad = Told(), Told("bad", AlertError("refused", host="bad"))
    (error,) = tell([good, bad, good], message("a"))
    assert error.one_line() == "the message was not delivered: bad refused"
    assert good.titles == ["a", "a"]
