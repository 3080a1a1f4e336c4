"""Candles from REST: one page at a time, in a thread of its own.

Source: Binance spot API, "Kline/Candlestick data" (pages of at most 1000), "IP Limits" (``Retry-After``
with 429 and 418), "HTTP Return Codes" (403: the firewall), "Check server time".
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from kline_ops.budget import Budget
from kline_ops.causes import root_cause
from kline_ops.errors import VenueError
from kline_ops.market import rest
from kline_ops.market.candle import Candle
from kline_ops.market.span import Span
from kline_ops.market.stream import Stream
from kline_ops.secret import shown_url
from kline_ops.worker import Worker

if TYPE_CHECKING:
    import requests

T = TypeVar("T")

#: Seconds to connect, and between two reads.
_TIMEOUT = (5.0, 10.0)
#: Seconds for a whole answer.
TOTAL_TIMEOUT = 20.0
#: The exchange does not know this symbol ("Error codes", -1121).
_INVALID_SYMBOL = -1121
#: Seconds; a longer wait is a mistake of somebody's ("IP Limits": bans last up to 3 days).
_LONGEST_BAN = 3 * 86_400.0
#: Seconds to stay away after a refusal by status, where the exchange does not say: the rest of a
#: minute, the shortest ban, and a guess at what the firewall takes.
_STAY_AWAY = {429: 60.0, 418: 120.0, 403: 300.0}


class RefusalError(VenueError):
    """The exchange asked us to stay away, for ``seconds``; ``banned``: with more than a 429."""

    def __init__(
        self, message: str, *, seconds: float, banned: bool, retry_after: float | None
    ) -> None:
        super().__init__(message, retryable=True, retry_after=retry_after)
        self.seconds = seconds
        self.banned = banned


class BudgetSpentError(VenueError):
    """Nothing was asked: the budget of this machine allows it in ``seconds``."""

    def __init__(self, seconds: float) -> None:
        super().__init__(
            f"waiting for the request budget, {seconds:.0f} s", retryable=True, retry_after=seconds
        )
        self.seconds = seconds


class Backfill:
    """Asks one REST host. Every call answers or raises VenueError; none blocks the event loop.

    Args:
        base_url: without the path: ``https://data-api.binance.vision``.
        tls: for ``https``; None: the library's own.
        budget: asked before each request, and told what the exchange says; None: no limit.
    """

    def __init__(
        self, base_url: str, tls: ssl.SSLContext | None, budget: Budget | None = None
    ) -> None:
        self.base_url = base_url.rstrip("/")
        self._shown = shown_url(self.base_url)
        self._tls = tls
        self._budget = budget
        self._session: requests.Session | None = None
        self._worker = Worker("rest")

    async def candles(self, stream: Stream, span: Span) -> list[Candle]:
        """The first 1000 candles that the exchange has in ``span``; what it lacks is passed over.

        The last one may still be forming: the caller knows by the exchange's time.
        """
        query = rest.klines_query(stream.symbol, stream.interval, span.first, span.end - 1)
        return await self._ask(lambda: rest.decode_klines(self._get(rest.KLINES, query)))

    async def symbol_status(self, stream: Stream) -> str:
        """What the exchange says of the symbol: ``TRADING``, or that it does not trade now.

        An unknown symbol is a :class:`VenueError` that is not retryable.
        """
        query = {"symbol": stream.symbol}
        return await self._ask(
            lambda: rest.decode_status(self._get(rest.EXCHANGE_INFO, query), stream.symbol)
        )

    async def server_time(self) -> int:
        """The exchange's time in milliseconds."""
        return await self._ask(lambda: rest.decode_time(self._get(rest.TIME, {})))

    def close(self) -> None:
        """Ask nothing more. A call that hangs is left to end with the process."""
        self._worker.shutdown(wait=False)

    async def _ask(self, call: Callable[[], T]) -> T:
        try:
            async with asyncio.timeout(TOTAL_TIMEOUT):
                return await asyncio.get_running_loop().run_in_executor(self._worker, call)
        except TimeoutError:
            # It answers byte by byte, or not at all: that thread and connection are left behind.
            self._worker.shutdown(wait=False)
            self._worker, self._session = Worker("rest"), None
            reason = f"{self._shown} did not answer within {TOTAL_TIMEOUT:g} s"
            raise VenueError(reason, retryable=True) from None
        except ValueError as error:
            raise VenueError(f"{self._shown}: {error}", retryable=True) from None

    def _get(self, path: str, query: dict[str, str]) -> bytes:
        import requests  # noqa: PLC0415 - 8 MB and 90 ms, for sessions that need REST

        if self._budget is not None and (wait := self._budget.request(rest.WEIGHTS[path])):
            raise BudgetSpentError(wait)
        if self._session is None:
            self._session = self._new_session()
        try:
            # A redirect would be one more request, which nobody counted, and at another host.
            answer = self._session.get(
                self.base_url + path, params=query, timeout=_TIMEOUT, allow_redirects=False
            )
        except requests.RequestException as error:
            raise VenueError(
                f"cannot reach {self._shown}: {root_cause(error)}", retryable=True
            ) from None
        used = answer.headers.get(rest.USED_WEIGHT, "")
        if self._budget is not None and used.isdecimal():
            self._budget.used(int(used))
        if answer.status_code != requests.codes.ok:
            raise self._refusal(answer)
        return answer.content

    def _new_session(self) -> requests.Session:
        import requests  # noqa: PLC0415
        from requests.adapters import HTTPAdapter  # noqa: PLC0415

        tls = self._tls

        class OneContext(HTTPAdapter):
            """Verifies by the session's TLS context, so that REST and WebSocket trust the same."""

            def init_poolmanager(self, *args: object, **kwargs: object) -> None:
                super().init_poolmanager(*args, **kwargs, ssl_context=tls)  # type: ignore[arg-type]

        session = requests.Session()
        if tls is not None:
            session.mount("https://", OneContext())
        return session

    def _refusal(self, answer: requests.Response) -> VenueError:
        import requests  # noqa: PLC0415

        told = rest.decode_error(answer.content)
        reason = f"{told[1]} (code {told[0]})" if told else answer.reason
        text = f"{self._shown} answered {answer.status_code}: {reason}"
        after = answer.headers.get("Retry-After", "")
        wait = min(float(after), _LONGEST_BAN) if after.isdecimal() else None
        if answer.status_code in _STAY_AWAY:
            seconds = _STAY_AWAY[answer.status_code] if wait is None else wait
            if self._budget is not None:
                self._budget.refused("request", seconds)
            banned = answer.status_code != requests.codes.too_many
            refusal = RefusalError(text, seconds=seconds, banned=banned, retry_after=wait)
            refusal.status = answer.status_code
            return refusal
        known = not (told and told[0] == _INVALID_SYMBOL)
        return VenueError(text, retryable=known, retry_after=wait, status=answer.status_code)
