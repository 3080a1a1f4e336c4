"""Config files: every wrong one is refused with its place and the nearest right one."""

from __future__ import annotations

from pathlib import Path

import pytest

from kline_ops.config import load
from kline_ops.config.settings import Settings, load_settings
from kline_ops.errors import ConfigError
from kline_ops.secret import Secret, redacted

GOOD = "binance: {stream: {symbol: btcusdt, timeframe: 1h}}\n"


@pytest.fixture
def settings_of(tmp_path: Path):
    def make(text: str, **environ: str) -> Settings:
        path = tmp_path / "test.yml"
        path.write_text(text)
        return load_settings("test", path, environ)

    return make


@pytest.mark.parametrize("name", ["demo", "resilience-tmux"])
def test_shipped_configs_are_good(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    assert load_settings(name, None, {}).name == name


def test_addresses_follow_from_the_environment(settings_of):
    settings = settings_of(GOOD.replace("{stream", "{environment: testnet, stream"))
    assert settings.ws_url == "wss://stream.testnet.binance.vision/ws"
    assert settings.rest_url == "https://testnet.binance.vision"


def test_rest_follows_the_venue_of_a_given_ws_url(settings_of):
    text = GOOD.replace("{stream", "{ws_url: 'wss://stream.binance.us:9443/ws', stream")
    assert settings_of(text).rest_url == "https://api.binance.us"


def test_failover_urls_follow_from_the_venue_unless_given(settings_of):
    known = settings_of(GOOD)
    assert known.failover_urls == (
        "wss://stream.binance.com:443/ws",
        "wss://data-stream.binance.vision/ws",
    )
    assert settings_of(GOOD.replace("{stream", "{environment: us, stream")).failover_urls == ()
    given = GOOD.replace("{stream", "{failover_urls: ['wss://stream.binance.com:443/ws/'], stream")
    assert settings_of(given).failover_urls == ("wss://stream.binance.com:443/ws",)
    none = GOOD.replace("{stream", "{failover_urls: [], stream")
    assert settings_of(none).failover_urls == ()


def test_more_connections_than_addresses_are_a_warning(settings_of):
    text = GOOD.replace("{stream", "{failover_urls: [], stream") + "websocket: {redundancy: 2}\n"
    assert settings_of(text).warnings == (
        "websocket.redundancy is 2, and there are 1 addresses: some are shared",
    )
    assert settings_of(GOOD + "websocket: {redundancy: 2}\n").warnings == ()


def test_an_unknown_host_without_rest_url_is_a_warning(settings_of):
    settings = settings_of(GOOD.replace("{stream", "{ws_url: 'ws://127.0.0.1:1/ws', stream"))
    assert settings.rest_url is None
    assert len(settings.warnings) == 1


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is empty"),
        ("- 1\n", "not a mapping"),
        ("binance: [\n", "line 2"),
        ("binance: {}\n", "binance.stream.symbol: missing"),
        ("binance: {stream: {symbol: btcusdt}}\n", "binance.stream.timeframe: missing"),
        ("binance: {stream: {timeframe: 1h}}\n", "binance.stream.symbol: missing"),
        (GOOD + "record: {columns: all}\n", "record.columns: Invalid enum value"),
        (GOOD + "websokcet: {}\n", "websokcet: unknown key"),
        (GOOD + "websocket: {pnig: {}}\n", "websocket.pnig: unknown key"),
        (GOOD + "websocket: {ping: {interval: fast}}\n", "websocket.ping.interval: Expected"),
        (GOOD + "websocket: {ping: {interval: -1}}\n", "websocket.ping.interval: Expected"),
        (GOOD + "websocket: {ping: {interval: .nan}}\n", "websocket.ping.interval: not a finite"),
        (GOOD + "websocket: 5\n", "websocket: Expected"),
        (GOOD + "binance: {}\n", "line 2: the key 'binance' stands twice"),
        (GOOD + "---\n" + GOOD, "line 2: a second document. Try: remove the line `---`"),
        (GOOD + "data_dir: ~nobody-of-here/x\n", "data_dir: ~nobody-of-here: there is no such home"),
        (GOOD + 'data_dir: "a\\0b"\n', "data_dir: holds a character that no path can"),
        (GOOD + 'data_dir: "\\ud800"\n', "data_dir: holds a character that no path can"),
        (GOOD + "data_dir: https://x\n", "data_dir: an address, and no path (in"),
        (GOOD + 'resilience: {heartbeat: {state_file: "a\\0b"}}\n',
         "resilience.heartbeat.state_file: holds a character"),
        (GOOD + "resilience: {watchdog: {state_file: https://x}}\n",
         "resilience.watchdog.state_file: an address, and no path"),
        (GOOD + "alerts: {urls: https://x/y}\n", "got `str` (in "),
        (GOOD + "alerts: {urls: https://x/y}\n", "test.yml line 2). Try: a list: [one, another]"),
        (GOOD + "data_dir: " + "[" * 2000 + "\n", "nested too deeply"),
        (GOOD + "websocket: {redundancy: " + "9" * 5000 + "}\n", "a value that is no good"),
        (GOOD + "data_dir: !x y\n", "line 2: an unknown tag. Try: put a text that begins with a sign"),
        (GOOD + "data_dir: @x\n", "line 2: a character that can not start a text"),
        (GOOD + "record: {fsync: maybe}\n", "record.fsync: Invalid enum value 'maybe'"),
        (GOOD + "record: {since: yesterday}\n", "record.since: 'yesterday' is no time"),
        (GOOD.replace("1h", "1x"), "binance.stream.timeframe: unknown interval '1x'"),
        (GOOD.replace("1h", "1H"), "binance.stream.timeframe: unknown interval '1H'"),
        (GOOD.replace("btcusdt", "btc/usdt"), "binance.stream.symbol: 'btc/usdt' is no symbol"),
        (GOOD.replace("{stream", "{ws_url: nowhere, stream"), "binance.ws_url: 'nowhere'"),
        (GOOD.replace("{stream", "{ws_url: 'http://x/ws', stream"), "binance.ws_url: 'http://x"),
        (GOOD.replace("{stream", "{ws_url: 'wss://', stream"), "binance.ws_url: 'wss://'"),
        (GOOD.replace("{stream", "{ws_url: 'ws://a:b/ws', stream"), "binance.ws_url: 'ws://a:b"),
        (
            GOOD.replace("{stream", "{rest_url: 'https://api.binance.us', stream"),
            "binance.rest_url: https://api.binance.us is another market",
        ),
        (
            GOOD.replace("{stream", "{failover_urls: ['wss://stream.binance.us:9443/ws'], stream"),
            "binance.failover_urls: wss://stream.binance.us:9443/ws is another market than",
        ),
        (
            GOOD.replace("{stream", "{failover_urls: ['https://x'], stream"),
            "binance.failover_urls: 'https://x' is no",
        ),
        (GOOD + "websocket: {redundancy: 0}\n", "websocket.redundancy: Expected"),
        (
            GOOD + "resilience: {circuit_breaker: {failures: 0}}\n",
            "resilience.circuit_breaker.failures: Expected",
        ),
        (GOOD.replace("{stream", "{reconnect: {modulo: 4x}, stream"), "binance.reconnect.modulo"),
        (
            GOOD.replace("{stream", "{reconnect: {modulo: 10s, margin_seconds: 5}, stream"),
            "binance.reconnect.margin_seconds: 5 s is half",
        ),
        (
            GOOD.replace("{stream", "{reconnect: {modulo: 10s, min_connection_duration: 10}, stream"),
            "binance.reconnect.min_connection_duration: 10 s is not shorter",
        ),
        (
            GOOD.replace("{stream", "{reconnect: {modulo: 4h, modulo_minutes: 240}, stream"),
            "binance.reconnect.modulo_minutes: given beside modulo",
        ),
    ],
)  # fmt: skip
def test_a_wrong_config_is_refused_with_its_place(settings_of, text: str, words: str):
    with pytest.raises(ConfigError) as refused:
        settings_of(text)
    assert words in refused.value.one_line()
    assert "\n" not in refused.value.one_line()
    assert refused.value.exit_code == 2


