"""What a session takes over from the environment of ``start``."""

from __future__ import annotations

from pathlib import Path

import pytest

from kline_ops.errors import ConfigError
from kline_ops.ops import handover

ENVIRON = {
    "PATH": "/bin", "HTTPS_PROXY": "http://u:p@proxy", "KLINE_OPS__LOGGER__PRESET": "dev",
    "DATABASE": "mine", "TERM": "xterm", "TMUX": "/tmp/x,1,0", "SHLVL": "3", "ODD": "\udcff é\n",
}  # fmt: skip


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "session.env"


def test_only_its_owner_reads_it_and_only_once(path: Path) -> None:
    handover.write(path, ENVIRON, whole=False)
    assert path.stat().st_mode & 0o777 == 0o600
    kept = ["PATH", "HTTPS_PROXY", "KLINE_OPS__LOGGER__PRESET"]
    assert handover.take(path) == {key: ENVIRON[key] for key in kept}
    assert not path.exists()
    assert handover.take(path) == {}


def test_what_sops_needs_is_handed_over(path: Path) -> None:
    names = ("SOPS_AGE_KEY", "SOPS_CONFIG", "GNUPGHOME", "AWS_SECRET_ACCESS_KEY", "AZURE_CLIENT_ID",
             "GOOGLE_APPLICATION_CREDENTIALS", "VAULT_TOKEN", "CLOUDSDK_CONFIG")  # fmt: skip
    environ = dict.fromkeys(names, "/x") | {"AWSOME": "x", "PATH": "/bin"}
    handover.write(path, environ, whole=False)
    assert handover.take(path) == {**dict.fromkeys(names, "/x"), "PATH": "/bin"}


def test_where_telemetry_goes_is_handed_over(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its headers are a secret: the file is its owner's, and gone when it was read."""
    monkeypatch.chdir(path.parent.parent)
    environ = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://h", "OTEL_EXPORTER_OTLP_HEADERS": "key=S"}
    handover.write(path, environ | {"OTEL_EXPORTER_OTLP_CERTIFICATE": "ca.pem"}, whole=False)
    certificate = str(path.parent.parent / "ca.pem")
    assert handover.take(path) == environ | {"OTEL_EXPORTER_OTLP_CERTIFICATE": certificate}


@pytest.mark.parametrize("whole", [False, True])
def test_a_key_is_found_from_another_folder(
    path: Path, monkeypatch: pytest.MonkeyPatch, whole: bool
) -> None:
    monkeypatch.chdir(path.parent.parent)
    monkeypatch.setenv("HOME", "/home/me")
    environ = {"SOPS_AGE_KEY_FILE": "keys.txt", "GNUPGHOME": "~/.gnupg", "SSL_CERT_FILE": "",
               "SOPS_AGE_KEY": "keys.txt"}  # fmt: skip
    handover.write(path, environ, whole=whole)
    assert handover.take(path) == {
        "SOPS_AGE_KEY_FILE": str(path.parent.parent / "keys.txt"),
        "GNUPGHOME": "/home/me/.gnupg",
        "SSL_CERT_FILE": "",
        "SOPS_AGE_KEY": "keys.txt",
    }


def test_a_home_that_there_is_not_stops_nobody(path: Path) -> None:
    """Who is asked for the key says so, as it does in a shell."""
    handover.write(path, {"SOPS_AGE_SSH_PRIVATE_KEY_FILE": "~nobody-of-here/id"}, whole=False)
    (told,) = handover.take(path).values()
    assert told.endswith("/~nobody-of-here/id")


def test_a_command_has_all_that_is_not_the_shells_or_the_terminals_own(path: Path) -> None:
    handover.write(path, ENVIRON, whole=True)
    without = {"TERM", "TMUX", "SHLVL"}
    assert handover.take(path) == {k: v for k, v in ENVIRON.items() if k not in without}


@pytest.mark.parametrize("content", ["", "{", "[1]", "null", "\x00"])
def test_what_can_not_be_read_is_nothing(path: Path, content: str) -> None:
    path.parent.mkdir()
    path.write_text(content)
    assert handover.take(path) == {}


def test_a_file_of_others_is_replaced_not_written_into(path: Path) -> None:
    path.parent.mkdir()
    other = path.with_name("other")
    other.write_text("kept")
    path.symlink_to(other)
    handover.write(path, ENVIRON, whole=False)
    assert other.read_text() == "kept"
    assert not path.is_symlink()


def test_what_nobody_has_taken_is_gone_in_the_end(path: Path) -> None:
    with handover.lent(path, ENVIRON):
        assert path.stat().st_mode & 0o777 == 0o600
        assert "DATABASE" not in path.read_text()
    assert not path.exists()


def test_a_folder_that_takes_no_file(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("")
    with (
        pytest.raises(ConfigError, match=r"data_dir: cannot write .*session\.env: "),
        handover.lent(tmp_path / "data" / "session.env", ENVIRON),
    ):
        pytest.fail("nothing was handed over")
