"""What ``kline-ops init`` asks, and the config that it makes of the answers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from kline_ops.config.settings import Settings
    from kline_ops.errors import KlineOpsError

#: A reconnect that never comes, in the words of the question.
NEVER = "never"


@dataclass(frozen=True, slots=True)
class Answers:
    """What a config is made of; None is what has not been said yet."""

    name: str | None = None
    symbol: str | None = None
    timeframe: str | None = None
    reconnect: str | None = None
    data_dir: str | None = None
    #: The file that was asked for; None: the usual one.
    output: str | None = None

    @property
    def path(self) -> Path:
        """Where the config goes."""
        return Path(self.output or f"configs/{self.name}.yml")


#: The questions, in their order; the name's default is made of what was said before it.
QUESTIONS = {
    "symbol": "Symbol",
    "timeframe": "Timeframe (1s 1m 3m 5m 15m 30m 1h 2h 4h 6h 8h 12h 1d 3d 1w 1M)",
    "name": "Name of the session",
    "reconnect": f"Renew the connection every (1s to 7d, or {NEVER})",
    "data_dir": "Folder for the candles",
}
#: Good answers, beside which another one is tried.
_PROBE = Answers("probe", "btcusdt", "1h", "4h", "/")


def complete(answers: Answers, *, asks: bool, defaults: bool) -> Answers:
    """Every answer given: by a flag, by its default, or by somebody at the terminal.

    Raises:
        InputError: something is missing, and there is nobody to be asked.
    """
    from kline_ops.errors import InputError

    for key, question in QUESTIONS.items():
        if getattr(answers, key) is not None:
            continue
        if defaults:
            answers = replace(answers, **{key: _default(key, answers)})
            raise_if_wrong(answers, key)
        elif asks:
            answers = _ask(answers, key, question)
        else:
            flag = "NAME" if key == "name" else f"--{key.replace('_', '-')}"
            raise InputError(
                f"{flag} is missing, and there is no terminal to ask at",
                hint=f"give {flag}, or --yes for the defaults",
            )
    return answers


def _default(key: str, answers: Answers) -> str:
    import os

    if key == "name":
        # As it was written: 1m and 1M are two timeframes; one of a time zone (1d@+08:00) is no name.
        text = f"{str(answers.symbol).lower()}-{answers.timeframe}"
        return "".join(sign if sign.isalnum() or sign in "-_" else "-" for sign in text)
    if key == "data_dir":
        home = os.environ.get("XDG_DATA_HOME") or "~/.local/share"
        return f"{home}/kline-ops/{answers.name}"
    return {"symbol": "btcusdt", "timeframe": "1h", "reconnect": "4h"}[key]


def _ask(answers: Answers, key: str, question: str) -> Answers:
    """Ask until the answer is good; the reason is told each time."""
    offer = _default(key, answers)
    while True:
        said = str(typer.prompt(question, default=offer)).strip()
        candidate = replace(answers, **{key: said})
        error = _error(candidate, key)
        if error is None:
            return candidate
        typer.echo(f"  {error.one_line()}")


def raise_if_wrong(answers: Answers, key: str) -> None:
    """Refuse an answer that no config can hold. Raises ConfigError, InputError."""
    error = _error(answers, key)
    if error is not None:
        raise error


def _error(answers: Answers, key: str) -> KlineOpsError | None:
    """What is wrong with one answer, by the very rules that a config is read by."""
    from kline_ops.errors import KlineOpsError

    try:
        settings = _read(replace(_PROBE, **{key: getattr(answers, key)}))
        if key == "data_dir":
            _check_folder(settings.data_dir)
        if key == "name":
            check_free(answers.path)
    except KlineOpsError as error:
        return error
    return None


def _read(answers: Answers) -> Settings:
    """What a config of these answers comes to, before there is one.

    Raises:
        ConfigError: it can not be used.
    """
    import tempfile

    from kline_ops.config.settings import load_settings

    with tempfile.TemporaryDirectory(prefix="kline-ops-") as folder:
        path = Path(folder) / "session.yml"
        path.write_text(text_of(answers), encoding="utf-8")
        return load_settings(str(answers.name), path, {})


def _check_folder(folder: Path) -> None:
    """Candles can be kept there, or in a folder that is made there.

    Raises:
        InputError: they can not.
    """
    import os

    from kline_ops.errors import InputError
    from kline_ops.places import nearest

    there = nearest(folder)
    if not there.is_dir():
        raise InputError(f"{there} is a file", hint="another folder")
    if not os.access(there, os.W_OK | os.X_OK):
        raise InputError(f"{there} can not be written to", hint="another folder, or its owner")


def check_free(path: Path) -> None:
    """A file that is there is never touched.

    Raises:
        InputError: it is there.
    """
    from kline_ops.errors import InputError
    from kline_ops.places import nearest

    if nearest(path) == path:
        raise InputError(f"{path} is there already", hint="another name, or --output FILE")


def put(answers: Answers) -> Settings:
    """Put a checked config in place; a file that is there is never touched.

    Raises:
        InputError: there is one, or it can not be written.
        ConfigError: it can not be used.
    """
    from kline_ops.errors import InputError

    settings, path = _read(answers), answers.path
    check_free(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            file.write(text_of(answers))
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror}", hint="--output FILE") from None
    return settings


def text_of(answers: Answers) -> str:
    """The config file: short, with a word on each key."""
    rotation = "  # The connection is never renewed on purpose: reconnect: {modulo: 4h}\n"
    if str(answers.reconnect).lower() != NEVER:
        rotation = (
            "  reconnect:\n"
            f"    modulo: {_yaml(answers.reconnect)}  # UTC-aligned; no candle is lost to it\n"
        )
    return (
        f"# A session of kline-ops: kline-ops start {answers.name}\n"
        "# All other keys, with their defaults, stand in the README.\n"
        f"data_dir: {_yaml(_from_here(answers.data_dir))}\n"
        "binance:\n"
        "  environment: mainnet  # or testnet, us: the addresses follow from it\n"
        "  stream:\n"
        f"    symbol: {_yaml(answers.symbol)}\n"
        f"    timeframe: {_yaml(answers.timeframe)}\n"
        f"{rotation}"
    )


def _from_here(folder: str | None) -> str:
    """In a config a relative folder is relative to the file; who types one means the present one."""
    text = folder or "."
    return text if text.startswith("~") else str(Path(text).absolute())


def _yaml(value: str | None) -> str:
    """In quotes, so that it stays the text that it is: ``1INCHUSDT``, ``1e5``, a path with a ``#``."""
    import yaml

    dumped = yaml.safe_dump(value or "", default_style='"', allow_unicode=True, width=1 << 20)
    return str(dumped).strip()
