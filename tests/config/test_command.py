"""Sessions that are only a command, in a config file."""

from __future__ import annotations

from pathlib import Path

import pytest

from kline_ops.config.command import CommandSettings
from kline_ops.config.settings import Settings, load_session, load_settings
from kline_ops.errors import ConfigError
from kline_ops.secret import Secret

STREAM = "binance: {stream: {symbol: btcusdt, timeframe: 1h}}\n"


def load(
    folder: Path, text: str, name: str = "x", environ: dict[str, str] | None = None
) -> Settings | CommandSettings:
    path = folder / "f.yml"
    path.write_text(text)
    return load_session(name, path, environ or {})


def command(folder: Path, text: str, **more: str) -> CommandSettings:
    settings = load(folder, text, **more)
    assert isinstance(settings, CommandSettings)
    return settings


def refused(folder: Path, text: str, name: str = "x") -> str:
    with pytest.raises(ConfigError) as told:
        load(folder, text, name)
    assert "\n" not in told.value.one_line()
    return told.value.one_line()


def test_its_keys(tmp_path: Path) -> None:
    (tmp_path / "work").mkdir()
    told = command(
        tmp_path,
        "data_dir: data\n"
        'ops: {sessions: {x: {backend: tmux, command: "a \'b c\' \\"d\\" $E", working_dir: work,\n'
        "  env: {WORD: text, PORT: 8080}}}}\n",
    )
    assert told.argv == ("a", "b c", "d", "$E")
    assert told.working_dir == tmp_path / "work"
    assert told.env == {"WORD": Secret("text"), "PORT": Secret("8080")}
    assert told.data_dir == tmp_path / "data"
    assert told.exit_file == tmp_path / "data" / "exit.json"
    assert told.log_file == tmp_path / "data" / "session.log"
    assert told.events_file == tmp_path / "data" / "events.jsonl"
    # Nothing shows what a variable holds.
    assert "8080" not in repr(told)


def test_what_env_holds_is_text_as_it_is_written(tmp_path: Path) -> None:
    told = command(
        tmp_path,
        "ops: {sessions: {x: {command: a, env: &shared {PIN: 0123, AT_: 12:30, HEX: 0x1F, F: 1.50,\n"
        "  DAY: 2026-01-01, ON: yes, NO: ~, E: 1e5, TAG: !!int 7, NIL: ''}},\n"
        "  y: {command: b, env: *shared}}}\n",
    )
    assert {key: value.reveal() for key, value in told.env.items()} == {
        "PIN": "0123", "AT_": "12:30", "HEX": "0x1F", "F": "1.50", "DAY": "2026-01-01",
        "ON": "yes", "NO": "~", "E": "1e5", "TAG": "7", "NIL": "",
    }  # fmt: skip


def test_what_a_variable_of_ours_sets_is_text_under_its_own_name(tmp_path: Path) -> None:
    ours = "KLINE_OPS__OPS__SESSIONS__X__ENV"
    text = "ops: {sessions: {x: {command: a, env: {API_KEY: old, KEPT: 1}}}}\n"
    values = {"API_KEY": "007", "F": "1.5", "Mixed__Case": "*b", "PW": "!Tr0ub4dor", "NIL": ""}
    environ = {f"{ours}__{key}": value for key, value in values.items()}
    told = command(tmp_path, text, environ=environ)
    assert {key: value.reveal() for key, value in told.env.items()} == {**values, "KEPT": "1"}
    # Whatever the capitals of the session.
    told = command(tmp_path, text.replace("{x:", "{X:"), name="X", environ=environ)
    assert told.env["API_KEY"] == Secret("007")
    told = command(tmp_path, text, environ={ours: "{PIN: 0123}"})
    assert told.env["PIN"] == Secret("0123")


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        ("env: {PW: *SECRET}", "f.yml line 1: an unknown alias"),
        ("env: {PW: !SECRET }", "f.yml line 1: an unknown tag"),
        ("env: {PW: !SECRET!x y}", "f.yml line 1: an unknown tag"),
        ("env: {PW: !}SECRET}", "f.yml line 1: expected"),
        ("env: {SECRET: 1, SECRET: 2}", "line 1: a key stands twice"),
        ("env: {PW: &SECRET }", "Expected `str`"),
    ],
)
def test_what_env_holds_is_in_no_error(tmp_path: Path, keys: str, told: str) -> None:
    line = refused(tmp_path, f"ops: {{sessions: {{x: {{command: a, {keys}}}}}}}\n")
    assert told in line
    assert "SECRET" not in line


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        ("X__COMMAND", "[1]", "Expected `str | null`"),
        ("X__ENV", "{PW: [1]}", "Expected `str`"),
        ("X__ENV", "{PW: !SECRET }", "line 1: an unknown tag"),
        ("X__ENV", "{A=B: c}", "ops.sessions.x.env: 'A=…' can not be set"),
        ("X", "{env: {PW: *SECRET}}", "line 1: an unknown alias"),
    ],
)
def test_a_wrong_variable_of_ours_is_blamed(
    tmp_path: Path, variable: str, value: str, words: str
) -> None:
    text = "ops: {sessions: {x: {command: a}, y: {command: b}}}\n"
    ours = "KLINE_OPS__OPS__SESSIONS__"
    environ = {ours + variable: value, f"{ours}Y__COMMAND": "c", f"{ours}X__ENV__P": "q"}
    with pytest.raises(ConfigError) as told:
        load(tmp_path, text, environ=environ)
    assert words in told.value.one_line()
    assert f"{ours}{variable}" in told.value.one_line()
    assert "f.yml" not in told.value.one_line()
    assert "SECRET" not in told.value.one_line()


