"""Messages between a connection and whoever takes them."""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import Callable, Hashable

Data = str | bytes


class EndOfMail(Exception):  # noqa: N818 - an end, and no error
    """It is closed, and all that was in it was taken."""


class Mailbox:
    """Bounded; whoever puts something in never waits: the oldest message gives way.

    Args:
        size: how many messages it holds.
        on_full: called when the first message is lost since it was empty.
        on_empty: called when all was taken after that, with how many were lost.
    """

    def __init__(
        self, size: int, on_full: Callable[[], None], on_empty: Callable[[int], None]
    ) -> None:
        self._messages: deque[Data] = deque()
        self._size = size
        self._on_full = on_full
        self._on_empty = on_empty
        self._lost = 0
        self._news = asyncio.Event()
        self._closed = False
        #: In all.
        self.dropped = 0

    def __len__(self) -> int:
        return len(self._messages)

    def put(self, message: Data) -> None:
        """Put a message in; the oldest one is lost where there is no room."""
        if self._closed:
            return
        self._messages.append(message)
        self._news.set()
        if len(self._messages) > self._size:
            self._messages.popleft()
            self.dropped += 1
            self._lost += 1
            if self._lost == 1:
                self._on_full()

    async def get(self) -> Data:
        """The oldest message, as soon as there is one.

        Raises:
            EndOfMail: there will be none.
        """
        while not self._messages:
            if self._closed:
                raise EndOfMail
            self._news.clear()
            await self._news.wait()
        message = self._messages.popleft()
        if self._lost and not self._messages:
            lost, self._lost = self._lost, 0
            self._on_empty(lost)
        return message

    def open(self) -> None:
        """Take messages in (again)."""
        self._closed = False

    def close(self) -> None:
        """Take nothing more in; what is there can still be taken out."""
        self._closed = True
        self._news.set()


class Seen:
    """The keys of what came lately; the oldest are forgotten."""

    def __init__(self, size: int = 10_000) -> None:
        self._keys: OrderedDict[Hashable, None] = OrderedDict()
        self._size = size

    def is_new(self, key: Hashable) -> bool:
        """Remember the key; False where it is known already.

        Raises:
            TypeError: it can not be hashed.
        """
        if key in self._keys:
            return False
        self._keys[key] = None
        if len(self._keys) > self._size:
            self._keys.popitem(last=False)
        return True
