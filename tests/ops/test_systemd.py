"""Units of systemd: what stands in them, read back by systemd's own rules of quoting."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from kline_ops.errors import InputError
from kline_ops.ops.systemd import Service, units
from tests.support.unit_file import command_line, value, values, words

PLAIN = Service("demo", ["/opt/bin/kline-ops"], "/etc/demo.yml", {}, ["/var/lib/d"])
#: Everything that means something to systemd, to a shell, or to YAML.
ODD = [
    "a b",
    "100%h%%",
    "it's",
    'a"b',
    "$HOME ${HOME} $$",
    "a\\b\\n",
    "é;#",
    "tab\there",
    "@x",
    "=y",
]


def main_of(service: Service) -> str:
    return units(service)[f"kline-ops-{service.name}.service"]


def test_two_files_of_the_user() -> None:
    files = units(PLAIN)
    assert list(files) == [
        "kline-ops-demo.service", "kline-ops-demo-watchdog.service"
    ]  # fmt: skip
    main, watchdog = files.values()
    assert value(main, "ExecStart") == ":/opt/bin/kline-ops supervise demo --config /etc/demo.yml"
    call = ":/opt/bin/kline-ops watchdog demo --config /etc/demo.yml"
    assert value(watchdog, "ExecStart") == call
    expected = {
        "Type": "notify", "NotifyAccess": "all", "WatchdogSec": "60", "Restart": "on-failure",
        "RestartPreventExitStatus": "2", "StartLimitIntervalSec": "0", "KillMode": "mixed",
        "WantedBy": "default.target", "Wants": "kline-ops-demo-watchdog.service",
    }  # fmt: skip
    assert {key: value(main, key) for key in expected} == expected
    # It outlives the session: no BindsTo=, no PartOf=, no Requires=.
    outlives = {"Type": "simple", "Restart": "always", "After": "kline-ops-demo.service"}
    assert {key: value(watchdog, key) for key in outlives} == outlives
    assert not any(values(watchdog, key) for key in ("BindsTo", "PartOf", "Requires"))
    # Nothing that a user's manager has no right to.
    assert "Protect" not in main
    assert "Private" not in main


def test_a_unit_of_the_machine_sees_little() -> None:
    main = main_of(replace(PLAIN, system=True, user="kline"))
    assert value(main, "User") == "kline"
    assert value(main, "WantedBy") == "multi-user.target"
    assert value(main, "ProtectSystem") == "strict"
    assert value(main, "ReadWritePaths") == "/var/lib/d"
    assert value(main, "ProtectHome") == "yes"
    assert value(main, "PrivateTmp") == "yes"
    assert value(main, "CapabilityBoundingSet") == ""
    assert "User=" not in main_of(replace(PLAIN, system=True))


@pytest.mark.parametrize("place", ["writes", "reads", "config", "environ", "command"])
def test_what_it_needs_stays_in_sight(place: str) -> None:
    for path, key in (("/home/me/x", "ProtectHome"), ("/tmp/x", "PrivateTmp")):
        change = {"environ": {"SSL_CERT_FILE": path}, "config": path}.get(place, [path])
        main = main_of(replace(PLAIN, system=True, **{place: change}))
        assert values(main, key) == ([] if key == "PrivateTmp" else ["read-only"])


def test_a_command_of_somebody_else_tells_nothing() -> None:
    main = main_of(replace(PLAIN, records=False, system=True))
    assert value(main, "Type") == "simple"
    assert "Watchdog" not in main
    assert "Protect" not in main


@pytest.mark.parametrize("odd", ODD)
def test_odd_paths_stay_what_they_are(odd: str) -> None:
    path = f"/x/{odd}"
    service = replace(
        PLAIN, command=[f"{path}/py", "-m", odd], config=path, environ={"XDG_DATA_HOME": path},
        writes=["/x/" + odd.replace('"', "")], system=True,
    )  # fmt: skip
    for text in units(service).values():
        line = command_line(value(text, "ExecStart"))
        line = line[4:] if line[0] == "/bin/sh" else line
        assert line[:3] == [f"{path}/py", "-m", odd]
        assert line[-2:] == ["--config", path]
        assert words(value(text, "Environment")) == [f"XDG_DATA_HOME={path}"]
        assert words(value(text, "ReadWritePaths"), escapes=False) == service.writes


def test_what_can_not_stand_in_a_unit_is_refused() -> None:
    with pytest.raises(InputError, match="line break"):
        units(replace(PLAIN, config="/a\nb"))
    with pytest.raises(InputError, match="both kinds of quotes"):
        units(replace(PLAIN, writes=["/a'b\"c"], system=True))


@pytest.mark.long
@pytest.mark.parametrize("system", [False, True], ids=["user", "system"])
@pytest.mark.parametrize("odd", ["plain", *ODD])
def test_systemd_accepts_them(tmp_path: Path, odd: str, system: bool) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("there is no systemd here")
    folder = tmp_path / odd
    folder.mkdir()
    program = folder / "python"
    program.symlink_to("/bin/true")
    service = Service(
        "demo", [str(program), "-m", odd], str(folder / "x.yml"), {"XDG_STATE_HOME": str(folder)},
        [str(folder).replace('"', "")], system=system, user="daemon" if system else None,
    )  # fmt: skip
    written = []
    for name, text in units(service).items():
        (tmp_path / name).write_text(text)
        written.append(str(tmp_path / name))
    manager = "--system" if system else "--user"
    ran = subprocess.run(
        ["systemd-analyze", manager, "--man=no", "verify", *written],
        env={"PATH": "/usr/bin:/bin", "XDG_RUNTIME_DIR": str(tmp_path), "HOME": str(tmp_path)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    # Whatever is not understood is told, and passed over: that counts, too.
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")
