"""Real servers that messages are posted to: they answer, refuse, hold a request, and babble."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

SECRET = "T0SECRET/B0SECRET/x0SECRETx"

#: Status, headers, body.
Said = tuple[int, dict[str, str], bytes]
TAKEN: Said = (200, {}, b"ok")


class Webhook:
    """What was posted, and how each post is answered, in order; the last answer is repeated."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.posted: list[tuple[str, dict[str, Any]]] = []
        #: Paths that were asked by GET.
        self.asked: list[str] = []
        self.answers: list[Said] = [TAKEN]
        #: Cleared: a request is held until it is set again.
        self.open = threading.Event()
        self.open.set()
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.server.daemon_threads = True
        if tls is not None:
            self.server.socket = tls.wrap_socket(self.server.socket, server_side=True)
        self._thread = threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()
        self.url = url(self.server.server_port)
        if tls is not None:
            self.url = self.url.replace("http://", "https://")

    @property
    def titles(self) -> list[str]:
        """What Slack was told, without the marks."""
        return [payload["text"].partition(" ")[2] for _, payload in self.posted]

    def close(self) -> None:
        self.open.set()
        self.server.shutdown()
        self.server.server_close()
        self._thread.join()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        hook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                hook.posted.append((self.path, json.loads(body)))
                self._answer()

            def do_GET(self) -> None:
                hook.asked.append(self.path)
                self._answer()

            def _answer(self) -> None:
                status, headers, answer = hook.answers[0]
                if len(hook.answers) > 1:
                    del hook.answers[0]
                hook.open.wait(20)
                # Who asked may have lost its patience.
                with contextlib.suppress(OSError):
                    self.send_response(status)
                    for name, value in headers.items():
                        self.send_header(name, value)
                    self.send_header("Content-Length", str(len(answer)))
                    self.end_headers()
                    self.wfile.write(answer)

            def log_message(self, *_: object) -> None:
                pass

        return Handler


def url(port: int) -> str:
    return f"http://127.0.0.1:{port}/services/{SECRET}"


@contextlib.contextmanager
def raw(answer: Callable[[socket.socket], None]) -> Iterator[str]:
    """A server that takes one connection and does with it what it likes; its address."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            with contextlib.suppress(OSError):
                connection, _ = server.accept()
                with connection:
                    answer(connection)

        threading.Thread(target=serve, daemon=True).start()
        yield url(server.getsockname()[1])
