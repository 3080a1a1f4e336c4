"""The layouts that older systems' files have: they load unchanged, and each key does what it says."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest

from kline_ops.config.settings import Examined, Settings, examine, load_settings
from kline_ops.errors import ConfigError
from kline_ops.feed.feed import FeedOptions
from kline_ops.secret import Secret
from kline_ops.session import parts

LAYOUTS = Path(__file__).parent / "layouts"
STREAM = "binance: {stream: {symbol: btcusdt, timeframe: 1h}}\n"


def feed_options(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> FeedOptions:
    """What the feed of a session is told."""
    monkeypatch.setattr(parts, "Feed", lambda _streams, options, **_parts: options)
    common = parts.Common(settings, *cast(Any, [None] * 5))
    made = parts.new_feed(common, settings.ws_url or "", lambda _kline: None, lambda: 0.0)
    return cast(FeedOptions, made)


def hook(settings: Settings) -> Secret | None:
    return settings.config.credentials.get(f"sops_{settings.config.binance.environment}")


def examined(name: str, layout: str) -> Examined:
    return examine(name, LAYOUTS / layout / "kstlib.conf.yml", {})


def test_the_one_with_three_includes(monkeypatch: pytest.MonkeyPatch) -> None:
    told = examined("testnet", "testnet")
    settings = told.session
    assert isinstance(settings, Settings)
    assert (settings.stream.symbol, str(settings.stream.interval)) == ("BTCUSDT", "15m")
    assert settings.ws_url == "wss://stream.testnet.binance.vision/ws"
    assert settings.rest_url == "https://testnet.binance.vision"
    assert settings.rotation is not None
    assert (settings.rotation.modulo, settings.rotation.margin) == (30, 5)
    resilience = settings.config.resilience
    assert resilience.heartbeat.interval == 5
    assert settings.state_file == settings.data_dir / "state/heartbeat.state.json"
    assert resilience.watchdog.state_file == "state/heartbeat.state.json"
    assert (resilience.watchdog.cycle_interval, resilience.watchdog.max_heartbeat_age) == (300, 30)
    options = feed_options(settings, monkeypatch)
    assert (options.connection.ping_interval, options.connection.ping_timeout) == (15, 10)
    retry = options.backoff
    assert (retry.delay, retry.max_delay, retry.max_attempts) == (0.5, 30, 20)
    # Its templates are in clear text, and are to be encrypted.
    assert hook(settings) == Secret("https://hooks.slack.com/services/YOUR/TESTNET/WEBHOOK")
    assert {*settings.config.credentials} == {"sops_hb", "sops_wd", "sops_testnet"}
    folder = LAYOUTS / "testnet" / "config"
    assert settings.warnings == tuple(
        f"{folder / name} is in clear text: sops --encrypt --in-place {folder / name}"
        for name in ("binance.token.sops.yml", "slack.sops.yml")
    )
    (note,) = told.notes
    assert note.startswith("binance_credentials is not needed: public streams (in ")


def test_the_one_for_tmux(monkeypatch: pytest.MonkeyPatch) -> None:
    told = examined("resilience-tmux", "tmux")
    settings = told.session
    assert isinstance(settings, Settings)
    assert (settings.stream.symbol, str(settings.stream.interval)) == ("BTCUSDT", "1h")
    assert settings.rotation is not None
    rotation = settings.rotation
    assert (rotation.modulo, rotation.margin, rotation.min_connection_duration) == (240, 5, 60)
    assert settings.config.resilience.watchdog.cycle_interval == 10
    assert settings.config.logger.preset == "trace"
    assert feed_options(settings, monkeypatch).connection.open_timeout == 30
    assert hook(settings) is None
    (warning,) = settings.warnings
    assert "ops.sessions.resilience-tmux.command is left alone" in warning
    assert [note.partition(" has no effect: ")[0] for note in told.notes] == [
        "websocket.proactive", "logger.icons",
        "ops.sessions.resilience-tmux.backend",
    ]  # fmt: skip


def test_its_include_may_be_uncommented(tmp_path: Path) -> None:
    shutil.copytree(LAYOUTS / "tmux", tmp_path / "tmux")
    path = tmp_path / "tmux" / "kstlib.conf.yml"
    path.write_text(path.read_text().replace("# - config", "- config"))
    settings = load_settings("resilience-tmux", path, {})
    assert hook(settings) == Secret("https://hooks.slack.com/services/xxx/yyy/zzz")


Look = Callable[[Settings, FeedOptions], Any]


@pytest.mark.parametrize(
    ("text", "look", "value"),
    [
        ("ping: {interval: 7}", lambda _s, o: o.connection.ping_interval, 7),
        ("ping: {timeout: 7}", lambda _s, o: o.connection.ping_timeout, 7),
        ("connection: {timeout: 7}", lambda _s, o: o.connection.open_timeout, 7),
        ("reconnect: {delay: 7}", lambda _s, o: o.backoff.delay, 7),
        ("reconnect: {max_delay: 7}", lambda _s, o: o.backoff.max_delay, 7),
        ("reconnect: {max_attempts: 7}", lambda _s, o: o.backoff.max_attempts, 7),
        ("preset: trading", lambda _s, o: o.connection.ping_interval, 15),
        ("preset: trading", lambda _s, o: o.backoff.max_delay, 30),
        ("preset: monitoring", lambda _s, o: o.connection.ping_interval, 30),
        ("preset: monitoring", lambda _s, o: o.connection.ping_timeout, 15),
        ("preset: monitoring", lambda _s, o: o.connection.open_timeout, 30),
        ("preset: monitoring", lambda _s, o: o.backoff.delay, 5),
        ("preset: monitoring", lambda _s, o: o.backoff.max_delay, 120),
        ("preset: monitoring", lambda _s, o: o.backoff.max_attempts, 50),
        # What is given stays as it is given.
        ("preset: monitoring, ping: {timeout: 7}", lambda _s, o: o.connection.ping_timeout, 7),
        ("preset: monitoring, ping: {timeout: 7}", lambda _s, o: o.connection.ping_interval, 30),
        # One's own, and a change of one there is.
        ("preset: a, presets: {a: {connection: {timeout: 7}}}",
         lambda _s, o: o.connection.open_timeout, 7),
        ("preset: trading, presets: {trading: {ping: {timeout: 7}}}",
         lambda _s, o: (o.connection.ping_timeout, o.connection.ping_interval), (7, 15)),
        ("presets: {a: {ping: {timeout: 7}}}", lambda _s, o: o.connection.ping_timeout, 10),
    ],
)  # fmt: skip
def test_what_a_key_of_websocket_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, look: Look, value: Any
) -> None:
    path = tmp_path / "x.yml"
    path.write_text(f"{STREAM}websocket: {{{text}}}\n")
    settings = load_settings("x", path, {})
    assert look(settings, feed_options(settings, monkeypatch)) == value


@pytest.mark.parametrize(
    ("text", "look", "value"),
    [
        ("reconnect: {modulo_minutes: 30}", lambda r: (r.modulo, r.margin), (30, 5)),
        ("reconnect: {modulo_minutes: 30, margin_seconds: 9}", lambda r: r.margin, 9),
        ("reconnect: {modulo_minutes: 30, min_connection_duration: 90}",
         lambda r: r.min_connection_duration, 90),
    ],
)  # fmt: skip
def test_what_a_key_of_reconnect_does(
    tmp_path: Path, text: str, look: Callable[[Any], Any], value: Any
) -> None:
    path = tmp_path / "x.yml"
    path.write_text(STREAM.replace("{stream", f"{{{text}, stream"))
    assert look(load_settings("x", path, {}).rotation) == value


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("websocket: {proactive: {disconnect_margin: 300}}", "websocket.proactive has no effect"),
        ("websocket: {queue: {size: 1000}}", "websocket.queue has no effect"),
        ("logger: {icons: {show: true}}", "logger.icons has no effect"),
        ("ops: {default_backend: tmux}", "ops.default_backend has no effect"),
        ("ops: {tmux_binary: tmux}", "ops.tmux_binary has no effect"),
        ("binance_credentials: {api_key: a, api_secret: b}", "binance_credentials is not needed"),
    ],
)
def test_what_can_have_no_effect_is_told(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "x.yml"
    path.write_text(f"{STREAM}{text}\n")
    found = examine("x", path, {})
    assert (found.problems, found.warnings) == ((), ())
    (note,) = found.notes
    assert note.startswith(told)
    assert note.endswith(f"(in {path} line 2)")


def test_a_preset_by_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.yml"
    path.write_text(STREAM)
    settings = load_settings("x", path, {"KLINE_OPS__WEBSOCKET__PRESET": "monitoring"})
    assert feed_options(settings, monkeypatch).backoff.max_delay == 120


def test_a_preset_that_is_none(tmp_path: Path) -> None:
    path = tmp_path / "x.yml"
    path.write_text(f"{STREAM}websocket: {{preset: fast, presets: {{mine: {{}}}}}}\n")
    with pytest.raises(ConfigError, match=r"no preset 'fast' \(in .*x\.yml line 2\)") as told:
        load_settings("x", path, {})
    assert told.value.hint == "trading, monitoring or mine"
