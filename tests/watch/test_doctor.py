"""What a machine lacks, judged from what was seen of it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from kline_ops.watch import doctor
from kline_ops.watch.doctor import Finding, Kept, Level, Reached

OK, WARN, FAIL = Level.OK, Level.WARN, Level.FAIL


@pytest.mark.parametrize(
    ("finding", "level", "words"),
    [
        (doctor.python((3, 11, 7)), OK, "3.11.7"),
        (doctor.python((3, 9, 1)), FAIL, "3.9.1"),
        (doctor.tmux("tmux 3.3a"), OK, "3.3a"),
        (doctor.tmux("tmux 3.1c"), FAIL, "3.2 is needed"),
        (doctor.tmux("tmux next-3.7"), OK, "next"),
        (doctor.tmux("tmux master"), OK, "master"),
        (doctor.tmux(None), FAIL, "not installed"),
        (doctor.orphan("/tmp/tmux-0/kline-ops", None), OK, "/tmp/tmux-0/kline-ops"),
        (doctor.orphan("/tmp/tmux-0/kline-ops", 77), WARN, "pid 77"),
        (doctor.encoding("UTF-8"), OK, "UTF-8"),
        (doctor.encoding("ANSI_X3.4-1968"), WARN, "garbled"),
        (doctor.writable("data_dir", "/d", None), OK, "/d can be written"),
        (doctor.writable("data_dir", "/d", "no space left on device"), FAIL, "no space left"),
        (doctor.disk("/d", 100_000_000_000, 1e6), OK, "more than ten years"),
        (doctor.disk("/d", 1_060_000_000, 1e7), OK, "for 100 days at 10.0 MB a day"),
        (doctor.disk("/d", 160_000_000, 1e7), WARN, "for 10 days"),
        (doctor.disk("/d", 65_000, 1e7), FAIL, "65.0 kB free"),
        (doctor.disk("/d", 10**12, 0.0), OK, "1.0 TB free"),
        (doctor.descriptors(1024), OK, "1,024"),
        (doctor.descriptors(64), WARN, "64"),
        (doctor.clock(0.4, "h"), OK, "0.40 s ahead of h"),
        (doctor.clock(-1.5, "h"), WARN, "1.50 s behind h"),
        (doctor.clock(-1.5, "h", 0.6), OK, "1.50 s behind h"),
        (doctor.logout(None, is_root=False), OK, "no systemd-logind"),
        (doctor.logout(False, is_root=False), OK, "outlive"),
        (doctor.logout(True, is_root=True), OK, "outlive"),
        (doctor.logout(True, is_root=False), WARN, "KillUserProcesses"),
    ],
)
def test_what_is_seen_and_what_it_means(finding: Finding, level: Level, words: str) -> None:
    assert finding.level is level
    assert words in finding.told
    # Whatever is not well says what to do, but for a disk that is not there yet.
    assert bool(finding.advice) == (level is not OK)


def test_a_folder_that_is_not_there_yet_needs_no_advice() -> None:
    assert doctor.disk("/d", None, 1.0).level is WARN


@pytest.mark.parametrize(
    ("lines", "runs", "level", "words"),
    [
        (None, True, WARN, "not installed"),
        ("", True, WARN, "does not look after a, b"),
        ("# kline-ops analyze-gaps a\n7 * * * * x analyze-gaps b\n", True, WARN, "after a"),
        ("7 * * * * x analyze-gaps a\n7 * * * * x analyze-gaps ab\n", True, WARN, "after b"),
        ("7 * * * * x analyze-gaps a\n7 * * * * x watchdog b\n", True, OK, "a, b"),
        ("7 * * * * x analyze-gaps a\n7 * * * * x watchdog b\n", False, WARN, "no cron daemon"),
    ],
)
def test_does_a_crontab_look_after_them(
    lines: str | None, runs: bool, level: Level, words: str
) -> None:
    finding = doctor.cron(lines, [Kept("a"), Kept("b")], runs=runs)
    assert (finding.level, words in finding.told) == (level, True)


@pytest.mark.parametrize(
    ("lines", "session", "level", "words"),
    [
        ("@reboot x start a --config f", Kept("a", records=False), OK, "looks after a"),
        ("@reboot x start ab", Kept("a", records=False), WARN, "not look after a"),
        ("@reboot x stop a start", Kept("a", records=False), WARN, "not look after a"),
        ("# x start a", Kept("a", records=False), WARN, "not look after a"),
        # Nothing says what a recorder lacks.
        ("@reboot x start a", Kept("a"), WARN, "not look after a"),
        ("", Kept("a", unit=True), OK, "units of systemd look after a"),
        (None, Kept("a", records=False, unit=True), OK, "units of systemd look after a"),
    ],
)
def test_what_else_looks_after_a_session(
    lines: str | None, session: Kept, level: Level, words: str
) -> None:
    finding = doctor.cron(lines, [session], runs=not session.unit)
    assert (finding.level, words in finding.told) == (level, True)


def test_linger_matters_where_there_are_units() -> None:
    assert doctor.linger("me", [], lingers=False) is None
    kept = doctor.linger("me", ["kline-ops-a.service"], lingers=True)
    lost = doctor.linger("me", ["kline-ops-a.service"], lingers=False)
    assert kept is not None
    assert lost is not None
    assert (kept.level, lost.level) == (OK, WARN)
    assert lost.advice == "loginctl enable-linger me"


@pytest.mark.parametrize(
    ("rules", "others", "level", "words"),
    [
        ("D /tmp 1777 root root -\n", [], OK, "nobody tidies"),
        ("q /tmp 1777 root root 10d\n", [], OK, "after 10d; sockets in use stay"),
        ("d /tm 1777 root root 10d\nL /tmp 1777 root root 10d x\n", [], OK, "nobody"),
        ("q /tmp 1777 root root 10d\n", ["tmpreaper"], WARN, "tmpreaper may delete"),
    ],
)
def test_what_tidies_the_folder_of_the_socket(
    rules: str, others: list[str], level: Level, words: str
) -> None:
    finding = doctor.cleaners("/tmp/tmux-0", rules, others)
    assert (finding.level, words in finding.told) == (level, True)


def test_files_with_credentials_are_for_their_owner() -> None:
    (well,) = doctor.secrets({"/a": 0o100600})
    assert well.level is OK
    (bad,) = doctor.secrets({"/a": 0o100600, "/b": 0o100644})
    assert (bad.level, bad.advice) == (WARN, "chmod 600 /b")


def test_one_address_that_answers_makes_the_others_a_warning() -> None:
    dead, blocked = Reached("wss://a", "connection refused"), Reached("wss://b", "451", 451)
    well, later = Reached("wss://c", seconds=0.05), Reached("wss://d", waits=90.0)
    assert [one.level for one in doctor.addresses("stream", [dead, blocked])] == [FAIL, FAIL]
    found = doctor.addresses("stream", [dead, blocked, well, later])
    assert [one.level for one in found] == [WARN, WARN, OK, WARN]
    assert "blocked" in found[1].advice
    assert found[2].told == "wss://c answers in 50 ms"
    assert "90 s" in found[3].told


@pytest.mark.parametrize("say", [doctor.warning, doctor.failure])
def test_no_secret_is_told_nor_in_the_advice(say: Callable[[str, str, str], Finding]) -> None:
    """A config's error may name a key that is an address, and advise another one beside it."""
    hook = "https://hooks.slack.com/services/T0/B0/hidden"
    finding = say("config", f"x.{hook}: unknown key", f"x.{hook}")
    assert finding.told.startswith("x.https://hooks.slack.com/services/…")
    assert "hidden" not in finding.told + finding.advice
