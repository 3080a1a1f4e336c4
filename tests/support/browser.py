"""Debian's Chromium, driven by its chromedriver: what a person sees, and what a page asks for."""

from __future__ import annotations

import base64
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from selenium import webdriver
from selenium.common.exceptions import JavascriptException
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.keys import Keys

from tests.support.machine import until

#: Seconds; a browser on a busy machine takes its time.
PATIENCE = 60.0

_OPTIONS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-dev-shm-usage",
    "--disable-gpu",
    "--hide-scrollbars",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
)


class Browser:
    """One window."""

    def __init__(self, driver: webdriver.Chrome) -> None:
        self.driver = driver
        self.home = ""

    def look(self, url: str, *, size: tuple[int, int] = (1440, 900), dark: bool = False) -> None:
        """Open a page, as if for the first time, on a screen of that size."""
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self._do("Emulation.setEmulatedMedia", features=[scheme])
        mobile = size[0] < 600
        self._do(
            "Emulation.setDeviceMetricsOverride",
            width=size[0], height=size[1], deviceScaleFactor=1, mobile=mobile,
        )  # fmt: skip
        self._do("Emulation.setTouchEmulationEnabled", enabled=mobile)
        self.driver.get("about:blank")
        self.said()
        self.asked()
        self._do("Storage.clearDataForOrigin", origin=url, storageTypes="all")
        self.home = url
        self.driver.get(url)

    def run(self, script: str, *arguments: Any) -> Any:
        """The value of a script's ``return``; None while what it looks at is not there."""
        try:
            return self.driver.execute_script(script, *arguments)
        except JavascriptException:
            return None

    def text(self, selector: str) -> str:
        """The text of an element as it is shown; empty where it is not."""
        told = self.run(
            "const e = document.querySelector(arguments[0]);"
            "return e && e.checkVisibility() ? e.innerText : ''", selector,
        )  # fmt: skip
        return str(told or "").strip()

    def count(self, selector: str) -> int:
        """So many elements are there."""
        return int(self.run("return document.querySelectorAll(arguments[0]).length", selector))

    def wait(self, selector: str, text: str) -> None:
        """Until this text is shown there."""
        until(lambda: text in self.text(selector), PATIENCE)

    def press(self, *keys: str) -> None:
        """Keys, to whatever has the focus."""
        for key in keys:
            self.driver.switch_to.active_element.send_keys(key)

    def tab_to(self, selector: str, most: int = 60) -> int:
        """Tab until the element has the focus; how many it took."""
        for at in range(most):
            if self.run("return document.activeElement.matches(arguments[0])", selector):
                return at
            self.press(Keys.TAB)
        raise AssertionError(f"the keyboard does not get to {selector}")

    def said(self) -> list[str]:
        """What stands in the console since it was asked last."""
        return [f"{e['level']} {e['message']}" for e in self.driver.get_log("browser")]

    def asked(self) -> set[str]:
        """The hosts that were asked for anything since it was asked last."""
        hosts = set()
        for entry in self.driver.get_log("performance"):
            message = json.loads(entry["message"])["message"]
            if message["method"] == "Network.requestWillBeSent":
                hosts.add(urlsplit(message["params"]["request"]["url"]).netloc)
        return hosts - {""}

    def picture(self, path: Path, height: int | None = None) -> bytes:
        """All of the page, or so many pixels of it from the top, as a PNG."""
        width = self.run("return innerWidth")
        tall = self.run("return document.documentElement.scrollHeight")
        clip = {"x": 0, "y": 0, "width": width, "height": height or min(tall, 4000), "scale": 1}
        told = self._do("Page.captureScreenshot", captureBeyondViewport=True, clip=clip)
        data = base64.b64decode(told["data"])
        path.write_bytes(data)
        return data

    def _do(self, command: str, **arguments: Any) -> Any:
        return self.driver.execute_cdp_cmd(command, arguments)


@contextmanager
def browser() -> Iterator[Browser]:
    """A Chromium of one's own; it is gone afterwards."""
    options = webdriver.ChromeOptions()
    options.binary_location = str(shutil.which("chromium"))
    for option in _OPTIONS:
        options.add_argument(option)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))
    try:
        yield Browser(driver)
    finally:
        driver.quit()
