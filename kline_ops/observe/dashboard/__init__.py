"""The dashboard in the pane: what is shown (``snapshot``), how (``view``), and the thread that draws it
(``screen``). It only looks: nothing of it can hold up a candle.
"""
