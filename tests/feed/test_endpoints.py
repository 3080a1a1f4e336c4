"""Which address is next: failover by proof of data, sticky, and slowly back."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from kline_ops import events
from kline_ops.feed.endpoints import BreakerOptions, Endpoints

A, B, C = "wss://a/ws", "wss://b/ws", "wss://c/ws"


def test_the_first_is_preferred_and_one_failure_leads_on_to_the_next() -> None:
    endpoints = Endpoints([A, B, C])
    assert endpoints.choose(0.0) == A
    endpoints.failed(A, 1.0, "refused")
    assert endpoints.choose(1.5) == B
    endpoints.failed(B, 2.0, "refused")
    assert endpoints.choose(2.5) == C
    endpoints.failed(C, 3.0, "refused")
    # All have failed once: the serving one, which is the preferred one, is tried again.
    assert endpoints.choose(3.5) == A


def test_what_brought_data_is_kept_to() -> None:
    endpoints = Endpoints([A, B])
    endpoints.failed(A, 0.0, "refused")
    assert endpoints.went_live(B, 1.0) == [events.EndpointChanged(old=A, new=B)]
    endpoints.lasted(B, 11.0)
    for now in (20.0, 3_000.0):
        assert endpoints.choose(now) == B
    assert endpoints.went_live(B, 3_001.0) == []


def test_it_goes_back_by_a_slow_probe() -> None:
    endpoints = Endpoints([A, B])
    endpoints.failed(A, 0.0, "refused")
    endpoints.went_live(B, 1.0)
    endpoints.lasted(B, 11.0)
    assert endpoints.better(599.0, {B}, 1) is None
    assert endpoints.better_at({B}, 1) == 600.0
    assert endpoints.better(600.0, {B}, 1) == A
    endpoints.began(A, 600.0)
    assert endpoints.better(700.0, {B}, 1) is None
    endpoints.failed(A, 601.0, "refused")
    assert endpoints.better_at({B}, 1) == 1_201.0
    assert endpoints.better(2_000.0, {A}, 1) is None


def test_a_breaker_opens_after_five_failures_and_closes_when_data_lasted() -> None:
    endpoints = Endpoints([A], BreakerOptions())
    told = [endpoints.failed(A, float(n), "refused") for n in range(6)]
    assert told == [[]] * 4 + [[events.BreakerOpened(endpoint=A, failures=5, reason="refused")], []]
    assert endpoints.all_open(6.0)
    # There is nothing else: it is tried all the same.
    assert endpoints.choose(6.0) == A
    assert endpoints.lasted(A, 30.0) == [events.BreakerClosed(endpoint=A)]
    assert not endpoints.all_open(30.0)


def test_while_all_are_open_the_one_that_failed_longest_ago_is_tried() -> None:
    endpoints = Endpoints([A, B], BreakerOptions(failures=1))
    endpoints.failed(B, 1.0, "x")
    endpoints.failed(A, 2.0, "x")
    assert endpoints.choose(3.0) == B
    endpoints.failed(B, 4.0, "x")
    assert endpoints.choose(5.0) == A


def test_a_switched_off_breaker_tells_nothing() -> None:
    endpoints = Endpoints([A], BreakerOptions(enabled=False, failures=1))
    assert endpoints.failed(A, 1.0, "x") == []
    assert not endpoints.all_open(1.0)


def test_a_host_that_refuses_for_good_is_left_alone_for_a_day() -> None:
    endpoints = Endpoints([A, B])
    endpoints.failed(A, 0.0, "HTTP 451", lasting=True)
    for n in range(4):
        endpoints.failed(B, float(n), "refused")
        assert endpoints.choose(n + 0.5) == B
    assert endpoints.better(80_000.0, {B}, 1) is None
    assert endpoints.better(90_000.0, {B}, 1) == A


def test_a_host_that_refused_is_looked_at_now_and_then_while_nothing_else_works() -> None:
    for breaker in (BreakerOptions(), BreakerOptions(enabled=False)):
        endpoints = Endpoints([A, B], breaker)
        endpoints.failed(A, 0.0, "HTTP 403", lasting=True)
        tried = []
        for second in range(10, 3_610, 10):
            url = endpoints.choose(float(second))
            endpoints.failed(url, second + 1.0, "refused", lasting=url == A)
            tried += [second] * (url == A)
        # Once a minute: it is all that is left.
        assert tried[:3] == [60, 130, 200]
        assert len(tried) == 51


def test_where_all_refuse_for_good_it_goes_on() -> None:
    endpoints = Endpoints([A, B])
    for url in (A, B):
        endpoints.failed(url, 0.0, "HTTP 403", lasting=True)
    assert endpoints.choose(1.0) in {A, B}


def test_two_connections_go_to_two_addresses() -> None:
    endpoints = Endpoints([A, B, C])
    first = endpoints.choose(0.0)
    assert endpoints.choose(0.0, {first}) == B
    # Better the same twice than one that is known to fail.
    endpoints = Endpoints([A, B], BreakerOptions(failures=1))
    endpoints.failed(B, 0.0, "x")
    assert endpoints.choose(1.0, {A}) == A


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["failed", "lasting", "lasted", "live", "choose"]),
            st.sampled_from([A, B, C]),
            st.floats(0, 300),
        ),
        max_size=80,
    )
)
def test_whatever_happens_there_is_always_an_address(steps: list[tuple[str, str, float]]) -> None:
    endpoints, now = Endpoints([A, B, C]), 0.0
    for kind, url, wait in steps:
        now += wait
        match kind:
            case "failed" | "lasting":
                endpoints.failed(url, now, "x", lasting=kind == "lasting")
            case "lasted":
                endpoints.lasted(url, now)
            case "live":
                endpoints.went_live(url, now)
        assert endpoints.choose(now) in {A, B, C}
        assert endpoints.serving in {A, B, C}
