"""The listener lets go of whoever keeps it waiting, and of nobody else."""

from __future__ import annotations

import asyncio
import gc
import logging
import resource
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import h11
import pytest
from starlette.types import Receive, Scope, Send

from kline_ops.observe.web import server as web_server
from kline_ops.observe.web.server import IDLE_FOR, MOST_CLIENTS, READ_WITHIN, REQUEST_WITHIN, bound
from tests.support.virtual_time import VirtualClock, run_virtual
from tests.support.web import answer, ask, request

MEGABYTES = 8 << 20
HALF = b"GET /healthz HTTP/1.1\r\nhost: x\r\nx-more: "


class Stage:
    """A server with an app that answers ``/healthz``, ``/big`` and ``/endless``."""

    def __init__(self) -> None:
        self.dropped = 0
        self.asked: list[str] = []
        self.server = web_server.Server(self.app, self.drop)
        self.port = 0
        self._writers: list[asyncio.StreamWriter] = []

    def drop(self) -> None:
        self.dropped += 1

    async def app(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"]
        self.asked.append(path)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        if path == "/big":
            for _ in range(MEGABYTES >> 16):
                await send(
                    {"type": "http.response.body", "body": bytes(1 << 16), "more_body": True}
                )
        if path == "/endless":
            while (await receive())["type"] != "http.disconnect":
                pass
        await send({"type": "http.response.body", "body": b"fine"})

    async def connect(self, sent: bytes = b"") -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port, limit=1 << 12)
        writer.write(sent)
        self._writers.append(writer)
        return reader, writer

    def close(self) -> None:
        for writer in self._writers:
            writer.close()


def on_stage(script: Callable[[Stage], Awaitable[Any]], given: Stage | None = None) -> Stage:
    async def main(clock: VirtualClock) -> Stage:
        stage = given or Stage()
        sock = bound("127.0.0.1", 0)
        stage.port = sock.getsockname()[1]
        await stage.server.listen(sock)
        try:
            await script(stage)
        finally:
            await stage.server.close()
            stage.close()
        return stage

    return run_virtual(main)


