"""What is missing in a candle file. Files only: no network, nothing on disk is changed."""

from kline_ops.gaps.find import analyze_gaps, report
from kline_ops.gaps.model import FileReport, Gap

__all__ = ["FileReport", "Gap", "analyze_gaps", "report"]
