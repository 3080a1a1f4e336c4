"""Before and behind every answer: who may ask, what is counted, which headers, and that none fails."""

from __future__ import annotations

import hmac
import logging
from collections.abc import Callable, Collection
from ipaddress import ip_address

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kline_ops.observe.web.answers import refusal
from kline_ops.observe.web.turns import Turns
from kline_ops.secret import Secret

#: A probe has no token, and the page itself holds no data: it asks for the token.
OPEN = frozenset({"/healthz", "/"})
#: Where the files of the page are.
PAGE = "/page/"
_METHODS = frozenset({"GET", "HEAD"})
#: The page asks nobody but us. The chart library puts its styles into the page.
_POLICY = (
    "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:;"
    " object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
_HEADERS = {
    "content-security-policy": _POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
}

_log = logging.getLogger(__name__)


class Front:
    """Wraps the app.

    Args:
        app: answers what gets this far.
        token: what data is given for; None: to everybody.
        local: this machine alone is to ask. Then another name than its own is refused: a page from
            anywhere may have its name lead here ("DNS rebinding"), and the browser lets it read.
        paths: those that there are: what is asked for beside them is counted as one.
        count: told the path and the code of each answer.
    """

    def __init__(
        self,
        app: ASGIApp,
        token: Secret | None,
        paths: Collection[str],
        count: Callable[[str, int], None],
        *,
        local: bool = False,
    ) -> None:
        self._app = app
        self._is_local = local and token is None
        self._token = None if token is None else b"bearer " + token.reveal().encode()
        self._paths = frozenset(paths)
        self._count = count
        self._has_failed = False
        self._turns = Turns()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        code = 0

        async def answer(message: Message) -> None:
            nonlocal code
            if message["type"] == "http.response.start":
                code = message["status"]
                headers = MutableHeaders(raw=message.setdefault("headers", []))
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
                headers.setdefault("cache-control", "no-store")
                if _has_body(scope):
                    headers["connection"] = "close"  # nobody will read it
                self._count(self._counted(scope["path"]), code)
            await send(message)

        await self._turns.mine()
        try:
            await self._chosen(scope)(scope, receive, answer)
        except Exception:  # a boundary: an answer may fail, and tells nothing of how
            if not self._has_failed:
                _log.exception("an answer failed: %s", scope["path"])
            self._has_failed = True
            if code:
                raise  # it has begun: whoever asked sees the connection end
            await refusal(500, "the answer could not be made; see the session's log")(
                scope, receive, answer
            )

    def _chosen(self, scope: Scope) -> ASGIApp:
        path: str = scope["path"]
        if scope["method"] not in _METHODS:
            return refusal(405, "only GET and HEAD", Allow="GET, HEAD")
        if path in OPEN or path.startswith(PAGE):
            return self._app
        if not self._is_known(scope):
            return refusal(
                401,
                "a token is wanted",
                "Authorization: Bearer … as in http.token",
                WWW_Authenticate="Bearer",
            )
        if self._is_local and not _is_here(Headers(scope=scope).get("host", "")):
            return refusal(
                403, "this machine is asked by another name", "ask localhost, or set http.token"
            )
        return self._app

    def _is_known(self, scope: Scope) -> bool:
        if self._token is None:
            return True
        given = Headers(scope=scope).get("authorization", "")
        kind, _, token = given.partition(" ")
        # The whole is compared in any case: how long it takes tells nothing.
        return hmac.compare_digest(f"{kind.lower()} {token.strip()}".encode(), self._token)

    def _counted(self, path: str) -> str:
        if path.startswith(PAGE):
            return PAGE
        return path if path in self._paths else "other"


def _is_here(host: str) -> bool:
    """Is it an address, or ``localhost``? HTTP/1.0 may name none."""
    name = host.removeprefix("[").partition("]")[0] if "]" in host else host.partition(":")[0]
    if not name or name.lower() == "localhost":
        return True
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


def _has_body(scope: Scope) -> bool:
    headers = Headers(scope=scope)
    return headers.get("content-length", "0") != "0" or "transfer-encoding" in headers
