"""Where the candle file of a test lies."""

from pathlib import Path

import pytest


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "candles_BTCUSDT_1h.csv"