def test_a_wrong_file_is_not_blamed_on_a_variable_of_another_session(tmp_path: Path) -> None:
    text = "ops: {sessions: {x: {command: [a]}, y: {command: b}}}\n"
    with pytest.raises(ConfigError, match=r"f\.yml") as told:
        load(tmp_path, text, environ={"KLINE_OPS__OPS__SESSIONS__Y__COMMAND": "c"})
    assert "KLINE_OPS" not in told.value.one_line()


def test_what_is_not_given(tmp_path: Path) -> None:
    told = command(tmp_path, "ops:\n  sessions:\n    x:\n      command: a\n      env:\n")
    assert told.working_dir == tmp_path
    assert told.env == {}
    assert told.data_dir.name == "x"


def test_a_file_of_several_has_a_folder_for_each(tmp_path: Path) -> None:
    text = "data_dir: data\nops: {sessions: {x: {command: a}, y: {command: b}}}\n"
    assert command(tmp_path, text).data_dir == tmp_path / "data" / "x"
    assert command(tmp_path, text, name="y").argv == ("b",)


@pytest.mark.parametrize(
    ("folder", "told"),
    [("~nobody-of-here", "no such home"), ("https://x/hidden", "an address, and no path"),
     ('"a\\0b"', "holds a character that no path can"), ("none", "is no folder")],
)  # fmt: skip
def test_a_working_dir_that_is_no_folder(tmp_path: Path, folder: str, told: str) -> None:
    text = f"ops: {{sessions: {{x: {{command: a, working_dir: {folder}}}}}}}\n"
    line = refused(tmp_path, text)
    assert line.startswith("ops.sessions.x.working_dir: ")
    assert told in line
    assert f"(in {tmp_path}/f.yml line 1)" in line
    assert "hidden" not in line


def test_a_file_with_a_binance_section_records(tmp_path: Path) -> None:
    settings = load(tmp_path, STREAM + "ops: {sessions: {x: {command: a}}}\n")
    assert isinstance(settings, Settings)
    (warning,) = settings.warnings
    assert warning == "ops.sessions.x.command is left alone: with a binance section, x records"
    # Also where it is not complete: what is missing is told, and no command run instead.
    told = refused(tmp_path, "binance: {environment: us}\nops: {sessions: {x: {command: a}}}\n")
    assert told.startswith("binance.stream.symbol: missing")


def test_the_environment_makes_no_recording_of_a_command(tmp_path: Path) -> None:
    environ = {"KLINE_OPS__BINANCE__WS_URL": "ws://127.0.0.1:1/ws"}
    assert isinstance(
        load(tmp_path, "ops: {sessions: {x: {command: a}}}\n", environ=environ), CommandSettings
    )


def test_neither_of_the_two_names_both_ways(tmp_path: Path) -> None:
    told = refused(tmp_path, "logger: {preset: dev}\n")
    assert told == (
        f"binance.stream.symbol: missing (in {tmp_path}/f.yml). Try: symbol: btcusdt;"
        " or, to run a command instead of recording, ops.sessions.x.command"
    )
    told = refused(tmp_path, "ops: {sessions: {y: {command: b}, z: {command: c}}}\n")
    assert told.endswith("ops.sessions.x.command (there are y, z)")
    # A session without its command is none.
    assert "ops.sessions.x.command" in refused(tmp_path, "ops: {sessions: {x: {}}}\n")
    assert "ops.sessions.x.command" in refused(tmp_path, "ops: {sessions: {x: null}}\n")


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        ('command: "a \'b"', "ops.sessions.x.command: no closing quotation"),
        ("command: ''", "ops.sessions.x.command: empty"),
        ("command: \"''\"", "ops.sessions.x.command: empty"),
        ("command: '  '", "ops.sessions.x.command: empty"),
        ('command: "a \\0"', "ops.sessions.x.command: holds a NUL"),
        ("command: [a, b]", "Expected `str | null`"),
        ("command: a, backend: container", "Invalid enum value 'container'"),
        ("command: a, backend: container", "Try: tmux"),
        ("command: a, working_dir: nowhere", "ops.sessions.x.working_dir: "),
        ("command: a, working_dir: f.yml", "f.yml is no folder"),
        ("command: a, env: {WORD: [1]}", "Expected `str`"),
        ("command: a, env: {WORD: }", "Expected `str`"),
        ("command: a, env: {'A=B': c}", "ops.sessions.x.env: 'A=…' can not be set"),
        ("command: a, comand: b", "ops.sessions.x.comand: unknown key"),
        ("command: a, comand: b", "Try: ops.sessions.x.command"),
    ],
)
def test_what_can_not_be_used_is_named(tmp_path: Path, keys: str, told: str) -> None:
    assert told in refused(tmp_path, f"ops: {{sessions: {{x: {{{keys}}}}}}}\n")


def test_what_needs_a_recording_says_so(tmp_path: Path) -> None:
    path = tmp_path / "f.yml"
    path.write_text("ops: {sessions: {x: {command: a}}}\n")
    with pytest.raises(ConfigError, match=r"x is a command and records nothing \(in .*f.yml\)"):
        load_settings("x", path, {})
