"""``kline-ops units NAME``: what runs a session and watches over it: for cron, and for systemd."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kline_ops.cli.options import ConfigFile, NewName

if TYPE_CHECKING:
    from kline_ops.config.command import CommandSettings
    from kline_ops.config.settings import Settings
    from kline_ops.ops.systemd import Service

#: They lead to an exchange and to whom it must show; a proxy's may hold a password, and is only named.
_TLS = ("SSL_CERT_FILE", "SSL_CERT_DIR")
_PROXIES = ("ALL_PROXY", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy", "http_proxy", "https_proxy")


def units(
    name: NewName,
    config: ConfigFile = None,
    cron: Annotated[bool, typer.Option("--cron", help="Print lines for a crontab.")] = False,
    systemd: Annotated[bool, typer.Option("--systemd", help="Print units of systemd.")] = False,
    output: Annotated[
        Path | None, typer.Option("--output", help="Write the units into this folder instead.")
    ] = None,
    system: Annotated[
        bool, typer.Option("--system", help="Units for the machine (default for root).")
    ] = False,
    user: Annotated[bool, typer.Option("--user", help="Units for this user.")] = False,
) -> None:
    """Print what runs a session without tmux (systemd), or starts it and looks after it (cron).

    Beside the lines that are there: (crontab -l; kline-ops units NAME --cron) | crontab -
    """
    from kline_ops.errors import InputError

    if cron == systemd:
        raise InputError("one of --cron and --systemd", hint=f"kline-ops units {name} --systemd")
    if system and user:
        raise InputError("--system and --user at once", hint="one of them")
    if cron and (output is not None or system or user):
        raise InputError("--output, --system and --user belong to --systemd", hint="leave them out")
    settings = _settings_elsewhere(name, config)
    if cron:
        _print_crontab(settings)
    else:
        _systemd(settings, output, system if system or user else None)


def _print_crontab(settings: Settings | CommandSettings) -> None:
    from kline_ops.alerts.routes import routes
    from kline_ops.config.settings import Settings
    from kline_ops.ops.crontab import Watched, crontab

    notify = isinstance(settings, Settings) and bool(routes(settings.config))
    watched = Watched(
        name=settings.name,
        command=_command(),
        config=str(settings.path),
        environ=_places(),
        notify=notify,
        digests=notify and settings.config.alerts.digest is not None,
        records=isinstance(settings, Settings),
    )
    lines = crontab(watched)
    _tell_unknown("cron", ())
    typer.echo(lines, nl=False)


def _systemd(
    settings: Settings | CommandSettings, output: Path | None, system: bool | None
) -> None:
    import os

    from kline_ops.ops.systemd import units as make

    service = _service(settings, system=os.geteuid() == 0 if system is None else system)
    files = make(service)
    missing = [folder for folder in service.writes if not Path(folder).is_dir()]
    if output is not None:
        folder = output.expanduser().absolute()
        _write(folder, files)
        steps = _steps(service, folder, list(files))
        _make_folders(missing if service.system else [])
        _tell_unknown("systemd", _PROXIES)
        for line in ("then type:", *(f"  {step}" for step in steps)):
            typer.echo(line)
        return
    _tell_unknown("systemd", _PROXIES)
    if missing and service.system:
        typer.echo(f"these folders must be made first: {', '.join(missing)}", err=True)
    for file, text in files.items():
        typer.echo(f"# {file}\n{text}")


def _service(settings: Settings | CommandSettings, *, system: bool) -> Service:
    import getpass
    import os
    import sys

    import kline_ops
    from kline_ops.config.settings import Settings
    from kline_ops.ops.systemd import Service
    from kline_ops.places import absolute, machine_folder

    environ = _places()
    environ |= {key: absolute(value) for key in _TLS if (value := os.environ.get(key))}
    # The program's own places: an interpreter may live in a home as well as the package.
    reads = (sys.executable, sys.prefix, sys.base_prefix, str(Path(kline_ops.__file__).parent))
    return Service(
        name=settings.name,
        command=_command(),
        config=str(settings.path),
        environ=environ,
        writes=(str(settings.data_dir), str(machine_folder().absolute()), *_textfile(settings)),
        reads=(*reads, os.path.realpath(sys.executable)),
        system=system,
        user=getpass.getuser() if os.geteuid() else None,
        records=isinstance(settings, Settings),
    )


def _textfile(settings: Settings | CommandSettings) -> tuple[str, ...]:
    """The folder of what its watchdog leaves for node_exporter, where that is another one."""
    from kline_ops.config.paths import textfile_of

    told = settings.config.resilience.watchdog.textfile
    if told is None:
        return ()
    folder = (settings.data_dir / textfile_of(told)).parent
    return () if folder.is_relative_to(settings.data_dir) else (str(folder),)


def _write(folder: Path, files: dict[str, str]) -> None:
    from kline_ops.errors import InputError

    for name, text in files.items():
        path = folder / name
        try:
            folder.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        except OSError as error:
            raise InputError(
                f"cannot write {path}: {error.strerror}", hint="another folder, or sudo"
            ) from None
        typer.echo(f"wrote {path}")


def _make_folders(missing: list[str]) -> None:
    from kline_ops.errors import InputError

    for folder in missing:
        try:
            Path(folder).mkdir(parents=True)
        except OSError as error:
            raise InputError(
                f"cannot make {folder}: {error.strerror}", hint="make it as its owner"
            ) from None
        typer.echo(f"made {folder}")


def _steps(service: Service, folder: Path, files: list[str]) -> list[str]:
    """What is left to type. Where the folder is none of systemd's, its files are linked there."""
    import os
    import shlex

    if service.system:
        known, call = Path("/etc/systemd/system"), "systemctl"
        if os.geteuid():
            call = "sudo systemctl"
    else:
        home = Path(os.environ.get("XDG_CONFIG_HOME") or "~/.config").expanduser()
        known, call = home / "systemd" / "user", "systemctl --user"
    linked = shlex.join(str(folder / file) for file in files)
    steps = [f"{call} daemon-reload" if folder == known else f"{call} link {linked}"]
    steps.append(f"{call} enable --now {files[0]}")
    if not service.system:
        steps.append("loginctl enable-linger    # it starts at boot, and outlives a logout")
    return steps