async def ends_within(reader: asyncio.StreamReader, least: float, most: float) -> bytes:
    """What came until the other side ended it, which it did in that time."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    got = b""
    try:
        async with asyncio.timeout(most + 1):
            got = await reader.read()
    except ConnectionError:
        pass
    assert least <= loop.time() - began <= most, loop.time() - began
    return got


@pytest.mark.parametrize(
    "sent", [b"", b"G", HALF, b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\nhalf"]
)
def test_whoever_sends_no_whole_request_is_let_go(sent: bytes) -> None:
    async def script(stage: Stage) -> None:
        reader, _ = await stage.connect(sent)
        await ends_within(reader, REQUEST_WITHIN - 1, REQUEST_WITHIN + 2)

    assert on_stage(script).dropped == 0


def test_a_request_that_trickles_in_gets_no_more_time() -> None:
    async def script(stage: Stage) -> None:
        reader, writer = await stage.connect(HALF)
        ended = asyncio.ensure_future(ends_within(reader, REQUEST_WITHIN - 1, REQUEST_WITHIN + 2))
        while not ended.done():
            writer.write(b"x")
            await asyncio.sleep(0.5)
        await ended

    on_stage(script)


def test_whoever_does_not_read_is_let_go_and_costs_little() -> None:
    async def script(stage: Stage) -> None:
        _, writer = await stage.connect(request("/big"))
        writer.transport.pause_reading()
        await asyncio.sleep(READ_WITHIN / 2)
        (client,) = stage.server._room.clients
        assert client.transport.get_write_buffer_size() < 1 << 18
        await asyncio.sleep(READ_WITHIN)
        assert not stage.server._room.clients

    assert on_stage(script).dropped == 1


def test_a_small_answer_that_is_not_read_holds_no_connection() -> None:
    async def script(stage: Stage) -> None:
        _, writer = await stage.connect(request("/healthz"))
        writer.transport.pause_reading()
        await asyncio.sleep(IDLE_FOR + 3)
        assert not stage.server._room.clients

    on_stage(script)


def test_whoever_reads_slowly_gets_all_of_it() -> None:
    async def script(stage: Stage) -> None:
        reader, _ = await stage.connect(request("/big", connection="close"))
        size = 0
        while piece := await reader.read(1 << 12):
            size += len(piece)
            if size % (1 << 18) < 1 << 12:
                await asyncio.sleep(3)
        assert size > MEGABYTES

    assert on_stage(script).dropped == 0


def test_an_answer_may_take_its_time_and_a_connection_is_kept() -> None:
    async def script(stage: Stage) -> None:
        reader, writer = await stage.connect(request("/endless"))
        await asyncio.sleep(10 * IDLE_FOR)
        assert len(stage.server._room.clients) == 1
        writer.close()
        reader, writer = await stage.connect()
        for _ in range(3):
            writer.write(request("/healthz"))
            assert b"fine" in await reader.readuntil(b"fine\r\n0\r\n\r\n")
            await asyncio.sleep(IDLE_FOR / 2)
        await ends_within(reader, 0, IDLE_FOR + 2)

    on_stage(script)


def test_hundreds_of_hanging_clients_keep_no_probe_from_its_answer() -> None:
    async def script(stage: Stage) -> None:
        for number in range(3 * MOST_CLIENTS):
            await stage.connect(HALF)
            if number % 50 == 0:
                assert (await ask(stage.port, "/healthz")).code == 200
        assert (await ask(stage.port, "/healthz")).code == 200
        assert len(stage.server._room.clients) <= MOST_CLIENTS
        assert len(stage.server._state.connections) <= MOST_CLIENTS

    on_stage(script)


def test_where_all_are_being_served_nobody_is_sent_away_for_a_new_one() -> None:
    async def script(stage: Stage) -> None:
        for _ in range(MOST_CLIENTS):
            await stage.connect(request("/endless"))
        await asyncio.sleep(1)
        assert stage.asked.count("/endless") == MOST_CLIENTS
        with pytest.raises(ConnectionError):
            await ask(stage.port, "/healthz")
        assert len(stage.server._room.clients) == MOST_CLIENTS

    on_stage(script)


def test_whoever_does_not_read_makes_room_where_all_are_being_served() -> None:
    """They read a piece now and then, so that none of them is let go by itself."""

    async def script(stage: Stage) -> None:
        for _ in range(MOST_CLIENTS):
            _, writer = await stage.connect(request("/big"))
            writer.transport.pause_reading()
        await asyncio.sleep(1)
        assert all(client.is_served for client in stage.server._room.clients)
        assert (await ask(stage.port, "/healthz")).code == 200

    on_stage(script)


def test_most_files_are_left_to_the_recorder() -> None:
    """A flood of connections, where a process may have few files open."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    others = most = len([*Path("/proc/self/fd").iterdir()])

    async def script(stage: Stage) -> None:
        nonlocal most
        assert stage.server._room.most == 64
        flood: list[socket.socket] = []
        for _ in range(8):
            for _ in range(50):
                flood.append(socket.socket())
                flood[-1].setblocking(False)
                flood[-1].connect_ex(("127.0.0.1", stage.port))
            for _ in range(30):
                await asyncio.sleep(0)
                most = max(most, len([*Path("/proc/self/fd").iterdir()]) - len(flood))
        assert (await ask(stage.port, "/healthz")).code == 200
        for sock in flood:
            sock.close()

    resource.setrlimit(resource.RLIMIT_NOFILE, (256, before[1]))
    try:
        stage = Stage()
        resource.setrlimit(resource.RLIMIT_NOFILE, before)  # the clients are here, too
        on_stage(script, stage)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    assert 0 < most - others <= 64 + 24


