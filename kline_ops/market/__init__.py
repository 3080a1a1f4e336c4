"""What an exchange says: intervals, candles, frames and REST answers. No I/O, no clock."""
