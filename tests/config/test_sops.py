"""What sops has encrypted is decrypted by the real program, in memory, and never taken as it is."""

from __future__ import annotations

import os
import time
import traceback
from pathlib import Path

import pytest

from kline_ops.config import sops
from kline_ops.config.settings import Settings, examine, load_session, load_settings
from kline_ops.config.sops import Secrets, SopsError
from kline_ops.errors import ConfigError
from kline_ops.secret import Secret
from tests.support.sops import AgeKey, needs_sops

pytestmark = needs_sops

STREAM = "binance: {stream: {symbol: btcusdt, timeframe: 1h}}\n"
HOOK = "https://hooks.slack.com/services/T0/B0/hidden"
SLACK = f'credentials:\n    sops_mainnet: "{HOOK}"\n    sops_hb: {HOOK}2\n'


@pytest.fixture
def key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AgeKey:
    """A key that sops finds, at a home without any other."""
    home = tmp_path / "home"
    home.mkdir()
    for name in [*os.environ]:
        if name.startswith(("SOPS_", "XDG_CONFIG_HOME")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(home))
    made = AgeKey(home)
    monkeypatch.setenv("SOPS_AGE_KEY_FILE", str(made.file))
    return made


def config(folder: Path, include: str = "include: slack.sops.yml\n", more: str = "") -> Path:
    path = folder / "x.yml"
    path.write_text(include + STREAM + more)
    return path


def hook(settings: Settings) -> Secret | None:
    return settings.config.credentials.get("sops_mainnet")


def loaded(path: Path, secrets: Secrets = Secrets.NEEDED) -> Settings:
    return load_settings("x", path, {}, secrets=secrets)


def found(folder: Path, monkeypatch: pytest.MonkeyPatch, content: bytes) -> Path:
    """Another program sops, before all others in PATH."""
    program = folder / "bin" / "sops"
    program.parent.mkdir()
    program.write_bytes(content)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    return program


def refused(path: Path) -> SopsError:
    with pytest.raises(SopsError) as told:
        loaded(path)
    line = told.value.one_line()
    assert "\n" not in line
    assert "hidden" not in line
    assert told.value.exit_code == 2
    return told.value


def test_an_include_is_decrypted(tmp_path: Path, key: AgeKey) -> None:
    key.encrypt(tmp_path / "slack.sops.yml", SLACK)
    settings = loaded(config(tmp_path))
    assert hook(settings) == Secret(HOOK)
    assert settings.config.credentials["sops_hb"] == Secret(HOOK + "2")
    assert settings.warnings == ()
    assert settings.secret_files == ()


@pytest.mark.parametrize("ending", ["yaml", "json"])
def test_other_endings(tmp_path: Path, key: AgeKey, ending: str) -> None:
    text = SLACK if ending == "yaml" else f'{{"credentials": {{"sops_mainnet": "{HOOK}"}}}}'
    key.encrypt(tmp_path / f"slack.sops.{ending}", text)
    path = config(tmp_path, f"include: slack.sops.{ending}\n")
    assert hook(loaded(path)) == Secret(HOOK)


def test_an_ending_in_capitals(tmp_path: Path, key: AgeKey) -> None:
    text = f'{{"credentials": {{"sops_mainnet": "{HOOK}"}}}}'
    key.encrypt(tmp_path / "slack.sops.json", text).rename(tmp_path / "slack.sops.JSON")
    assert hook(loaded(config(tmp_path, "include: slack.sops.JSON\n"))) == Secret(HOOK)


def test_texts_stay_texts(tmp_path: Path, key: AgeKey) -> None:
    text = "ops:\n  sessions:\n    x:\n      command: a\n      env: {PIN: '0123', AT: '12:30', N: '~'}\n"
    path = key.encrypt(tmp_path / "x.sops.yml", text)
    env = load_session("x", path, {}).config.ops.sessions["x"].env
    assert {name: value.reveal() for name, value in env.items()} == {
        "PIN": "0123", "AT": "12:30", "N": "~",
    }  # fmt: skip


def test_a_main_file_is_decrypted(tmp_path: Path, key: AgeKey) -> None:
    path = key.encrypt(tmp_path / "x.sops.yml", STREAM + SLACK)
    assert hook(loaded(path)) == Secret(HOOK)
    # It is needed for anything at all.
    assert loaded(path, Secrets.LEFT).stream.symbol == "BTCUSDT"


