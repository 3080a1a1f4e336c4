"""``config show`` shows everything but what is secret."""

from tests.support.machine import Machine

HOOK = "https://hooks.slack.com/services/T0/B0/SECRET"


def test_a_webhook_is_not_shown(machine: Machine) -> None:
    (machine.folder / "x.yml").write_text(
        "binance: {stream: {symbol: btcusdt, timeframe: 1h}}\n"
        f"credentials: {{sops_hb: '{HOOK}'}}\n"
    )
    given = {"KLINE_OPS__CREDENTIALS__SOPS_MAINNET": HOOK}
    for command in ("show", "check"):
        ran = machine.run("config", command, "x", "--config", "x.yml", **given)
        assert (ran.returncode, ran.stderr) == (0, "")
        assert "SECRET" not in ran.stdout
        assert ("sops_hb: …\n  sops_mainnet: …" in ran.stdout) == (command == "show")
    ascii_only = machine.run("config", "show", "x", "--config", "x.yml", PYTHONIOENCODING="ascii")
    assert "sops_hb: \\u2026" in ascii_only.stdout

    refused = machine.run("config", "show", "x", "--config", "x.yml",
                          KLINE_OPS__CREDENTIALS__SOPS_MAINNET="SECRET")  # fmt: skip
    assert refused.returncode == 2
    assert "KLINE_OPS__CREDENTIALS__SOPS_MAINNET" in refused.stderr
    assert "SECRET" not in refused.stderr
