"""The page in a browser, against real recorders and the embedded exchange, in real time."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from selenium.webdriver.common.keys import Keys

from kline_ops.market.timestamp import to_text
from kline_ops.observe.web.answers import JsonAnswer
from tests.support.browser import PATIENCE, Browser, browser
from tests.support.exchange_thread import ExchangeThread
from tests.support.machine import Machine, until
from tests.support.stage import DAY, HOUR, MINUTE, Stage, candles, history, status, walk
from tests.support.web import free_port

pytestmark = [pytest.mark.long, pytest.mark.timeout(600)]

PHONE, DESK = (360, 800), (1440, 900)

#: Scripts that return what is wrong with the page as it is now.
CONTRASTS, NAMELESS = (
    Path(__file__).with_name(name).read_text() for name in ("contrast_check.js", "name_check.js")
)
TOKEN = "a-token-of-the-tests"


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browser() as made:
        yield made


@pytest.fixture(scope="module")
def exchange() -> Iterator[ExchangeThread]:
    with ExchangeThread() as made:
        yield made


@dataclass
class Desk:
    """Recorders of one machine, and the exchange they record from."""

    machine: Machine
    exchange: ExchangeThread

    def config(self, name: str, **changes: Any) -> Path:
        tree: dict[str, Any] = {
            "binance": {
                "ws_url": self.exchange.server.ws_url,
                "rest_url": self.exchange.rest_url,
                "stream": {"symbol": "btcusdt", "timeframe": "1s"},
            },
            "resilience": {"heartbeat": {"interval": 1.0}},
        }
        for dotted, value in changes.items():
            *sections, key = dotted.split("__")
            place = tree
            for section in sections:
                place = place.setdefault(section, {})
            place[key] = value
        path = self.machine.folder / f"{name}.yml"
        path.write_text(yaml.safe_dump(tree))
        return path

    def record(self, name: str, port: int, **changes: Any) -> None:
        """A recorder in the foreground that serves the page at this port, by now."""
        path = self.config(name, http__port=port, **changes)
        child = self.machine.begin("run", name, "--config", str(path), "--plain")
        until(lambda: child.poll() is None and is_served(port), PATIENCE)

    def stop(self, name: str) -> None:
        assert self.machine.run("stop", name).returncode == 0


@pytest.fixture
def desk(machine: Machine, exchange: ExchangeThread) -> Desk:
    return Desk(machine, exchange)


def is_served(port: int) -> bool:
    with socket.socket() as sock:
        return sock.connect_ex(("127.0.0.1", port)) == 0


def url(port: int) -> str:
    return f"http://127.0.0.1:{port}/"


def is_clean(chromium: Browser, *but: str) -> bool:
    """Nothing in the console, but for what is expected; and nobody else was asked."""
    unexpected = [line for line in chromium.said() if not any(text in line for text in but)]
    assert unexpected == []
    assert chromium.asked() <= {chromium.home.split("/")[2]}
    return True


def is_drawn(chromium: Browser) -> bool:
    """Are there candles, strips, sums and events?"""
    wanted = (".plot .boxlayer path", "#day rect.k-stream", "#month rect.k-stream", "#sums td",
              "#events tbody tr")  # fmt: skip
    return all(chromium.count(selector) for selector in wanted)


def test_it_renders_on_every_screen_in_both_themes(
    desk: Desk, chromium: Browser, tmp_path: Path
) -> None:
    port = free_port()
    desk.record("btcusdt-1s", port)
    until(lambda: desk.machine.state("btcusdt-1s").get("status") == "recording", PATIENCE)
    for size in (PHONE, DESK, (2560, 1440)):
        for dark in (False, True):
            chromium.look(url(port), size=size, dark=dark)
            chromium.wait("#word", "RECORDING")
            until(lambda: is_drawn(chromium), PATIENCE)
            assert chromium.run("return document.title").startswith("● RECORDING btcusdt-1s")
            assert chromium.run("return document.documentElement.scrollWidth <= innerWidth")
            assert chromium.picture(tmp_path / f"{size[0]}-{'dark' if dark else 'light'}.png")
            assert chromium.run(CONTRASTS) == []
            assert chromium.run(NAMELESS) == []
    assert is_clean(chromium)


def test_it_follows_the_candles_and_a_view_of_the_past_stays(desk: Desk, chromium: Browser) -> None:
    port = free_port()
    desk.record("follows", port)
    chromium.look(url(port))
    chromium.wait("#word", "RECORDING")
    until(lambda: is_drawn(chromium), PATIENCE)
    newest = "return Math.max(...document.getElementById('plot').data[0].x)"
    before, disk = chromium.run(newest), figure(chromium, "On disk")
    until(lambda: chromium.run(newest) >= before + 3_000, PATIENCE)
    until(lambda: figure(chromium, "On disk") >= disk + 3, PATIENCE)
    chromium.run("document.querySelector('#chart-table').open = true")
    until(lambda: chromium.count("#chart-table tbody tr") > 3, PATIENCE)
    row = chromium.text("#chart-table tbody tr:nth-child(3)").split()
    on_disk = (desk.machine.data("follows") / "candles_BTCUSDT_1s.csv").read_text()
    assert f"{row[0]}T{row[1]}Z,{','.join(row[2:])}" in on_disk
    chromium.run("document.querySelector('[data-do=earlier]').click()")
    assert chromium.text("[data-do=latest]")
    until(lambda: pressed(chromium) == "false", PATIENCE)
    seen = "return document.getElementById('plot').layout.xaxis.range.join()"
    until(lambda: chromium.run(seen), PATIENCE)
    kept, disk = chromium.run(seen), figure(chromium, "On disk")
    until(lambda: figure(chromium, "On disk") >= disk + 3, PATIENCE)
    assert chromium.run(seen) == kept
    chromium.run("document.querySelector('[data-do=latest]').click()")
    until(lambda: pressed(chromium) == "true" and chromium.run(seen) != kept, PATIENCE)
    assert is_clean(chromium)


def figure(chromium: Browser, name: str) -> int:
    for cell in chromium.run(
        "return [...document.querySelectorAll('#figures div')].map((e) => e.innerText)"
    ):
        title, text, *_ = cell.split("\n")
        if title == name:
            return int(text.replace(",", ""))
    return -1


def pressed(chromium: Browser) -> str:
    return str(
        chromium.run(
            "return document.querySelector('[data-do=latest]').getAttribute('aria-pressed')"
        )
    )


def test_a_recorder_that_ended_is_told_of_and_comes_back_without_a_reload(
    desk: Desk, chromium: Browser, tmp_path: Path
) -> None:
    port = free_port()
    desk.record("comes-back", port)
    chromium.look(url(port))
    chromium.wait("#word", "RECORDING")
    until(lambda: is_drawn(chromium), PATIENCE)
    chromium.run("window.same = true")
    pid = desk.machine.state("comes-back")["metadata"]["pid"]
    desk.stop("comes-back")
    chromium.wait("#notice", "Connection to the recorder lost since")
    chromium.wait("#notice", "last state STOPPED")
    chromium.wait("#word", "NO CONTACT")
    assert chromium.run("return document.title").startswith("? NO CONTACT comes-back")
    assert chromium.run("return document.querySelector('#standing').matches('.stale')")
    assert chromium.run(CONTRASTS) == []
    chromium.picture(tmp_path / "lost.png")
    desk.record("comes-back", port)
    chromium.wait("#word", "RECORDING")
    until(lambda: chromium.text("#notice") == "", PATIENCE)
    until(lambda: desk.machine.state("comes-back")["metadata"]["pid"] != pid, PATIENCE)
    chromium.wait("#events", "stopped")
    disk = figure(chromium, "On disk")
    until(lambda: figure(chromium, "On disk") > disk, PATIENCE)
    assert chromium.run("return window.same") is True
    assert is_clean(
        chromium, "ERR_CONNECTION_REFUSED", "ERR_INCOMPLETE_CHUNKED", "ERR_CONNECTION_RESET"
    )


def test_a_change_to_a_fresh_process_is_hardly_seen(desk: Desk, chromium: Browser) -> None:
    port = free_port()
    path = desk.config("fresh", http__port=port)
    assert desk.machine.run("start", "fresh", "--config", str(path)).returncode == 0
    chromium.look(url(port))
    chromium.wait("#word", "RECORDING")
    chromium.run(
        "window.words = new Set(); new MutationObserver(() => window.words.add("
        "document.querySelector('#word strong').textContent)).observe("
        "document.querySelector('#word'), {subtree: true, childList: true, characterData: true})"
    )
    pid = desk.machine.status("fresh")["pid"]
    assert desk.machine.run("restart", "fresh").returncode == 0
    assert desk.machine.status("fresh")["pid"] != pid
    chromium.wait("#events", "made way for a fresh process")
    until(lambda: str(pid) not in chromium.text("#figures"), PATIENCE)
    chromium.wait("#word", "RECORDING")
    assert "DEAD" not in chromium.run("return [...window.words].join()")


def test_what_went_wrong_is_on_the_same_axis(
    desk: Desk, chromium: Browser, exchange: ExchangeThread, tmp_path: Path
) -> None:
    """No candles at the exchange for some seconds; then, with no REST, some that were missed."""
    port = free_port()
    desk.record("faults", port, record__backfill=False, websocket__reconnect={"delay": 4.0})
    chromium.look(url(port))
    chromium.wait("#word", "RECORDING")
    until(lambda: is_drawn(chromium), PATIENCE)
    exchange.do(lambda server: (server.refuse(6), server.cut()))
    until(lambda: figure(chromium, "Missing") >= 3, PATIENCE)
    until(lambda: chromium.count("#day rect.k-missing[fill]"), PATIENCE)
    until(lambda: chromium.count("#month rect.k-missing[fill]"), PATIENCE)
    until(lambda: "missing" in chromium.text("#chart-told"), PATIENCE)
    until(lambda: chromium.count("#day .m-warning, #day .m-critical"), PATIENCE)
    until(lambda: chromium.count(".plot .scatterlayer path.point"), PATIENCE)
    chromium.run("document.querySelector('#gaps-table').open = true")
    until(lambda: "missing" in chromium.text("#gaps-table"), PATIENCE)
    chromium.run("const e = document.querySelector('#level'); e.value = 'warning';"
                 "e.dispatchEvent(new Event('change'))")  # fmt: skip
    until(lambda: "live after" not in chromium.text("#events"), PATIENCE)
    assert "ended" in chromium.text("#events")
    chromium.picture(tmp_path / "faults.png")
    assert is_clean(chromium)


def test_another_session_of_the_machine_is_shown_by_keys_alone(
    desk: Desk, chromium: Browser, tmp_path: Path
) -> None:
    port = free_port()
    desk.record("first-one", port)
    other = desk.config("other-one", binance__stream={"symbol": "ethusdt", "timeframe": "1s"})
    desk.machine.begin("run", "other-one", "--config", str(other), "--plain")
    until(lambda: desk.machine.state("other-one").get("status") == "recording", PATIENCE)
    chromium.look(url(port))
    chromium.wait("#sessions", "other-one")
    chromium.wait("#sessions", "RECORDING · ETHUSDT 1s")
    assert chromium.tab_to("a.skip") <= 2
    chromium.tab_to("#sessions-list button[data-session=other-one]")
    assert chromium.run("return getComputedStyle(document.activeElement).outlineStyle") == "solid"
    chromium.press(Keys.ENTER)
    chromium.wait("#session-name", "other-one")
    chromium.wait("#chart-title", "ETHUSDT 1s")
    chromium.wait("#word", "RECORDING")
    until(lambda: is_drawn(chromium), PATIENCE)
    disk = figure(chromium, "On disk")
    until(lambda: figure(chromium, "On disk") > disk >= 0, PATIENCE)
    for reached in ("[data-do=earlier]", "#chart-table summary", "#level", "#gaps-table summary"):
        chromium.tab_to(reached)
    chromium.picture(tmp_path / "other.png")
    chromium.run("history.back()")
    chromium.wait("#session-name", "first-one")
    assert is_clean(chromium)


def test_a_token_is_asked_for_and_a_wrong_one_refused(
    desk: Desk, chromium: Browser, tmp_path: Path
) -> None:
    port = free_port()
    desk.record("guarded", port, http__token=TOKEN)
    until(lambda: desk.machine.state("guarded").get("status") == "recording", PATIENCE)
    chromium.look(url(port))
    until(lambda: chromium.text("#token-form"), PATIENCE)
    chromium.picture(tmp_path / "token.png")
    assert chromium.run(NAMELESS) == []
    assert chromium.text("#token-error") == ""
    chromium.press("another-token", Keys.ENTER)
    chromium.wait("#token-error", "not the recorder's")
    chromium.press(Keys.CONTROL + "a", TOKEN, Keys.ENTER)
    chromium.wait("#word", "RECORDING")
    until(lambda: is_drawn(chromium), PATIENCE)
    assert "token" not in chromium.run("return location.href + document.cookie")
    assert is_clean(chromium, "401 (Unauthorized)")


def test_without_the_chart_library_the_rest_works(
    desk: Desk, chromium: Browser, tmp_path: Path
) -> None:
    hidden = tmp_path / "hidden"
    hidden.mkdir()
    (hidden / "plotly.py").write_text("")  # a module stands where the package would be found
    desk.machine.environ["PYTHONPATH"] = f"{hidden}:{desk.machine.environ['PYTHONPATH']}"
    port = free_port()
    desk.record("bare", port)
    chromium.look(url(port))
    chromium.wait("#plot", "pip install 'kline-ops[web]'")
    chromium.wait("#word", "RECORDING")
    until(lambda: chromium.count("#day rect.k-stream"), PATIENCE)
    chromium.wait("#chart-told", "candle")
    assert is_clean(chromium, "404 (Not Found)", "Refused to execute script")


NOW = int(time.time() * 1000)
MINUTE_NOW = NOW // MINUTE * MINUTE
#: What would run if it were markup.
HOSTILE = '<img src=x onerror="window.pwned = true">'


@pytest.fixture
def stage() -> Iterator[Stage]:
    with Stage() as made:
        yield made


def test_before_the_first_candle(stage: Stage, chromium: Browser) -> None:
    stage.status = status(state="STARTING", reason="waiting")
    empty = history(NOW - DAY, NOW, [])
    stage.histories = {"day": empty, "month": empty | {"from_ms": NOW - 31 * DAY}}
    for size in (PHONE, DESK):
        chromium.look(stage.url, size=size)
        chromium.wait("#word", "STARTING")
        chromium.wait("#chart-told", "No candles yet")
        chromium.wait("#day-told", "no candle was recorded yet")
        assert chromium.text("#plot") == chromium.text("#chart-tools") == ""
        assert is_within(chromium, size[0])
        assert chromium.run(CONTRASTS) == chromium.run(NAMELESS) == []
    assert is_clean(chromium)
    # The first one is there without a reload.
    stage.candles = lambda: candles(walk(MINUTE_NOW - MINUTE, 1))
    stage.status = status(on_disk=1, owed=1)
    until(lambda: chromium.count(".plot .boxlayer path"), PATIENCE)
    chromium.wait("#price", "80020.00")
    assert is_clean(chromium)


def test_a_command_has_no_candles_to_be_shown(stage: Stage, chromium: Browser) -> None:
    stage.status = status(state="RUNNING", command="python -m recorder", symbol="", interval="")
    chromium.look(stage.url)
    chromium.wait("#figures", "python -m recorder")
    until(lambda: chromium.text("#coverage") == chromium.text("#chart-card") == "", PATIENCE)
    assert chromium.text("#events-none") == "No events yet."
    assert {path.partition("?")[0] for path in stage.asked} <= {"/api/sessions"}
    assert is_clean(chromium)


def test_a_hundred_sessions_a_large_hole_and_hostile_texts(stage: Stage, chromium: Browser) -> None:
    name = HOSTILE + "x" * 60
    stage.status = status(name, "STALLED", reason=HOSTILE, on_disk=932, owed=4932, missing=4000)
    words = ("RECORDING", "DEAD", "CATCHING_UP")
    stage.others = [status(f"other-{at:03}", words[at % 3]) for at in range(99)]
    began = MINUTE_NOW - 4050 * MINUTE
    hole = [began, MINUTE_NOW - 51 * MINUTE, "missing", 4000]
    cells = [
        [began - 882 * MINUTE, began - MINUTE, "stream", 882],
        hole,
        [MINUTE_NOW - 50 * MINUTE, MINUTE_NOW - MINUTE, "stream", 50],
    ]
    mark = {"kind": "stalled", "level": "critical", "title": HOSTILE, "until_ms": None}
    marks = [{**mark, "at_ms": MINUTE_NOW - 4 * HOUR, "open": True}]
    stage.histories = {
        "day": history(NOW - DAY, NOW, [[NOW - DAY, *hole[1:3], 1389], cells[2]], marks=marks),
        "month": history(NOW - 31 * DAY, NOW, cells, marks=marks),
    }
    stage.candles = lambda: candles(
        walk(began - 450 * MINUTE, 450) + walk(MINUTE_NOW - 50 * MINUTE, 50)
    )
    told = {"level": "warning", "text": f"ended, 1006 {HOSTILE}"}
    stage.events = [{"ts": "2026-01-27T14:00:00Z", "kind": "disconnected", "told": told}]
    for size in (PHONE, DESK):
        chromium.look(stage.url, size=size)
        chromium.wait("#sessions-count", "100 · 34 not well")
        chromium.wait("#events", told["text"])
        until(lambda: is_drawn_with_hole(chromium), PATIENCE)
        assert chromium.text("#reason") == HOSTILE
        assert is_within(chromium, size[0])
        # What lasts still is drawn until now: a sixth of the day.
        wide = "return [...document.querySelectorAll('#day rect.m-critical')]"
        drawn = chromium.run(f"{wide}.map((e) => e.width.baseVal.value)[0]")
        assert drawn > chromium.run("return document.querySelector('#day').clientWidth") / 7
    find = chromium.driver.find_element("css selector", "#sessions-find")
    find.send_keys("other-098")
    chromium.wait("#sessions-note", "1 of 100 sessions")
    assert chromium.run("return window.pwned") is None
    assert chromium.run(CONTRASTS) == chromium.run(NAMELESS) == []
    assert is_clean(chromium)


def is_drawn_with_hole(chromium: Browser) -> bool:
    wanted = (".plot .boxlayer path", "#day rect.k-missing[fill]", "#month rect.k-missing[fill]",
              "#day rect.m-critical")  # fmt: skip
    return all(chromium.count(selector) for selector in wanted)


def is_within(chromium: Browser, width: int) -> bool:
    """Is no part of the page wider than the screen? (A phone would zoom out.)"""
    return bool(
        chromium.run(
            "return document.documentElement.scrollWidth <= arguments[0] && innerWidth === arguments[0]",
            width,
        )
    )


def test_a_hidden_tab_lets_go_and_comes_back(stage: Stage, chromium: Browser) -> None:
    whole = history(NOW - DAY, NOW, [])
    stage.histories = {"day": whole, "month": whole}
    chromium.look(stage.url)
    chromium.wait("#word", "RECORDING")
    until(lambda: stage.stream.listeners == 1, PATIENCE)
    hide = (
        "Object.defineProperty(document, 'hidden', {value: arguments[0], configurable: true});"
        "document.dispatchEvent(new Event('visibilitychange'))"
    )
    chromium.run(hide, True)
    until(lambda: stage.stream.listeners == 0, PATIENCE)
    stage.status = status(state="STALLED")
    until(lambda: chromium.run("return document.title").startswith("▲ STALLED"), PATIENCE)
    chromium.run(hide, False)
    until(lambda: stage.stream.listeners == 1, PATIENCE)
    chromium.wait("#word", "STALLED")
    assert is_clean(chromium)


def test_a_browser_that_slept_connects_anew(stage: Stage, chromium: Browser) -> None:
    whole = history(NOW - DAY, NOW, [])
    stage.histories = {"day": whole, "month": whole}
    # The driver hides a page that it freezes, for good: in a tab of its own.
    with tab(chromium):
        chromium.look(stage.url)
        chromium.wait("#word", "RECORDING")
        # One that is looked at is not let go of.
        chromium.run("Object.defineProperty(document, 'hidden', {value: false})")
        for state in ("frozen", "active"):
            chromium.driver.execute_cdp_cmd("Page.setWebLifecycleState", {"state": state})
            stage.status = status(state="STALLED")
        until(lambda: "STALLED" in chromium.text("#word"), 25)
        until(lambda: chromium.text("#notice") == "", PATIENCE)
        assert is_clean(chromium)


@contextmanager
def tab(chromium: Browser) -> Iterator[None]:
    """One beside the other, which shows nothing meanwhile: its page would go on asking."""
    chromium.driver.get("about:blank")
    before = chromium.driver.current_window_handle
    chromium.driver.switch_to.new_window("tab")
    try:
        yield
    finally:
        chromium.driver.close()
        chromium.driver.switch_to.window(before)


def test_answers_that_are_none_leave_the_page_whole(stage: Stage, chromium: Browser) -> None:
    stage.status = status(on_disk=5, owed=5)
    garbage = ("/api/candles", "/api/history", "/api/sessions")
    stage.instead = {path: lambda: JsonAnswer(b"<html>no") for path in garbage}
    chromium.look(stage.url)
    chromium.wait("#word", "RECORDING")
    chromium.wait("#day-told", "does not answer")
    chromium.run("window.same = true")
    stage.candles = lambda: candles(walk(MINUTE_NOW - 5 * MINUTE, 5))
    whole = history(NOW - DAY, NOW, [[MINUTE_NOW - 5 * MINUTE, MINUTE_NOW - MINUTE, "stream", 5]])
    stage.histories = {"day": whole, "month": whole}
    stage.instead = {}
    until(lambda: chromium.count(".plot .boxlayer path"), PATIENCE)
    until(lambda: chromium.count("#day rect.k-stream"), PATIENCE)
    assert chromium.run("return window.same") is True
    assert is_clean(chromium)


def test_a_browser_whose_clock_is_wrong(stage: Stage, chromium: Browser) -> None:
    """What is told of the time to come is told by the recorder's."""
    shifted = "const real = Date.now; Date.now = () => real() - 5 * 3600e3;"
    soon = to_text(NOW + 2 * HOUR + 30_000)
    stage.status = status(next_restart=soon)
    whole = history(NOW - DAY, NOW, [])
    stage.histories = {"day": whole, "month": whole}
    added = chromium.driver.execute_cdp_cmd(
        "Page.addScriptToEvaluateOnNewDocument", {"source": shifted}
    )
    try:
        chromium.look(stage.url)
        chromium.wait("#figures", "in 2 h")
    finally:
        chromium.driver.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", added)
    assert is_clean(chromium)
