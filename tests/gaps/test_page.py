"""The page: what it says, that nothing in it does harm, and that a browser shows it."""

from __future__ import annotations

import json
import math
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from kline_ops.errors import InputError
from kline_ops.gaps.model import Cause, ExplainedGap, FileReport, Finding, Gap, Run, Whose
from kline_ops.gaps.page import Bar, page
from kline_ops.market.interval import HOUR_MS, parse
from kline_ops.market.timestamp import to_ms

START = to_ms("2026-01-01T00:00:00Z")
HOSTILE = "</script><script>boom()</script><img src=x onerror=boom()>\"'&<!--{0}\udcff"


def gap(hour: int, candles: int = 1) -> Gap:
    first, last = START + hour * HOUR_MS, START + (hour + candles - 1) * HOUR_MS
    return Gap(first - HOUR_MS, last + HOUR_MS, first, last, candles, (candles + 1) * 3600)


def explained(hour: int, candles: int = 1, whose: Whose = Whose.EXCHANGE) -> ExplainedGap:
    return ExplainedGap(gap(hour, candles), {whose: candles})


def finding(gaps: Sequence[ExplainedGap] = (), owed: int = 1000, **changes: Any) -> Finding:
    missing = sum(one.gap.missing for one in gaps)
    kinds = ("duplicates", "conflicts", "overlapping", "out_of_order", "off_grid", "bad_rows")
    report = FileReport(
        paths=("candles_BTCUSDT_1h.csv",),
        symbol="BTCUSDT",
        interval=parse("1h"),
        first_ms=START,
        last_ms=START + (owed - 1) * HOUR_MS,
        owed=owed,
        on_disk=owed - missing,
        missing=missing,
        **dict.fromkeys(kinds, 0),
        impossible=0,
        zero_volume=0,
        quiet=(),
        gaps=tuple(one.gap for one in gaps),
        cut_short={},
        lines={},
    )
    return Finding(replace(report, **changes), tuple(gaps))


def bars(one: ExplainedGap, count: int = 30) -> list[Bar]:
    start, end = one.gap.first_missing_ms, one.gap.last_missing_ms + HOUR_MS
    opens = [start - n * HOUR_MS for n in range(count, 0, -1)]
    opens += [end + n * HOUR_MS for n in range(count)]
    return [Bar(ms, 100, 103, 98, 100 + 2 * math.sin(at), 5 + at) for at, ms in enumerate(opens)]


def made(*findings: Finding, around: dict[tuple[int, int], list[Bar]] | None = None) -> str:
    return page(findings, around or {}, made_ms=START)


def around_all(one: Finding) -> dict[tuple[int, int], list[Bar]]:
    return {(0, at): bars(gap) for at, gap in enumerate(one.gaps)}


def figures(text: str) -> list[dict[str, Any]]:
    found = re.search(r'id="figures">(.*?)</script>', text, re.DOTALL)
    assert found
    return json.loads(found[1])


