"""The units under a real systemd: a user's manager, in namespaces of its own.

For machines that systemd did not boot (containers): elsewhere there is a manager at work already.
"""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.machine import Machine

pytestmark = [pytest.mark.long, pytest.mark.timeout(180)]

_SYSTEMD = Path("/lib/systemd/systemd")
_CGROUPS = Path("/sys/fs/cgroup")
#: It has a manager of its own below an empty /run, and says what it sees as ``key: value``.
_SCRIPT = """
mount -t tmpfs none /run
mkdir -p /run/systemd/system; mkdir -m 700 /run/user-of-test
export XDG_RUNTIME_DIR=/run/user-of-test
/lib/systemd/systemd --user >/dev/null 2>&1 &
manager=$!
ctl() { systemctl --user --no-pager "$@" 2>/dev/null; }
show() { ctl show -P "$1" kline-ops-demo.service; }
until_so() { for _ in $(seq 300); do eval "$1" && return; sleep 0.1; done; echo "failed: $1"; }

until_so 'ctl list-units >/dev/null' >/dev/null
ctl list-units >/dev/null || { echo "no manager"; kill -9 $manager; exit; }
ctl start kline-ops-demo.service; echo "start: $?"
echo "active: $(show ActiveState)"
until_so '[ "$(show StatusText)" = RECORDING ]'
entry="$XDG_STATE_HOME/kline-ops/sessions/demo.json"
echo "unit: $(sed -n 's/.*"unit": "\\([^"]*\\)".*/\\1/p' "$entry")"
echo "watchdog: $(ctl is-active kline-ops-demo-watchdog.service)"
ctl restart kline-ops-demo.service; echo "restart: $?"
until_so '[ "$(show StatusText)" = RECORDING ]'

kill -STOP "$(pgrep -P "$(show MainPID)")"
until_so '[ "$(show NRestarts)" = 1 ]'
until_so '[ "$(show ActiveState)" = active ]'
until_so '[ "$(show StatusText)" = RECORDING ]'

ctl stop kline-ops-demo.service; echo "stop: $?"
echo "result: $(show Result)"
echo "watchdog after: $(ctl is-active kline-ops-demo-watchdog.service)"
ctl stop kline-ops-demo-watchdog.service; echo "its end: $?"
echo "left: $(pgrep -fc 'kline_ops (supervise|run|watchdog)')"
kill $manager; wait $manager
"""


@pytest.fixture
def _namespaces() -> Iterator[None]:
    if os.geteuid() or not _SYSTEMD.exists() or Path("/run/systemd/system").exists():
        pytest.skip("needs root, and systemd on a machine that it did not boot")
    if subprocess.run(["unshare", "-pmf", "true"], capture_output=True, check=False).returncode:
        pytest.skip("namespaces are not allowed here")
    before = set(_cgroups())
    yield
    for made in set(_cgroups()) - before:
        with contextlib.suppress(OSError):
            made.rmdir()


def _cgroups() -> list[Path]:
    """Where a manager puts itself, in every hierarchy."""
    return [*_CGROUPS.glob("*/init.scope"), *_CGROUPS.glob("*/app.slice")]


@pytest.mark.usefixtures("_namespaces")
def test_systemd_runs_watches_and_stops_it(machine: Machine) -> None:
    folder = machine.folder / "config" / "systemd" / "user"
    made = machine.run("units", "demo", "--systemd", "--user", "--output", str(folder))
    assert made.returncode == 0
    unit = folder / "kline-ops-demo.service"
    # The only change: it waits for two seconds instead of a minute.
    text, changes = re.subn("WatchdogSec=60", "WatchdogSec=2", unit.read_text())
    assert changes == 1
    unit.write_text(
        text.replace(
            "[Service]\n", f"[Service]\nEnvironment=PYTHONPATH={machine.environ['PYTHONPATH']}\n"
        )
    )
    ran = subprocess.run(
        ["unshare", "-pmf", "--mount-proc", "--kill-child", "sh", "-c", _SCRIPT],
        env=machine.environ, cwd="/", capture_output=True, text=True, check=False, timeout=150,
    )  # fmt: skip
    if ran.stdout.startswith("no manager"):
        pytest.skip("a manager of its own does not start here")
    assert ran.stdout.splitlines() == [
        "start: 0", "active: active", "unit: kline-ops-demo.service", "watchdog: active", "restart: 0",
        "stop: 0", "result: success", "watchdog after: active", "its end: 0", "left: 0",
    ], ran  # fmt: skip