def test_a_typo_names_the_nearest_key(settings_of):
    with pytest.raises(ConfigError, match="unknown key") as refused:
        settings_of(GOOD + "websocket: {stall_timout: 3}\n")
    assert refused.value.field == "websocket.stall_timout"
    assert refused.value.hint == "websocket.stall_timeout"


def test_the_environment_overrides_any_key(settings_of):
    settings = settings_of(
        GOOD, KLINE_OPS__WEBSOCKET__PING__INTERVAL="7", KLINE_OPS__BINANCE__STREAM__TIMEFRAME="1M"
    )
    assert settings.config.websocket.ping.interval == 7
    assert settings.stream.interval.name == "1M"
    assert settings.csv.name == "candles_BTCUSDT_1mo.csv"


def test_a_wrong_variable_is_named(settings_of):
    with pytest.raises(ConfigError, match="KLINE_OPS__WEBSOKCET__X"):
        settings_of(GOOD, KLINE_OPS__WEBSOKCET__X="1")


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        ("RECORD__GRACE", "abc", "record.grace: Expected `float`, got `str`"),
        ("RECORD__GRACE", ".inf", "record.grace: not a finite number"),
        ("RECORD", "5", "record: Expected"),
        ("RECORD__GRACE__X", "5", "record.grace: Expected"),
        ("RECORD", "{fsync: maybe}", "record.fsync: Invalid enum value 'maybe'"),
        ("RECORD__FSYNC", "[", "line 1"),
        ("RECORD__FSYNC", "a: b: c", "mapping values are not allowed here"),
        ("RECORD", "{grace: 1, grace: 2}", "stands twice"),
        ("RECORD__SINCE", "yesterday", "record.since: 'yesterday' is no time"),
        ("BINANCE__WS_URL", "nowhere", "binance.ws_url: 'nowhere' is no ws:// or wss:// address"),
        ("BINANCE__STREAM__TIMEFRAME", "1x", "binance.stream.timeframe: unknown interval '1x'"),
        ("BINANCE__RECONNECT__MODULO", "4x", "binance.reconnect.modulo"),
    ],
)
def test_a_wrong_value_of_a_variable_is_blamed_on_the_variable(
    settings_of, variable: str, value: str, words: str
):
    with pytest.raises(ConfigError) as refused:
        settings_of(GOOD, **{f"KLINE_OPS__{variable}": value, "KLINE_OPS__LOGGER__PRESET": "dev"})
    line = refused.value.one_line()
    assert words in line
    assert f"KLINE_OPS__{variable}" in line
    assert "test.yml" not in line
    assert "KLINE_OPS__LOGGER__PRESET" not in line


