"""Write the dashboard for Grafana: python scripts/grafana_dashboard.py configs/grafana/kline-ops.json.

What it shows stands in ``grafana_panels.py``.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from grafana_panels import ROWS, Panel, of

#: Grafana's grid is 24 wide.
_WIDTH = 24
_SOURCE = {"type": "prometheus", "uid": "${datasource}"}


def dashboard() -> dict[str, Any]:
    """As Grafana provisions it."""
    panels: list[dict[str, Any]] = []
    top = 0
    for title, row in ROWS.items():
        panels.append(_row(len(panels) + 1, title, top))
        left, top, height = 0, top + 1, 0
        for panel in row:
            if left + panel.width > _WIDTH:
                left, top, height = 0, top + height, 0
            high = 5 if panel.kind == "stat" else 7
            grid = {"h": high, "w": panel.width, "x": left, "y": top}
            height = max(height, high)
            panels.append(_panel(len(panels) + 1, panel, grid))
            left += panel.width
        top += height
    return {
        "uid": "kline-ops",
        "title": "kline-ops",
        "description": "Candles, and whether any is missing.",
        "tags": ["kline-ops"],
        "schemaVersion": 39,
        "editable": True,
        "graphTooltip": 1,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "timezone": "utc",
        "templating": {"list": _variables()},
        "annotations": {"list": [_starts()]},
        "panels": panels,
    }


def _row(number: int, title: str, top: int) -> dict[str, Any]:
    grid = {"h": 1, "w": _WIDTH, "x": 0, "y": top}
    return {
        "id": number,
        "type": "row",
        "title": title,
        "collapsed": False,
        "gridPos": grid,
        "panels": [],
    }


def _panel(number: int, panel: Panel, grid: dict[str, int]) -> dict[str, Any]:
    steps = [{"value": value, "color": colour} for value, colour in panel.steps]
    defaults: dict[str, Any] = {
        "unit": panel.unit,
        "thresholds": {"mode": "absolute", "steps": steps},
    }
    if panel.kind != "timeseries":
        defaults["color"] = {"mode": "thresholds"}
    if panel.minimum is not None:
        defaults["min"] = panel.minimum
    if panel.words:
        words = {
            str(number): {"text": word, "color": colour, "index": number}
            for number, (word, colour) in enumerate(panel.words)
        }
        defaults["mappings"] = [{"type": "value", "options": words}]
    return {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "description": panel.help,
        "datasource": _SOURCE,
        "gridPos": grid,
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "options": _options(panel),
        "targets": [
            {
                "refId": chr(ord("A") + at),
                "datasource": _SOURCE,
                "expr": expr,
                "legendFormat": legend,
                "instant": panel.kind == "stat",
                "range": panel.kind != "stat",
            }
            for at, (expr, legend) in enumerate(panel.queries)
        ],
    }


def _options(panel: Panel) -> dict[str, Any]:
    match panel.kind:
        case "stat":
            reduced = {"calcs": ["lastNotNull"], "fields": "", "values": False}
            shown = {"colorMode": "background", "graphMode": "none", "textMode": "value_and_name"}
            return {"reduceOptions": reduced, **shown}
        case "state-timeline":
            return {"showValue": "auto", "mergeValues": True, "rowHeight": 0.8}
        case _:
            return {"tooltip": {"mode": "multi", "sort": "desc"}}


def _variables() -> list[dict[str, Any]]:
    query = "label_values(kline_ops_build_info, session)"
    return [
        {"type": "datasource", "name": "datasource", "label": "Prometheus", "query": "prometheus"},
        {
            "type": "query",
            "name": "session",
            "label": "Session",
            "datasource": _SOURCE,
            "query": {"query": query, "refId": "session"},
            "refresh": 2,
            "sort": 1,
            "multi": True,
            "includeAll": True,
            "allValue": ".+",
            "current": {"text": "All", "value": "$__all"},
        },
    ]


def _starts() -> dict[str, Any]:
    """A line where a recorder process began."""
    return {
        "name": "Recorder began",
        "datasource": _SOURCE,
        "enable": True,
        "hide": False,
        "iconColor": "blue",
        "expr": f"{of('start_time_seconds')} * 1000",
        "useValueForTime": True,
        "titleFormat": "{{session}} began",
    }


def text() -> str:
    """The file."""
    return json.dumps(dashboard(), indent=2) + "\n"


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(text(), encoding="utf-8")
