"""Ranges of open times, against sets of numbers."""

from hypothesis import given
from hypothesis import strategies as st

from kline_ops.market.span import Span, common, joined, within, without

SPAN = st.tuples(st.integers(0, 30), st.integers(1, 10)).map(lambda t: Span(t[0], t[0] + t[1]))
SPANS = st.lists(SPAN, max_size=5)


def numbers(spans: list[Span]) -> list[int]:
    assert all(span.first < span.end for span in spans)
    return [number for span in spans for number in range(*span)]


@given(SPAN, SPAN)
def test_two_spans_overlap_where_they_share_a_candle(one: Span, other: Span) -> None:
    shared = set(range(*one)) & set(range(*other))
    assert one.overlaps(other) == other.overlaps(one) == bool(shared)


@given(SPANS, SPAN)
def test_what_is_within_and_what_is_without_make_up_the_whole(spans: list[Span], cut: Span) -> None:
    inside = set(range(*cut))
    assert numbers(within(spans, cut)) == [n for n in numbers(spans) if n in inside]
    assert numbers(without(spans, cut)) == [n for n in numbers(spans) if n not in inside]


def test_a_span_that_only_touches_does_not_overlap() -> None:
    assert not Span(0, 5).overlaps(Span(5, 9))
    assert without([Span(0, 5)], Span(5, 9)) == [Span(0, 5)]
    assert within([Span(0, 5)], Span(5, 9)) == []


@given(SPANS, SPANS)
def test_what_is_in_both_is_what_is_in_either_and_the_other(
    some: list[Span], others: list[Span]
) -> None:
    these, those = joined(some), joined(others)
    both = sorted(set(numbers(these)) & set(numbers(those)))
    assert numbers(list(common(these, those))) == both


def test_what_is_in_both_of_many_takes_one_look_at_each() -> None:
    looks = 0

    class Counted(list[Span]):
        def __getitem__(self, at: object) -> Span:  # type: ignore[override]
            nonlocal looks
            looks += 1
            return super().__getitem__(at)  # type: ignore[call-overload,no-any-return]

    many = Counted(Span(n * 2, n * 2 + 1) for n in range(3000))
    assert len(list(common(many, Counted(many)))) == 3000
    assert looks <= 4 * 3000
