"""Units of systemd that run a session without tmux, and watch over it. Pure: text in, text out.

Two files: the session's service, which starts at boot and again after whatever ends it; and that of its
watchdog (``kline-ops watchdog``), which outlives it: it tells what became of the session.

Source: systemd.syntax(7), systemd.service(5) ("Command lines"), systemd.exec(5), systemd.kill(5). Needs
systemd 244 or newer (the ``:`` before a command; Debian 11, Ubuntu 20.04).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath

from kline_ops.errors import InputError
from kline_ops.ops.care import ENDS_WITHIN

#: Seconds without a word before the session is taken for dead; a crashed recorder is silent for half.
_WATCHDOG = 60
#: Seconds: a recorder ends within two, where a disk or an exchange hangs; then its supervisor kills.
_STOP = int(ENDS_WITHIN) + 5
#: Where ``ProtectHome=`` and ``PrivateTmp=`` reach.
_HOMES = ("/home", "/root", "/run/user")
_TEMPORARY = ("/tmp", "/var/tmp")  # noqa: S108 - names only
#: What systemd takes in arguments, but not in the name of a program.
_NO_PROGRAM = "\\\"'\t"
_ESCAPES = {"\\": "\\\\", '"': '\\"', "\t": "\\t", "%": "%%"}


@dataclass(frozen=True, slots=True)
class Service:
    """What the units are made of; all paths are absolute."""

    name: str
    #: How the program is called.
    command: Sequence[str]
    config: str
    #: What the session's environment must say; no secrets: anybody may read a unit.
    environ: Mapping[str, str]
    #: The folders it writes to.
    writes: Sequence[str]
    #: What else it must find: the program's own places.
    reads: Sequence[str] = ()
    #: For the machine's manager, rather than a user's.
    system: bool = False
    #: Whom a unit of the machine's manager runs as; None: root.
    user: str | None = None
    #: A recorder: it tells the manager how it is (sd_notify), and its needs are known. A command that is
    #: supervised does neither.
    records: bool = True


def units(service: Service) -> dict[str, str]:
    """The files by their names, the session's service first.

    Raises:
        InputError: a path that can not stand in a unit.
    """
    name = f"kline-ops-{service.name}"
    return {
        f"{name}.service": _main(service, name),
        f"{name}-watchdog.service": _watchdog(service, name),
    }


def _main(service: Service, name: str) -> str:
    after = "After=network-online.target time-sync.target remote-fs.target\n"
    return (
        "[Unit]\n"
        f"Description=kline-ops session {service.name}\n"
        # A user's manager knows none of these; the recorder tries until there is a network, anyway.
        + (f"{after}Wants=network-online.target time-sync.target\n" if service.system else "")
        + f"Wants={name}-watchdog.service\n"
        "# It never gives up: after a crash it is started again, however often.\n"
        "StartLimitIntervalSec=0\n"
        "\n[Service]\n"
        + _readiness(service)
        + f"ExecStart={_call(service, 'supervise')}\n"
        + _environment(service)
        + "# A clean end was asked for, whoever asked: it stays so.\n"
        "Restart=on-failure\n"
        "RestartSec=5\n"
        "# An error in the config: starting it again would only repeat it.\n"
        "RestartPreventExitStatus=2\n"
        "# SIGTERM goes to the supervisor, which ends the recorder; what is left then is killed.\n"
        "KillMode=mixed\n"
        f"TimeoutStopSec={_STOP}\n" + _hardening(service) + _install(service)
    )


def _install(service: Service) -> str:
    return f"\n[Install]\nWantedBy={'multi-user.target' if service.system else 'default.target'}\n"


def _readiness(service: Service) -> str:
    if not service.records:
        return "Type=simple\n"
    return (
        "Type=notify\n"
        "# The recorder tells, which is a child of the supervisor.\n"
        "NotifyAccess=all\n"
        "# A disk that is full or away at boot is waited for.\n"
        "TimeoutStartSec=infinity\n"
        "# It is told while every owed candle is on disk or being pursued.\n"
        f"WatchdogSec={_WATCHDOG}\n"
        "WatchdogSignal=SIGKILL\n"
    )


def _watchdog(service: Service, name: str) -> str:
    return (
        "[Unit]\n"
        f"Description=kline-ops: watchdog of session {service.name}\n"
        "# Not bound to it: whatever ends the session, somebody is told. A stop is no alarm.\n"
        f"After={name}.service\n"
        "StartLimitIntervalSec=0\n"
        "\n[Service]\n"
        "Type=simple\n"
        f"ExecStart={_call(service, 'watchdog')}\n" + _environment(service) + "Restart=always\n"
        "RestartSec=30\n"
        "TimeoutStopSec=30\n" + _hardening(service) + _install(service)
    )


def _call(service: Service, command: str) -> str:
    """The program and its arguments; ``:`` switches the ``$`` of variables off."""
    words = [*service.command, command, service.name, "--config", service.config]
    if any(sign in words[0] for sign in _NO_PROGRAM):
        words = ["/bin/sh", "-c", 'exec "$@"', "sh", *words]
    words[0] = f":{words[0]}"
    return " ".join(map(_quoted, words))


def _environment(service: Service) -> str:
    return "".join(
        f"Environment={_quoted(f'{key}={value}')}\n"
        for key, value in service.environ.items()
        if value
    ) + (f"User={service.user}\n" if service.system and service.user else "")


def _hardening(service: Service) -> str:
    """What it may not do. A user's manager can not set up the file system for a service."""
    if not service.records:
        return ""
    lines = [
        "",
        "# What a recorder never needs.",
        "UMask=0077",
        "NoNewPrivileges=yes",
        "RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX",
        "RestrictNamespaces=yes",
        "RestrictRealtime=yes",
        "RestrictSUIDSGID=yes",
        "LockPersonality=yes",
        "SystemCallArchitectures=native",
    ]
    if service.system:
        lines += _walls(service)
    return "\n".join(lines) + "\n"


