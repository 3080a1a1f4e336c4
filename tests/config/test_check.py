"""Whatever stands in a file, what is wrong is told in lines, and no secret in them."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from kline_ops.config.check import checked, converted
from kline_ops.config.layers import Layer, merged, origin
from kline_ops.config.model import Config
from kline_ops.config.settings import examine
from kline_ops.config.shown import shown

SECRET = "hidden"


def names(section: type[msgspec.Struct]) -> set[str]:
    """The keys of all sections, whatever they are in."""
    found = set()
    for field in msgspec.structs.fields(section):
        found.add(field.name)
        for part in (field.type, *getattr(field.type, "__args__", ())):
            if isinstance(part, type) and issubclass(part, msgspec.Struct):
                found |= names(part)
    return found


KEYS = st.sampled_from([*sorted(names(Config)), "include", "x", "sops_hb", "sops", ""])
ODD = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5),
    st.sampled_from(["btcusdt", "1h", "4h", "wss://x/ws", "https://x", "mainnet", "a.yml", SECRET]),
)  # fmt: skip
TREES = st.recursive(
    ODD, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS | st.integers(), inner),
    max_leaves=20,
)  # fmt: skip


def nested(tree: Any) -> Any:
    """The same with sections where sections may be, else hardly a value would get that far."""
    return {"binance": tree, "websocket": tree, "alerts": tree, "ops": {"sessions": {"x": tree}}}


@given(st.dictionaries(KEYS, TREES, max_size=6) | TREES.map(nested))
def test_no_tree_does_more_than_be_refused(tree: Any) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.yml"
        path.write_text(yaml.safe_dump(tree, allow_unicode=True))
        examined = examine("x", path, {})
        for problem in examined.problems:
            assert "\n" not in problem.one_line()
        assert (examined.session is None) == bool(examined.problems)
        if examined.session is not None:
            text = "\n".join(shown(examined.loaded, examined.session))
            assert isinstance(yaml.safe_load(text), dict)


@given(TREES)
def test_a_secret_is_in_no_error(value: Any) -> None:
    for keys in (("credentials",), ("credentials", "sops_x"), ("binance_credentials",),
                 ("binance_credentials", "api_key"), ("alerts", "ping_url"), ("alerts", "urls"),
                 ("ops", "sessions", "x", "env", "PW")):  # fmt: skip
        tree = value
        for key in reversed(keys):
            tree = {key: tree}
        _, problems = checked(Layer(tree, where="x.yml", origin="x.yml"))
        assert not any(f"'{SECRET}'" in problem.one_line() for problem in problems)


@given(st.lists(st.dictionaries(KEYS, TREES, max_size=4), max_size=4))
def test_who_has_the_last_word_is_who_is_named(trees: list[dict[str, Any]]) -> None:
    layers = []
    for place, tree in enumerate(trees):
        good, _ = checked(Layer(tree, where=str(place), origin=str(place)))
        layers.append(Layer(good, where=str(place), origin=str(place)))
    whole = merged(layers)
    assert isinstance(converted(whole), Config)

    def look(node: Any, keys: tuple[str, ...]) -> None:
        if isinstance(node, dict) and node:
            for key, inner in node.items():
                look(inner, (*keys, key))
            return
        spoken = origin(layers, keys)
        assert spoken is not None
        told: Any = spoken.tree
        for key in keys:
            told = told[key]
        assert told is node or told == node

    for key, node in whole.items():
        look(node, (key,))


@pytest.mark.parametrize("text", ["a: &x [*x]\n", "binance: &x {stream: *x}\n"])
def test_a_thing_within_itself_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "x.yml"
    path.write_text(text)
    (problem, *_) = examine("x", path, {}).problems
    assert str(path) in problem.one_line()
