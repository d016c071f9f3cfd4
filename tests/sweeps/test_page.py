"""The page of a front, in a browser that nobody sees."""

import json
import re
import shutil
import warnings

import pytest
from sweeps.fake import fronts

import keras_pit
from keras_pit.sweeps import page

NASTY = "</script><script>document.title = 'broken'</script><b>&amp;\u2028"


@pytest.fixture(scope="module")
def front(tmp_path_factory):
    return fronts(tmp_path_factory.mktemp("front"))


def content(path) -> dict:
    """The data inside of a page."""
    return json.loads(re.search(r"const data = (.*);\n", path.read_text(encoding="utf-8"))[1])


def test_one_file_that_needs_no_other(front, tmp_path):
    path = front.html(tmp_path / "front.html", x="flash")
    text = path.read_text(encoding="utf-8")
    assert not re.search(r"(src|href)\s*=|url\(|@import|https?://(?!www\.w3\.org/2000/svg)", text)
    data = content(path)
    for shown, point in zip(data["points"][1:], front, strict=True):
        for board, taken in shown["boards"].items():
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)
                found = keras_pit.fits(point.tflite(), board)
            assert taken["fits"] == bool(found) and len(taken["faults"]) == len(found.faults)
            used = {name: getattr(found, name).used for name in ("flash", "ram", "latency")}
            assert {name: taken[name] for name in used} == used
    assert data["x"] == "flash" and [point["label"] for point in data["points"]] == ["seed", "point 1", "point 2"]
    with pytest.raises(ValueError, match="'speed' is not known of the points: expected one of size"):
        front.html(tmp_path / "front.html", x="speed")


def test_strings_stay_strings(front, tmp_path):
    assert json.loads(page.escaped({"a": NASTY})) == {"a": NASTY}
    assert not set("<>&\u2028") & set(page.escaped(NASTY))


def browser():
    """A headless Chromium, or a skip that says what is missing."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
    from selenium.webdriver.chrome.service import Service

    program, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if program is None or driver is None:
        pytest.skip("chromium and chromedriver are not installed: apt-get install chromium chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = program
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    return webdriver.Chrome(options=options, service=Service(driver))


@pytest.fixture(scope="module")
def chrome():
    found = browser()
    yield found
    found.quit()


@pytest.fixture
def shown(chrome, front, tmp_path):
    front.others.clear()
    front.add(NASTY, 0.6, size=40)
    chrome.set_window_size(1200, 900)
    chrome.get(front.html(tmp_path / "front.html").as_uri())
    yield chrome
    assert [entry for entry in chrome.get_log("browser") if entry["level"] == "SEVERE"] == []


def find(chrome, selector):
    return chrome.find_elements("css selector", selector)


def choose(chrome, name, value):
    from selenium.webdriver.support.ui import Select

    Select(find(chrome, f"#{name}")[0]).select_by_value(value)


def test_points_in_a_browser(shown, front):
    from selenium.webdriver import ActionChains

    marks = find(shown, "#front .point")
    assert len(marks) == 3 and shown.title == "accuracy against cost"
    for mark, point in zip(marks, [*front.seeds, *front.points], strict=True):
        ActionChains(shown).move_to_element(mark).perform()
        details = find(shown, "#details")[0].text
        assert find(shown, "#name")[0].text == point.label
        assert f"{int(point.costs['flash']):,}" in details
        for layer in point.layers:
            assert f"{layer['name']} ({layer['kind']}) {layer['channels']}" in details
        assert len(find(shown, "#memory .buffer")) == len(page.memory(page.program_of(point), "nano33ble")["buffers"])
    assert NASTY in find(shown, "#front")[0].get_attribute("textContent")


def test_boards_in_a_browser(shown, front):
    """All fit a large board; a limit in milliseconds leaves those that are as fast."""
    choose(shown, "board", "nucleo-h743zi")
    assert find(shown, "#fitting")[0].text == "2 of 2 points fit." and not find(shown, ".unfit")
    assert "fits ST NUCLEO-H743ZI2" in find(shown, "#fits")[0].text
    choose(shown, "board", "nano33ble")
    fast, slow = sorted(point.costs["latency"] for point in front)
    find(shown, "#latency")[0].send_keys(f"{(fast + slow) / 2:.6f}")
    assert find(shown, "#fitting")[0].text == "1 of 2 points fit."
    assert len(find(shown, ".point.unfit")) == 2  # the seed is too slow, too
    choose(shown, "cost", "macs")
    assert "MACs" in find(shown, "#front")[0].text


def test_narrow_screens(shown):
    """On a phone nothing is wider than the screen."""
    shown.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride", {"width": 360, "height": 740, "deviceScaleFactor": 2, "mobile": True}
    )
    try:
        wide = shown.execute_script("return document.documentElement.scrollWidth")
        inside = shown.execute_script("return window.innerWidth")
        assert wide <= inside == 360
        details, front = (find(shown, selector)[0].rect for selector in ("#details", "#front"))
        assert details["y"] >= front["y"] + front["height"]
    finally:
        shown.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
