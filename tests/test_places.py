"""Where things are, for who has no HOME: a job of cron, a service."""

from __future__ import annotations

import os
import pwd
import subprocess
import sys
from pathlib import Path


def test_without_home_it_is_that_of_the_user() -> None:
    script = (
        "from kline_ops.places import machine_folder\n"
        "from kline_ops.watch.registry import folder\n"
        "from kline_ops.config.load import _user_configs\n"
        "print(machine_folder(), folder(), _user_configs())\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", script],
        env={"PYTHONPATH": str(Path(__file__).parents[1])}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    home = Path(pwd.getpwuid(os.getuid()).pw_dir)
    state = home / ".local" / "state" / "kline-ops"
    assert ran.stdout.split() == [
        str(state), str(state / "sessions"), str(home / ".config" / "kline-ops"),
    ]  # fmt: skip
