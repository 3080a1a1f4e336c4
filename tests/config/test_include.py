"""Files that include one another: who has the last word, and what is refused with its place."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from kline_ops.config.settings import Settings, examine, load_session, load_settings
from kline_ops.errors import ConfigError
from kline_ops.secret import Secret

STREAM = "binance: {stream: {symbol: btcusdt, timeframe: 1h}}\n"

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def make(**files: str) -> Path:
        """``a__b="…"`` is the file a/b.yml; answers where x.yml is."""
        for name, text in files.items():
            path = tmp_path.joinpath(*name.split("__")).with_suffix(".yml")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return tmp_path / "x.yml"

    return make


def settings(path: Path, **environ: str) -> Settings:
    return load_settings("x", path, environ)


def refused(path: Path) -> str:
    with pytest.raises(ConfigError) as told:
        settings(path)
    assert "\n" not in told.value.one_line()
    assert told.value.exit_code == 2
    return told.value.one_line()


def test_later_ones_win_and_the_including_file_last(write: Write) -> None:
    told = settings(
        write(
            x=f"include: [a.yml, b.yml]\nrecord: {{grace: 3}}\n{STREAM}",
            a="record: {grace: 1, rest_patience: 1, fsync: never}\n",
            b="record: {grace: 2, rest_patience: 2}\n",
        )
    )
    record = told.config.record
    assert (record.grace, record.rest_patience, record.fsync) == (3, 2, "never")


def test_one_file_may_stand_alone_and_none_may_stand_there(write: Write) -> None:
    assert settings(write(x=f"include: a.yml\n{STREAM}", a="record: {grace: 1}\n")).config.record
    for nothing in ("include:\n", "include: []\n", "include: null\n"):
        assert settings(write(x=nothing + STREAM)).config.record.grace == 2
    assert settings(write(x=f"include: a.yml\n{STREAM}", a="# nothing\n")).config.record.grace == 2


def test_lists_replace(write: Write) -> None:
    urls = "binance: {failover_urls: ['wss://stream.binance.com:443/ws', 'wss://a.binance.com/ws']}"
    mine = "  failover_urls: ['wss://b.binance.com/ws']\n"
    told = settings(
        write(x=f"include: a.yml\nbinance:\n{mine}  stream: {{symbol: a, timeframe: 1h}}\n"
              .replace("symbol: a", "symbol: btcusdt"), a=urls)
    )  # fmt: skip
    assert told.failover_urls == ("wss://b.binance.com/ws",)


def test_they_are_relative_to_the_file_that_includes_them(write: Write) -> None:
    path = write(
        x=f"include: config/a.yml\n{STREAM}",
        config__a="include: [b.yml, ../c.yml]\n",
        config__b="record: {grace: 7}\n",
        c="record: {rest_patience: 8}\n",
    )
    assert settings(path).config.record.grace == 7
    assert settings(path).config.record.rest_patience == 8


def test_an_absolute_path_inside_is_fine(write: Write, tmp_path: Path) -> None:
    path = write(x=f"include: {tmp_path}/a.yml\n{STREAM}", a="record: {grace: 7}\n")
    assert settings(path).config.record.grace == 7


def test_a_diamond_and_the_same_file_twice_are_fine(write: Write) -> None:
    path = write(
        x=f"include: [a.yml, b.yml, a.yml]\n{STREAM}",
        a="include: c.yml\n",
        b="include: c.yml\n",
        c="record: {grace: 7}\n",
    )
    assert settings(path).config.record.grace == 7


def test_diamonds_upon_diamonds_end(write: Write) -> None:
    files = {f"a{n}": f"include: [a{n + 1}.yml, a{n + 1}.yml, a{n + 1}.yml]\n" for n in range(9)}
    line = refused(write(x=f"include: a1.yml\n{STREAM}", **files, a9="record: {grace: 7}\n"))
    assert "more than 1000 includes" in line


def test_a_dotfile_that_is_a_link_has_its_neighbours(tmp_path: Path, write: Write) -> None:
    write(dotfiles__x=f"include: a.yml\n{STREAM}", dotfiles__a="record: {grace: 7}\n")
    home = tmp_path / "home"
    home.mkdir()
    for name in ("x.yml", "a.yml"):
        (home / name).symlink_to(tmp_path / "dotfiles" / name)
    assert settings(home / "x.yml").config.record.grace == 7


def test_the_environment_has_the_last_word(write: Write) -> None:
    path = write(x=f"include: a.yml\n{STREAM}", a="record: {grace: 1}\n")
    assert settings(path, KLINE_OPS__RECORD__GRACE="9").config.record.grace == 9


def test_a_service_by_the_environment(write: Write) -> None:
    urls = {"KLINE_OPS__ALERTS__URLS": "tgram://token/1"}
    assert settings(write(x=STREAM), **urls).config.alerts.urls == (Secret("tgram://token/1"),)
    urls = {"KLINE_OPS__ALERTS__URLS": "[tgram://token/1, 'https://x']"}
    assert len(settings(write(x=STREAM), **urls).config.alerts.urls) == 2


def test_an_override_of_what_an_alias_shares_stays_where_it_is(tmp_path: Path) -> None:
    path = tmp_path / "x.yml"
    path.write_text(
        "ops: {sessions: {x: {command: a, env: &shared {A: 1}}, y: {command: b, env: *shared}}}\n"
    )
    environ = {"KLINE_OPS__OPS__SESSIONS__X__ENV__A": "2"}
    sessions = load_session("y", path, environ).config.ops.sessions
    assert [sessions[name].env["A"].reveal() for name in "xy"] == ["2", "1"]


@pytest.mark.parametrize(
    ("text", "files", "words"),
    [
        ("include: none.yml", {},
         "include: {folder}/none.yml does not exist (in {folder}/x.yml line 1)"),
        ("include: [a.yml, 5]", {"a": ""}, "include: not a path (in {folder}/x.yml line 1)"),
        ("include: {a: b}", {}, "include: not a path"),
        ("include: ''", {}, "include: no path"),
        ("include: \"a\\0b\"", {}, "include: holds a character that no path can (in"),
        ("include: \"\\ud800\"", {}, "include: holds a character that no path can (in"),
        ("include: ~nobody-of-here/x", {}, "include: ~nobody-of-here: there is no such home here (in"),
        ("include: https://hooks.slack.com/services/T/hidden", {},
         "include: an address, and no path (in {folder}/x.yml line 1). Try: a path on this machine"),
        ("include: x.yml", {}, "include: a circle: x.yml includes x.yml"),
        ("include: a.yml", {"a": "include: b.yml", "b": "\ninclude: a.yml"},
         "include: a circle: a.yml includes b.yml includes a.yml (in {folder}/b.yml line 2)"),
        ("include: sub", {"sub__a": ""}, "include: sub is no file"),
        ("include: ../x.yml", {}, "include: ../x.yml is"),
        ("include: /etc/passwd", {}, "include: /etc/passwd is /etc/passwd, outside of"),
        ("include: ~/x.yml", {}, "outside of"),
        ("include: /dev/stdin", {}, "include: /dev/stdin is"),
        ("include: a.yml", {"a": "- 1\n"}, "{folder}/a.yml is not a mapping"),
        ("include: a.yml", {"a": "text"}, "{folder}/a.yml is not a mapping"),
        ("include: a.yml", {"a": "record: ["}, "{folder}/a.yml line 1: "),
        ("include: a.yml", {"a": "record: {}\nrecord: {}\n"},
         "{folder}/a.yml: line 2: the key 'record' stands twice"),
        ("include: a.yml", {"a": "\nrecord:\n  grace: .inf\n"},
         "record.grace: not a finite number (in {folder}/a.yml line 3)"),
        ("include: a.yml", {"a": "record: {grace: .nan}\n"},
         "record.grace: not a finite number (in {folder}/a.yml line 1)"),
        ("include: a.yml", {"a": "\nwebsokcet: {}\n"},
         "websokcet: unknown key (in {folder}/a.yml line 2). Try: websocket"),
        ("inculde: a.yml", {}, "inculde: unknown key (in {folder}/x.yml line 1). Try: include"),
        ("record: {include: a.yml}", {}, "record.include: unknown key"),
        ("include: a.yml", {"a": "\n\nbinance:\n  ws_url: nowhere\n"},
         "binance.ws_url: 'nowhere' is no ws:// or wss:// address (in {folder}/a.yml line 4)"),
        ("include: a.yml", {"a": "# " + "x" * (1 << 20)}, "{folder}/a.yml is larger than 1 MiB"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_with_its_place(
    write: Write, tmp_path: Path, text: str, files: dict[str, str], words: str
) -> None:
    line = refused(write(x=f"{text}\n{STREAM}", **files))
    assert "hidden" not in line
    assert words.replace("{folder}", str(tmp_path)) in line


def test_too_deep_is_refused(write: Write) -> None:
    files = {f"a{n}": f"include: a{n + 1}.yml\n" for n in range(11)}
    assert "nested more than 10 deep: a10.yml" in refused(
        write(x=f"include: a1.yml\n{STREAM}", **files)
    )


def test_a_link_that_leads_out_is_refused(write: Write, tmp_path: Path) -> None:
    write(elsewhere__a="record: {grace: 7}\n", here__x=f"include: a.yml\n{STREAM}")
    (tmp_path / "here" / "a.yml").symlink_to(tmp_path / "elsewhere" / "a.yml")
    assert "outside of" in refused(tmp_path / "here" / "x.yml")
    (tmp_path / "here" / "a.yml").unlink()
    (tmp_path / "here" / "a.yml").symlink_to("a.yml")
    assert "levels of symbolic links" in refused(tmp_path / "here" / "x.yml")


def test_a_pipe_is_not_waited_for(write: Write, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.yml")
    assert "include: a.yml is no file" in refused(write(x=f"include: a.yml\n{STREAM}"))


def test_the_environment_includes_nothing(write: Write) -> None:
    with pytest.raises(ConfigError, match=r"include: stands in a file only .*KLINE_OPS__INCLUDE"):
        settings(write(x=STREAM), KLINE_OPS__INCLUDE="a.yml")


def test_all_that_is_wrong_is_told_at_once(write: Write, tmp_path: Path) -> None:
    path = write(
        x="include: [a.yml, b.yml]\n"
        "websokcet: {}\n"
        "record: {grace: abc, fsync: maybe}\n"
        "binance:\n"
        "  stream: {symbol: btc/usdt, timeframe: 1x}\n"
        "  ws_url: nowhere\n"
        "  reconnect: {modulo: 4x}\n"
        "credentials: {slack: x, sops_hb: ftp://hidden}\n",
        a="record: {since: yesterday}\n",
        b="alerts: {digest: noon, urls: [1]}\n",
    )
    examined = examine("x", path, {"KLINE_OPS__RECORD__BACKFILL": "maybe"})
    assert examined.session is None
    lines = [problem.one_line() for problem in examined.problems]
    assert len(lines) == 13, lines
    for words, place in {
        "alerts.digest: Expected `str` matching": "b.yml line 1",
        "alerts.urls[0]: Expected `str`": "b.yml line 1",
        "websokcet: unknown key": "x.yml line 2",
        "record.grace: Expected `float`, got `str`": "x.yml line 3",
        "record.fsync: Invalid enum value 'maybe'": "x.yml line 3",
        "credentials.slack: unknown key": "x.yml line 8",
        "credentials.sops_hb: no http://": "x.yml line 8",
        "record.backfill: Expected `bool`": "the environment: KLINE_OPS__RECORD__BACKFILL",
        "binance.ws_url: 'nowhere'": "x.yml line 6",
        "binance.stream.symbol: 'btc/usdt' is no symbol": "x.yml line 5",
        "binance.reconnect.modulo": "x.yml line 7",
        "record.since: 'yesterday' is no time": "a.yml line 1",
    }.items():
        (found,) = [line for line in lines if line.startswith(words)]
        assert place in found
    assert "hidden" not in str(lines)


def test_a_file_that_can_not_be_read_hides_nothing_but_what_it_may_hold(write: Write) -> None:
    path = write(x="include: [none.yml, a.yml]\nrecord: {grace: abc}\n", a="record: {gracee: 1}\n")
    told = [problem.one_line() for problem in examine("x", path, {}).problems]
    # Symbol and timeframe may stand in the file that is missing.
    assert len(told) == 3, told
    assert not any("binance" in line for line in told)
