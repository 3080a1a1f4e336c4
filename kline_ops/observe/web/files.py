"""The files of the page, and the chart library from the package that brings it.

Read at a desk, a piece at a time: the library is megabytes, and is never in memory as a whole. What a
browser has already is not sent again.
"""

from __future__ import annotations

import importlib.util
import mimetypes
import os
import re
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from kline_ops.observe.web.answers import refusal
from kline_ops.observe.web.desk import BusyError, Desk

#: Where the page is.
FOLDER = Path(__file__).parent / "page"
#: The name under which the page asks for the chart library.
LIBRARY = "plotly.js"
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}(?:\.[A-Za-z0-9]{1,16}){1,2}")
_PIECE = 131_072
_TYPES = {
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".svg": "image/svg+xml",
    ".webmanifest": "application/manifest+json",
}


class Files:
    """Endpoints for the page and its files."""

    def __init__(self, desk: Desk, folder: Path = FOLDER) -> None:
        self._desk = desk
        self._folder = folder

    async def index(self, request: Request) -> Response:
        """The page itself."""
        return await self._answer(request, self._folder / "index.html")

    async def file(self, request: Request) -> Response:
        """One of its files, by ``name``."""
        name = request.path_params["name"]
        if name == LIBRARY:
            return await self._answer(request, None)
        # A plain name: nothing that leads out of the folder.
        if _NAME.fullmatch(name) is None:
            return refusal(404, "no such file")
        return await self._answer(request, self._folder / name)

    async def _answer(self, request: Request, path: Path | None) -> Response:
        try:
            found = await self._desk.ask(_found, path)
        except BusyError as error:
            return refusal(503, str(error), Retry_After="5")
        if found is None:
            if path is None:
                return refusal(404, "the chart library is not here", "pip install 'kline-ops[web]'")
            return refusal(404, "no such file")
        at, size, tag = found
        headers = {"etag": tag, "cache-control": "no-cache"}
        if tag in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        return _FileAnswer(self._desk, at, size, headers)


class _FileAnswer(Response):
    """A file, piece by piece."""

    def __init__(self, desk: Desk, path: Path, size: int, headers: dict[str, str]) -> None:
        kind = _TYPES.get(path.suffix) or mimetypes.guess_type(path.name)[0]
        told = {"content-type": kind or "application/octet-stream", "content-length": str(size)}
        super().__init__(headers=headers | told)
        self._desk, self._path, self._size = desk, path, size

    async def __call__(self, scope: Scope, _receive: Receive, send: Send) -> None:
        await send(
            {"type": "http.response.start", "status": 200, "headers": list(self.raw_headers)}
        )
        at, end = 0, 0 if scope["method"] == "HEAD" else self._size
        while at < end:
            try:
                piece = await self._desk.ask(_read, self._path, at, min(_PIECE, end - at))
            except (BusyError, OSError):
                piece = b""
            if not piece:
                return  # it can not be read on: the connection ends, and the browser sees it
            at += len(piece)
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b""})


def _found(path: Path | None) -> tuple[Path, int, str] | None:
    """Where it is, its size, and a tag that changes with it."""
    path = path or _library()
    try:
        told = None if path is None else path.stat()
    except OSError:
        return None
    if path is None or told is None or not path.is_file():
        return None
    return path, told.st_size, f'"{told.st_mtime_ns:x}-{told.st_size:x}"'


def _library() -> Path | None:
    """The script within plotly's package, which is not imported for it."""
    found = importlib.util.find_spec("plotly")
    places = found.submodule_search_locations if found is not None else None
    return Path(next(iter(places)), "package_data", "plotly.min.js") if places else None


def _read(path: Path, at: int, size: int) -> bytes:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.pread(fd, size, at)
    finally:
        os.close(fd)