def test_what_is_relied_on_in_uvicorn() -> None:
    """``_Client`` is made of its protocol: these are no promise of uvicorn's."""

    async def script(stage: Stage) -> None:
        reader, writer = await stage.connect(request("/endless"))
        await reader.readuntil(b"\r\n\r\n")
        (client,) = stage.server._room.clients
        assert (client.cycle.response_complete, client.cycle.disconnected) == (False, False)
        assert isinstance(client.cycle.message_event, asyncio.Event)
        assert client.conn.their_state is h11.DONE
        assert client.transport.get_extra_info("peername") == writer.get_extra_info("sockname")
        assert client.loop is asyncio.get_running_loop()
        assert (client.connections, client.tasks) == ({client}, stage.server._state.tasks)
        assert len(client.tasks) == 1

    on_stage(script)


@pytest.mark.parametrize("path", ["/endless", "/big"])
def test_garbage_within_an_answer_ends_it_and_is_no_news(
    path: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def script(stage: Stage) -> None:
        head = f"POST {path} HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"
        reader, writer = await stage.connect(head.encode())
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"no size\r\n")
        await ends_within(reader, 0, 1)
        assert (await ask(stage.port, "/healthz")).code == 200
        assert not stage.server._state.tasks

    with caplog.at_level(logging.DEBUG):
        on_stage(script)
    assert not [told for told in caplog.records if told.levelno >= logging.WARNING]


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET  \r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        bytes(9000),
    ],
)
def test_what_is_no_http_is_refused_and_no_news(
    sent: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async def script(stage: Stage) -> None:
        reader, _ = await stage.connect(sent)
        got = await ends_within(reader, 0, 1)
        assert answer(got).code == 400
        assert (await ask(stage.port, "/healthz")).code == 200

    with caplog.at_level(logging.DEBUG):
        on_stage(script)
    assert not [record for record in caplog.records if record.name.startswith("uvicorn")]


def test_an_endless_head_and_an_endless_body_end() -> None:
    async def script(stage: Stage) -> None:
        for first, more in (
            (HALF, b"y" * 4096),
            (
                b"POST /healthz HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n",
                b"4\r\nmore\r\n" * 512,
            ),
        ):
            reader, writer = await stage.connect(first)
            ended = asyncio.ensure_future(ends_within(reader, 0, REQUEST_WITHIN + 2))
            while not ended.done():
                writer.write(more)
                await asyncio.sleep(0.1)
            await ended

    on_stage(script)


def test_the_end_waits_for_nobody_for_long() -> None:
    async def script(stage: Stage) -> None:
        loop = asyncio.get_running_loop()
        _, writer = await stage.connect(request("/big"))
        writer.transport.pause_reading()
        await stage.connect(request("/endless"))
        await stage.connect(HALF)
        await asyncio.sleep(1)
        began = loop.time()
        await stage.server.close()
        assert loop.time() - began < 0.5
        assert not stage.server._room.clients
        with pytest.raises(ConnectionError):
            await ask(stage.port, "/healthz")

    on_stage(script)


def test_the_port_is_free_at_once_for_the_next_one() -> None:
    async def script(stage: Stage) -> None:
        await stage.connect(request("/endless"))
        await asyncio.sleep(1)
        with pytest.raises(OSError, match="in use"):
            bound("127.0.0.1", stage.port)
        stage.server.let_go()
        bound("127.0.0.1", stage.port).close()

    on_stage(script)


def test_nothing_is_left_open() -> None:
    before = len([*Path("/proc/self/fd").iterdir()])

    async def script(stage: Stage) -> None:
        for _ in range(20):
            await stage.connect(HALF)
        await asyncio.sleep(REQUEST_WITHIN + 3)

    on_stage(script)
    gc.collect()
    assert len([*Path("/proc/self/fd").iterdir()]) <= before


def test_an_address_that_is_not_ours_is_an_error() -> None:
    with pytest.raises(OSError, match="annot assign"):
        bound("192.0.2.1", 0)
    with bound("::1", 0) as sock:
        assert sock.family == socket.AF_INET6
