"""Reads an exposition back, with the parsers of prometheus-client."""

from __future__ import annotations

from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as text


class Samples:
    """The samples of an exposition; names without ``kline_ops_``."""

    def __init__(self, body: str, *, is_openmetrics: bool = False) -> None:
        parse = openmetrics if is_openmetrics else text
        self.families = {family.name: family for family in parse(body)}
        self.all = [
            (sample.name.removeprefix("kline_ops_"), dict(sample.labels), sample.value)
            for family in self.families.values()
            for sample in family.samples
        ]

    def by(self, name: str, label: str) -> dict[str, float]:
        """The values of one metric by a label."""
        return {labels[label]: value for known, labels, value in self.all if known == name}

    def sum(self, name: str, **wanted: str) -> float:
        """All series of a metric that have these labels; there is at least one."""
        found = [
            value
            for known, labels, value in self.all
            if known == name and wanted.items() <= labels.items()
        ]
        assert found, (name, wanted)
        return sum(found)

    def has(self, name: str) -> bool:
        """Is anything told of this metric?"""
        return any(known == name for known, _, _ in self.all)
