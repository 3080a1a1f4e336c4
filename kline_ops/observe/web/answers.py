"""How an answer is made: compact JSON that nobody keeps."""

from __future__ import annotations

from typing import Any

import msgspec
from starlette.responses import Response

_JSON = "application/json"


class JsonAnswer(Response):
    """Compact UTF-8."""

    media_type = _JSON

    def render(self, content: Any) -> bytes:
        """Whatever msgspec knows; bytes are JSON already."""
        return content if isinstance(content, bytes) else msgspec.json.encode(content)


def refusal(code: int, error: str, hint: str = "", **headers: str) -> JsonAnswer:
    """What is wrong, in one line, and what to try."""
    told = {"error": error, "hint": hint} if hint else {"error": error}
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return JsonAnswer(told, code, named or None)


def prefers_json(accept: str) -> bool:
    """Is JSON named, and nothing that we have before it? By RFC 9110, section 12.5.1."""
    weights: dict[str, float] = {}
    for part in accept.lower().split(","):
        kind, *parameters = (piece.strip() for piece in part.split(";"))
        weight = 1.0
        for parameter in parameters:
            name, _, value = parameter.partition("=")
            if name.strip() == "q":
                weight = _weight(value)
        weights[kind] = weight
    json = weights.get(_JSON, 0.0)
    others = max(weights.get(kind, 0.0) for kind in ("text/html", "text/event-stream"))
    return json > 0.0 and json > others


def _weight(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0
