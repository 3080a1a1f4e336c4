"""What ``analyze-gaps`` was asked: from files and names to findings."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from kline_ops.cli.given import is_file
from kline_ops.errors import InputError, KlineOpsError

if TYPE_CHECKING:
    from collections.abc import Callable

    from kline_ops.gaps.history import History
    from kline_ops.gaps.model import FileReport, Finding
    from kline_ops.gaps.outages import Outage
    from kline_ops.watch.registry import KnownSession

#: Reading so many bytes takes long enough for a bar.
_LONG = 256 << 20
#: Processes that read a large file.
_MOST_JOBS = 4


@dataclass(frozen=True, slots=True)
class Asked:
    """The options, as they were given."""

    interval: str | None = None
    symbol: str | None = None
    from_ms: int | None = None
    until_ms: int | None = None
    each: bool = False
    values: bool | None = None
    events: Path | None = None
    outages: Path | None = None
    config: Path | None = None
    verify: bool = False
    rest_url: str | None = None
    environment: str | None = None


@dataclass(frozen=True, slots=True)
class Series:
    """Files that belong together, and the session that records them, if one does."""

    paths: list[str]
    session: KnownSession | None = None


def all_series(names: list[str], asked: Asked) -> Iterator[Series | KlineOpsError]:
    """Sessions by themselves, files that belong together as one; an error in place of what is none."""
    from kline_ops.gaps.find import series

    files = [name for name in dict.fromkeys(names) if name == "-" or is_file(name)]
    for name in files:
        if name != "-" and not _exists(name):
            yield InputError(f"{name}: no such file", hint="check the path, or `kline-ops list`")
    files = [name for name in files if name == "-" or _exists(name)]
    groups = [[file] for file in files] if asked.each else series(files, asked.interval)
    for paths in groups:
        yield Series(paths, _recorder_of(paths) if len(paths) == 1 else None)
    for name in names:
        if name != "-" and not is_file(name):
            try:
                session = session_of(name, asked.config)
            except KlineOpsError as error:
                yield error
            else:
                yield Series([session.csv], session)


def _exists(path: str) -> bool:
    try:
        return Path(path).exists()
    except (OSError, ValueError):  # no name that a file can have: told when it is opened
        return True


def find(one: Series, asked: Asked) -> Finding:
    """What is missing in a series, whose it is and why.

    Raises:
        KlineOpsError: it can not be read, or what else was named can not.
    """
    from kline_ops.gaps.whose import Known, explained

    report, session = _report(one, asked), one.session
    known = Known(
        history=_history(one, asked),
        outages=_outages(asked.outages),
        session=None if session is None else session.name,
    )
    if asked.verify and report.gaps:
        from kline_ops.cli.gap_rest import ask

        answer, remarks = ask(report, one, asked)
        known = replace(known, answer=answer, remarks=remarks)
    return explained(report, known)


def _report(one: Series, asked: Asked) -> FileReport:
    import os

    from kline_ops.gaps.find import report

    session = one.session
    with _reading(one.paths) as progress:
        return report(
            one.paths,
            asked.interval or (session.interval if session else None),
            symbol=asked.symbol or (session.symbol if session else None),
            from_ms=asked.from_ms,
            until_ms=asked.until_ms,
            values=asked.values,
            jobs=min(len(os.sched_getaffinity(0)), _MOST_JOBS),
            progress=progress,
        )


@contextmanager
def _reading(paths: list[str]) -> Iterator[Callable[[int], None] | None]:
    """A bar on a terminal, for what takes long."""
    size = 0
    for path in paths:
        try:
            size += Path(path).stat().st_size
        except (OSError, ValueError):
            continue
    if size < _LONG:
        yield None
        return
    from kline_ops.cli.progress import meter

    # Other processes are begun meanwhile: no thread is to run beside.
    with meter("reading", quiet=True, threads=False) as progress:
        progress.begin(size)
        yield progress.advance


def _history(one: Series, asked: Asked) -> History | None:
    found = asked.events
    if found is None and one.session is not None:
        found = Path(one.session.events_file)
    elif found is None and len(one.paths) == 1 and Path(one.paths[0]).name.startswith("candles_"):
        found = Path(one.paths[0]).with_name("events.jsonl")
    if found is None or (asked.events is None and not found.is_file()):
        return None
    from kline_ops.gaps.history import read_history

    return read_history(found)


def _outages(path: Path | None) -> list[Outage]:
    if path is None:
        return []
    from kline_ops.gaps.outages import read_outages

    return read_outages(path)


def session_of(name: str, config: Path | None) -> KnownSession:
    """The session of this name: as it was started, or as its config says.

    Raises:
        SessionError: it was never started here.
        InputError: it records nothing.
        ConfigError: the config that was given can not be used.
    """
    from kline_ops.errors import InputError
    from kline_ops.watch.registry import find_session

    if config is None:
        if (found := find_session(name)).command:
            raise InputError(
                f"{name} is a command and records nothing", hint=f"kline-ops logs {name}"
            )
        return found
    from kline_ops.cli.known import describe_session
    from kline_ops.config.settings import load_settings
    from kline_ops.config.sops import Secrets

    return describe_session(load_settings(name, config, secrets=Secrets.LEFT))


def _recorder_of(paths: list[str]) -> KnownSession | None:
    """The session that records into this very file."""
    from kline_ops.watch.registry import sessions

    path = Path(paths[0]).absolute()
    return next((known for known in sessions() if Path(known.csv) == path), None)