def _tell_unknown(who: str, also: tuple[str, ...]) -> None:
    """What is set here and will not be there."""
    import os

    from kline_ops.config.environment import PREFIX

    own = sorted(key for key in os.environ if key.startswith(PREFIX) or key in also)
    if own:
        typer.echo(f"{who} will not know of {', '.join(own)}: put it into the config", err=True)


def _places() -> dict[str, str]:
    """Where things are, as those find them that run in another folder."""
    import os

    from kline_ops.places import KEYS, PLACES, absolute

    told = ((place, os.environ.get(place)) for place in (*PLACES, *KEYS))
    return {place: absolute(value) for place, value in told if value}


def _settings_elsewhere(name: str, config: Path | None) -> Settings | CommandSettings:
    """As they will be found there: without what the present environment overrides."""
    from kline_ops.config.settings import load_session
    from kline_ops.errors import EXIT_NO_SESSION, SessionError
    from kline_ops.watch.registry import find_session

    if config is None:
        try:
            config = Path(find_session(name).config)
        except SessionError as error:
            if error.exit_code != EXIT_NO_SESSION:
                raise
    return load_session(name, config, {})


def _command() -> list[str]:
    """How this program was called, so that it is found without a PATH."""
    import shutil
    import sys

    called = shutil.which(sys.argv[0])
    if called is None or Path(called).name != "kline-ops":  # ``python -m kline_ops``
        return [sys.executable, "-m", "kline_ops"]
    # Not resolved: the link stays where it is when what it points to is upgraded.
    return [str(Path(called).absolute())]
