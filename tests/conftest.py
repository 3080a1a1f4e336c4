"""Fixtures that several rooms share."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.alerts.hook import Webhook
from tests.support.heard import Heard, listen
from tests.support.machine import Machine

# A busy machine is no failure: nothing here asserts how long an example takes.
settings.register_profile("busy", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy")


@pytest.fixture(autouse=True)
def _own_state(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test shares a registry or a budget with another, or with who runs it."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    """A home, a registry and a tmux server for this test alone."""
    made = Machine(tmp_path, f"kline-test-{os.getpid()}-{tmp_path.name[-12:]}")
    try:
        yield made
    finally:
        made.close()


@pytest.fixture
def hook() -> Iterator[Webhook]:
    """A server that takes what is posted to it, or does not."""
    made = Webhook()
    yield made
    made.close()


@pytest.fixture
def heard(monkeypatch: pytest.MonkeyPatch) -> Heard:
    """What people would be told, by every session of the test."""
    return listen(monkeypatch)


@pytest.fixture
def socket_folder() -> Iterator[Path]:
    """Where sockets may be: a path of theirs has at most 107 bytes (unix(7))."""
    with tempfile.TemporaryDirectory(prefix="ko-") as name:
        yield Path(name)
