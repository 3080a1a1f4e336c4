"""``http``: what it may be, and what is told of it."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from kline_ops.config.settings import Examined, examine
from kline_ops.config.shown import shown

GOOD = {"binance": {"stream": {"symbol": "btcusdt", "timeframe": "1h"}}}
TOKEN = "tell-nobody-of-this"


def examined(folder: Path, environ: dict[str, str] | None = None, **http: object) -> Examined:
    path = folder / "x.yml"
    path.write_text(yaml.safe_dump({**GOOD, "http": http}))
    return examine("x", path, environ or {})


@pytest.mark.parametrize(
    ("http", "told"),
    [
        ({"port": 0}, "http.port: Expected `int` >= 1"),
        ({"port": 65_536}, "http.port: Expected `int` <= 65535"),
        ({"port": "web"}, "http.port: Expected"),
        ({"host": "example.com"}, "http.host: 'example.com' is no IP address"),
        ({"host": ""}, "http.host: '' is no IP address"),
        ({"host": "fe80::1%eth0"}, "is no IP address"),
        ({"host": "127.0.0.1:80"}, "is no IP address"),
        ({"token": "short"}, "http.token: no token: 8 or more"),
        ({"token": "with a space"}, "http.token: no token"),
        ({"token": "ümlaut-ümlaut"}, "http.token: no token"),
        ({"token": 12345678}, "http.token: Expected `str`"),
        ({"prot": 8080}, "http.prot: unknown key"),
    ],
)
def test_what_can_not_be_is_said_in_a_line(
    tmp_path: Path, http: dict[str, object], told: str
) -> None:
    found = examined(tmp_path, **http)
    (problem,) = found.problems
    assert told in problem.one_line()
    for secret in ("short", "with a space", "ümlaut"):
        assert secret not in problem.one_line()


def test_without_a_port_it_is_off(tmp_path: Path) -> None:
    settings = examined(tmp_path).session
    assert settings is not None
    http = settings.config.http
    assert (http.host, http.port, http.token) == ("127.0.0.1", None, None)
    assert not [line for line in settings.warnings if "http" in line]


def test_a_token_in_the_environment_is_text_whatever_it_looks_like(tmp_path: Path) -> None:
    for token in ("12345678", "{0123456", "1e99999999"):
        settings = examined(tmp_path, {"KLINE_OPS__HTTP__TOKEN": token}).session
        assert settings is not None
        assert settings.config.http.token is not None
        assert settings.config.http.token.reveal() == token
    settings = examined(tmp_path, {"KLINE_OPS__HTTP__TOKEN": ""}, token=TOKEN).session
    assert settings is not None
    assert settings.config.http.token is None


def test_the_environment_overrides_it(tmp_path: Path) -> None:
    environ = {"KLINE_OPS__HTTP__PORT": "8081", "KLINE_OPS__HTTP__TOKEN": TOKEN}
    settings = examined(tmp_path, environ, port=8080).session
    assert settings is not None
    http = settings.config.http
    assert http.port == 8081
    assert http.token is not None
    assert http.token.reveal() == TOKEN


@pytest.mark.parametrize(
    ("http", "warned"),
    [
        ({"host": "0.0.0.0", "port": 8080}, True),
        ({"host": "::", "port": 8080}, True),
        ({"host": "192.0.2.7", "port": 8080}, True),
        ({"host": "0.0.0.0", "port": 8080, "token": TOKEN}, False),
        ({"host": "0.0.0.0"}, False),
        ({"host": "127.0.0.2", "port": 8080}, False),
        ({"host": "::1", "port": 8080}, False),
        ({"host": "localhost", "port": 8080}, False),
    ],
)
def test_whoever_opens_it_to_all_is_warned(
    tmp_path: Path, http: dict[str, object], warned: bool
) -> None:
    warnings = examined(tmp_path, **http).warnings
    assert any("open to whoever reaches this machine" in line for line in warnings) is warned


def test_the_token_is_shown_nowhere(tmp_path: Path) -> None:
    found = examined(tmp_path, port=8080, token=TOKEN)
    assert found.session is not None
    lines = "\n".join(shown(found.loaded, found.session))
    assert TOKEN not in lines + repr(found)
    assert yaml.safe_load(lines)["http"] == {"host": "127.0.0.1", "port": 8080, "token": "…"}
    # It stands in clear text: it belongs into a file that sops encrypts.
    assert any("http.token" in line for line in found.warnings)
