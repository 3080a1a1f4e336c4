"""Exporting to worse receivers, and of what can not be told as it is: told once, and no harm."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from kline_ops import events
from kline_ops.events import Event
from kline_ops.observe.otel.trouble import Trouble
from tests.support.machine import until
from tests.support.otlp import ENDPOINT, SECRET, exporting, plain, receiver
from tests.support.trial import Trial, run_trial

pytestmark = pytest.mark.usefixtures("environment")


@contextmanager
def heard_at_root() -> Iterator[list[logging.LogRecord]]:
    """What the log of a session would have; pytest listens to more than that."""
    records: list[logging.LogRecord] = []
    handler = logging.Handler()
    handler.emit = records.append  # type: ignore[method-assign]
    logging.getLogger().addHandler(handler)
    try:
        yield records
    finally:
        logging.getLogger().removeHandler(handler)


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (500, "Internal Server Error"),
        pytest.param(429, "Too Many Requests", marks=pytest.mark.long),
        pytest.param("hang", "it does not answer in time", marks=pytest.mark.long),
        pytest.param("away", "connection refused", marks=pytest.mark.long),
    ],
)
def test_a_collector_in_trouble_costs_nothing_and_is_told_once(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    answer: Any,
    why: str,
) -> None:
    async def wait_for_trouble(trial: Trial) -> None:
        """As long as the SDK takes, by the clock on the wall."""
        end = time.monotonic() + 20
        while "do not arrive" not in caplog.text and time.monotonic() < end:
            await asyncio.sleep(0.05)
            time.sleep(0.005)
        for _ in range(20):
            await asyncio.sleep(0.05)
            time.sleep(0.02)
        # Not just when a candle closes: the truth has it then, and the disk may not.
        await asyncio.sleep((1500 - trial.clock.wall_ms() % 1000) % 1000 / 1000)

    monkeypatch.setattr("kline_ops.session.observing._CLOSE_WITHIN", 0.2)
    with receiver(answer) as told:
        port = 9 if answer == "away" else told.port
        monkeypatch.setenv(ENDPOINT, f"http://user:{SECRET}@127.0.0.1:{port}")
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", f"authorization=Bearer {SECRET}")
        if answer != "hang":  # time for a second try: the SDK says why it makes one
            monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "3")
        with caplog.at_level(logging.DEBUG), heard_at_root() as at_root:
            trial = run_trial(tmp_path, 20, wait_for_trouble)
    assert trial.rows() == trial.truth()
    (said,) = [r.getMessage() for r in caplog.records if "do not arrive" in r.getMessage()]
    assert why in said
    assert "recording goes on" in said
    ours = [r.getMessage() for r in caplog.records if r.name.startswith(("kline_ops", "opentel"))]
    assert SECRET not in "\n".join(ours)
    assert not [record for record in at_root if record.name.startswith("opentelemetry")]


@pytest.mark.long
def test_the_end_waits_no_longer_than_a_moment_for_a_collector_that_hangs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "60")
    with receiver("hang") as told:
        monkeypatch.setenv(ENDPOINT, told.url)
        began = time.monotonic()
        trial = run_trial(tmp_path, 5)
        assert time.monotonic() - began < 15
    assert trial.rows() == trial.truth()


@pytest.mark.usefixtures("patience")
def test_an_answer_of_garbage_is_an_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "30")
    with receiver("garbage") as told:
        monkeypatch.setenv(ENDPOINT, told.url)
        trial = run_trial(tmp_path, 5)
    assert trial.rows() == trial.truth()
    assert told.spans()
    assert "OpenTelemetry" not in caplog.text


@pytest.mark.parametrize(
    ("headers", "why"),
    [
        (f"api-key={SECRET}%0Ax", "make no good request: InvalidHeader"),
        (f"api-key={SECRET}%E2%82%AC", "make no good request: UnicodeEncodeError"),
        (f"api key {SECRET}", "a header of OTEL_EXPORTER_OTLP_HEADERS is passed over"),
    ],
)
def test_a_header_that_is_no_good_is_told_without_what_it_says(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, headers: str, why: str
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", headers)
    with receiver() as told:
        monkeypatch.setenv(ENDPOINT, told.url)
        with exporting({"traces": told.url}) as one:
            one.hear(events.Disconnected(
                connection=1, endpoint="ws://h", code=None, reason="", seconds=None,
            ))  # fmt: skip
            until(lambda: why in caplog.text)
    # pytest listens to the SDK as well, which says more.
    ours = "\n".join(r.getMessage() for r in caplog.records if r.name == "kline_ops.otel")
    assert ours.count(why) == 1
    assert SECRET not in ours


def test_a_record_that_is_no_text_harms_nobody_who_says_it() -> None:
    with receiver() as told, pytest.MonkeyPatch.context() as patch:
        patch.setenv(ENDPOINT, told.url)
        patch.setattr(logging, "raiseExceptions", False)
        with exporting({"logs": told.url}):
            of_ours().handle(logging.LogRecord("x", logging.ERROR, "", 1, "%d", ("none",), None))
            logging.getLogger("kline_ops.x").warning("good")
            until(lambda: any(r.body.string_value == "good" for r in told.logs()))


def of_ours() -> logging.Handler:
    """The handler that exports."""
    (ours,) = (h for h in logging.getLogger().handlers if type(h).__name__ == "_Handler")
    return ours


def test_half_a_character_costs_no_more_than_itself() -> None:
    with receiver() as told, pytest.MonkeyPatch.context() as patch:
        patch.setenv(ENDPOINT, told.url)
        with exporting({"logs": told.url, "traces": told.url}) as one:
            # Not through the root: what is captured of a test there has to be text.
            said = logging.LogRecord("kline_ops.x", logging.WARNING, "", 1, "caf\udce9", (), None)
            of_ours().handle(said)
            one.hear(events.Disconnected(
                connection=1, endpoint="ws://h/\udce9", code=None, reason="no \udce9", seconds=None,
            ))  # fmt: skip
            until(lambda: len(told.logs()) >= 2 and told.spans())
    assert "caf?" in {record.body.string_value for record in told.logs()}
    assert plain(told.spans()[0].attributes)["kline_ops.end"] == "no ?"


def test_trouble_is_told_seldom_and_its_end_once(caplog: pytest.LogCaptureFixture) -> None:
    now = 0.0
    trouble = Trouble({"logs": "http://h/v1/logs", "traces": "http://h"}, lambda: now)

    def export(signal: str, *, ok: bool) -> None:
        with trouble.noted(signal) as note:
            logging.getLogger("opentelemetry.exporter").error("code: 503")
            note(ok)

    try:
        with caplog.at_level(logging.INFO):
            for _ in range(3):
                export("logs", ok=False)
            export("traces", ok=False)
            export("logs", ok=True)
            export("traces", ok=True)
            export("logs", ok=False)
            export("logs", ok=True)
            now = 4000.0
            with pytest.raises(ZeroDivisionError), trouble.noted("logs"):
                raise ZeroDivisionError
    finally:
        trouble.close()
    said = [r.getMessage() for r in caplog.records if r.name == "kline_ops.otel"]
    goes_on = "recording goes on, and so does trying"
    assert said == [
        f"OpenTelemetry: logs do not arrive at http://h/v1/logs (code: 503); {goes_on}",
        "OpenTelemetry: what is exported arrives again",
        f"OpenTelemetry: logs do not arrive at http://h/v1/logs (why is not said); {goes_on}",
    ]


def test_more_than_can_wait_is_dropped_and_told(caplog: pytest.LogCaptureFixture) -> None:
    with receiver() as told, pytest.MonkeyPatch.context() as patch:
        patch.setenv(ENDPOINT, told.url)
        patch.setattr("kline_ops.observe.otel.exporting._QUEUE", 500)
        told_of: list[Event] = [events.BackfillFailed(reason=str(n)) for n in range(20_000)]
        with exporting({"logs": told.url}) as one:
            began = time.process_time()
            for event in told_of:
                one.hear(event)
            assert time.process_time() - began < 5
            until(lambda: "found no room" in caplog.text)
    assert "events and log lines found no room" in caplog.text
    assert told.logs()
