"""The files of the page, without a browser: whole, at home, and in step with the rest."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from kline_ops.observe import web
from kline_ops.watch.verdict import Word

PAGE = Path(web.__path__[0]) / "page"
FILES = sorted(path for path in PAGE.iterdir() if path.suffix in {".html", ".css", ".js"})
#: Names of namespaces, which nobody asks for.
_NAMESPACE = "http://www.w3.org/2000/svg"
_VOID = {"meta", "link", "input", "path", "rect", "circle", "br"}


class _Frame(HTMLParser):
    """Elements, and whether each that is opened is closed."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in _VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def _index() -> _Frame:
    frame = _Frame()
    frame.feed((PAGE / "index.html").read_text())
    return frame


def test_the_frame_is_well_formed_and_each_id_stands_once() -> None:
    frame = _index()
    assert frame.open == []
    ids = [found["id"] for _, found in frame.elements if "id" in found]
    assert len(ids) == len(set(ids))


def test_what_the_scripts_look_up_is_there() -> None:
    ids = {found.get("id") for _, found in _index().elements}
    for path in FILES:
        if path.suffix == ".js":
            assert set(re.findall(r'byId\("([\w-]+)"\)', path.read_text())) <= ids


def test_labels_and_descriptions_point_at_something() -> None:
    elements = _index().elements
    ids = {found.get("id") for _, found in elements}
    for _, found in elements:
        for name in ("for", "aria-labelledby", "aria-describedby"):
            assert set((found.get(name) or "").split()) <= ids


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_no_other_host_is_named(path: Path) -> None:
    text = path.read_text().replace(_NAMESPACE, "")
    assert re.findall(r"(?:https?|wss?)?://[\w.]+", text) == []


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_data_never_becomes_markup_or_code(path: Path) -> None:
    text = path.read_text()
    for forbidden in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("):
        assert forbidden not in text
    assert not re.search(r"\son[a-z]+=", text)
    assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\sstyle=", text)


def test_what_is_loaded_is_there() -> None:
    names = {path.name for path in FILES}
    for _, found in _index().elements:
        for asked in (found.get("src"), found.get("href")):
            if asked and asked.startswith("/"):
                assert asked.removeprefix("/page/") in names
    for path in FILES:
        for asked in re.findall(r'from "\./([\w.]+)"', path.read_text()):
            assert asked in names


def test_every_module_is_used() -> None:
    used = set(
        re.findall(r'(?:from "\./|/page/)([\w]+\.js)"', "".join(p.read_text() for p in FILES))
    )
    assert {path.name for path in FILES if path.suffix == ".js"} - used == set()


def test_every_word_has_a_sign() -> None:
    words = (PAGE / "words.js").read_text()
    assert set(re.findall(r"^  ([A-Z_]+): \[", words, re.MULTILINE)) == {w.value for w in Word}
