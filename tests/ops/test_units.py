"""Crontab lines: what cron and its shell make of them."""

from __future__ import annotations

import re
import shlex
from dataclasses import replace

import pytest

from kline_ops.errors import InputError
from kline_ops.ops.units import Watched, crontab

PLAIN = Watched("demo", ["/opt/bin/kline-ops"], "/etc/demo.yml", {}, notify=False)


def lines(watched: Watched) -> tuple[str, str]:
    """The hourly and the daily line; everything else is a comment."""
    hourly, daily = (line for line in crontab(watched).splitlines() if not line.startswith("#"))
    return hourly, daily


def words(line: str) -> list[str]:
    """What is called: cron takes the backslashes of ``%`` away, the shell the quotes."""
    return shlex.split(line.split(" ", 5)[5].replace("\\%", "%"))


def test_plain_lines() -> None:
    call = "/opt/bin/kline-ops analyze-gaps demo --config /etc/demo.yml"
    hourly, daily = lines(PLAIN)
    assert re.fullmatch(rf"\d+ \* \* \* \* {call} --until now --quiet", hourly)
    assert daily == f"7 0 * * * {call} --digest"
    assert crontab(PLAIN).endswith("\n")


def test_a_comment_says_what_each_is() -> None:
    text = crontab(PLAIN)
    assert text.splitlines()[0].startswith("# kline-ops demo: hourly")
    assert "# kline-ops demo: daily, the digest of the last whole day (UTC)" in text


def test_it_tells_if_somebody_can_be_told() -> None:
    assert all(line.endswith(" --notify") for line in lines(replace(PLAIN, notify=True)))


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
    for line in lines(watched):
        assert re.search(r"(?<!\\)%", line) is None
        assert words(line)[:7] == [
            f"XDG_STATE_HOME={path}", path, "-m", "x", "analyze-gaps", "demo", "--config",
        ]  # fmt: skip
        assert words(line)[7] == path


def test_places_of_the_environment_are_in_the_line() -> None:
    environ = {"XDG_STATE_HOME": "/s", "XDG_DATA_HOME": "/d", "XDG_CONFIG_HOME": "", "LANG": "C"}
    hourly, daily = lines(replace(PLAIN, environ=environ))
    for line in (hourly, daily):
        assert " XDG_STATE_HOME=/s XDG_DATA_HOME=/d /opt/bin/kline-ops " in line


def test_what_can_not_stand_in_a_crontab_is_refused() -> None:
    with pytest.raises(InputError, match="line break"):
        crontab(replace(PLAIN, config="/a\nb.yml"))
    with pytest.raises(InputError, match="998 characters, and this has"):
        crontab(replace(PLAIN, config="/" + "x" * 1000))
