"""A headless browser for tests of pages: `from browser import browser, look` in a test's file.

Tests that take the fixture are skipped, with the reason, where there is no Chromium with its driver, or no selenium.
"""

import shutil
from pathlib import Path

import pytest

DESKTOP, PHONE = (1280, 900), (390, 844)
"""Width and height of windows, in pixels."""


@pytest.fixture(scope="module")
def browser():
    """A Chromium without a window, and without a network: what it opens must be in the page."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed: pip install selenium")
    binary = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    driver = shutil.which("chromedriver")
    if binary is None or driver is None:
        pytest.skip("there is no chromium with its chromedriver: apt-get install chromium chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = binary
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    opened = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    opened.set_network_conditions(offline=True, latency=0, throughput=0)
    yield opened
    opened.quit()


def look(browser, page: Path, size: tuple[int, int] = DESKTOP):
    """Open a page of the disk; fails on what the browser complains of, and on a page wider than the window."""
    # A window cannot be narrower than some 500 pixels, a device can.
    metrics = {"width": size[0], "height": size[1], "deviceScaleFactor": 1, "mobile": size[0] < 600}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    browser.get(page.resolve().as_uri())
    complaints = [entry["message"] for entry in browser.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")]
    assert complaints == []
    wide = browser.execute_script("return [document.documentElement.scrollWidth, window.innerWidth]")
    assert wide[0] <= wide[1], f"the page is {wide[0]} pixels wide, the window {wide[1]}"
    return browser