def test_a_wrong_value_of_the_file_is_not_blamed_on_a_variable(settings_of):
    with pytest.raises(ConfigError, match=r"record.grace.*test\.yml") as refused:
        settings_of(GOOD + "record: {grace: abc}\n", KLINE_OPS__RECORD__FSYNC="never")
    assert "KLINE_OPS" not in refused.value.one_line()


@pytest.mark.parametrize(
    ("text", "field", "hint"),
    [
        (GOOD + "record: {fsync: maybe}\n", "record.fsync", "always or never"),
        (GOOD + "logger: {preset: loud}\n", "logger.preset", "dev, trace or prod"),
        (
            GOOD.replace("{stream", "{environment: moon, stream"),
            "binance.environment",
            "mainnet, testnet or us",
        ),
        (GOOD.replace("1h}", "1h, type: trade}"), "binance.stream.type", "kline"),
    ],
)
def test_a_value_that_is_none_of_a_few_lists_them(settings_of, text: str, field: str, hint: str):
    with pytest.raises(ConfigError, match="Invalid enum value") as refused:
        settings_of(text)
    assert (refused.value.field, refused.value.hint) == (field, hint)


def test_an_address_names_the_schemes_that_it_may_have(settings_of):
    with pytest.raises(ConfigError, match="is no ws:// or wss:// address"):
        settings_of(GOOD.replace("{stream", "{ws_url: 'http://x', stream"))
    with pytest.raises(ConfigError, match="is no http:// or https:// address"):
        settings_of(GOOD.replace("{stream", "{rest_url: 'ws://x', stream"))


def test_a_time_in_yaml_stays_text(settings_of):
    assert settings_of(GOOD + "record: {since: 2026-01-01}\n").since_ms == 1_767_225_600_000


def test_a_time_of_day_is_no_number_to_the_base_of_sixty(settings_of):
    assert settings_of(GOOD + "alerts: {digest: 10:30}\n").config.alerts.digest == "10:30"


def test_data_dir_is_relative_to_the_file(settings_of, tmp_path: Path):
    assert settings_of(GOOD + "data_dir: here\n").csv == tmp_path / "here/candles_BTCUSDT_1h.csv"


