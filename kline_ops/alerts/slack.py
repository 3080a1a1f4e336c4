"""Slack: a message as Block Kit, posted to an incoming webhook.

Source: Slack, "Sending messages using incoming webhooks", "Reference: blocks" (limits), "Formatting
text for app surfaces" (escapes). What they do not say was measured by others: all blocks of a message
together are refused from about 13,200 characters on (slackapi/bolt-js, issues 2509 and 2867), and so
are more than 20 blocks in one attachment (slackapi/bolt-python, issue 914).

A webhook's path is its password: it is in no text that leaves this module.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from kline_ops.alerts.message import Level, Message
from kline_ops.alerts.post import deliver, host_of
from kline_ops.plain import encodable

_HEADER, _SECTION = 150, 3000
#: Of a fact: its name, its value. Slack takes 2,000 for both, and a phone shows a few lines.
_NAME, _VALUE = 75, 600
#: Facts a section (Slack's limit), facts a message, and the characters of all of them together.
_FIELDS_A_SECTION, _MOST_FACTS, _FACTS_TEXT = 10, 40, 5000
_ESCAPES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_CUT_ESCAPE = re.compile(r"&[a-z]*$")

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
class SlackChannel:
    """An incoming webhook of Slack, or of what speaks like it (Mattermost, Rocket.Chat).

    >>> SlackChannel("https://hooks.slack.com/services/T0/B0/xxxx")
    SlackChannel(host='hooks.slack.com')

    Raises:
        AlertError: the address is none.
    """

    url: str = field(repr=False)
    #: All that may be told of the address.
    host: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "host", host_of(self.url))

    def send(self, message: Message) -> None:
        """Deliver a message, or raise: one try, of ten seconds at the most.

        Raises:
            AlertError: it was not delivered, or nobody knows; it says whether another try may help.
        """
        deliver(self.url, slack_payload(message))


def slack_payload(message: Message) -> dict[str, Any]:
    """The message as Block Kit; whatever is in it, Slack takes it."""
    title = _cut(f"{_MARKS[message.level]} {' '.join(message.title.split())}", _HEADER)
    header = {"type": "header", "text": {"type": "plain_text", "text": title, "emoji": True}}
    # ``text`` is what a phone shows before the message is opened.
    payload: dict[str, Any] = {"text": _escaped(title, _SECTION), "blocks": [header]}
    if blocks := list(_body(message)):
        payload["attachments"] = [{"color": _COLOURS[message.level], "blocks": blocks}]
    return payload


def _body(message: Message) -> Iterator[dict[str, Any]]:
    if text := _escaped(message.text, _SECTION):
        yield {"type": "section", "text": _mrkdwn(text)}
    facts = list(_facts(message))
    for start in range(0, len(facts), _FIELDS_A_SECTION):
        yield {"type": "section", "fields": facts[start : start + _FIELDS_A_SECTION]}
    if (more := len(message.facts) - len(facts)) > 0:
        yield {"type": "context", "elements": [_mrkdwn(f"… and {more} more")]}


def _facts(message: Message) -> Iterator[dict[str, Any]]:
    """As many as there is room for."""
    left = _FACTS_TEXT
    for name, value in list(message.facts.items())[:_MOST_FACTS]:
        told = f"*{_escaped(' '.join(name.split()), _NAME)}*\n{_escaped(value, _VALUE)}"
        left -= len(told)
        if left < 0:
            return
        yield _mrkdwn(told)


def _mrkdwn(text: str) -> dict[str, Any]:
    # Verbatim: a file name such as ``x.io`` is no link, and a name is no mention.
    return {"type": "mrkdwn", "text": text, "verbatim": True}


def _escaped(text: str, limit: int) -> str:
    escaped = _whole(text).strip().translate(_ESCAPES)
    if len(escaped) <= limit:
        return escaped
    return _CUT_ESCAPE.sub("", escaped[: limit - 1]) + "…"


def _cut(text: str, limit: int) -> str:
    whole = _whole(text)
    return whole if len(whole) <= limit else whole[: limit - 1] + "…"


def _whole(text: str) -> str:
    """Without what a file name may hold and no JSON should: halves of characters, control codes."""
    return _CONTROL.sub("", encodable(text))
