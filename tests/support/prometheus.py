"""A real Prometheus for a test: our own configuration, made quick; and what it finds."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.parse import quote
from urllib.request import urlopen

import pytest
import yaml

from tests.support.machine import ROOT, until
from tests.support.web import free_port

CONFIGS = ROOT / "configs" / "prometheus"
#: Seconds that stand for every `for:`. Scrapes and rules are a second apart.
FOR = 8
#: Seconds for something to show, on a busy machine.
PATIENCE = 90.0


def needed(program: str) -> str:
    """The path of a Debian package's program; without it the test is skipped."""
    found = shutil.which(program)
    if found is None:
        pytest.skip(f"{program} is not installed (Debian: prometheus, prometheus-node-exporter)")
    return found


def promtool(*arguments: str | Path, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run promtool in the folder of our files."""
    command = [needed("promtool"), *map(str, arguments)]
    return subprocess.run(
        command, cwd=CONFIGS, capture_output=True, text=True, timeout=100, check=False, **options
    )


def alert_rules() -> list[dict[str, Any]]:
    """All alerts that ship."""
    told = yaml.safe_load((CONFIGS / "alerts.rules.yml").read_text())
    return [rule for group in told["groups"] for rule in group["rules"]]


class Prometheus:
    """One that scrapes and judges each second."""

    def __init__(self, port: int) -> None:
        self.port = port

    def ask(self, path: str) -> Any:
        """The data of an API call; None while it does not answer."""
        try:
            with urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=10) as answer:
                return json.load(answer)["data"]
        except (URLError, ConnectionError):
            return None

    def query(self, expr: str) -> list[dict[str, Any]]:
        """The samples of an expression at this moment. A bad one raises (HTTP 400)."""
        told = self.ask(f"/api/v1/query?query={quote(expr)}")
        assert told is not None, expr
        samples: list[dict[str, Any]] = told["result"]
        return samples

    def value(self, expr: str) -> float:
        """The one number of an expression; 0 where there is none."""
        samples = self.query(expr)
        return float(samples[0]["value"][1]) if samples else 0.0

    def ups(self, job: str) -> list[float]:
        """Whether each target of a job answers."""
        return [float(one["value"][1]) for one in self.query(f'up{{job="{job}"}}')]

    def firing(self) -> set[str]:
        """The names of the alerts that fire now."""
        return self._names('ALERTS{alertstate="firing"}')

    def has_fired(self) -> set[str]:
        """The names of the alerts that fired at any time since it began."""
        return self._names('last_over_time(ALERTS{alertstate="firing"}[1h])')

    def _names(self, expr: str) -> set[str]:
        return {sample["metric"]["alertname"] for sample in self.query(expr)}

    def await_firing(self, *names: str) -> None:
        """Wait until these fire, among others."""
        until(lambda: set(names) <= self.firing(), PATIENCE)


@contextmanager
def prometheus(folder: Path, targets: Mapping[str, Mapping[str, int]]) -> Iterator[Prometheus]:
    """Started with what ships; ``targets``: the port of each session (or of "") by job."""
    config = yaml.safe_load((CONFIGS / "prometheus.yml").read_text())
    config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    for job in config["scrape_configs"]:
        job["static_configs"] = [
            {"targets": [f"127.0.0.1:{port}"], "labels": {"session": name} if name else {}}
            for name, port in targets.get(job["job_name"], {}).items()
        ]
    folder.mkdir()
    for name in config["rule_files"]:
        rules = yaml.safe_load((CONFIGS / name).read_text())
        for rule in (rule for group in rules["groups"] for rule in group["rules"]):
            if "for" in rule:
                rule["for"] = f"{FOR}s"
        (folder / name).write_text(yaml.safe_dump(rules))
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    port = free_port()
    command = [
        needed("prometheus"),
        f"--config.file={folder}/prometheus.yml",
        f"--storage.tsdb.path={folder}/data",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        made = Prometheus(port)
        until(lambda: made.ask("/api/v1/status/runtimeinfo"), PATIENCE)
        yield made
    finally:
        server.terminate()
        server.wait(30)