def _walls(service: Service) -> list[str]:
    places = [service.config, *service.command[:1], *service.reads, *service.environ.values()]
    at_home = _any_below((*places, *service.writes), _HOMES)
    lines = [
        "ProtectKernelTunables=yes",
        "ProtectKernelModules=yes",
        "ProtectKernelLogs=yes",
        "ProtectControlGroups=yes",
        "ProtectClock=yes",
        "ProtectHostname=yes",
        "PrivateDevices=yes",
        "CapabilityBoundingSet=" if service.user else "CapabilityBoundingSet=CAP_DAC_OVERRIDE",
        f"ProtectHome={'read-only' if at_home else 'yes'}",
    ]
    if not _any_below((*places, *service.writes), _TEMPORARY):
        lines.append("PrivateTmp=yes")
    lines += ["# All else is read-only; these folders must exist.", "ProtectSystem=strict"]
    return [*lines, *(f"ReadWritePaths={_path(folder)}" for folder in service.writes)]


def _any_below(places: Sequence[str], folders: Sequence[str]) -> bool:
    return any(PurePath(place).is_relative_to(folder) for place in places for folder in folders)


def _quoted(word: str) -> str:
    """One word of a command line or a variable: in quotes where it is not plain."""
    _check(word)
    text = "".join(_ESCAPES.get(character, character) for character in word)
    plain = text == word and word and not any(sign in word for sign in " '#;")
    return text if plain else f'"{text}"'


def _path(path: str) -> str:
    """One path of a list of paths: no escapes are known there, only quotes."""
    _check(path)
    text = path.replace("%", "%%")
    if not any(sign in text for sign in " \t'\"#;"):
        return text
    if '"' not in text:
        return f'"{text}"'
    if "'" not in text:
        return f"'{text}'"
    raise InputError(f"{path}: both kinds of quotes can not stand in a unit", hint="another path")


def _check(word: str) -> None:
    if any(ord(character) < 32 and character != "\t" for character in word):
        raise InputError("a path with a line break can not stand in a unit", hint="another path")
