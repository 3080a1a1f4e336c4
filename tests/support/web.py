"""Asks HTTP as a plain client does: bytes on a socket, in virtual time or in real time."""

from __future__ import annotations

import asyncio
import json
import socket
from dataclasses import dataclass
from typing import Any


def free_port(host: str = "127.0.0.1") -> int:
    """A port that nobody has at this moment."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as sock:
        sock.bind((host, 0))
        port: int = sock.getsockname()[1]
        return port


@dataclass(frozen=True)
class Answer:
    """What came back; names of headers in small letters."""

    code: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


async def ask(
    port: int, path: str, method: str = "GET", host: str = "127.0.0.1", **headers: str
) -> Answer:
    """One request on a connection of its own. ConnectionError where nobody listens."""
    reader, writer = await asyncio.open_connection(host, port)
    try:
        writer.write(request(path, method, connection="close", **headers))
        return answer(await reader.read())
    finally:
        writer.close()


def request(path: str, method: str = "GET", **headers: str) -> bytes:
    """The bytes; ``last_event_id="1"`` is the header ``last-event-id: 1``."""
    lines = [f"{method} {path} HTTP/1.1", "host: localhost"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def answer(raw: bytes) -> Answer:
    """What a server sent until it closed the connection."""
    head, _, body = raw.partition(b"\r\n\r\n")
    if not head:
        raise ConnectionError("no answer")
    first, *lines = head.decode().split("\r\n")
    headers = {}
    for line in lines:
        name, _, value = line.partition(": ")
        headers[name.lower()] = value
    if headers.get("transfer-encoding") == "chunked":
        body = b"".join(_chunks(body))
    return Answer(int(first.split()[1]), headers, body)


def _chunks(body: bytes) -> list[bytes]:
    chunks = []
    while body:
        size, _, rest = body.partition(b"\r\n")
        chunks.append(rest[: int(size, 16)])
        body = rest[int(size, 16) + 2 :]
    return chunks


class Listener:
    """A client of server-sent events; :meth:`next` waits for one of a kind."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self.code = 0

    @classmethod
    async def open(cls, port: int, path: str = "/api/events", **headers: str) -> Listener:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        listener = cls(reader, writer)
        writer.write(request(path, **headers))
        head = await reader.readuntil(b"\r\n\r\n")
        listener.code = int(head.split()[1])
        return listener

    async def event(self) -> dict[str, str] | None:
        """The next event (``event``, ``id``, ``data``); None at the end of all."""
        told: dict[str, str] = {}
        while line := await self._line():
            if line == "end":
                return None
            name, _, value = line.partition(": ")
            told[name] = value
        return told

    async def next(self, kind: str, within: float = 30.0) -> dict[str, str]:
        """The next one of this kind."""
        async with asyncio.timeout(within):
            while (told := await self.event()) is not None:
                if told.get("event") == kind:
                    return told
        raise AssertionError(f"the end came, and no {kind}")

    async def rest(self, within: float = 30.0) -> list[dict[str, str]]:
        """All until the end."""
        found = []
        async with asyncio.timeout(within):
            while (told := await self.event()) is not None:
                found.append(told)
        return found

    def close(self) -> None:
        self._writer.close()

    #: What has come of the body, without the chunks' sizes.
    _body = b""

    async def _line(self) -> str:
        while b"\n" not in self._body:
            try:
                size = int(await self._reader.readuntil(b"\r\n"), 16)
                piece = await self._reader.readexactly(size + 2)
            except (asyncio.IncompleteReadError, ConnectionError):
                return "end"
            if not size:
                return "end"
            self._body += piece[:-2]
        line, _, self._body = self._body.partition(b"\n")
        return line.decode()
