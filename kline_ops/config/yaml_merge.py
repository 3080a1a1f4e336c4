"""Merge keys: ``<<: *name`` says of a mapping what another one says, but for what it says itself.

Done before anything else is: PyYAML would do it when it is too late to see that a text is a secret, and
would repeat a key as often as aliases name it.

Source: YAML 1.1, type repository, "merge".
"""

from __future__ import annotations

import yaml

from kline_ops.errors import ConfigError

_MERGE = "tag:yaml.org,2002:merge"


def merge_keys(root: yaml.Node) -> None:
    """Put what they stand for in their place, throughout a document.

    Raises:
        ConfigError: one stands for no mapping, or for one that it is in.
    """
    _merge(root, {})


def _merge(node: yaml.Node, finished: dict[int, bool]) -> None:
    if id(node) in finished:
        return
    finished[id(node)] = False
    if isinstance(node, yaml.SequenceNode):
        for part in node.value:
            _merge(part, finished)
    elif isinstance(node, yaml.MappingNode):
        for _, value in node.value:
            _merge(value, finished)
        node.value = _merged(node, finished)
    finished[id(node)] = True


def _merged(node: yaml.MappingNode, finished: dict[int, bool]) -> list[tuple[yaml.Node, yaml.Node]]:
    own = [pair for pair in node.value if pair[0].tag != _MERGE]
    taken = {_name(key) for key, _ in own}
    below = []
    for key, value in node.value:
        if key.tag != _MERGE:
            continue
        for source in value.value if isinstance(value, yaml.SequenceNode) else [value]:
            if not (isinstance(source, yaml.MappingNode) and finished[id(source)]):
                line = key.start_mark.line + 1
                raise ConfigError(f"line {line}: << without a mapping", hint="<<: *name of one")
            new = [pair for pair in source.value if _name(pair[0]) not in taken]
            taken.update(_name(name) for name, _ in new)
            below += new
    return [*below, *own]


def _name(key: yaml.Node) -> object:
    return key.value if isinstance(key, yaml.ScalarNode) else id(key)
