"""A channel brings one message to people, within a bounded time, or says in one line why it did not.

Source: Slack, "Sending messages using incoming webhooks" (answers), "Reference: blocks" (limits),
"Formatting text for app surfaces" (escapes), "Rate limits" (429 with ``Retry-After``).

A webhook's path is its password: it is in no text that leaves this module.
"""

from __future__ import annotations

import enum
import logging
import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from kline_ops.causes import root_cause
from kline_ops.errors import EXIT_FINDING, KlineOpsError
from kline_ops.worker import Worker

#: Seconds for one request, from the look-up of the name to the end of the answer.
_TIMEOUT = 10.0
_LONGEST_WAIT = 30.0
#: Where a 429 does not say how long to wait.
_USUAL_WAIT = 1.0
_TOO_MANY = 429
#: An answer is a word or two.
_ANSWER_BYTES = 4096

_HEADER, _SECTION, _FIELD = 150, 3000, 2000
_FIELDS_A_SECTION, _MOST_FACTS = 10, 100
_ESCAPES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})
_CUT_ESCAPE = re.compile(r"&[a-z]*$")
_THREAD = "alert"
_TALKERS = ("urllib3.connectionpool", "urllib3.connection", "urllib3.util.retry")
#: What Slack says of a refusal (``invalid_payload``); anything else is not for a line of text.
_reason_of = re.compile(r"[a-z_]{1,40}").fullmatch


class Level(enum.IntEnum):
    """How much a message matters."""

    INFO = 10
    SUCCESS = 11
    WARNING = 20
    CRITICAL = 30


_MARKS = {
    Level.INFO: ":information_source:",
    Level.SUCCESS: ":white_check_mark:",
    Level.WARNING: ":warning:",
    Level.CRITICAL: ":rotating_light:",
}
_COLOURS = {
    Level.INFO: "#439fe0",
    Level.SUCCESS: "#2eb886",
    Level.WARNING: "#daa038",
    Level.CRITICAL: "#a30200",
}


@dataclass(frozen=True, slots=True)
class Message:
    """What is told: a title, a text, and facts by their names."""

    level: Level
    title: str
    text: str = ""
    facts: Mapping[str, str] = field(default_factory=dict)


class AlertError(KlineOpsError):
    """A message was not delivered. Names the host, and never more of the address."""

    exit_code = EXIT_FINDING


@dataclass(frozen=True, slots=True)
class SlackChannel:
    """An incoming webhook of Slack, or of what speaks like it.

    Raises:
        AlertError: the address is none.
    """

    url: str = field(repr=False)

    def __post_init__(self) -> None:
        if not is_http(self.url):
            raise AlertError("the webhook's address is no http:// or https:// address")

    @property
    def host(self) -> str:
        """All that may be told of the address."""
        return urlsplit(self.url).hostname or ""

    def send(self, message: Message) -> None:
        """Deliver a message, or raise; takes a minute at the most.

        Raises:
            AlertError: it was not delivered, or nobody knows.
        """
        payload = slack_payload(message)
        answer = _post(self.url, payload)
        if answer.status == _TOO_MANY and answer.wait <= _LONGEST_WAIT:
            time.sleep(answer.wait)
            answer = _post(self.url, payload)
        if answer.problem:
            raise AlertError(f"the message was not delivered: {self.host} {answer.problem}")


def is_http(url: str) -> bool:
    """Is this an address that can be posted to?"""
    try:
        parts = urlsplit(url)
        good = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
    return good and not any(character.isspace() for character in url)


def slack_payload(message: Message) -> dict[str, Any]:
    """The message as Block Kit; whatever is in it, Slack takes it."""
    title = f"{_MARKS[message.level]} {' '.join(message.title.split())}"[:_HEADER]
    header = {"type": "header", "text": {"type": "plain_text", "text": title, "emoji": True}}
    # ``text`` is what a phone shows before the message is opened.
    payload: dict[str, Any] = {"text": _escaped(title, _SECTION), "blocks": [header]}
    if blocks := list(_body(message)):
        payload["attachments"] = [{"color": _COLOURS[message.level], "blocks": blocks}]
    return payload