def test_what_stands_over_it_and_under_it(tmp_path: Path, key: AgeKey) -> None:
    key.encrypt(tmp_path / "slack.sops.yml", SLACK)
    path = config(tmp_path, more="credentials: {sops_mainnet: 'https://other'}\n")
    assert hook(loaded(path)) == Secret("https://other")


def test_in_clear_text_it_is_used_and_told(tmp_path: Path, key: AgeKey) -> None:
    slack = tmp_path / "slack.sops.yml"
    slack.write_text(SLACK)
    settings = loaded(config(tmp_path))
    assert hook(settings) == Secret(HOOK)
    assert settings.warnings == (f"{slack} is in clear text: sops --encrypt --in-place {slack}",)
    assert settings.secret_files == (slack,)
    # That very line, with a recipient as its user would have it in .sops.yaml.
    (tmp_path / ".sops.yaml").write_text(f"creation_rules: [{{age: {key.recipient}}}]\n")
    words = settings.warnings[0].partition(": ")[2].split()
    key.run(words, tmp_path)
    assert "hidden" not in slack.read_text()
    assert hook(loaded(config(tmp_path))) == Secret(HOOK)
    assert loaded(config(tmp_path)).warnings == ()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (f"credentials: {{sops_hb: {HOOK}}}", "(credentials.sops_hb)"),
        (f"alerts: {{ping_url: {HOOK}}}", "(alerts.ping_url)"),
        ("alerts: {urls: ['tgram://hidden/1']}", "(alerts.urls)"),
        ("alerts: {urls: ['https://host/x?token=hidden']}", "(alerts.urls)"),
        (f"credentials: {{sops_hb: {HOOK}}}\nalerts: {{ping_url: {HOOK}}}", "sops_hb, alerts.ping_url)"),
    ],
)  # fmt: skip
def test_secrets_in_a_plain_file_are_told_once(tmp_path: Path, text: str, told: str) -> None:
    path = config(tmp_path, "", text + "\n")
    (warning,) = loaded(path).warnings
    assert told in warning
    assert f"sops --encrypt --in-place {tmp_path}/x.sops.yml" in warning
    assert "hidden" not in warning
    assert loaded(path).secret_files == (path,)


@pytest.mark.parametrize(
    "text",
    [
        "alerts: {urls: ['http://127.0.0.1:8000/hook']}",
        "binance_credentials: {api_key: hidden, api_secret: hidden}",
        "ops: {sessions: {y: {command: a, env: {LOG_LEVEL: DEBUG}}}}",
    ],
)
def test_what_is_no_secret_or_in_its_place_is_not_told(tmp_path: Path, text: str) -> None:
    assert loaded(config(tmp_path, "", text + "\n")).warnings == ()


def test_a_secret_of_the_environment_is_its_users_own(tmp_path: Path) -> None:
    environ = {"KLINE_OPS__CREDENTIALS__SOPS_MAINNET": HOOK, "KLINE_OPS__ALERTS__PING_URL": HOOK}
    settings = load_settings("x", config(tmp_path, ""), environ)
    assert settings.warnings == ()
    assert settings.config.alerts.ping_url == Secret(HOOK)


def test_under_another_name_it_is_refused(tmp_path: Path, key: AgeKey) -> None:
    key.encrypt(tmp_path / "slack.yml", SLACK)
    with pytest.raises(ConfigError) as told:
        loaded(config(tmp_path, "include: slack.yml\n"))
    assert told.value.one_line() == (
        f"{tmp_path}/slack.yml is encrypted by sops, and its name does not say so."
        " Try: name it slack.sops.yml"
    )
    (tmp_path / "slack.yml").rename(tmp_path / "x.yml")
    with pytest.raises(ConfigError, match="name does not say so"):
        loaded(tmp_path / "x.yml")


