"""A config file and those that it includes, lowest first: the including one has the last word.

``include:`` is a path or a list of them, relative to the file that it stands in. They have to lie in the
folder of the session's own file, or below: a config that is copied takes all it needs with it, and none
brings in what it was not given.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from kline_ops.config import sops, yaml_text
from kline_ops.config.layers import Layer, Tree
from kline_ops.config.paths import path_of
from kline_ops.config.sops import Secrets, SopsError, SopsHangsError
from kline_ops.config.yaml_text import Parsed
from kline_ops.errors import ConfigError

KEY = "include"
MAX_BYTES = 1 << 20
_DEPTH = 10
#: Each file is read once; this is for chains of files that include one another twice each.
_MOST = 1000
#: Sections that hold nothing a session could not be found, looked at or stopped without.
_ONLY_SECRETS = frozenset({"credentials", "binance_credentials", "alerts", "http", "nats"})
_INDENT = re.compile(r"^\t+", re.MULTILINE)


@dataclass(slots=True)
class Reading:
    """What a file and its includes say, and what is wrong with them."""

    layers: list[Layer] = field(default_factory=list)
    problems: list[ConfigError] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    #: Why a file with secrets could not be decrypted, and is done without.
    lacks_secrets: str = ""


@dataclass(frozen=True, slots=True)
class _File:
    """One file; None for a layer: it can not be used, and why is told."""

    layer: Layer | None
    includes: tuple[str, ...] = ()


def read_files(main: Path, secrets: Secrets, patience: float) -> Reading:
    """Read a session's file, and what it includes. Raises nothing: see ``problems``."""
    reader = _Reader(main, secrets, patience)
    reader.add(main, ())
    return reader.reading


class _Reader:
    def __init__(self, main: Path, secrets: Secrets, patience: float) -> None:
        self.reading = Reading()
        self._main = main
        self._secrets = secrets
        self._patience = patience
        self._hangs = False
        #: A file may be a link to one in a place of its own (dotfiles): its neighbours are those there.
        self._trees = {_real(main.parent), _real(main).parent}
        self._files: dict[Path, _File] = {}

    def add(self, path: Path, above: tuple[Path, ...]) -> None:
        """The layers of a file, after those of what it includes."""
        if len(self.reading.layers) >= _MOST:
            told = f"more than {_MOST} includes (in {self._main})"
            self.reading.problems[_MOST:] = [ConfigError(told, field=KEY, hint="fewer")]
            return
        real = _real(path)
        if real not in self._files:
            self._files[real] = self._read(path)
        file = self._files[real]
        if file.layer is None:
            return
        for name in file.includes:
            try:
                included = self._place_of(name, path, (*above, real))
            except ConfigError as error:
                self._complain(error, file.layer)
            else:
                self.add(included, (*above, real))
        self.reading.layers.append(file.layer)

    def _complain(self, error: ConfigError, layer: Layer) -> None:
        told = str(error).removeprefix(f"{KEY}: ")
        problem = ConfigError(f"{told} (in {layer.place((KEY,))})", field=KEY, hint=error.hint)
        if str(problem) not in map(str, self.reading.problems):
            self.reading.problems.append(problem)

    def _place_of(self, name: str, by: Path, above: tuple[Path, ...]) -> Path:
        """The file that an include means. Raises ConfigError."""
        if not name:
            raise ConfigError("no path", field=KEY, hint="config/binance.yml")
        path = by.parent / path_of(name, KEY)
        real = _real(path)
        if real in above:
            around = [*above[above.index(real) :], real]
            told = " includes ".join(each.name for each in around)
            raise ConfigError(f"a circle: {told}", field=KEY, hint="leave one of them out")
        if len(above) >= _DEPTH:
            raise ConfigError(
                f"nested more than {_DEPTH} deep: {name}", field=KEY, hint="include it further up"
            )
        if not any(real.is_relative_to(tree) for tree in self._trees):
            raise ConfigError(
                f"{name} is {real}, outside of {self._main.parent}",
                field=KEY,
                hint="put it beside the session's file, or below",
            )
        _check_is_file(path, name)
        return path

    def _read(self, path: Path) -> _File:
        try:
            return self._parsed(path)
        except ConfigError as error:
            self.reading.problems.append(error)
            return _File(None)

    def _parsed(self, path: Path) -> _File:
        """Raises ConfigError."""
        is_main = path == self._main
        text = _text(path)
        parsed = yaml_text.parse(text, str(path), hint="check the indentation there")
        if parsed.data is None and is_main:
            raise ConfigError(f"{path} is empty", hint="see the shipped configs for an example")
        tree = parsed.data if parsed.data is not None else {}
        if not isinstance(tree, dict):
            raise ConfigError(
                f"{path} is not a mapping of keys to values", hint="see the README for the keys"
            )
        encrypted = sops.is_encrypted(tree)
        if not encrypted:
            _check_is_clear(path, parsed)
        elif not sops.is_named(path):
            raise ConfigError(
                f"{path} is encrypted by sops, and its name does not say so",
                hint=f"name it {sops.named(path)}",
            )
        else:
            tree = self._decrypted(path, tree)
        if sops.is_named(path) and not encrypted and tree:
            told = f"{path} is in clear text: {sops.line_to_encrypt(path)}"
            self.reading.warnings.append(told)
        includes = tuple(self._includes(tree, path, parsed))
        layer = Layer(
            {key: value for key, value in tree.items() if key != KEY},
            where=str(path),
            origin=os.path.relpath(path, self._main.parent),
            path=path,
            lines=parsed.lines,
            encrypted=encrypted,
        )
        return _File(layer, includes)

    def _decrypted(self, path: Path, tree: Tree) -> Tree:
        """Raises ConfigError."""
        can_do_without = {*tree} <= {*_ONLY_SECRETS, "sops"}
        if can_do_without and self._secrets is Secrets.LEFT:
            return {}
        tried = self._secrets is Secrets.TRIED
        # What it can not do without is worth a longer wait.
        patience = self._patience if can_do_without or not tried else sops.PATIENCE
        if self._hangs and tried and can_do_without:
            self.reading.warnings.append(f"goes on without {path.name}: sops hangs")
            return {}
        try:
            text = sops.decrypt(path, patience)
        except SopsError as error:
            if not tried or not can_do_without:
                raise
            # A candle may be owed meanwhile: one is waited for, not each.
            self._hangs = isinstance(error, SopsHangsError)
            self.reading.warnings.append(f"goes on without {path.name}: {error}")
            self.reading.lacks_secrets = self.reading.lacks_secrets or str(error)
            return {}
        told = yaml_text.parse(text, f"{path} (decrypted)", hint=f"sops {path}").data
        if told is None:
            return {}
        if not isinstance(told, dict):
            raise ConfigError(f"{path} is not a mapping of keys to values", hint=f"sops {path}")
        return told

    def _includes(self, tree: Tree, path: Path, parsed: Parsed) -> Iterator[str]:
        told = tree.get(KEY)
        for name in told if isinstance(told, list) else [] if told is None else [told]:
            if isinstance(name, str):
                yield name
                continue
            line = parsed.lines.nearest((KEY,)) if parsed.lines else None
            self.reading.problems.append(
                ConfigError(
                    f"not a path (in {path} line {line})", field=KEY, hint="config/binance.yml"
                )
            )


