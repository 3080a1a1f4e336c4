"""Nobody who looks on, or pretends to, costs a candle; a process that makes way leaves its port."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.trial import Trial, run_trial
from tests.support.web import Listener, ask, free_port, request
from tests.test_service_succession import Relay, relay

PATHS = ("/healthz", "/ready", "/complete", "/metrics", "/api/status", "/api/candles",
         "/api/history?span=day", "/api/sessions", "/", "/page/main.js", "/nothing")  # fmt: skip


class Crowd:
    """Clients of all kinds, until the end of a trial."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._writers: list[asyncio.StreamWriter] = []
        self.codes: dict[int, int] = {}

    async def hang(self, sent: bytes) -> None:
        """Send that, and read nothing, ever."""
        with contextlib.suppress(ConnectionError):
            _, writer = await asyncio.open_connection("127.0.0.1", self._port)
            self._writers.append(writer)
            writer.transport.pause_reading()
            writer.write(sent)

    async def flood(self, times: int) -> None:
        """Ask on one connection, again and again."""
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
            self._writers.append(writer)
            for number in range(times):
                writer.write(request(PATHS[number % len(PATHS)], "HEAD"))
                head = await reader.readuntil(b"\r\n\r\n")
                code = int(head.split()[1])
                self.codes[code] = self.codes.get(code, 0) + 1

    def close(self) -> None:
        for writer in self._writers:
            writer.transport.abort()


