"""Messages that wait: bounded, in order, the oldest give way."""

from __future__ import annotations

import asyncio

import pytest

from kline_ops.kit.websocket_mailbox import EndOfMail, Mailbox, Seen


def test_the_oldest_give_way_and_each_time_is_told_once() -> None:
    told: list[object] = []
    box = Mailbox(2, lambda: told.append("full"), told.append)

    async def main() -> list[object]:
        for message in "abcd":
            box.put(message)
        got: list[object] = [await box.get()]
        box.put("e")
        box.put("f")
        got += [await box.get(), await box.get()]
        assert told == ["full", 3]
        for message in "ghi":
            box.put(message)
        return [*got, len(box), box.dropped]

    assert asyncio.run(main()) == ["c", "e", "f", 2, 4]
    assert told == ["full", 3, "full"]


def test_closed_it_gives_out_what_is_left_and_then_ends() -> None:
    async def main() -> None:
        box = Mailbox(2, lambda: None, lambda _lost: None)
        waiting = [asyncio.ensure_future(box.get()) for _ in range(3)]
        await asyncio.sleep(0)
        box.put("a")
        assert await waiting[0] == "a"
        box.put("b")
        box.close()
        box.put("c")
        assert await waiting[1] == "b"
        for _ in range(2):
            with pytest.raises(EndOfMail):
                await box.get()
        with pytest.raises(EndOfMail):
            await waiting[2]

    asyncio.run(main())


def test_what_was_seen_is_known_until_much_else_has_come() -> None:
    seen = Seen(size=3)
    assert [seen.is_new(key) for key in (1, 1, 2, 3, 1, 4, 1, 4)] == [
        True, False, True, True, False, True, True, False,
    ]  # fmt: skip
    with pytest.raises(TypeError):
        seen.is_new([])  # type: ignore[arg-type]
