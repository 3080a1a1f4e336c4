"""The embedded exchange: Binance spot's protocol on loopback, with a known truth and faults."""