def of_type(figures: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [trace for figure in figures for trace in figure["data"] if trace["type"] == kind]


class Seen(HTMLParser):
    """What a browser makes of the text: its tags, and the words outside of scripts and styles."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words = ""
        self._quiet = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._quiet = tag in {"script", "style"}

    def handle_endtag(self, tag: str) -> None:
        self._quiet = False

    def handle_data(self, data: str) -> None:
        self.words += "" if self._quiet else data

    def count(self, tag: str) -> int:
        return sum(name == tag for name, _ in self.tags)


def test_it_says_what_is_owed_and_whose_the_missing_are() -> None:
    ours, theirs = explained(5, 2, Whose.OURS), explained(20, 3)
    told = finding([ours, theirs])
    assert (
        "owed 1,000 · on disk 995 · missing 5, 2 gaps, ours 2, exchange 3" in Seen(made(told)).words
    )
    words = Seen(made(replace(told, from_rest=15))).words
    assert "on disk 995 · from stream 980 · from REST 15 · missing 5" in words


def test_where_nobody_was_asked_it_claims_nothing() -> None:
    words = Seen(made(finding([explained(5, 2, Whose.UNKNOWN)]))).words
    assert "missing 2, 1 gap, unknown 2" in words
    assert "ours 0" not in words


def test_a_gap_has_its_times_its_length_and_its_cause() -> None:
    cause = Cause("lost_connection", "the connection was lost", 1234.5, 7)
    one = ExplainedGap(gap(24, 26), {Whose.OURS: 6, Whose.EXCHANGE: 20}, cause, "an outage")
    words = Seen(made(finding([one]))).words
    for told in ("2026-01-02 00:00", "2026-01-03 01:00", "1 d 2 h", "ours 6", "exchange 20",
                 "the connection was lost", "an outage", "1,234.5", "lost_connection"):  # fmt: skip
        assert told in words


def test_nothing_missing_is_said_in_words() -> None:
    seen = Seen(made(finding()))
    assert "owed 1,000 · on disk 1,000 · complete" in seen.words
    assert "No candle is missing." in seen.words
    assert "Nothing else was found." in seen.words
    assert seen.count("table") == 0


def test_a_page_of_nothing() -> None:
    assert "No candles were looked at." in Seen(made()).words


def test_other_findings_have_their_lines() -> None:
    told = finding(
        duplicates=1200,
        bad_rows=1,
        impossible=None,
        lines={"duplicates": ("3", "9"), "bad_rows": ("17",)},
        quiet=(Run(START, START + HOUR_MS, 2),),
        cut_short={"a.csv.gz": "it ends early"},
    )
    words = Seen(made(told)).words
    for text in ("1,200", "3, 9 …", "17", "not looked for", "a.csv.gz", "it ends early"):
        assert text in words
    assert "17 …" not in words


def test_several_series_have_an_overview_that_leads_to_each() -> None:
    seen = Seen(made(finding(), finding(symbol=None)))
    assert "All 2 series" in seen.words
    links = {attrs["href"] for tag, attrs in seen.tags if tag == "a"}
    assert links == {"#s0", "#s1"}
    assert links <= {f"#{attrs.get('id')}" for _, attrs in seen.tags}


def test_what_comes_from_outside_stays_text() -> None:
    one = ExplainedGap(gap(5), {Whose.OURS: 1}, Cause(HOSTILE, HOSTILE), HOSTILE)
    told = finding(
        [one],
        paths=(HOSTILE,) * 4,
        symbol=HOSTILE,
        bad_rows=1,
        lines={"bad_rows": (HOSTILE,)},
        cut_short={HOSTILE: HOSTILE},
    )
    told = replace(told, session=HOSTILE, remarks=(HOSTILE,))
    text = made(told, told, around=around_all(told))
    text.encode()
    seen = Seen(text)
    assert seen.count("script") == 3
    assert seen.count("img") == 0
    assert not [name for _, attrs in seen.tags for name in attrs if name.startswith("on")]
    assert seen.words.count("<img src=x onerror=boom()>") > 20
    hover = of_type(figures(text), "scatter")[0]["hovertext"][0]
    assert "&lt;/script&gt;" in hover
    assert set(re.findall(r"<[^>]*>", hover)) == {"<br>"}


def test_it_asks_no_host_for_anything() -> None:
    told = finding([explained(5)])
    seen = Seen(made(told, told, around=around_all(told)))
    addresses = [
        attrs[name] or "" for _, attrs in seen.tags for name in ("src", "href") if name in attrs
    ]
    assert all(address.startswith("#") or address == "data:," for address in addresses)
    policy = next(a["content"] or "" for _, a in seen.tags if "http-equiv" in a)
    assert policy.startswith("default-src 'none'")
    assert "http" not in policy


def test_thousands_of_gaps_stay_few_marks_and_few_rows() -> None:
    gaps = [explained(3 * at, 2 if at == 4000 else 1) for at in range(5000)]
    told = finding(gaps, owed=15_000)
    text = made(told, around={(0, at): bars(gaps[at]) for at in range(3990, 4010)})
    seen = Seen(text)
    assert "The 500 largest of 5,000 gaps" in seen.words
    assert "2027-05-16 00:00" in seen.words  # the only one of two candles
    assert seen.count("tr") == 501
    shown = figures(text)
    assert len(of_type(shown, "candlestick")) == 12
    ticks = of_type(shown, "scatter")[0]
    assert len(ticks["x"]) <= 1001
    assert "5 gaps, 5 candles, exchange" in ticks["hovertext"][1]


def test_a_gap_is_coloured_by_what_can_be_done_about_it() -> None:
    both = ExplainedGap(gap(5, 9), {Whose.EXCHANGE: 8, Whose.OURS: 1})
    ticks = of_type(figures(made(finding([both]))), "scatter")
    assert [tick["marker"]["line"]["color"] for tick in ticks] == ["--ours"]
    assert "9 candles, ours 1, exchange 8" in ticks[0]["hovertext"][0]


def test_a_gap_without_candles_around_it_has_no_chart() -> None:
    told = finding([explained(50, 3), explained(90, 5)])
    text = made(told, around={(0, 0): bars(told.gaps[0]), (0, 1): []})
    assert len(of_type(figures(text), "candlestick")) == 1
    assert Seen(text).count("figure") == 2


def test_of_a_long_hole_the_middle_is_left_out_unless_a_candle_is_there() -> None:
    told = finding([explained(50, 500)])
    around = around_all(told)
    assert figures(made(told, around=around))[1]["layout"]["xaxis"]["rangebreaks"]
    around[0, 0].append(Bar(START + 300 * HOUR_MS + 1, 1, 1, 1, 1, 1))
    assert not figures(made(told, around=around))[1]["layout"]["xaxis"]["rangebreaks"]


def test_a_number_that_is_none_does_not_spoil_the_page() -> None:
    told = finding([explained(50)])
    strange = [Bar(START, math.nan, math.inf, -math.inf, math.nan, math.nan)]
    prices = of_type(figures(made(told, around={(0, 0): strange})), "candlestick")[0]
    assert (prices["open"], prices["high"]) == ([None], [None])


def test_the_figures_are_what_plotly_knows() -> None:
    from plotly.graph_objects import Figure

    told = finding([explained(50), explained(90, 100, Whose.OURS)])
    text = json.dumps(figures(made(told, around=around_all(told))))
    for figure in json.loads(re.sub(r'"--[a-z]+"', '"#123456"', text)):
        Figure(figure)


def test_without_plotly_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "plotly.offline", None)
    with pytest.raises(InputError, match="--html needs plotly") as caught:
        made(finding())
    assert "kline-ops[report]" in caught.value.hint


# In a browser

#: Tells how the page fares as soon as its charts are drawn. It stands before the policy.
PROBE = """<script>
addEventListener("load", function tell() {
  const charts = [...document.querySelectorAll(".chart")];
  if (charts.some((chart) => !chart.querySelector(".main-svg"))) return setTimeout(tell, 50);
  parent.postMessage({
    window: innerWidth,
    wide: document.documentElement.scrollWidth,
    charts: charts.length,
    candles: document.querySelectorAll(".boxlayer path.box").length,
    over: charts.filter((chart) => chart.querySelector("svg").clientWidth > chart.clientWidth).length,
    requests: performance.getEntriesByType("resource").length,
  }, "*");
});
</script>"""
FRAME = """<!doctype html><title></title>
<script>addEventListener("message", (told) => { document.title = JSON.stringify(told.data); });</script>
<iframe src="page.html" style="width: WIDTHpx; height: 5000px; border: 0"></iframe>"""

in_browser = pytest.mark.skipif(not shutil.which("chromium"), reason="chromium is not installed")


class Browser:
    """Chromium without a window, a network and a memory."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def run(self, page: Path, *flags: str) -> subprocess.CompletedProcess[str]:
        command = ["chromium", "--headless=new", "--no-sandbox", "--disable-gpu",
                   f"--user-data-dir={self.folder / 'profile'}", "--virtual-time-budget=30000",
                   "--enable-logging=stderr", "--host-resolver-rules=MAP * ~NOTFOUND",
                   "--window-size=1280,3000", *flags, page.as_uri()]  # fmt: skip
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=240)

    def probe(self, text: str, width: int) -> dict[str, int]:
        """What the page tells of itself in a frame of this width: no window is so narrow."""
        head = '<meta charset="utf-8">'
        (self.folder / "page.html").write_text(text.replace(head, head + PROBE, 1))
        frame = self.folder / "frame.html"
        frame.write_text(FRAME.replace("WIDTH", str(width)))
        title = re.search(r"<title>(.+?)</title>", self.run(frame, "--dump-dom").stdout)
        assert title, "the page did not draw its charts"
        return json.loads(title[1])


