"""The dashboard in the pane: how a snapshot is shown (``view``), and the thread that draws (``screen``).

It only looks: nothing of it can hold up a candle.
"""
