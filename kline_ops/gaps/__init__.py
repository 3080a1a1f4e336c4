"""What is missing in candle files, whose it is and why. Nothing that was recorded is changed."""

from kline_ops.gaps.find import analyze_gaps, report
from kline_ops.gaps.model import FileReport, Finding, Gap

__all__ = ["FileReport", "Finding", "Gap", "analyze_gaps", "report"]