def test_the_margin_and_the_shortest_connection_fit_a_short_modulo(settings_of):
    rotation = settings_of(GOOD.replace("{stream", "{reconnect: {modulo: 8s}, stream")).rotation
    assert (rotation.margin, rotation.min_connection_duration) == (2.0, 2.0)


@pytest.mark.parametrize("name", ["", "a/b", "../x", "a.b", "a:b", "-a", "x" * 65, "naïve"])
def test_what_can_not_be_a_name_is_refused(name: str):
    with pytest.raises(ConfigError, match="no session name"):
        load.find(name, None)


@pytest.mark.parametrize("make", [Path.mkdir, lambda path: None])
def test_no_file_or_a_directory_is_one_line(tmp_path: Path, make):
    path = tmp_path / "x.yml"
    make(path)
    with pytest.raises(ConfigError, match=r"is a directory|does not exist"):
        load_settings("x", path, {})


HOOK = "https://hooks.slack.com/services/T0/B0/SECRET"
VARIABLE = "KLINE_OPS__CREDENTIALS__SOPS_MAINNET"


def test_the_environment_brings_a_webhook(settings_of):
    settings = settings_of(GOOD, **{VARIABLE: HOOK})
    assert settings.config.credentials == {"sops_mainnet": Secret(HOOK)}
    other = f"credentials: {{sops_mainnet: 'http://x/y', sops_hb: {HOOK}}}\n"
    settings = settings_of(GOOD + other, **{VARIABLE: HOOK})
    assert settings.config.credentials == dict.fromkeys(("sops_mainnet", "sops_hb"), Secret(HOOK))


@pytest.mark.parametrize(
    ("text", "environ", "words"),
    [
        ("credentials: {sops_hb: ftp://SECRET}", {}, "credentials.sops_hb: no http:// or https://"),
        ("credentials: {sops_hb: SECRET}", {}, "credentials.sops_hb: no http:// or https://"),
        ("credentials: {sops_hb: 'https://a b/SECRET'}", {}, "credentials.sops_hb: no http://"),
        ("credentials: {sops_hb: 'ENC[AES256_GCM,data:SECRET]'}", {}, "line 2: a value that sops"),
        (f"credentials: {{sops_hb: [{HOOK}]}}", {}, "credentials.sops_hb: not a text"),
        ("credentials: {sops_hb: }", {}, "credentials.sops_hb: not a text"),
        (f"credentials: {{slack: {HOOK}}}", {}, "credentials.slack: unknown key"),
        (f"credentials: {{SOPS_X: {HOOK}}}", {}, "credentials.SOPS_X: unknown key"),
        (f"credentials: {{{HOOK}: x}}", {}, "credentials: unknown key"),
        ("credentials:\n  sops_hb: http://x\n  SECRET7: x", {}, r"credentials: unknown key .* line 4\)"),
        # A space is missing, or a quote: all of it is a key.
        ("alerts: {ping_url:https://x/SECRET}", {}, "alerts.ping_url…: unknown key"),
        ("alerts: {ping_url:\"https://x/SECRET\"}", {}, "alerts.ping_url…: unknown key"),
        ("tgram://SECRET/1: x", {}, "tgram…: unknown key"),
        ("'@x SECRET': x", {}, "…: unknown key"),
        ("websocket: {presets: {'a/SECRET': {x: 1}}}", {}, "presets.a….x: unknown key"),
        ("binance_credentials: {SECRET-7: x}", {}, "binance_credentials: unknown key"),
        ("binance_credentials: {key: SECRET}", {}, "binance_credentials.key: unknown key"),
        (f"credentials: {HOOK}", {}, "credentials: Expected `object`"),
        (f"credentials: [{HOOK}]", {}, "credentials: Expected `object`"),
        ("", {VARIABLE: "SECRET"}, f"credentials.sops_mainnet: no http:// .*{VARIABLE}"),
        ("", {VARIABLE: "*SECRET"}, f"credentials.sops_mainnet: no http:// .*{VARIABLE}"),
        ("", {VARIABLE: "{SECRET: 1, SECRET: 2}"}, f"credentials.sops_mainnet: no .*{VARIABLE}"),
        ("credentials: {sops_hb: !SECRET x}", {}, r"test.yml line 2: an unknown tag"),
        ("credentials: {sops_hb: !SECRET!x x}", {}, r"test.yml line 2: an unknown tag"),
        ("credentials: {sops_hb: *SECRET}", {}, r"test.yml line 2: an unknown alias"),
        ("credentials: {SECRET: 1, SECRET: 2}", {}, r"test.yml: line 2: a key stands twice"),
        ("credentials: {x: {SECRET: 1, SECRET: 2}}", {}, r"line 2: a key stands twice"),
        ("credentials: {x: !!int SECRET}", {}, r"test.yml: a value that is no good"),
        ("credentials: {? [SECRET] : x}", {}, r"line 2: a key that is no text"),
        ("", {"KLINE_OPS__CREDENTIALS": "{x: !SECRET }"}, "CREDENTIALS line 1: an unknown tag"),
        ("", {"KLINE_OPS__CREDENTIALS": "{x: *SECRET}"}, "CREDENTIALS line 1: an unknown alias"),
        ("", {"KLINE_OPS__CREDENTIALS": "{SECRET: 1, SECRET: 2}"}, "line 1: a key stands twice"),
        ("", {"KLINE_OPS__CREDENTIALS": HOOK}, "credentials: Expected `object`"),
        ("", {"KLINE_OPS__CREDENTIALS__X": HOOK}, "credentials.x: unknown key"),
    ],
)  # fmt: skip
def test_a_wrong_credential_is_refused_without_its_value(
    settings_of, text: str, environ, words: str
):
    with pytest.raises(ConfigError, match=words) as refused:
        settings_of(f"{GOOD}{text}\n", **environ)
    assert "SECRET" not in refused.value.one_line()
    assert "hooks.slack.com" not in refused.value.one_line()
    assert refused.value.exit_code == 2