@pytest.mark.parametrize("name", ["slack.yml", "slack.sops.yml"])
def test_a_value_without_its_metadata_is_refused(tmp_path: Path, key: AgeKey, name: str) -> None:
    text = key.encrypt(tmp_path / "slack.sops.yml", SLACK).read_text()
    (tmp_path / name).write_text(text[: text.index("\nsops:")] + "\n")
    with pytest.raises(
        ConfigError, match=f"{name} line 2: a value that sops has encrypted"
    ) as told:
        loaded(config(tmp_path, f"include: {name}\n"))
    assert "ENC[" not in told.value.one_line()


def test_a_comment_may_speak_of_it(tmp_path: Path) -> None:
    assert loaded(config(tmp_path, "# like ENC[AES256_GCM,data:x]\n")).warnings == ()


def test_no_sops(tmp_path: Path, key: AgeKey, monkeypatch: pytest.MonkeyPatch) -> None:
    key.encrypt(tmp_path / "slack.sops.yml", SLACK)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("sys.executable", str(tmp_path / "python"))
    told = refused(config(tmp_path))
    assert "there is no program sops to decrypt it" in str(told)
    assert "https://github.com/getsops/sops" in told.hint


def test_no_key(tmp_path: Path, key: AgeKey, monkeypatch: pytest.MonkeyPatch) -> None:
    slack = key.encrypt(tmp_path / "slack.sops.yml", SLACK)
    monkeypatch.delenv("SOPS_AGE_KEY_FILE")
    told = refused(config(tmp_path))
    assert f"no key here decrypts {slack}" in str(told)
    assert "SOPS_AGE_KEY_FILE" in told.hint
    # Another one, by its value: what sops says of it does not tell it.
    other = AgeKey(tmp_path)
    monkeypatch.setenv("SOPS_AGE_KEY", other.private)
    assert "no key here decrypts" in str(told := refused(config(tmp_path)))
    assert other.private not in told.one_line()
    broken = other.private[:-1] + "!"
    monkeypatch.setenv("SOPS_AGE_KEY", broken)
    assert broken not in refused(config(tmp_path)).one_line()
    assert broken[16:40] not in refused(config(tmp_path)).one_line()


def test_a_key_by_its_value(tmp_path: Path, key: AgeKey, monkeypatch: pytest.MonkeyPatch) -> None:
    key.encrypt(tmp_path / "slack.sops.yml", SLACK)
    monkeypatch.delenv("SOPS_AGE_KEY_FILE")
    monkeypatch.setenv("SOPS_AGE_KEY", key.private)
    assert hook(loaded(config(tmp_path))) == Secret(HOOK)


def test_what_was_changed_since_is_refused(tmp_path: Path, key: AgeKey) -> None:
    slack = key.encrypt(tmp_path / "slack.sops.yml", SLACK)
    kept = [line for line in slack.read_text().splitlines() if "sops_hb" not in line]
    slack.write_text("\n".join(kept))
    assert "is not as it was encrypted (MAC mismatch)" in str(refused(config(tmp_path)))


def test_a_value_that_was_added_in_clear_text_is_not_told(tmp_path: Path, key: AgeKey) -> None:
    slack = key.encrypt(tmp_path / "slack.sops.yml", SLACK)
    slack.write_text(slack.read_text() + "alerts: {ping_url: 'hidden'}\n")
    told = refused(config(tmp_path))
    assert "holds a value that is not encrypted" in str(told)
    assert told.hint.endswith(f"sops {slack}")


def test_what_is_garbled_is_refused(tmp_path: Path, key: AgeKey) -> None:
    slack = key.encrypt(tmp_path / "slack.sops.yml", SLACK)
    slack.write_text(
        slack.read_text().replace("ENC[AES256_GCM,data:", "ENC[AES256_GCM,data:AAAA", 1)
    )
    assert f"{slack}" in str(refused(config(tmp_path)))


