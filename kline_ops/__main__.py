"""``python -m kline_ops`` is ``kline-ops``."""

from kline_ops.cli import main

if __name__ == "__main__":
    main()
