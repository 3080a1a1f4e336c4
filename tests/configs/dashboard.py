"""What the shipped dashboard asks of Prometheus."""

from __future__ import annotations

import json
from typing import Any

from tests.support.machine import ROOT

FOLDER = ROOT / "configs" / "grafana"


def dashboard() -> dict[str, Any]:
    told: dict[str, Any] = json.loads((FOLDER / "kline-ops.json").read_text())
    return told


def panels() -> list[dict[str, Any]]:
    """Those that show something."""
    return [panel for panel in dashboard()["panels"] if panel["type"] != "row"]


def expressions(session: str, rate_interval: str) -> list[tuple[str, str]]:
    """Title and query of each panel, as Grafana asks; that of the annotation, too."""
    found = [(panel["title"], one["expr"]) for panel in panels() for one in panel["targets"]]
    found += [(one["name"], one["expr"]) for one in dashboard()["annotations"]["list"]]
    return [
        (title, expr.replace("$session", session).replace("$__rate_interval", rate_interval))
        for title, expr in found
    ]
