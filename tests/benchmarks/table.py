"""Tables, for a terminal or for the README."""

from __future__ import annotations

from collections.abc import Sequence


def print_table(head: Sequence[str], rows: Sequence[Sequence[str]], *, markdown: bool) -> None:
    """The first and the last column to the left, figures to the right."""
    if markdown:
        lines = ["".join(f"| {cell} " if cell else "| " for cell in row) for row in (head, *rows)]
        print(*(f"{line}|" for line in (lines[0], "|---" * len(head), *lines[1:])), sep="\n")
    else:
        widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
        for first, *middle, last in (head, *rows):
            cells = [f"{cell:>{width}}" for cell, width in zip(middle, widths[1:-1], strict=True)]
            print("  ".join([f"{first:{widths[0]}}", *cells, last]).rstrip())
    print()
