"""Crontab lines: what cron and its shell make of them."""

from __future__ import annotations

import re
import shlex
from dataclasses import replace

import pytest

from kline_ops.errors import InputError
from kline_ops.ops.crontab import Watched, crontab

PLAIN = Watched("demo", ["/opt/bin/kline-ops"], "/etc/demo.yml", {}, notify=False)


def all_lines(watched: Watched) -> list[str]:
    """The lines that cron reads; everything else is a comment."""
    return [line for line in crontab(watched).splitlines() if not line.startswith("#")]


def lines(watched: Watched) -> tuple[str, str]:
    """The hourly and the daily line."""
    _, _, hourly, daily = all_lines(watched)
    return hourly, daily


def words(line: str) -> list[str]:
    """What is called: cron takes the backslashes of ``%`` away, the shell the quotes."""
    call = line.removeprefix("@reboot ") if line.startswith("@") else line.split(" ", 5)[5]
    return shlex.split(call.replace("\\%", "%"))


def test_plain_lines() -> None:
    start, watchdog, *_ = all_lines(PLAIN)
    assert start == "@reboot /opt/bin/kline-ops start demo --config /etc/demo.yml"
    call = "/opt/bin/kline-ops watchdog demo --config /etc/demo.yml --once"
    assert watchdog == f"*/5 * * * * {call} >/dev/null"
    call = "/opt/bin/kline-ops analyze-gaps demo --config /etc/demo.yml"
    hourly, daily = lines(PLAIN)
    assert re.fullmatch(rf"\d+ \* \* \* \* {call} --until now --quiet", hourly)
    assert daily == f"7 0 * * * {call} --digest"
    assert crontab(PLAIN).endswith("\n")


def test_a_comment_says_what_each_is() -> None:
    text = crontab(PLAIN)
    assert text.splitlines()[0].startswith("# kline-ops demo: at boot")
    assert "# kline-ops demo: each five minutes" in text
    assert "# kline-ops demo: hourly" in text
    assert "# kline-ops demo: daily, the digest of the last whole day (UTC)" in text


def test_it_tells_if_somebody_can_be_told() -> None:
    assert all(line.endswith(" --notify") for line in lines(replace(PLAIN, notify=True)))


def test_a_session_that_tells_each_day_itself_is_not_told_twice() -> None:
    watched = replace(PLAIN, notify=True, digests=True)
    assert lines(watched)[1].endswith(" --digest --quiet --notify")
    assert "# kline-ops demo: daily, what is wrong of the last whole day (UTC)" in crontab(watched)


def test_minutes_are_off_the_hour_and_stay() -> None:
    minutes = [int(lines(replace(PLAIN, name=f"s{n}"))[0].split(" ", 1)[0]) for n in range(200)]
    assert (min(minutes), max(minutes)) == (5, 54)
    assert len(set(minutes)) > 40
    assert lines(PLAIN) == lines(PLAIN)


@pytest.mark.parametrize(
    "path", ["/a b/c.yml", "/100% sure/c.yml", "/it's/$HOME`x`/c.yml", "/ü/c.yml", "/a\\b/;&|<>#~"]
)
def test_odd_paths_stay_what_they_are(path: str) -> None:
    watched = replace(
        PLAIN, config=path, command=[path, "-m", "x"], environ={"XDG_STATE_HOME": path, "HOME": "/"}
    )
    commands = ["start", "watchdog", "analyze-gaps", "analyze-gaps"]
    for line, command in zip(all_lines(watched), commands, strict=True):
        assert re.search(r"(?<!\\)%", line) is None
        assert words(line)[:8] == [
            f"XDG_STATE_HOME={path}", path, "-m", "x", command, "demo", "--config", path,
        ]  # fmt: skip


def test_places_of_the_environment_are_in_the_line() -> None:
    environ = {"XDG_STATE_HOME": "/s", "XDG_DATA_HOME": "/d", "XDG_CONFIG_HOME": "", "LANG": "C"}
    for line in all_lines(replace(PLAIN, environ=environ)):
        assert " XDG_STATE_HOME=/s XDG_DATA_HOME=/d /opt/bin/kline-ops " in line


def test_what_can_not_stand_in_a_crontab_is_refused() -> None:
    with pytest.raises(InputError, match="line break"):
        crontab(replace(PLAIN, config="/a\nb.yml"))
    with pytest.raises(InputError, match="998 characters, and this has"):
        crontab(replace(PLAIN, config="/" + "x" * 1000))