@pytest.fixture
def browser(tmp_path: Path) -> Browser:
    return Browser(tmp_path)


def rich_page() -> str:
    cause = Cause("lost_connection", HOSTILE, 61.0, 3)
    gaps = [
        ExplainedGap(gap(50, 3), {Whose.OURS: 3}, cause),
        explained(200, 300),
        explained(600, 1, Whose.PROVISIONAL),
        explained(700, 12, Whose.UNKNOWN),
    ]
    told = finding(gaps, bad_rows=2, lines={"bad_rows": ("a" * 200 + ".csv:17",)}, symbol="X" * 90)
    return made(told, finding(), around=around_all(told))


@in_browser
@pytest.mark.long
@pytest.mark.timeout(300)
def test_a_browser_draws_all_charts_and_has_nothing_to_say(
    browser: Browser, tmp_path: Path
) -> None:
    file = tmp_path / "report.html"
    file.write_text(rich_page())
    shown = browser.run(file, "--dump-dom")
    assert "CONSOLE" not in shown.stderr
    drawn = Seen(shown.stdout)
    charts = [attrs for _, attrs in drawn.tags if "data-chart" in attrs]
    assert len(charts) == 6
    assert all("js-plotly-plot" in (attrs["class"] or "") for attrs in charts)
    assert sum("main-svg" in (attrs.get("class") or "") for _, attrs in drawn.tags) >= 6
    for _, attrs in drawn.tags:
        for name in ("src", "href", "xlink:href"):
            assert not re.match(r"\s*(https?:)?//", attrs.get(name) or "")


