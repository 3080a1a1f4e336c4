"""Fixtures that several rooms share."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.machine import Machine


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    """A home, a registry and a tmux server for this test alone."""
    made = Machine(tmp_path, f"kline-test-{os.getpid()}-{tmp_path.name[-12:]}")
    try:
        yield made
    finally:
        made.close()
