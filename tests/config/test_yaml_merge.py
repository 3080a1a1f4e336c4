"""Merge keys: what is said once holds in several places, secrets and texts included."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from kline_ops.config.settings import examine, load_session
from kline_ops.errors import ConfigError

STREAM = "binance: {stream: {symbol: btcusdt, timeframe: 1h}}\n"


def write(folder: Path, text: str) -> Path:
    path = folder / "x.yml"
    path.write_text(STREAM + text)
    return path


def test_what_a_mapping_says_itself_stands_over_what_is_merged(tmp_path: Path) -> None:
    text = (
        "websocket:\n"
        "  presets:\n"
        "    a: &a {ping: {interval: 3, timeout: 2}, connection: {timeout: 9}}\n"
        "    b: &b {ping: {interval: 4}, reconnect: {delay: 1}}\n"
        "    c:\n"
        "      connection: {timeout: 7}\n"
        "      <<: [*a, *b]\n"
        "  preset: c\n"
    )
    keys = load_session("x", write(tmp_path, text), {}).config.websocket
    # Of two that are merged the first one counts, and nothing within is.
    assert (keys.ping.interval, keys.ping.timeout) == (3.0, 2.0)
    assert (keys.connection.timeout, keys.reconnect.delay) == (7.0, 1.0)


def test_what_env_holds_is_text_wherever_it_is_merged_from(tmp_path: Path) -> None:
    path = tmp_path / "x.yml"
    path.write_text(
        "ops:\n"
        "  sessions:\n"
        "    a: &a\n"
        "      command: a\n"
        "      env: &env {PIN: 0123, ON: yes}\n"
        "    x: {<<: *a, command: b}\n"
        "    y: {command: c, env: {<<: *env, ON: no}}\n"
    )
    sessions = load_session("x", path, {}).config.ops.sessions
    told = {name: {k: v.reveal() for k, v in one.env.items()} for name, one in sessions.items()}
    assert told["a"] == told["x"] == {"PIN": "0123", "ON": "yes"}
    assert told["y"] == {"PIN": "0123", "ON": "no"}
    assert sessions["x"].command == "b"


def test_a_key_that_is_merged_has_the_place_where_it_stands(tmp_path: Path) -> None:
    text = "record: &r\n  grace: x\nwebsocket:\n  <<: *r\n"
    told = [problem.one_line() for problem in examine("x", write(tmp_path, text), {}).problems]
    assert "record.grace: Expected `float`, got `str`" in told[0]
    assert told[1].startswith("websocket.grace: unknown key (in ")
    assert "x.yml line 3)" in told[1]


@pytest.mark.parametrize(
    "value", ["hidden", "[hidden]", "", "[{a: 1}, hidden]", "&x {<<: *x}", "&x [{<<: *x}]"]
)
def test_what_is_no_mapping_is_refused_without_its_value(tmp_path: Path, value: str) -> None:
    with pytest.raises(ConfigError, match=r"x\.yml: line 3: << without a mapping") as told:
        load_session("x", write(tmp_path, f"credentials:\n  <<: {value}\n"), {})
    assert "hidden" not in told.value.one_line()


def test_aliases_of_aliases_end(tmp_path: Path) -> None:
    """Nine of nine of nine, and so on: a hundred million keys where each is repeated."""
    lines = ["a: &a {k: 1}"]
    for above, name in zip("abcdefgh", "bcdefghi", strict=True):
        lines.append(f"{name}: &{name} {{<<: [{', '.join([f'*{above}'] * 9)}]}}")
    began = time.monotonic()
    problems = examine("x", write(tmp_path, "\n".join(lines) + "\n"), {}).problems
    assert len(problems) == 9
    assert time.monotonic() - began < 5