def test_a_crowd_of_bad_clients_costs_no_candle(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    port = free_port()
    crowd = Crowd(port)

    async def script(trial: Trial) -> None:
        await asyncio.sleep(2)
        for _ in range(4):
            for _ in range(40):
                await crowd.hang(b"GET / HTTP/1.1\r\nhost: ")
                await crowd.hang(b"")
            for _ in range(8):
                await crowd.hang(request("/api/events"))
                await crowd.hang(request("/page/plotly.js"))
                await crowd.hang(request("/metrics") * 50)
                await crowd.hang(b"\x16\x03\x01\x02")
            await asyncio.gather(*(crowd.flood(len(PATHS)) for _ in range(10)))
            assert (await ask(port, "/ready")).code == 200
            await asyncio.sleep(4)
        crowd.close()

    trial = run_trial(tmp_path, 25, script, rest=False, http__port=port)
    assert trial.rows() == trial.truth()
    assert len(trial.rows()) >= 23
    assert crowd.codes[200] > 200
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


def test_what_fails_in_an_answer_is_told_once_and_harms_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = free_port()
    bodies = []

    def fails(*_: object) -> None:
        raise RuntimeError("secret plans")

    monkeypatch.setattr("kline_ops.session.page_data.PageData.status", fails)

    async def script(trial: Trial) -> None:
        await asyncio.sleep(3)
        for _ in range(3):
            got = await ask(port, "/api/status")
            bodies.append((got.code, got.body))
        with contextlib.suppress(AssertionError):
            listener = await Listener.open(port)
            assert listener.code == 500
            listener.close()
        assert (await ask(port, "/ready")).code == 200

    trial = run_trial(tmp_path, 10, script, rest=False, http__port=port)
    assert trial.rows() == trial.truth()
    assert {code for code, _ in bodies} == {500}
    assert not any(b"secret" in body or b"Traceback" in body for _, body in bodies)
    told = [record for record in caplog.records if record.levelname == "ERROR"]
    assert len(told) == 1


def test_the_end_is_as_quick_with_clients_that_listen(tmp_path: Path) -> None:
    port = free_port()
    crowd = Crowd(port)
    took = []

    async def script(trial: Trial) -> None:
        await asyncio.sleep(3)
        listeners = [await Listener.open(port) for _ in range(20)]
        for _ in range(10):
            await crowd.hang(request("/api/events"))
        await asyncio.sleep(3)
        loop = asyncio.get_running_loop()
        began = loop.time()
        trial.session.stop("end of the trial")
        for listener in listeners:
            assert (await listener.rest())[-1]["event"] == "session_stopped"
            listener.close()
        took.append(loop.time() - began)
        crowd.close()

    trial = run_trial(tmp_path, 60, script, http__port=port)
    assert took[0] < 0.5
    assert trial.rows() == trial.truth()


def test_more_than_a_few_listeners_are_told_so(tmp_path: Path) -> None:
    port = free_port()
    codes = []

    async def script(trial: Trial) -> None:
        await asyncio.sleep(2)
        listeners = [await Listener.open(port) for _ in range(33)]
        codes.extend(listener.code for listener in listeners)
        listeners.pop(0).close()
        await asyncio.sleep(1)
        listeners.append(await Listener.open(port))
        codes.append(listeners[-1].code)
        for listener in listeners:
            listener.close()

    run_trial(tmp_path, 6, script, http__port=port)
    assert codes == [200] * 32 + [503, 200]


def test_a_process_that_makes_way_leaves_its_port(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    port = free_port()

    async def script(relay: Relay) -> None:
        listener = await Listener.open(port)
        relay.start()
        seen = await listener.rest(60)
        assert seen[-1]["event"] == "handed_over"
        last = [told["id"] for told in seen if "id" in told][-1]
        await asyncio.sleep(2)
        got = await ask(port, "/ready")
        assert (got.code, got.json()["state"]) == (200, "RECORDING")
        again = await Listener.open(port, last_event_id=last)
        kinds = [(await again.event() or {}).get("event") for _ in range(6)]
        assert "session_started" in kinds
        again.close()
        listener.close()
        await asyncio.sleep(5)

    ran = relay(tmp_path, script, http__port=port)
    ran.assert_complete()
    assert "can not be had" not in caplog.text


def test_one_that_makes_way_takes_no_port_any_more(tmp_path: Path) -> None:
    """It waited for a port that somebody else had: that is the successor's to take."""
    taken = socket.create_server(("127.0.0.1", 0))
    port = taken.getsockname()[1]

    async def script(relay: Relay) -> None:
        relay.start()
        await asyncio.wait({relay.running[0]})
        taken.close()
        await asyncio.sleep(5)
        assert (await ask(port, "/ready")).code == 200

    with taken:
        relay(tmp_path, script, http__port=port).assert_complete()


def test_a_disk_that_hangs_costs_the_answers_that_read_it_and_no_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import threading

    port = free_port()
    free = threading.Event()
    codes: dict[str, int] = {}

    def hang(*_: object) -> None:
        free.wait(30)

    monkeypatch.setattr("kline_ops.session.page_data.settled_candles", hang)

    async def script(trial: Trial) -> None:
        trial.clock.excuse(lambda: 0 if free.is_set() else 8)
        await asyncio.sleep(3)
        hanging = [asyncio.ensure_future(ask(port, "/api/candles")) for _ in range(12)]
        await asyncio.sleep(1)
        for path in ("/healthz", "/ready", "/complete", "/metrics", "/api/status"):
            codes[path] = (await ask(port, path)).code
        ended = await asyncio.gather(*hanging)
        codes["/api/candles"] = min(got.code for got in ended)
        assert "10 s" in ended[0].json()["error"]
        free.set()

    trial = run_trial(tmp_path, 20, script, rest=False, http__port=port)
    assert codes.pop("/api/candles") == 503
    assert set(codes.values()) == {200}
    assert trial.rows() == trial.truth()


def test_without_a_port_the_web_stack_is_not_imported(tmp_path: Path) -> None:
    program = f"""
import sys
from pathlib import Path
from tests.support.trial import run_trial
run_trial(Path({str(tmp_path)!r}), 3)
found = [name for name in sys.modules if name.partition(".")[0] in
         ("uvicorn", "starlette", "h11", "anyio", "prometheus_client", "opentelemetry")]
print(found)
"""
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert ran.stdout.strip() == "[]"


@pytest.mark.parametrize("name", ["session.serving", "observe.metrics.exposition"])
def test_a_broken_installation_is_told_in_a_line_and_records(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
) -> None:
    """As where something that one of these imports is not there."""
    monkeypatch.setitem(sys.modules, f"kline_ops.{name}", None)

    trial = run_trial(tmp_path, 8, rest=False, http__port=free_port())
    assert trial.rows() == trial.truth()
    (told,) = [record for record in caplog.records if "http: " in record.getMessage()]
    assert told.levelname == "WARNING"
    assert "pip install" in told.getMessage()
    assert told.exc_info is None
