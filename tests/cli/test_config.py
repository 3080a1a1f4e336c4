"""``config check`` tells all that is wrong, ``config show`` where all comes from; and no secret."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from tests.support.machine import Machine
from tests.support.sops import AgeKey, needs_sops

HOOK = "https://hooks.slack.com/services/T0/B0/SECRET"
STREAM = "binance: {stream: {symbol: btcusdt, timeframe: 1h}}\n"


def write(machine: Machine, **files: str) -> Path:
    for name, text in files.items():
        path = machine.folder.joinpath(*name.split("__")).with_suffix(".yml")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o600)
    return machine.folder / "x.yml"


def origins(shown: str) -> dict[str, str]:
    """The comment of each value, by the last word of its key."""
    found = re.findall(r"^ *([a-z_A-Z]+):(?: .*?)? +# (.+)$", shown, re.MULTILINE)
    return dict(reversed(found))


def test_a_webhook_is_not_shown(machine: Machine) -> None:
    path = write(machine, x=f"{STREAM}credentials: {{sops_hb: '{HOOK}'}}\n")
    given = {"KLINE_OPS__CREDENTIALS__SOPS_MAINNET": HOOK}
    for command in ("show", "check"):
        ran = machine.run("config", command, "x", "--config", "x.yml", **given)
        assert ran.returncode == 0
        assert "SECRET" not in ran.stdout + ran.stderr
        lines = r"sops_hb: … +# x.yml:2\n  sops_mainnet: … +# environment: KLINE_OPS__CRED"
        assert bool(re.search(lines, ran.stdout)) == (command == "show")
    (warning,) = ran.stderr.splitlines()
    assert warning.startswith(f"warning: {path} holds secrets in clear text (credentials.sops_hb)")
    ascii_only = machine.run("config", "show", "x", "--config", "x.yml", PYTHONIOENCODING="ascii")
    assert "sops_hb: \\u2026" in ascii_only.stdout

    refused = machine.run("config", "show", "x", "--config", "x.yml",
                          KLINE_OPS__CREDENTIALS__SOPS_MAINNET="SECRET")  # fmt: skip
    assert refused.returncode == 2
    assert "KLINE_OPS__CREDENTIALS__SOPS_MAINNET" in refused.stderr
    assert "SECRET" not in refused.stderr


def test_show_is_yaml_and_says_where_each_value_comes_from(machine: Machine) -> None:
    write(
        machine,
        x="include: config/binance.yml\n"
        "websocket:\n"
        "  preset: monitoring\n"
        "  ping: {timeout: 3}\n"
        "record:\n"
        "  since: '2026-01-27'\n"
        "alerts:\n"
        "  urls: ['http://host/a?token=SECRET', 'http://host/b']\n",
        config__binance="binance:\n  environment: us\n  stream:\n    symbol: btcusdt\n"
        "    timeframe: 1h\n  reconnect: {modulo: 4h}\n",
    )
    ran = machine.run("config", "show", "x", "--config", "x.yml", KLINE_OPS__RECORD__GRACE="1")
    assert (ran.returncode, ran.stderr) == (0, "")
    told = origins(ran.stdout)
    assert {key: told[key] for key in ("environment", "symbol", "ws_url", "margin_seconds", "since",
                                       "grace", "max_delay", "fsync", "preset", "urls")} == {
        "environment": "config/binance.yml:2",
        "symbol": "config/binance.yml:4",
        "ws_url": "from binance.environment",
        "margin_seconds": "default",
        "since": "x.yml:6",
        "grace": "environment: KLINE_OPS__RECORD__GRACE",
        "max_delay": "websocket.preset monitoring",
        "fsync": "default",
        "preset": "x.yml:3",
        "urls": "x.yml:8",
    }  # fmt: skip
    tree = yaml.safe_load(ran.stdout)
    assert tree["websocket"]["ping"] == {"interval": 30.0, "timeout": 3.0}
    assert tree["binance"]["ws_url"] == "wss://stream.binance.us:9443/ws"
    assert tree["binance"]["reconnect"]["margin_seconds"] == 5.0
    assert tree["record"]["since"] == "2026-01-27"
    assert tree["alerts"]["urls"] == ["…", "…"]
    assert "presets" not in tree["websocket"]
    assert "SECRET" not in ran.stdout
    long = [line for line in ran.stdout.splitlines() if len(line) > 80]
    assert all("://" in line or "data_dir" in line or "tmux_socket" in line for line in long), long


def test_what_show_prints_is_a_config_again(machine: Machine) -> None:
    write(machine, x=f"{STREAM}data_dir: here\nwebsocket: {{preset: trading}}\n")
    shown = machine.run("config", "show", "x", "--config", "x.yml").stdout
    (machine.folder / "y.yml").write_text(shown)
    again = machine.run("config", "show", "x", "--config", "y.yml")
    assert again.returncode == 0, again.stderr
    assert yaml.safe_load(again.stdout) == yaml.safe_load(shown)


def test_what_show_prints_of_a_command_is_it_again(machine: Machine) -> None:
    """Of this one: beside others its folder would be one below."""
    write(machine, x="data_dir: here\nops:\n  sessions:\n    x:\n      command: sleep 1\n"
                     "      env: {'tgram://1:SECRET/1': a}\n    y: {command: sleep 2}\n")  # fmt: skip
    shown = machine.run("config", "show", "x", "--config", "x.yml").stdout
    assert "SECRET" not in shown
    (machine.folder / "y.yml").write_text(shown)
    again = machine.run("config", "show", "x", "--config", "y.yml")
    assert yaml.safe_load(again.stdout) == yaml.safe_load(shown)
    assert yaml.safe_load(shown)["data_dir"] == str(machine.folder / "here" / "x")


def test_check_tells_all_that_is_wrong_a_line_each(machine: Machine) -> None:
    path = write(
        machine,
        x="include: [none.yml, a.yml]\nwebsokcet: {}\ncredentials: {sops_hb: SECRET}\n",
        a="record: {grace: abc}\nbinance_credentials: {api_key: SECRET}\n",
    )
    ran = machine.run("config", "check", "x", "--config", "x.yml")
    assert (ran.returncode, ran.stdout) == (2, "")
    folder = machine.folder
    assert ran.stderr == (
        f"error: include: {folder}/none.yml does not exist (in {path} line 1). Try: check the path\n"
        f"error: record.grace: Expected `float`, got `str` (in {folder}/a.yml line 1)\n"
        f"error: websokcet: unknown key (in {path} line 2). Try: websocket\n"
        f"error: credentials.sops_hb: no http:// or https:// address (in {path} line 3)."
        " Try: a Slack webhook\n"
        f"note: binance_credentials is not needed: public streams (in {folder}/a.yml line 2)\n"
    )
    # Every other command tells the first one.
    ran = machine.run("config", "show", "x", "--config", "x.yml")
    assert ran.returncode == 2
    assert ran.stderr == (
        f"kline-ops: include: {folder}/none.yml does not exist (in {path} line 1)."
        " Try: check the path\n"
    )


def test_check_tells_of_files_that_others_may_read(machine: Machine) -> None:
    path = write(machine, x=f"{STREAM}binance_credentials: {{api_key: SECRET}}\n")
    path.chmod(0o644)
    ran = machine.run("config", "check", "x", "--config", "x.yml")
    assert ran.returncode == 0
    assert ran.stderr.splitlines() == [
        f"warning: {path} holds credentials, and others may read it (644): chmod 600 {path}",
        f"note: binance_credentials is not needed: public streams (in {path} line 2)",
    ]


@needs_sops
def test_an_encrypted_include(machine: Machine) -> None:
    path = write(machine, x=f"include: slack.sops.yml\n{STREAM}")
    key = AgeKey(machine.folder)
    slack = key.encrypt(machine.folder / "slack.sops.yml", f"credentials: {{sops_hb: '{HOOK}'}}\n")
    ran = machine.run("config", "check", "x", "--config", "x.yml", **key.environ)
    assert (ran.returncode, ran.stderr) == (0, "")
    ran = machine.run("config", "show", "x", "--config", "x.yml", **key.environ)
    assert re.search(r"sops_hb: … +# slack\.sops\.yml:2", ran.stdout)
    assert "SECRET" not in ran.stdout
    # Without the key; and what needs no secret asks for none.
    for command in (
        ["config", "check", "x"],
        ["config", "show", "x"],
        ["start", "x"],
        ["run", "x"],
    ):
        ran = machine.run(*command, "--config", "x.yml", SOPS_AGE_KEY_FILE="/none")
        assert ran.returncode == 2
        assert f"no key here decrypts {slack}" in ran.stderr
        assert len(ran.stderr.splitlines()) == 1
    assert "no session 'x'" in machine.run("status", "x", "--config", str(path)).stderr
    assert "no session 'x'" in machine.run("stop", "x", "--config", str(path)).stderr


def test_a_credential_of_nobody_is_refused_or_warned_of(machine: Machine) -> None:
    write(machine, x=f"{STREAM}credentials: {{sops_mainet: '{HOOK}'}}\n")
    ran = machine.run("config", "check", "x", "--config", "x.yml")
    assert ran.returncode == 2
    assert "credentials.sops_mainet: unknown key" in ran.stderr
    assert ran.stderr.endswith("Try: credentials.sops_mainnet\n")
    write(machine, x=f"{STREAM}credentials: {{sops_testnet: '{HOOK}'}}\n")
    ran = machine.run("config", "check", "x", "--config", "x.yml")
    assert ran.returncode == 0
    assert (
        "warning: credentials has sops_testnet and no sops_mainnet: nobody is told of sessions of"
        " environment mainnet\n"
    ) in ran.stderr


def test_a_command_in_a_file_that_records_has_no_effect(machine: Machine) -> None:
    sessions = "{other: {command: python main.py, backend: tmux, working_dir: .}}"
    path = write(machine, x=f"{STREAM}ops: {{sessions: {sessions}}}\n")
    ran = machine.run("config", "check", "x", "--config", "x.yml")
    assert ran.returncode == 0
    assert ran.stderr.splitlines() == [
        f"note: ops.sessions.other.{key} has no effect: a file with a binance section records"
        f" (in {path} line 2)"
        for key in ("backend", "command", "working_dir")
    ]


def test_an_address_without_quotes(machine: Machine) -> None:
    path = write(machine, x=f"{STREAM}alerts: {{urls: [http://h/x?token=SECRET, 'json://h']}}\n")
    ran = machine.run("config", "check", "x", "--config", "x.yml")
    assert ran.returncode == 2
    assert ran.stderr == (
        f"error: {path} line 2: an address without quotes. Try: put it in quotes\n"
    )


def test_only_a_key_that_is_near_is_suggested(machine: Machine) -> None:
    write(machine, x=f"{STREAM}bogus: 1\nrecord: {{gracee: 1, zzz: 1}}\n")
    ran = machine.run("config", "check", "x", "--config", "x.yml")
    first, second, third = ran.stderr.splitlines()
    assert "bogus: unknown key" in first
    assert "Try: one of data_dir, " in first
    assert second.endswith("Try: record.grace")
    assert third.endswith("Try: one of fsync, grace, rest_patience, backfill, since, columns")
