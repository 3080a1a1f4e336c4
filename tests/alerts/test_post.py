"""One request at a time may hang; not one more each few minutes, for months."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator

import pytest

from kline_ops.alerts import post
from tests.support.machine import until


def hanging() -> int:
    return sum(thread.name == "alert" for thread in threading.enumerate())


class Babbler:
    """A server whose answer never ends: a byte of its head at a time."""

    def __init__(self) -> None:
        self.silent = threading.Event()
        self._server = socket.create_server(("127.0.0.1", 0))
        self._threads = [threading.Thread(target=self._serve, daemon=True)]
        self._threads[0].start()
        self.url = f"http://127.0.0.1:{self._server.getsockname()[1]}/x"

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._server.accept()
                self._threads.append(threading.Thread(target=self._talk, args=(connection,)))
                self._threads[-1].start()

    def _talk(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            connection.sendall(b"HTTP/1.1 200 OK\r\nX: ")
            while not self.silent.wait(0.02):
                connection.sendall(b"x")

    def close(self) -> None:
        self.silent.set()
        self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        for thread in self._threads:
            thread.join()


@pytest.fixture
def babbler() -> Iterator[Babbler]:
    made = Babbler()
    yield made
    made.close()


def test_a_host_that_babbles_for_ever_holds_a_few_threads_and_no_more(
    babbler: Babbler, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(post, "TIMEOUT", 0.2)
    answers = [post.request("GET", babbler.url) for _ in range(8)]
    assert hanging() == 3
    assert all(answer.retryable for answer in answers)
    assert answers[0].problem == "did not answer within 0.2 s"
    assert answers[-1].problem == "has not answered 3 requests yet"
    # Once they have ended it is asked again.
    babbler.silent.set()
    until(lambda: not hanging())
    assert "requests yet" not in post.request("GET", babbler.url).problem


def test_no_thread_is_to_be_had(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(_name: str) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(post, "Worker", refused)
    assert "too many threads" in post.request("GET", "http://127.0.0.1:9/x").problem


def test_the_systems_words_are_no_part_of_an_address() -> None:
    """Though an address may spell them."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    answer = post.request("POST", f"http://127.0.0.1:{port}/connection/refused", {})
    assert answer.problem == "can not be reached: connection refused"