def test_a_webhook_is_in_no_text_of_the_settings(settings_of):
    settings = settings_of(GOOD + f"credentials: {{sops_mainnet: {HOOK}}}\n")
    for text in (repr(settings), str(settings), repr(settings.config), f"{settings.config}"):
        assert "SECRET" not in text
        assert "'sops_mainnet': …" in text


ADDRESS = "ws://user:hidden@host/ws?token=hidden"


@pytest.mark.parametrize(
    "keys",
    [
        f"ws_url: '{ADDRESS.replace('ws://', 'http://')}'",
        f"ws_url: '{ADDRESS.replace('ws://', '')}'",
        f"ws_url: '{ADDRESS.replace('hidden@', 'hid/hidden@')}'",
        f"ws_url: '{ADDRESS}', rest_url: 'https://user:hidden@api.binance.us?key=hidden'",
        f"ws_url: '{ADDRESS}', failover_urls: ['wss://u:hidden@stream.binance.com/ws?x=hidden']",
    ],
)
def test_what_is_wrong_with_an_address_is_told_without_its_secrets(settings_of, keys: str):
    with pytest.raises(ConfigError, match=r"…@(host|api\.binance\.us|stream)") as refused:
        settings_of(GOOD.replace("{stream", f"{{{keys}, stream"))
    assert "hidden" not in refused.value.one_line()


def test_a_warning_tells_an_address_without_its_secrets(settings_of):
    settings = settings_of(GOOD.replace("{stream", f"{{ws_url: '{ADDRESS}', stream"))
    assert settings.ws_url == ADDRESS
    assert "for ws://…@host/ws?token=…:" in settings.warnings[0]


@pytest.mark.parametrize(
    "given", ["https://hooks.slack.com/services/T/hidden", "tgram://1:hidden/1"]
)
def test_an_address_is_no_config(given: str):
    with pytest.raises(ConfigError, match="--config: an address, and no path") as refused:
        load.find("x", Path(given))
    assert "hidden" not in refused.value.one_line()


def test_a_list_whose_items_are_all_comments_is_empty(settings_of):
    settings = settings_of(GOOD + "alerts:\n  urls:\n  # - tgram://x/1\n")
    assert settings.config.alerts.urls == ()


@pytest.mark.parametrize("keys", ["symbol: '{}'", "timeframe: '{}'"])
def test_a_service_in_the_wrong_place_is_not_told(settings_of, keys: str):
    given = "tgram://123456:hidden/1"
    text = "binance: {stream: {symbol: btcusdt, timeframe: 1h}}\n"
    word = keys.partition(":")[0]
    text = text.replace(
        "symbol: btcusdt" if word == "symbol" else "timeframe: 1h", keys.format(given)
    )
    with pytest.raises(ConfigError) as refused:
        settings_of(text)
    assert "hidden" not in redacted(refused.value.one_line())
