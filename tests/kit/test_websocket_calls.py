"""The user's functions: on the loop or in a thread, in order, and harmless."""

from __future__ import annotations

import asyncio
import functools
import logging
import threading
from collections.abc import Awaitable

import pytest

from kline_ops.kit.websocket_calls import Callback, Lane, Question


class Awaited:
    async def __call__(self, number: int) -> str:
        return f"{threading.current_thread().name} {number}"


async def awaited(number: int) -> str:
    return f"{threading.current_thread().name} {number}"


def promised(number: int) -> Awaitable[str]:
    return awaited(number)


def plain(number: int) -> str:
    return f"{threading.current_thread().name} {number}"


@pytest.mark.parametrize(
    ("function", "where"),
    [
        (awaited, "MainThread"),
        (Awaited(), "MainThread"),
        (functools.partial(awaited), "MainThread"),
        (promised, "MainThread"),
        (plain, "mine"),
        (functools.partial(plain), "mine"),
    ],
)
def test_coroutine_functions_run_on_the_loop_and_plain_ones_in_a_thread(
    function: object, where: str
) -> None:
    async def main() -> object:
        callback = Callback(function, "mine")  # type: ignore[arg-type]
        answer = await callback(7)
        callback.close()
        return answer

    assert asyncio.run(main()) == f"{where} 7"


def test_calls_in_a_lane_are_made_in_order_beside_the_caller() -> None:
    seen: list[int] = []

    async def main() -> None:
        async def slow(number: int) -> None:
            await asyncio.sleep(0.01 / number)
            seen.append(number)

        callback, lane = Callback(slow, "slow"), Lane()
        for number in (1, 2, 3):
            lane.call(callback, number)
        assert seen == []
        await lane.close(1.0)
        lane.call(None)

    asyncio.run(main())
    assert seen == [1, 2, 3]


def test_where_too_many_calls_wait_the_oldest_are_left_out(
    caplog: pytest.LogCaptureFixture,
) -> None:
    seen: list[int] = []

    async def main() -> None:
        gate = asyncio.Event()

        async def slow(number: int) -> None:
            await gate.wait()
            seen.append(number)

        callback, lane = Callback(slow, "slow"), Lane()
        for number in range(150):
            lane.call(callback, number)
        gate.set()
        await lane.close(1.0)

    asyncio.run(main())
    assert seen == list(range(50, 150))
    assert [record.getMessage() for record in caplog.records] == [
        "slow takes too long: calls of it are left out"
    ]


def test_a_question_without_an_answer_is_none_and_is_not_asked_twice() -> None:
    asked = 0
    free = threading.Event()

    def hang() -> bool:
        nonlocal asked
        asked += 1
        free.wait(10)
        return True

    async def main() -> list[object]:
        callback = Callback(hang, "hang")
        question = Question(callback, patience=0.05)
        answers = [await question.ask(), await question.ask()]
        free.set()
        question._patience = 5.0
        answers.append(await question.ask())
        await question.close()
        callback.close()
        return answers

    assert asyncio.run(main()) == [None, None, True]
    assert asked == 1


def test_what_a_function_raises_is_logged_once_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    async def fail() -> None:
        raise ValueError("mine")

    async def main() -> None:
        callback = Callback(fail, "fail")
        for _ in range(3):
            assert await callback() is None

    with caplog.at_level(logging.ERROR):
        asyncio.run(main())
    assert len(caplog.records) == 1
