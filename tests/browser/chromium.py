"""A headless Chromium that reaches nothing but this machine, and what it said and asked for."""

import json
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage", "--hide-scrollbars",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)  # fmt: skip
INSIDE = ("http://127.0.0.1:", "data:", "file:", "about:", "blob:")


def programs() -> tuple[str, str] | None:
    """Return the paths of browser and driver, None where one is missing."""
    browser = next((p for n in ("chromium", "chromium-browser", "google-chrome") if (p := shutil.which(n))), None)
    driver = shutil.which("chromedriver")
    return (browser, driver) if browser and driver else None


class Browser:
    """One page at a time, with a record of console errors and of requests to other hosts."""

    def __init__(self, driver: Any) -> None:
        self.driver = driver

    def size(self, width: int, height: int) -> None:
        """Set the window; narrow ones are phones."""
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)

    def open(self, url: str, ready: str = "return document.readyState === 'complete'") -> None:
        """Load a page and wait until a script says it is ready."""
        self.driver.get(url)
        self.wait(ready)

    def wait(self, script: str, seconds: float = 20.0) -> None:
        """Wait until a script returns something true."""
        end = time.monotonic() + seconds
        while not self.run(script):
            assert time.monotonic() < end, f"waited {seconds} s for: {script}"
            time.sleep(0.05)

    def run(self, script: str, *values: Any) -> Any:
        """Run a script in the page."""
        return self.driver.execute_script(script, *values)

    def errors(self) -> list[str]:
        """Return console errors and warnings since the last call."""
        return [e["message"] for e in self.driver.get_log("browser") if e["level"] in ("SEVERE", "WARNING")]

    def outside(self) -> list[str]:
        """Return addresses of other hosts that were asked for since the last call."""
        found = []
        for entry in self.driver.get_log("performance"):
            message = json.loads(entry["message"])["message"]
            if message["method"] == "Network.requestWillBeSent":
                url = message["params"]["request"]["url"]
                if not url.startswith(INSIDE):
                    found.append(url)
        return found

    def shot(self, path: Path) -> None:
        """Save a picture of the window."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self.driver.save_screenshot(str(path))


@contextmanager
def chromium() -> Iterator[Browser]:
    """Start a browser with a profile of its own; it ends with the block."""
    from selenium import webdriver
    from selenium.webdriver.chrome.options import Options
    from selenium.webdriver.chrome.service import Service

    found = programs()
    assert found is not None
    options = Options()
    options.binary_location = found[0]
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        for flag in (*FLAGS, f"--user-data-dir={profile}"):
            options.add_argument(flag)
        driver = webdriver.Chrome(options=options, service=Service(found[1]))
        try:
            driver.get("about:blank")
            for log in ("browser", "performance"):  # what its own start page asked for
                driver.get_log(log)
            yield Browser(driver)
        finally:
            driver.quit()