@in_browser
@pytest.mark.long
@pytest.mark.timeout(300)
@pytest.mark.parametrize("width", [360, 1280])
def test_it_is_no_wider_than_its_window(browser: Browser, width: int) -> None:
    told = browser.probe(rich_page(), width)
    assert told["window"] == width
    assert told["wide"] <= width
    assert told["charts"] == 6
    assert told["candles"] == 4 * 60
    assert told["over"] == 0
    assert told["requests"] == 0


@in_browser
@pytest.mark.long
@pytest.mark.timeout(300)
def test_a_script_that_is_not_the_pages_own_does_not_run(browser: Browser, tmp_path: Path) -> None:
    file = tmp_path / "report.html"
    file.write_text(rich_page().replace("</main>", "<script>document.title = 'in'</script></main>"))
    shown = browser.run(file, "--dump-dom")
    assert "<title>in</title>" not in shown.stdout
    assert "Content Security Policy" in shown.stderr  # and what the console says is seen here


@in_browser
@pytest.mark.long
@pytest.mark.timeout(300)
def test_it_follows_light_and_dark(browser: Browser, tmp_path: Path) -> None:
    file = tmp_path / "report.html"
    file.write_text(rich_page())
    grounds = []
    for scheme in (1, 0):
        flags = (f"--blink-settings=preferredColorScheme={scheme}", "--dump-dom")
        found = re.search(
            r'<svg class="main-svg"[^>]*background: ([^;]+);', browser.run(file, *flags).stdout
        )
        assert found
        grounds.append(found[1])
    picture = tmp_path / "report.png"
    browser.run(file, f"--screenshot={picture}")
    assert grounds == ["rgb(255, 255, 255)", "rgb(26, 33, 38)"]
    assert picture.read_bytes().startswith(b"\x89PNG")