def test_a_sops_that_hangs_is_given_up_with_all_that_it_started(
    tmp_path: Path, key: AgeKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    key.encrypt(tmp_path / "slack.sops.yml", SLACK)
    # As with an agent: what it starts keeps its pipes open.
    program = found(tmp_path, monkeypatch, b'#!/bin/sh\nsleep 600 & echo $! > "$0.pid"\nwait\n')
    began = time.monotonic()
    with pytest.raises(SopsError, match=r"sops did not decrypt .* within 0\.5 s"):
        load_session("x", config(tmp_path), {}, patience=0.5)
    assert time.monotonic() - began < 5
    pid = int((program.parent / "sops.pid").read_text())
    deadline = time.monotonic() + 5
    while _lives(pid):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_what_it_says_is_one_line_without_secrets(
    tmp_path: Path, key: AgeKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    key.encrypt(tmp_path / "slack.sops.yml", SLACK)
    google = '{"private_key":"hidden"}'  # where others have a path
    said = f"a | b: \x1b[31m{HOOK} wrong-token-of-mine AGE-SECRET-KEY-{'Q' * 40} {google}"
    script = f"#!/bin/sh\necho '{said}' >&2\necho c >&2\nexit 1\n"
    found(tmp_path, monkeypatch, script.encode())
    monkeypatch.setenv("VAULT_TOKEN", "wrong-token-of-mine")
    monkeypatch.setenv("GOOGLE_CREDENTIALS", google)
    told = refused(config(tmp_path))
    assert "(exit code 1): a | b: \\u001b[31mhttps://hooks.slack.com/services/… … … … c" in str(
        told
    )


@pytest.mark.parametrize("content", [b"", b"\x7fELF", b"#!/no/such\n"])
def test_a_sops_that_can_not_be_run(
    tmp_path: Path, key: AgeKey, monkeypatch: pytest.MonkeyPatch, content: bytes
) -> None:
    key.encrypt(tmp_path / "slack.sops.yml", SLACK)
    program = found(tmp_path, monkeypatch, content)
    path = config(tmp_path)
    assert str(refused(path)).startswith(f"{program} can not be run: ")
    # A recorder that is to go on goes on without.
    (warning,) = loaded(path, Secrets.TRIED).warnings
    assert warning.startswith(f"goes on without slack.sops.yml: {program} can not be run")


def test_a_sops_that_is_killed(
    tmp_path: Path, key: AgeKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    key.encrypt(tmp_path / "slack.sops.yml", SLACK)
    found(tmp_path, monkeypatch, b"#!/bin/sh\nkill -9 $$\n")
    assert str(refused(config(tmp_path))).endswith("slack.sops.yml (ended by signal 9)")


def test_what_needs_several_keys_to_be_wrong_is_told_without_its_values(
    tmp_path: Path, key: AgeKey
) -> None:
    path = key.encrypt(
        tmp_path / "x.sops.yml",
        "binance:\n  stream: {symbol: hidden/, timeframe: hidden}\n  reconnect: {modulo: hidden}\n"
        "record: {since: hidden}\nwebsocket: {preset: hidden}\n",
    )
    told = [problem.one_line() for problem in examine("x", path, {}).problems]
    assert len(told) == 5
    assert "hidden" not in str(told)
    assert "websocket.preset: no preset … (in" in str(told)


def test_what_a_command_does_not_need_is_not_decrypted(
    tmp_path: Path, key: AgeKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    key.encrypt(tmp_path / "slack.sops.yml", SLACK)
    path = config(tmp_path)
    monkeypatch.delenv("SOPS_AGE_KEY_FILE")
    assert hook(loaded(path, Secrets.LEFT)) is None
    assert loaded(path, Secrets.LEFT).warnings == ()
    # A recorder that is to go on goes on without.
    tried = loaded(path, Secrets.TRIED)
    assert hook(tried) is None
    (warning,) = tried.warnings
    assert warning.startswith("goes on without slack.sops.yml: no key here decrypts")
    # Not where more than secrets is in it.
    key.encrypt(tmp_path / "slack.sops.yml", SLACK + "record: {grace: 1}\n")
    for secrets in Secrets:
        with pytest.raises(SopsError):
            loaded(path, secrets)


def test_what_can_not_be_done_without_is_waited_for(
    tmp_path: Path, key: AgeKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a hurry, a recorder does without its alerts, but not without its stream."""
    found(tmp_path, monkeypatch, b"#!/bin/sh\nsleep 1\necho 'record: {grace: 1}'\n")
    path = config(tmp_path)
    hurry = {"secrets": Secrets.TRIED, "patience": 0.1}
    key.encrypt(tmp_path / "slack.sops.yml", SLACK)
    tried = load_settings("x", path, {}, **hurry)
    assert tried.lacks_secrets.startswith("sops did not decrypt ")
    assert "within 0.1 s" in tried.warnings[0]
    key.encrypt(tmp_path / "slack.sops.yml", SLACK + "record: {grace: 1}\n")
    waited_for = load_settings("x", path, {}, **hurry)
    assert waited_for.config.record.grace == 1.0
    assert not waited_for.lacks_secrets


def test_a_sops_that_hangs_is_waited_for_once(
    tmp_path: Path, key: AgeKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With three files in its config, a recorder would come back after three times as long."""
    names = [f"{name}.sops.yml" for name in "abc"]
    for name in names:
        key.encrypt(tmp_path / name, SLACK)
    program = found(tmp_path, monkeypatch, b'#!/bin/sh\necho . >> "$0.calls"\nexec sleep 600\n')
    path = config(tmp_path, f"include: [{', '.join(names)}]\n")
    told = load_session("x", path, {}, secrets=Secrets.TRIED, patience=0.5)
    assert [warning.partition(": ")[0] for warning in told.warnings] == [
        f"goes on without {name}" for name in names
    ]
    assert (program.parent / "sops.calls").read_text() == ".\n"


def test_what_is_wrong_in_it_is_told_without_its_values(tmp_path: Path, key: AgeKey) -> None:
    slack = key.encrypt(
        tmp_path / "slack.sops.yml",
        "credentials:\n  sops_hb: hidden\nrecord:\n  fsync: hidden\n  grace: hidden\n",
    )
    told = [problem.one_line() for problem in examine("x", config(tmp_path), {}).problems]
    assert len(told) == 3
    assert "hidden" not in str(told)
    assert f"(in {slack} line 2)" in told[0]
    assert "record.fsync: Invalid enum value … " in told[1]


def test_nothing_is_written_in_clear(tmp_path: Path, key: AgeKey) -> None:
    key.encrypt(tmp_path / "slack.sops.yml", SLACK)
    loaded(config(tmp_path))
    for path in tmp_path.rglob("*"):
        assert not path.is_file() or b"hidden" not in path.read_bytes()


def test_the_name_that_a_file_should_have() -> None:
    assert [sops.named(Path(name)) for name in ("a.yml", "a.enc.yaml", "a")] == [
        "a.sops.yml", "a.sops.yaml", "a.sops.yml",
    ]  # fmt: skip


def _lives(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def test_a_traceback_tells_none_of_it_with_all_its_variables(
    tmp_path: Path, key: AgeKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    key.encrypt(tmp_path / "slack.sops.yml", SLACK)
    path = config(tmp_path, more=f"credentials: {{sops_wd: {HOOK}}}\n")

    def broken(name: str, loaded: object, faults: object) -> None:
        raise RuntimeError(repr(loaded))

    monkeypatch.setattr("kline_ops.config.settings._resolve", broken)
    with pytest.raises(RuntimeError) as told:
        load_settings("x", path, {"KLINE_OPS__CREDENTIALS__SOPS_X": HOOK})
    trace = traceback.TracebackException.from_exception(told.value, capture_locals=True)
    # Each frame with what it knows; but for what the test itself gave.
    text = "".join(line for line in trace.format() if "test_sops" not in line)
    assert "'sops_mainnet': …" in text
    assert "hidden" not in text.replace(repr({"KLINE_OPS__CREDENTIALS__SOPS_X": HOOK}), "")


def test_a_section_that_sops_breaks_down_over(
    tmp_path: Path, key: AgeKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = key.encrypt(tmp_path / "slack.sops.yml", SLACK)
    panic = "panic: runtime error: index out of range [0]\\n\\ngoroutine 1 [running]:\\nmain.main()"
    found(tmp_path, monkeypatch, f"#!/bin/sh\nprintf '{panic}' >&2\nexit 2\n".encode())
    told = refused(config(tmp_path)).one_line()
    assert told.startswith(f"sops breaks down over {path}: its section `sops` is not as sops has")
    assert "goroutine" not in told


def test_why_there_is_no_key_is_told_to_the_end(tmp_path: Path, key: AgeKey) -> None:
    key.encrypt(tmp_path / "slack.sops.yml", SLACK)
    key.file.unlink()
    told = str(refused(config(tmp_path)))
    assert told.endswith(f"open {key.file}: no such file or directory"), told
