"""One request to an address that is a password: bounded in time, and told of by its host alone.

Source: RFC 9110, "Status Codes" and "Retry-After"; Slack, "Sending messages using incoming webhooks"
(answers) and "Rate limits" (429 with ``Retry-After``).
"""

from __future__ import annotations

import errno
import logging
import os
import re
import threading
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from kline_ops.address import HTTP, is_address
from kline_ops.alerts.message import AlertError
from kline_ops.causes import root_cause
from kline_ops.worker import Worker

#: Seconds for one request, from the look-up of the name to the end of the answer.
TIMEOUT = 10.0
#: Seconds, where a 429 does not say how long to wait.
_USUAL_WAIT = 1.0
#: A wait that is asked for is told from this length on (s).
_NOTABLE_WAIT = 30.0
_TOO_MANY, _UNAVAILABLE = 429, 503
#: Answers below 500 after which the same request may be taken: time-out, too early, too many.
_PASSING = frozenset({408, 425, _TOO_MANY})
#: So many requests to one host may hang beyond that: each holds a thread and a socket.
_MOST_HANGING = 3
#: An answer is a word or two.
_ANSWER_BYTES = 4096

_THREAD = "alert"
#: By host: requests that nobody waits for any more.
_hanging: dict[str, list[Future[Answer]]] = {}
_lock = threading.Lock()
_TALKERS = ("urllib3.connectionpool", "urllib3.connection", "urllib3.util.retry")

#: As :func:`root_cause` says them.
_SYSTEM_WORDS = {(words := os.strerror(code))[:1].lower() + words[1:] for code in errno.errorcode}
#: What Slack says of a refusal (``invalid_payload``); anything else is not for a line of text.
_reason_of = re.compile(r"[a-z_]{1,40}").fullmatch


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of one request; ``problem`` is empty where it was taken."""

    problem: str
    #: May the same request be taken later?
    retryable: bool = True
    #: Seconds of silence that were asked for.
    retry_after: float | None = None
    #: It is a page for people: of a portal, or of a proxy.
    is_page: bool = False


def is_passing(status: int) -> bool:
    """May the same request be taken later, after an answer of this status?"""
    return status >= 500 or status in _PASSING


def host_of(url: str) -> str:
    """All that may be told of an address.

    Raises:
        AlertError: it is none that can be asked.
    """
    if not is_address(url, HTTP):
        raise AlertError("no http:// or https:// address", retryable=False)
    return urlsplit(url).hostname or ""


def deliver(url: str, payload: object, *, page_is_good: bool = False) -> None:
    """Post as JSON, once.

    ``page_is_good``: is a page for people an answer of who was meant?

    Raises:
        AlertError: it was not taken, or nobody knows.
    """
    answer = request("POST", url, payload)
    problem = answer.problem
    if answer.is_page and not page_is_good:
        problem = "answered with a page, as no webhook does"
    if problem:
        raise AlertError(
            problem,
            host=host_of(url),
            retryable=answer.retryable,
            retry_after=answer.retry_after,
        )


def request(method: str, url: str, payload: object = None) -> Answer:
    """Ask once, in a thread: a name server that hangs has no time-out, nor an answer byte by byte.

    Never raises. A host that leaves several requests hanging is asked again when one of them has ended.
    """
    host = host_of(url)
    with _lock:
        hanging = [asked for asked in _hanging.pop(host, []) if not asked.done()]
        if hanging:
            _hanging[host] = hanging
    if len(hanging) >= _MOST_HANGING:
        return Answer(f"has not answered {len(hanging)} requests yet")
    try:
        worker = Worker(_THREAD)
    except RuntimeError:
        return Answer("could not be asked: there are too many threads here")
    asking = worker.submit(_ask, method, url, payload)
    worker.shutdown(wait=False)
    try:
        return asking.result(TIMEOUT)
    except TimeoutError:
        with _lock:
            _hanging.setdefault(host, []).append(asking)
        return Answer(f"did not answer within {TIMEOUT:g} s")


def _ask(method: str, url: str, payload: object) -> Answer:
    import requests  # noqa: PLC0415 - 8 MB and 90 ms, for who has something to tell

    for name in _TALKERS:
        logging.getLogger(name).addFilter(_is_not_ours)
    # As for the exchange; requests itself knows other variables, and takes none where this is set.
    trust: Any = os.environ.get("SSL_CERT_FILE") or True
    try:
        # A redirect would take the message, and the way to it, to another host.
        with requests.request(
            method,
            url,
            json=payload,
            timeout=TIMEOUT,
            allow_redirects=False,
            stream=True,
            verify=trust,
        ) as answer:
            body = next(answer.iter_content(_ANSWER_BYTES), b"")
            return _judged(answer.status_code, answer.headers.get("Retry-After", ""), body, url)
    except requests.Timeout:
        return Answer(f"did not answer within {TIMEOUT:g} s")
    except Exception as error:  # noqa: BLE001 - whatever it is, its words may hold the address
        return Answer(f"can not be reached: {_harmless(error, url)}")


def _judged(status: int, retry_after: str, body: bytes, url: str) -> Answer:
    text = body.decode("utf-8", "replace").strip()
    if 200 <= status < 300:
        return Answer("", is_page=text[:1] == "<")
    why = f" ({text})" if _reason_of(text) and text not in url else ""
    wait = float(retry_after) if retry_after.isdecimal() else None
    if status == _TOO_MANY:
        wait = _USUAL_WAIT if wait is None else wait
        if wait > _NOTABLE_WAIT:
            why = f" and asks for {wait:.0f} s of silence"
    return Answer(
        f"answered {status}{why}",
        retryable=is_passing(status),
        retry_after=wait if status in {_TOO_MANY, _UNAVAILABLE} else None,
    )


def _harmless(error: Exception, url: str) -> str:
    """The cause of an error, unless its words hold anything of the address but the host."""
    cause = root_cause(error)
    if cause in _SYSTEM_WORDS:
        return cause  # they are no part of the address, whatever that spells
    parts = urlsplit(url)
    secrets = re.split(r"[/=&]", f"{parts.path}/{parts.query}/{parts.fragment}")
    secrets += [parts.username or "", parts.password or ""]
    if "/" in cause or any(secret in cause for secret in secrets if len(secret) > 3):
        return type(error).__name__
    return cause


def _is_not_ours(record: logging.LogRecord) -> bool:
    """The library warns of an odd answer with the whole address in it."""
    return record.threadName != _THREAD
