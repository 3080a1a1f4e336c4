"""The public names: each is documented, with an example that runs, and costs no more than it must."""

from __future__ import annotations

import doctest
import inspect
import os
import subprocess
import sys

import pytest

import kline_ops
from tests.support.machine import ROOT

CLASSES = [
    name
    for name in kline_ops.__all__
    if inspect.isclass(getattr(kline_ops, name))
    and not issubclass(getattr(kline_ops, name), Exception)
]
#: Plain values and shapes, that the examples of others show.
SHOWN_ELSEWHERE = {"Level", "Message", "Backoff"}
#: What no program that uses the kit should have to load.
HEAVY = ["typer", "rich", "click", "libtmux", "yaml", "plotly", "pyarrow", "kline_ops.cli"]


@pytest.mark.parametrize("name", kline_ops.__all__)
def test_each_public_name_is_documented(name: str) -> None:
    assert (getattr(kline_ops, name).__doc__ or "").strip()


@pytest.mark.parametrize("name", sorted(set(CLASSES) - SHOWN_ELSEWHERE))
def test_each_example_is_true(name: str) -> None:
    public = getattr(kline_ops, name)
    module = sys.modules[public.__module__]
    tests = doctest.DocTestFinder(recurse=False).find(public, name, module=module)
    assert sum(len(test.examples) for test in tests) >= 1, f"{name} has no example"
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.IGNORE_EXCEPTION_DETAIL)
    for test in tests:
        assert not any(example.options.get(doctest.SKIP) for example in test.examples)
        told: list[str] = []
        runner.run(test, out=told.append)
        assert not told, "".join(told)


@pytest.mark.parametrize("name", kline_ops.__all__)
def test_a_name_brings_no_command_line_with_it(name: str) -> None:
    heavy = [each for each in HEAVY if not (name == "gap_report" and each == "pyarrow")]
    program = f"from kline_ops import {name}; import sys; print(*set(sys.modules) & {set(heavy)!r})"
    told = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert told.stdout.strip() == ""


def test_the_package_itself_loads_next_to_nothing() -> None:
    program = (
        "import sys; before = set(sys.modules); import kline_ops;"
        "print(*[m for m in set(sys.modules) - before if m.startswith('kline_ops.')],"
        " *{'asyncio', 'msgspec', 'websockets', 'requests'} & set(sys.modules))"
    )
    told = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert told.stdout.strip() == ""


def test_names_that_are_not_there_are_told() -> None:
    assert set(kline_ops.__all__) <= set(dir(kline_ops))
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        kline_ops.Nothing  # noqa: B018
