"""What Prometheus is given is right, by its own tools, and speaks of what there is."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest
import yaml

from kline_ops.observe.metrics.catalogue import METRICS, PROCESS, WATCHDOG, Kind
from tests.support.machine import ROOT
from tests.support.prometheus import CONFIGS, alert_rules, promtool

RULES = ("recording.rules.yml", "alerts.rules.yml")
TESTS = ("rules.test.yml", "rules-hours.test.yml")


def known_names() -> set[str]:
    """All that can be scraped of us, or is recorded by the rules."""
    names = set(PROCESS)
    for metric in (*METRICS, *WATCHDOG):
        ends = ("_bucket", "_sum", "_count") if metric.kind is Kind.HISTOGRAM else ("",)
        names |= {f"{metric.full_name}{end}" for end in ends}
    told = yaml.safe_load((CONFIGS / "recording.rules.yml").read_text())
    return names | {rule["record"] for group in told["groups"] for rule in group["rules"]}


def names_in(text: str) -> set[str]:
    """The metrics that a text speaks of."""
    return set(re.findall(r"\b(?:[a-z]+:)?(?:kline_ops|process)_\w+(?::\w+)?(?=[{\[)\s]|$)", text))


def test_promtool_finds_nothing() -> None:
    checked = promtool("check", "rules", "--lint-fatal", *RULES)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    checked = promtool("check", "config", "--lint-fatal", "prometheus.yml")
    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.long
@pytest.mark.parametrize("name", TESTS)
def test_the_rules_fire_when_they_must_and_not_before(name: str) -> None:
    tested = promtool("test", "rules", name)
    assert tested.returncode == 0, tested.stdout + tested.stderr


def test_each_alert_is_tested() -> None:
    alerts = {rule["alert"] for rule in alert_rules()}
    tested = set(
        re.findall(r"KlineOps\w+", "".join((CONFIGS / name).read_text() for name in TESTS))
    )
    assert tested == alerts


@pytest.mark.parametrize("name", [*RULES, *TESTS])
def test_each_metric_is_one_of_ours(name: str) -> None:
    text = (CONFIGS / name).read_text()
    expressions = "\n".join(line for line in text.splitlines() if "docs/runbook.md" not in line)
    found = names_in(expressions)
    assert len(found) > 3
    assert found <= known_names()


def test_each_alert_says_what_to_do() -> None:
    headings = set(re.findall(r"(?m)^### (\w+)$", (ROOT / "docs" / "runbook.md").read_text()))
    assert headings == {rule["alert"] for rule in alert_rules()}
    for rule in alert_rules():
        assert rule["labels"]["severity"] in {"critical", "warning"}
        told = rule["annotations"]
        assert set(told) == {"summary", "description", "runbook"}
        assert told["runbook"] == f"docs/runbook.md#{rule['alert'].lower()}"
        assert len(told["summary"]) < 120


def test_each_wait_has_a_reason() -> None:
    blocks = re.split(r"(?m)^      - alert: ", (CONFIGS / "alerts.rules.yml").read_text())
    for before, block in pairwise(blocks):
        reason = before.rstrip().rsplit("\n", 1)[-1].strip()
        assert reason.startswith("#"), block.split("\n")[0]
