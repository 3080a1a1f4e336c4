"""What is never told: passwords, tokens, and the addresses that hold them.

A value that is secret as a whole is a :class:`Secret`: it can be stored, compared and passed on, and
whatever makes text of it gets ``…``. Of an address only a part is secret: :func:`shown_url` is what is
told of it, and of one that only a service of its own understands no more than the scheme.
:func:`redacted` is the net below both, for text that others wrote.
"""

from __future__ import annotations

import re
from typing import Self, final

#: What stands in the place of a secret.
HIDDEN = "…"


@final
class Secret:
    """A text that nothing shows but :meth:`reveal`. A pickle of it holds ``…`` only.

    Encoders that do not know it refuse it; those that ask ``str`` write ``…``.
    """

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The value itself: to be called where it is used, and kept nowhere."""
        return self._value

    def __repr__(self) -> str:
        return HIDDEN

    def __format__(self, spec: str) -> str:
        return format(HIDDEN, spec)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._value == other._value

    def __hash__(self) -> int:
        return hash((Secret, self._value))

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, _memo: object) -> Self:
        return self

    def __reduce__(self) -> tuple[type[Secret], tuple[str]]:
        return Secret, (HIDDEN,)


#: RFC 3986, appendix B; the scheme may be missing, as in what a user mistyped.
_PARTS = re.compile(r"((?:[^:/?#]+://)?)([^/?#]*)([^?#]*)((?:\?[^#]*)?)((?:#.*)?)", re.DOTALL)
#: Whose host and path anybody may know. Of any other one (``tgram://``) all may be the password.
_OPEN = frozenset(
    {
        "amqp", "file", "ftp", "git", "mongodb", "mysql", "nats", "postgres", "postgresql", "redis",
        "s3", "ssh", "tcp", "tls", "unix", "ws", "wss",
    }
)  # fmt: skip
_scheme_of = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*(?=://$)").search
#: Webhooks, whose path is their password: what is told of it ends with the prefix.
_WEBHOOKS = (
    ("hooks.slack.com", re.compile(r"/(?:services|workflows|triggers)/")),
    ("hooks.slack-gov.com", re.compile(r"/(?:services|workflows|triggers)/")),
    ("discord.com", re.compile(r"/api/(?:v[0-9]+/)?webhooks/")),
    ("discordapp.com", re.compile(r"/api/(?:v[0-9]+/)?webhooks/")),
    ("api.telegram.org", re.compile(r"/(?:file/)?bot(?=[0-9…])")),
    ("webhook.office.com", re.compile(r"/")),
    ("hc-ping.com", re.compile(r"/")),
)

#: In text: an address, and what libraries say of one without its host (urllib3: ``with url: /…``;
#: websockets: ``> GET /… HTTP/1.1`` and ``> Authorization: …``).
_IN_TEXT = re.compile(
    r"[A-Za-z][A-Za-z0-9+.-]{1,15}://(?:[^\s/?#]*@)?[^\s'\"<>\\]*"
    r"|(?<=url: )/[^\s'\"<>\\]*|(?<=GET )/[^\s'\"<>\\]*|(?<=POST )/[^\s'\"<>\\]*"
    r"|(?<=uthorization: )[^\n]+"
)
_SIGNS = ("://", "url: /", " /", "uthorization: ")
_AFTER = ".,;:!)]}"


def shown_url(url: str) -> str:
    """What may be told of an address: scheme, host, port and path, and the names in its query.

    ``ws://user:pw@host/ws?token=abc`` is ``ws://…@host/ws?token=…``; one without secrets stays as it is.
    The token of a known webhook is hidden; ``tgram://token/1`` is ``tgram://…``. It need be no good
    address: what is wrong with one is told.
    """
    parts = _PARTS.fullmatch(url)
    if parts is None:
        return HIDDEN  # every text matches
    scheme, netloc, path, query, fragment = parts.groups()
    if (named := _scheme_of(scheme)) is not None and not _is_open(named[0].lower()):
        return scheme + (HIDDEN if len(url) > len(scheme) else "")
    user, at, host = netloc.rpartition("@")
    if not at and "@" in path and _is_no_port(netloc):
        # A password with a slash in it: what looks like the path ends with the host.
        user, (host, path) = netloc, _split_host(path)
        at = "@"
    name = host.partition(":")[0].lower()
    return "".join(
        (
            scheme,
            HIDDEN + "@" if user or at else "",
            host,
            _shown_path(name, path),
            _shown_query(query),
            "#" + HIDDEN if len(fragment) > 1 else fragment,
        )
    )


def redacted(text: str) -> str:
    """The text with every address in it as :func:`shown_url` tells it."""
    if not any(sign in text for sign in _SIGNS):
        return text
    return _IN_TEXT.sub(_redact, text)


def _redact(found: re.Match[str]) -> str:
    whole = found[0]
    if "://" not in whole and not whole.startswith("/"):
        return HIDDEN
    url = whole.rstrip(_AFTER)
    return shown_url(url) + whole[len(url) :]


def _is_open(scheme: str) -> bool:
    # The end of a colour may be glued to it: ``[31mhttps``.
    return scheme in _OPEN or scheme.endswith(("http", "https"))


def _is_no_port(netloc: str) -> bool:
    """``user:pass`` and not ``host:9443`` or ``[::1]``."""
    _, colon, port = netloc.partition(":")
    return bool(colon) and not port.isdecimal() and not netloc.startswith("[")


def _split_host(path: str) -> tuple[str, str]:
    host, slash, rest = path.rpartition("@")[2].partition("/")
    return host, slash + rest


def _shown_path(host: str, path: str) -> str:
    for webhook, prefix in _WEBHOOKS:
        # Without a host it may be anybody's: only what can be nothing else is hidden then.
        meant = host == webhook or host.endswith("." + webhook) or not host
        if meant and (kept := prefix.match(path)) and len(path) > kept.end():
            if not host and kept[0] == "/":
                continue
            return kept[0] + HIDDEN
    return "/".join(map(_shown_segment, path.split("/")))


def _shown_segment(segment: str) -> str:
    """``user:pw@host`` where a slash too few made a path of it; a stream's ``a@b`` has no colon."""
    user, at, rest = segment.rpartition("@")
    return f"{HIDDEN}@{rest}" if at and ":" in user else segment


def _shown_query(query: str) -> str:
    if len(query) < 2:
        return query
    pairs = (pair.partition("=") for pair in query[1:].split("&"))
    # A word alone may be the token itself.
    return "?" + "&".join(
        f"{name}={HIDDEN if value else ''}" if equals else HIDDEN if name else ""
        for name, equals, value in pairs
    )
