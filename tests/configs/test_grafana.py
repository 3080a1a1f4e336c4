"""The dashboard is one that Grafana knows, and speaks of what there is."""

from __future__ import annotations

import json
import subprocess
import sys
from itertools import combinations
from typing import Any

import pytest
import yaml

from tests.configs.dashboard import FOLDER, dashboard, expressions, panels
from tests.configs.test_prometheus import known_names, names_in
from tests.support.machine import ROOT

#: Of an annotation, these belong to the Prometheus data source: the schema leaves them open.
OF_THE_SOURCE = {"useValueForTime", "titleFormat"}


def test_it_is_what_the_script_writes(tmp_path: Any) -> None:
    written = tmp_path / "kline-ops.json"
    script = ROOT / "scripts" / "grafana_dashboard.py"
    subprocess.run([sys.executable, str(script), str(written)], check=True)
    assert written.read_text() == (FOLDER / "kline-ops.json").read_text()


def test_each_key_is_one_of_grafana_s() -> None:
    """Read and written again by Grafana's own library, which drops what its schema does not have."""
    pytest.importorskip("grafana_foundation_sdk")
    from grafana_foundation_sdk.cog.encoder import JSONEncoder
    from grafana_foundation_sdk.cog.plugins import register_default_plugins
    from grafana_foundation_sdk.models.dashboard import Dashboard

    register_default_plugins()
    again = json.loads(JSONEncoder().encode(Dashboard.from_json(dashboard())))
    assert list(lost(dashboard(), again)) == []


def lost(before: Any, after: Any, path: str = "") -> list[str]:
    """The paths of what is not the same."""
    if isinstance(before, dict) and isinstance(after, dict):
        return [
            one
            for key, value in before.items()
            if key not in OF_THE_SOURCE
            for one in lost(value, after.get(key), f"{path}.{key}")
        ]
    if isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        pairs = zip(before, after, strict=True)
        return [one for at, pair in enumerate(pairs) for one in lost(*pair, f"{path}[{at}]")]
    return [] if before == after else [path]


def test_each_metric_is_one_of_ours() -> None:
    for title, expr in expressions(session="live", rate_interval="1m"):
        found = names_in(expr)
        assert found or "ALERTS" in expr, title
        assert found <= known_names(), title


def test_each_panel_has_a_name_and_a_place_of_its_own() -> None:
    every = dashboard()["panels"]
    assert len({panel["id"] for panel in every}) == len(every)
    assert len({panel["title"] for panel in every}) == len(every)
    for one, other in combinations([panel["gridPos"] for panel in every], 2):
        beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        above = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        assert beside or above, (one, other)
    assert all(panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24 for panel in every)


def test_the_source_and_the_session_are_chosen_by_whoever_looks() -> None:
    assert [one["name"] for one in dashboard()["templating"]["list"]] == ["datasource", "session"]
    for panel in panels():
        sources = [panel["datasource"], *(one["datasource"] for one in panel["targets"])]
        assert all(source["uid"] == "${datasource}" for source in sources)
        assert all("$session" in one["expr"] or "ALERTS" in one["expr"] for one in panel["targets"])


def test_the_provisioning_names_a_source_and_a_folder() -> None:
    folder = FOLDER / "provisioning"
    (source,) = yaml.safe_load((folder / "datasources" / "kline-ops.yml").read_text())[
        "datasources"
    ]
    assert source["type"] == "prometheus"
    (provider,) = yaml.safe_load((folder / "dashboards" / "kline-ops.yml").read_text())["providers"]
    assert provider["type"] == "file"
    assert provider["options"]["path"]
