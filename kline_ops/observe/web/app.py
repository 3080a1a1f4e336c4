"""Which path answers what. See ``server.py`` for the bytes, ``access.py`` for who may ask.

What needs other rooms (candles, history, other sessions) comes from above, as endpoints by their path.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import msgspec
from starlette.exceptions import HTTPException
from starlette.middleware.exceptions import ExceptionMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, Router
from starlette.types import ASGIApp, Receive, Scope, Send

from kline_ops.observe.snapshot import Snapshot
from kline_ops.observe.web import health
from kline_ops.observe.web.access import PAGE, Front
from kline_ops.observe.web.answers import JsonAnswer, prefers_json, refusal
from kline_ops.observe.web.brief import Brief
from kline_ops.observe.web.desk import BusyError, Desk
from kline_ops.observe.web.files import Files
from kline_ops.observe.web.server import MOST_CLIENTS
from kline_ops.observe.web.sse import EventStream
from kline_ops.observe.web.stream import Stream, framed
from kline_ops.secret import Secret

#: Answers one request. What touches a disk goes through a :class:`~kline_ops.observe.web.desk.Desk`.
Endpoint = Callable[[Request], Awaitable[Response]]

#: Events that may be asked for at once.
_MOST_EVENTS = 1000


class Counting(Protocol):
    """Whoever counts: ``observe/metrics/exposition.py``."""

    def render(self, accept: str, snapshot: Snapshot) -> tuple[bytes, str]:
        """The body of /metrics, and its content type."""

    def count_request(self, path: str, code: int) -> None:
        """A request was answered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """What the answers are made of: calls that return at once, but for ``data`` and ``events_of``."""

    session: str
    #: Of this program.
    version: str
    snapshot: Callable[[], Snapshot]
    #: The object of /api/status, taken in the process.
    status: Callable[[], Mapping[str, Any]]
    counting: Counting
    stream: Stream
    #: The last events of a session, oldest first, each a line of JSON; reads its event log.
    events_of: Callable[[str, int], list[bytes]]
    #: Seconds, of a clock that goes on.
    now: Callable[[], float]
    #: ``/api/candles``, ``/api/history``, ``/api/sessions``: endpoints that may read files.
    data: Mapping[str, Endpoint] = field(default_factory=dict)


def new_app(sources: Sources, token: Secret | None, *, local: bool = False) -> ASGIApp:
    """All of it; ``token`` and ``local``: see :class:`~kline_ops.observe.web.access.Front`."""
    api = _Api(sources)
    endpoints: dict[str, Endpoint] = {
        "/": api.root,
        "/healthz": api.healthz,
        "/ready": api.ready,
        "/complete": api.complete,
        "/metrics": api.metrics,
        "/api/status": api.status,
        "/api/events": api.events,
        **sources.data,
    }
    api.paths = sorted(endpoints)
    routes = [Route(path, endpoint) for path, endpoint in endpoints.items()]
    routes.append(Route(f"{PAGE}{{name:path}}", api.files.file))
    # Not Starlette's own application: what it adds is a page for developers.
    router = Router(routes, redirect_slashes=False, default=_nothing)
    told = ExceptionMiddleware(router, {HTTPException: _told, BusyError: _busy})
    return Front(told, token, endpoints, sources.counting.count_request, local=local)


class _Api:
    """The endpoints that need no other room."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        self._snapshot = Brief(lambda _: sources.snapshot(), sources.now)
        self._metrics = Brief(self._rendered, sources.now)
        self._status = Brief(lambda _: msgspec.json.encode(sources.status()), sources.now)
        self._events = Desk("events")
        # Each answer reads one piece at a time: the line is as long as there are connections.
        self.files = Files(Desk("page", most=MOST_CLIENTS))
        self.paths: list[str] = []

    async def root(self, request: Request) -> Response:
        """The page; what there is, for a program."""
        if not prefers_json(request.headers.get("accept", "")):
            return await self.files.index(request)
        sources = self._sources
        told = {"service": "kline-ops", "version": sources.version, "session": sources.session}
        return JsonAnswer({**told, "endpoints": self.paths})

    async def healthz(self, _request: Request) -> Response:
        """Does the loop turn?"""
        return self._health(health.alive)

    async def ready(self, _request: Request) -> Response:
        """Does every stream deliver?"""
        return self._health(health.ready)

    async def complete(self, _request: Request) -> Response:
        """Is nothing missing?"""
        return self._health(health.complete)

    def _health(self, answer: Callable[[Snapshot], health.Answer]) -> Response:
        code, told = answer(self._snapshot.of(""))
        return JsonAnswer(told, code)

    def _rendered(self, accept: str) -> tuple[bytes, str]:
        return self._sources.counting.render(accept, self._snapshot.of(""))

    async def metrics(self, request: Request) -> Response:
        """For Prometheus."""
        body, kind = self._metrics.of(request.headers.get("accept", ""))
        return Response(body, headers={"content-type": kind})

    async def status(self, _request: Request) -> Response:
        """What ``kline-ops status --json`` tells, and whether it is stopping."""
        return JsonAnswer(self._status.of(""))

    async def events(self, request: Request) -> Response:
        """As they happen; to a program that wants JSON the last ones, once."""
        if prefers_json(request.headers.get("accept", "")):
            return await self._last_events(request)
        stream = self._sources.stream
        if not stream.has_room:
            return refusal(503, "nobody else can listen now", "try again soon", Retry_After="5")
        asked = request.query_params.get("since", "")
        since = request.headers.get("last-event-id") or asked
        return EventStream(stream, since, framed("status", self._status.of("")))

    async def _last_events(self, request: Request) -> Response:
        limit = number(request, "limit", 100, _MOST_EVENTS)
        session = request.query_params.get("session") or self._sources.session
        try:
            lines = await self._events.ask(self._sources.events_of, session, limit)
        except LookupError:
            return refusal(404, f"no session {session!r} is known here")
        except (BusyError, OSError):
            if session != self._sources.session:
                raise
            lines = self._sources.stream.last(limit)  # those of this process
        return JsonAnswer(b"[%s]" % b",".join(lines))


def number(request: Request, name: str, otherwise: int, most: int) -> int:
    """A number of the query, from 1 to ``most``.

    Raises:
        HTTPException: it is none (400).
    """
    text = request.query_params.get(name)
    if text is None:
        return otherwise
    if not (text.isascii() and text.isdecimal() and len(text) < 10 and 1 <= int(text) <= most):
        raise HTTPException(400, f"{name} is a number from 1 to {most}")
    return int(text)


async def _nothing(scope: Scope, receive: Receive, send: Send) -> None:
    await refusal(404, "nothing is here; see / for what is")(scope, receive, send)


async def _told(_request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    return refusal(error.status_code, error.detail)


async def _busy(_request: Request, error: Exception) -> Response:
    return refusal(503, str(error), Retry_After="5")
