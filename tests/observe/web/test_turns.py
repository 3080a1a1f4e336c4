"""Between two answers the loop looks at its sockets."""

from __future__ import annotations

import asyncio

from kline_ops.observe.web.turns import Turns


def test_each_has_a_turn_of_the_loop_of_its_own_and_in_order() -> None:
    async def main() -> None:
        turns, told = Turns(), []
        turn = 0

        async def answer(number: int) -> None:
            await turns.mine()
            told.append((number, turn))

        asking = [asyncio.create_task(answer(number)) for number in range(20)]
        while not all(task.done() for task in asking):
            await asyncio.sleep(0)
            turn += 1
        assert [number for number, _ in told] == list(range(20))
        assert len({when for _, when in told}) == 20
        assert turn < 60
        await asyncio.wait_for(turns.mine(), 1)

    asyncio.run(main())


def test_whoever_gives_up_holds_nobody_up() -> None:
    async def main() -> None:
        turns = Turns()
        first, second = (asyncio.create_task(turns.mine()) for _ in range(2))
        await asyncio.sleep(0)
        first.cancel()
        await asyncio.wait_for(second, 1)

    asyncio.run(main())