def _real(path: Path) -> Path:
    """Where it is in truth. Unlike Path.resolve, links that go round in a circle raise nothing."""
    return Path(os.path.realpath(path))


def _check_is_file(path: Path, name: str) -> None:
    """A pipe would be waited for. Raises ConfigError."""
    try:
        mode = path.stat().st_mode
    except OSError as error:
        why = "does not exist" if isinstance(error, FileNotFoundError) else error.strerror
        raise ConfigError(f"{path} {why}", field=KEY, hint="check the path") from None
    if not stat.S_ISREG(mode):
        raise ConfigError(f"{name} is no file", field=KEY, hint="give a YAML file")


def _check_is_clear(path: Path, parsed: Parsed) -> None:
    """What sops has made of a value is never taken for one. Raises ConfigError."""
    line = sops.ciphertext_line(parsed.lines)
    if line is None:
        return
    told = f"{path} line {line}: a value that sops has encrypted"
    if sops.is_named(path):
        raise ConfigError(f"{told}, without its section `sops`", hint="take it from a backup")
    raise ConfigError(told, hint=f"encrypt a file of its own, and name it {sops.named(path)}")


def _text(path: Path) -> str:
    """Raises ConfigError."""
    try:
        if path.is_dir():
            raise ConfigError(f"{path} is a directory", hint="give the YAML file in it")
        with path.open(encoding="utf-8") as file:
            text = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise ConfigError(f"{path} does not exist", hint="check the path") from None
    except UnicodeDecodeError:
        raise ConfigError(
            f"cannot read {path}: it is no UTF-8 text", hint="check the file"
        ) from None
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}", hint="check the file") from None
    if len(text) > MAX_BYTES:
        raise ConfigError(f"{path} is larger than 1 MiB", hint="a config is some lines of YAML")
    # JSON is YAML, but for the tabs that sops indents it with.
    return (
        _INDENT.sub(lambda tabs: "  " * len(tabs[0]), text)
        if path.suffix.lower() == ".json"
        else text
    )
