"""A large plain file read by several processes at once, a part of it each.

A part is counted without knowledge of the others. Where each goes on after the one before, as in any
file in order, their sum is the whole; where one does not, nothing is known, and the file is to be read
by one process from its beginning.
"""

from __future__ import annotations

import marshal
import os
from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

from kline_ops.gaps.layout import Layout
from kline_ops.gaps.read import Source, open_source
from kline_ops.gaps.rows import RowDecoder
from kline_ops.gaps.survey import Survey

#: Bytes that are worth a process of their own.
_WORTH = 8 << 20


class _Child(NamedTuple):
    pid: int
    pipe: int


def is_worth(source: Source, decoder: RowDecoder) -> bool:
    """Whether a file is large enough, and such that it can be read from the middle."""
    return (
        source.kind == "plain"
        and source.size >= _WORTH
        and decoder.layout is not None
        and decoder.is_plain
    )


def survey_parts(
    source: Source, begun: RowDecoder, like: Survey, label: str, jobs: int
) -> Survey | None:
    """Counts all of a file; None where its parts are not in order, or a process failed.

    Args:
        source: as :func:`is_worth` has it.
        begun: has read its beginning.
        like: empty: what the parts are counted like.
        label: goes before all line numbers.
        jobs: how many processes, this one included.
    """
    layout = begun.layout
    if layout is None:
        return None
    places = [source.line_at(source.size * job // jobs) for job in range(jobs)]
    spans = [span for span in pairwise([*places, source.size]) if span[0] < span[1]]
    children = [_begin(source.path, layout, like, label, span) for span in spans[1:]]
    if (told := source.on_read) is not None:  # the others come as far meanwhile
        source.on_read = lambda size: told(size * len(spans))
    whole, decoder = _like(like), RowDecoder(source.path, values=like.values)
    _count(whole, decoder, label, source.part(*spans[0]))
    line, good = decoder.line, True
    for found in [
        _end(child, like) for child in children
    ]:  # all of them, whatever becomes of the first
        if found is None or not found[0].follows(whole):
            good = False
        elif good:
            survey, lines = found
            whole.absorb(survey, line=line)
            line += lines
    return whole if good else None


def _like(survey: Survey) -> Survey:
    return Survey(survey.interval, survey.window, values=survey.values)


def _count(survey: Survey, decoder: RowDecoder, label: str, blocks: Iterator[bytes]) -> None:
    for block in blocks:
        for rows in decoder.decode(block):
            survey.add(label, rows)


def _begin(path: str, layout: Layout, like: Survey, label: str, span: tuple[int, int]) -> _Child:
    reading, writing = os.pipe()
    pid = os.fork()
    if pid:
        os.close(writing)
        return _Child(pid, reading)
    try:
        os.close(reading)
        survey, decoder = _like(like), RowDecoder(path, values=like.values)
        decoder.resume(layout, 1)
        with open_source(path) as source, open(writing, "wb") as pipe:  # noqa: PTH123 - a descriptor
            _count(survey, decoder, label, source.part(*span))
            if not source.unchanged():
                os._exit(1)
            pipe.write(marshal.dumps([survey.state(), decoder.line - 1]))
        os._exit(0)
    finally:
        # Whatever happened: what belongs to the parent (its output, its locks) is not touched here.
        os._exit(1)


def _end(child: _Child, like: Survey) -> tuple[Survey, int] | None:
    with open(child.pipe, "rb") as pipe:  # noqa: PTH123 - a descriptor
        data = pipe.read()
    _, status = os.waitpid(child.pid, 0)
    if status:
        return None
    state, lines = marshal.loads(data)  # noqa: S302 - our own child's
    return _like(like).restore(state), lines
