"""``--notify``: one message by itself, to every channel of the stream."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from kline_ops.alerts import Level, Message
from kline_ops.cli.gap_digest import tell_digests
from kline_ops.cli.gap_notice import send
from kline_ops.clock import SystemClock
from kline_ops.errors import ConfigError
from kline_ops.market.interval import DAY_MS, HOUR_MS
from kline_ops.market.timestamp import to_ms, to_text
from tests.alerts.hook import Webhook
from tests.support.machine import Machine

MESSAGE = Message(Level.WARNING, "x: 2 missing", "03:00, 04:00", {"Owed": "24"})


@pytest.fixture
def hooks() -> Iterator[list[Webhook]]:
    made = [Webhook(), Webhook(), Webhook()]
    yield made
    for hook in made:
        hook.close()


def config(folder: Path, credentials: dict[str, str], *urls: str) -> Path:
    tree = {
        "binance": {"stream": {"symbol": "btcusdt", "timeframe": "1h"}},
        "credentials": credentials,
        "alerts": {"urls": list(urls)},
    }
    path = folder / "x.yml"
    path.write_text(yaml.safe_dump(tree))
    return path


def test_all_channels_of_the_stream_are_told(tmp_path: Path, hooks: list[Webhook]) -> None:
    stream, heartbeat, other = hooks
    path = config(tmp_path, {"sops_mainnet": stream.url, "sops_hb": heartbeat.url}, other.url)
    assert send("x", path, MESSAGE) == 0
    assert [len(hook.posted) for hook in hooks] == [1, 0, 1]
    assert stream.titles == ["x: 2 missing"]
    assert other.posted[0][1]["session"] == "x"
    assert abs(to_ms(other.posted[0][1]["ts"]) - SystemClock().wall_ms()) < 60_000


def test_one_that_fails_is_told_and_holds_up_no_other(
    tmp_path: Path, hooks: list[Webhook], capsys: pytest.CaptureFixture[str]
) -> None:
    bad, good, _ = hooks
    bad.answers = [(404, {}, b"no_service")]
    assert send("x", config(tmp_path, {"sops_mainnet": bad.url}, good.url), MESSAGE) == 1
    assert len(good.posted) == 1
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err == (
        "kline-ops: the message was not delivered: 127.0.0.1 answered 404 (no_service)\n"
    )


def test_another_one_stands_in(tmp_path: Path, hooks: list[Webhook]) -> None:
    heartbeat = hooks[0]
    assert send("x", config(tmp_path, {"sops_hb": heartbeat.url}), MESSAGE) == 0
    assert len(heartbeat.posted) == 1


def test_nobody_is_to_be_told(tmp_path: Path) -> None:
    path = config(tmp_path, {"sops_testnet": "https://hooks.slack.com/services/T/B/SECRET"})
    with pytest.raises(ConfigError) as raised:
        send("x", path, MESSAGE)
    assert raised.value.one_line() == (
        "credentials.sops_mainnet: x has no alert channel. Try: a Slack webhook there"
    )


@pytest.mark.parametrize("missing", [0, 1])
@pytest.mark.parametrize("words", [["--until", "now"], ["--digest"]])
def test_a_finding_is_one_whoever_hears_of_it(
    machine: Machine, missing: int, words: list[str]
) -> None:
    """Nobody to tell it to is an error of its own where nothing is missing: from the first run on."""
    folder = machine.folder
    path = config(folder, {"sops_testnet": "https://hooks.slack.com/services/T/B/SECRET"})
    path.write_text(path.read_text() + f"data_dir: {folder}\n")
    candles(folder, hidden=missing)
    ran = machine.run("analyze-gaps", "x", "--config", "x.yml", "--quiet", "--notify", *words)
    assert ran.returncode == (1 if missing else 2)
    assert ran.stderr == (
        "kline-ops: credentials.sops_mainnet: x has no alert channel. Try: a Slack webhook there\n"
    )
    found = "missing 1," in ran.stdout or "1 missing" in ran.stdout
    assert found == bool(missing), ran.stdout


def candles(folder: Path, *, hidden: int) -> None:
    """Those of yesterday and today, less one of yesterday's."""
    now = SystemClock().wall_ms()
    today = now // DAY_MS * DAY_MS
    opens = range(today - DAY_MS, now // HOUR_MS * HOUR_MS, HOUR_MS)
    gap = today - 3 * HOUR_MS if hidden else None
    rows = [f"{to_text(at)},1,1,1,1,1\n" for at in opens if at != gap]
    head = "timestamp,open,high,low,close,volume\n"
    (folder / "candles_BTCUSDT_1h.csv").write_text(head + "".join(rows))


@pytest.mark.parametrize("missing", [0, 1])
def test_a_quiet_digest_is_told_where_something_is_wrong(
    tmp_path: Path, hooks: list[Webhook], missing: int
) -> None:
    """As from cron, where the session tells of each day itself."""
    path = config(tmp_path, {"sops_mainnet": hooks[0].url})
    path.write_text(path.read_text() + f"data_dir: {tmp_path}\n")
    today = SystemClock().wall_ms() // DAY_MS * DAY_MS
    opens = range(today - DAY_MS, today + HOUR_MS, HOUR_MS)
    hidden = today - HOUR_MS if missing else None
    rows = [f"{to_text(at)},1,1,1,1,1\n" for at in opens if at != hidden]
    head = "timestamp,open,high,low,close,volume\n"
    (tmp_path / "candles_BTCUSDT_1h.csv").write_text(head + "".join(rows))
    code = tell_digests(["x"], path, quiet=True, notify=True, as_json=False)
    assert (code, len(hooks[0].posted)) == (missing, missing)
