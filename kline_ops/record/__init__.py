"""Keeping data: which candle is owed, the candle file, and what REST fills in."""
