"""The same rules, compiled: mypyc makes C of the typed modules, unchanged, at half the time of a seed.

A copy of the sources is compiled in ``.simulate/``, once for each state of them. Where that can not
be done (no compiler, no headers of Python) the simulation runs as it is.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
_HOME = ROOT / ".simulate"
#: What a seed spends its time in; the rest is imported as it is.
_MODULES = (
    *(
        f"kline_ops/feed/{name}"
        for name in ("plan", "silence", "link", "endpoints", "attempts", "happenings", "states")
    ),
    *(f"kline_ops/record/{name}" for name in ("pursuit", "sequence", "witness", "page")),
    *(f"kline_ops/market/{name}" for name in ("server_time", "interval", "span", "stream")),
    *(
        f"kline_ops/resilience/{name}"
        for name in ("circuit_breaker", "rate_limiter", "backoff", "time_trigger")
    ),
    *(
        f"tests/simulation/{name}"
        for name in ("world", "file", "venue", "feeding", "keeping", "month")
    ),
)


def compiled_folder() -> Path | None:
    """Where the compiled copy lies; None where there can be none, which is told."""
    folder = _HOME / _digest()
    if folder.exists():
        return folder
    shutil.rmtree(_HOME, ignore_errors=True)
    beside = _HOME / "new"
    for name in ("kline_ops", "tests", "configs"):
        shutil.copytree(ROOT / name, beside / name, ignore=shutil.ignore_patterns("__pycache__"))
    mypyc = Path(sys.executable).with_name("mypyc")
    try:
        print("compiling the rules …", file=sys.stderr, flush=True)
        subprocess.run(
            [mypyc, *(f"{module}.py" for module in _MODULES)],
            # Optimised more, it takes ten seconds longer and runs no faster.
            cwd=beside, env={**os.environ, "MYPYC_OPT_LEVEL": "1"},
            check=True, capture_output=True, text=True,
        )  # fmt: skip
    except (OSError, subprocess.CalledProcessError) as error:
        why = getattr(error, "stderr", "") or getattr(error, "stdout", "") or str(error)
        print(f"not compiled, at half the speed: {why.strip()[-300:]}", file=sys.stderr)
        return None
    beside.rename(folder)
    return folder


def run_compiled(arguments: list[str]) -> None:
    """Go on in the compiled copy, if there is one; returns where there is none."""
    folder = compiled_folder()
    if folder is not None:
        os.chdir(folder)
        os.environ["PYTHONPATH"] = str(folder)
        command = [sys.executable, "-m", "tests.simulation", "--interpreted", *arguments]
        os.execv(sys.executable, command)  # noqa: S606 - ourselves


def _digest() -> str:
    told = hashlib.sha256(sys.version.encode())
    for path in sorted([*ROOT.glob("kline_ops/**/*.py"), *ROOT.glob("tests/**/*.py")]):
        told.update(str(path.relative_to(ROOT)).encode() + path.read_bytes())
    return told.hexdigest()[:16]
