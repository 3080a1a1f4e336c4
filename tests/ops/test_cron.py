"""The printed crontab lines under a real cron daemon, which sees no crontab but ours.

In a mount namespace of its own: crontabs of the machine and of its users are not touched.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from kline_ops.cli.known import describe_session
from kline_ops.clock import SystemClock
from kline_ops.config.settings import load_settings
from kline_ops.market.interval import parse
from kline_ops.market.timestamp import to_text
from kline_ops.watch.registry import remember
from tests.alerts.hook import Webhook
from tests.support.machine import Machine, until

pytestmark = [pytest.mark.long, pytest.mark.timeout(300)]

_PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
_WEEK = parse("1w")
_ISOLATED = """
mount --bind "$1/crontabs" /var/spool/cron/crontabs
mount --bind "$1/cron.d" /etc/cron.d
mount --bind "$1/crontab" /etc/crontab
mount -t tmpfs none /run
exec cron -f
"""


@pytest.fixture
def etc(tmp_path: Path) -> Path:
    """What stands in the place of the machine's crontabs."""
    if os.geteuid() != 0:
        pytest.skip("a cron daemon with crontabs of its own needs root")
    if shutil.which("cron", path=_PATH) is None:
        pytest.skip("there is no cron daemon here")
    if subprocess.run(["unshare", "-m", "true"], capture_output=True, check=False).returncode:
        pytest.skip("mount namespaces are not allowed here")
    made = tmp_path / "etc"
    (made / "crontabs").mkdir(parents=True)
    (made / "cron.d").mkdir()
    (made / "crontab").touch()
    return made


@pytest.fixture
def serve(etc: Path) -> Iterator[Callable[[], None]]:
    """Starts the daemon, which reads its crontabs once a minute."""
    daemons: list[subprocess.Popen[bytes]] = []

    def start() -> None:
        command = ["unshare", "-m", "--propagation", "private", "sh", "-ec", _ISOLATED, "sh", etc]
        daemons.append(subprocess.Popen(command, env={"PATH": _PATH}, cwd="/"))

    yield start
    for daemon in daemons:
        daemon.terminate()
        daemon.wait(10)


def prepare(machine: Machine, name: str, weeks: Sequence[int], url: str | None) -> Path:
    """A session that recorded these candles (by their distance from now), in folders with odd names."""
    folder = machine.folder / "100% it's ours" / name
    folder.mkdir(parents=True)
    config = folder / f"{name}.yml"
    config.write_text(
        "exchange: {embedded: true}\ndata_dir: data\n"
        "binance: {stream: {symbol: btcusdt, timeframe: 1w}}\n"
        + (f"credentials: {{sops_mainnet: '{url}'}}\n" if url else "")
    )
    settings = load_settings(name, config, {})
    settings.data_dir.mkdir()
    this_week = _WEEK.floor(SystemClock().wall_ms())
    rows = (f"{to_text(_WEEK.shift(this_week, -n))},1.0,2.0,0.5,1.5,10.0\n" for n in weeks)
    settings.csv.write_text("timestamp,open,high,low,close,volume\n" + "".join(rows))
    remember(describe_session(settings))
    return config


def commands(machine: Machine, name: str, config: Path) -> list[str]:
    """What the printed lines have cron run."""
    script = Path(sys.executable).with_name("kline-ops")
    program = [str(script)] if script.exists() else [sys.executable, "-m", "kline_ops"]
    printed = subprocess.run(
        [*program, "units", name, "--config", str(config), "--cron"],
        env=machine.environ, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    lines = [line for line in printed.splitlines() if not line.startswith("#")]
    return [line.split(" ", 1 if line.startswith("@") else 5)[-1] for line in lines]


def test_cron_runs_the_printed_lines(
    machine: Machine,
    etc: Path,
    serve: Callable[[], None],
    hook: Webhook,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", machine.environ["XDG_STATE_HOME"])
    holed = prepare(machine, "holed", (6, 5, 2, 1), hook.url)
    whole = prepare(machine, "whole", (6, 5, 4, 3, 2, 1), None)
    calls = dict(
        zip(
            ("holed", "holed-daily", "whole", "whole-daily"),
            commands(machine, "holed", holed)[2:] + commands(machine, "whole", whole)[2:],
            strict=True,
        )
    )
    lines = [
        f"* * * * * env -u HOME {call} >{etc}/{key}.out 2>&1; echo $? >{etc}/{key}.code\n"
        for key, call in calls.items()
    ]
    table = etc / "crontabs" / "root"
    table.write_text("".join(lines))
    table.chmod(0o600)
    serve()
    codes = [etc / f"{key}.code" for key in calls]
    until(lambda: all(code.exists() and code.read_text() for code in codes), 150)

    said = {key: (etc / f"{key}.out").read_text() for key in calls}
    ended = {key: int((etc / f"{key}.code").read_text()) for key in calls}
    assert ended == {"holed": 1, "holed-daily": 0, "whole": 0, "whole-daily": 0}, said
    assert re.search(r"\bmissing 2\b", said["holed"])
    assert said["whole"] == ""
    last = to_text(_WEEK.shift(_WEEK.floor(SystemClock().wall_ms()), -1))[:10]
    assert f"whole BTCUSDT 1w {last}: complete: 1 owed, 1 on disk" in said["whole-daily"]
    # The one that has a channel tells of each day itself: of what is good, nothing is said here.
    assert said["holed-daily"] == ""
    for name in ("holed", "whole"):
        assert (machine.folder / "100% it's ours" / name / "data" / "manifest.jsonl").exists()
    titles = set(hook.titles)
    assert len(titles) == 1, titles
    assert "holed" in titles.pop()


def test_the_session_is_started_at_boot(
    machine: Machine, etc: Path, serve: Callable[[], None]
) -> None:
    """The first start of the daemon after a boot; ``/run`` is empty then."""
    folder = machine.folder / "100% it's ours"
    folder.mkdir()
    config = folder / "demo.yml"
    config.write_text(
        "exchange: {embedded: true}\nbinance: {stream: {symbol: btcusdt, timeframe: 1s}}\n"
        f"ops: {{tmux_socket: {machine.socket}}}\n"
    )
    start, *_ = commands(machine, "demo", config)
    table = etc / "crontabs" / "root"
    table.write_text(f"@reboot env -u HOME {start} >{etc}/out 2>&1; echo $? >{etc}/code\n")
    table.chmod(0o600)
    serve()
    code = etc / "code"
    until(lambda: code.exists() and code.read_text(), 60)
    assert code.read_text() == "0\n", (etc / "out").read_text()
    assert machine.status("demo")["state"] == "RECORDING"