def _body(message: Message) -> Iterator[dict[str, Any]]:
    if message.text.strip():
        yield {"type": "section", "text": _mrkdwn(_escaped(message.text, _SECTION))}
    facts = [
        _mrkdwn(f"*{_escaped(name, _HEADER)}*\n{_escaped(value, _FIELD - 2 * _HEADER)}")
        for name, value in message.facts.items()
    ]
    for start in range(0, min(len(facts), _MOST_FACTS), _FIELDS_A_SECTION):
        yield {"type": "section", "fields": facts[start : start + _FIELDS_A_SECTION]}
    if len(facts) > _MOST_FACTS:
        more = _mrkdwn(f"… and {len(facts) - _MOST_FACTS} more")
        yield {"type": "context", "elements": [more]}


def _mrkdwn(text: str) -> dict[str, Any]:
    # Verbatim: a file name such as ``x.io`` is no link, and a name is no mention.
    return {"type": "mrkdwn", "text": text, "verbatim": True}


def _escaped(text: str, limit: int) -> str:
    escaped = text.translate(_ESCAPES)
    return escaped if len(escaped) <= limit else _CUT_ESCAPE.sub("", escaped[: limit - 1]) + "…"


@dataclass(frozen=True, slots=True)
class _Answer:
    """What came of one request; ``problem`` is empty where the message was taken."""

    problem: str
    status: int = 0
    #: Seconds to wait before another try.
    wait: float = _USUAL_WAIT


def _post(url: str, payload: dict[str, Any]) -> _Answer:
    """In a thread, as neither a name server that hangs nor an answer byte by byte has a time-out."""
    worker = Worker(_THREAD)
    try:
        return worker.submit(_ask, url, payload).result(_TIMEOUT)
    except TimeoutError:
        return _Answer(f"did not answer within {_TIMEOUT:g} s")
    finally:
        worker.shutdown(wait=False)


def _ask(url: str, payload: dict[str, Any]) -> _Answer:
    import requests  # noqa: PLC0415 - 8 MB and 90 ms, for who has something to tell

    for name in _TALKERS:
        logging.getLogger(name).addFilter(_is_not_ours)
    try:
        # A redirect would take the message, and the way to it, to another host.
        with requests.post(
            url, json=payload, timeout=_TIMEOUT, allow_redirects=False, stream=True
        ) as answer:
            body = next(answer.iter_content(_ANSWER_BYTES), b"")
            return _judged(answer.status_code, answer.headers.get("Retry-After", ""), body)
    except requests.Timeout:
        return _Answer(f"did not answer within {_TIMEOUT:g} s")
    except Exception as error:  # noqa: BLE001 - whatever it is, its words may hold the address
        return _Answer(f"can not be reached: {_harmless(error, url)}")


def _judged(status: int, retry_after: str, body: bytes) -> _Answer:
    wait = float(retry_after) if retry_after.isdecimal() else _USUAL_WAIT
    text = body.decode("utf-8", "replace").strip()
    if 200 <= status < 300:
        # The page of a portal or of a proxy.
        return _Answer(
            "answered with a page, as no webhook does" if text[:1] == "<" else "", status
        )
    why = f" ({text})" if _reason_of(text) else ""
    if status == _TOO_MANY and wait > _LONGEST_WAIT:
        why = f" and asks for {wait:.0f} s of silence"
    return _Answer(f"answered {status}{why}", status, wait)


def _harmless(error: Exception, url: str) -> str:
    """The cause of an error, unless its words hold anything of the address but the host."""
    cause = root_cause(error)
    parts = urlsplit(url)
    secrets = re.split(r"[/=&]", f"{parts.path}/{parts.query}/{parts.fragment}")
    secrets += [parts.username or "", parts.password or ""]
    if "/" in cause or any(secret in cause for secret in secrets if len(secret) > 3):
        return type(error).__name__
    return cause


def _is_not_ours(record: logging.LogRecord) -> bool:
    """The library warns of an odd answer with the whole address in it."""
    return record.threadName != _THREAD
