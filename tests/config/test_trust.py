"""SSL_CERT_FILE: what can not be used is told by name, not as a fault of the exchange's certificate."""

from __future__ import annotations

from pathlib import Path

import pytest

from kline_ops.config.trust import tls_context
from kline_ops.errors import ConfigError
from kline_ops.exchange import tls
from tests.support.machine import Machine


def test_a_good_file_and_none_at_all_are_trusted(tmp_path: Path) -> None:
    authority = tls.make_authority(tmp_path)
    trusted = tls_context({"SSL_CERT_FILE": str(authority.file)}).get_ca_certs()
    assert any("trustme" in str(entry["subject"]) for entry in trusted)
    tls_context({})
    tls_context({"SSL_CERT_FILE": ""})


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "no such file or directory"),
        ("", "holds no certificate"),
        ("hello\n", "holds no certificate"),
        ("-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n", "holds no certificate"),
    ],
)
def test_what_can_not_be_used_is_told_by_name(
    tmp_path: Path, content: str | None, words: str
) -> None:
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_text(content)
    with pytest.raises(ConfigError) as refused:
        tls_context({"SSL_CERT_FILE": str(path)})
    assert refused.value.one_line().startswith(f"SSL_CERT_FILE: {path}: {words}. Try: ")
    assert refused.value.exit_code == 2


def test_a_directory_is_no_file_of_certificates(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=f"SSL_CERT_FILE: {tmp_path}: "):
        tls_context({"SSL_CERT_FILE": str(tmp_path)})


@pytest.mark.parametrize(
    "arguments",
    [
        ["run", "far"],
        ["start", "far"],
        ["config", "check", "far"],
    ],
    ids=lambda arguments: arguments[0],
)
def test_no_command_begins_with_it(machine: Machine, arguments: list[str]) -> None:
    (machine.folder / "far.yml").write_text(
        "binance: {ws_url: 'wss://127.0.0.1:1/ws', stream: {symbol: btcusdt, timeframe: 1h}}\n"
    )
    before = sorted(machine.folder.rglob("*"))
    refused = machine.run(*arguments, "--config", "far.yml", SSL_CERT_FILE="/nowhere/ca.pem")
    assert refused.returncode == 2
    who = "error" if arguments[0] == "config" else "kline-ops"
    assert refused.stderr.splitlines()[0] == (
        f"{who}: SSL_CERT_FILE: /nowhere/ca.pem: no such file or directory."
        " Try: unset it to trust the system's certificates"
    )
    assert sorted(machine.folder.rglob("*")) == before


def test_a_restart_does_not_end_what_it_could_not_begin_again(machine: Machine) -> None:
    machine.run("start", "demo")
    pid = machine.status("demo")["pid"]
    (machine.folder / "demo.yml").write_text(
        f"data_dir: {machine.data('demo')}\n"
        "binance: {ws_url: 'wss://127.0.0.1:1/ws', stream: {symbol: btcusdt, timeframe: 1s}}\n"
    )
    refused = machine.run("restart", "demo", "--config", "demo.yml", SSL_CERT_FILE="/nowhere")
    assert refused.returncode == 2
    assert "SSL_CERT_FILE: /nowhere: " in refused.stderr
    assert machine.status("demo")["pid"] == pid


def test_a_session_without_tls_does_not_ask_for_it(machine: Machine) -> None:
    assert machine.run("config", "check", "demo", SSL_CERT_FILE="/nowhere").returncode == 0
