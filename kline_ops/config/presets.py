"""``websocket.preset``: a name for values that the file does not give itself.

``trading`` notices a lost connection early, ``monitoring`` spares both sides; ``websocket.presets`` adds
others, or changes these.
"""

from __future__ import annotations

from typing import Any

from kline_ops.config.layers import Layer, Tree, merged, origin
from kline_ops.errors import ConfigError

PRESETS: dict[str, Tree] = {
    "trading": {
        "ping": {"interval": 15.0, "timeout": 10.0},
        "reconnect": {"delay": 0.5, "max_delay": 30.0, "max_attempts": 20},
    },
    "monitoring": {
        "ping": {"interval": 30.0, "timeout": 15.0},
        "reconnect": {"delay": 5.0, "max_delay": 120.0, "max_attempts": 50},
    },
}
_KEYS = ("websocket", "preset")


def preset_layers(layers: list[Layer]) -> list[Layer]:
    """What the preset gives, below everything else.

    Raises:
        ConfigError: there is none of this name.
    """
    websocket: dict[str, Any] = merged(layers).get("websocket", {})
    name = websocket.get("preset")
    if name is None:
        return []
    own: Tree = websocket.get("presets", {})
    if name not in PRESETS and name not in own:
        spoken = origin(layers, _KEYS)
        told = f"no preset {name!r}"
        if spoken is not None:
            told = f"{spoken.hushed(told)} (in {spoken.place(_KEYS)})"
        known = [*dict.fromkeys((*PRESETS, *map(str, own)))]
        raise ConfigError(
            told,
            field=".".join(_KEYS),
            hint=f"{', '.join(known[:-1])} or {known[-1]}",
        )
    told = f"websocket.preset {name}"
    return [
        Layer({"websocket": values}, where=told, origin=told)
        for values in (PRESETS.get(name, {}), own.get(name, {}))
    ]
