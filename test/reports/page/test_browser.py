# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The page in a real browser: without a complaint, with its pictures, and with a video that plays and is
sought."""

import shutil

import numpy as np
import pytest
from injection_helpers import HARMLESS, NAMES, index_of, page_of
from replay_page_helpers import PALETTE, moments, points, report

from dcfm_ros.reports.page.page import write_page
from dcfm_ros.reports.video_writer import VideoWriter

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
RATE_HZ, FRAMES = 15.0, 100
TIMES_S = [2 + number / 10 for number in range(50)] + [9 + number / 10 for number in range(50)]  # of 15 s

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        BROWSER is None, reason="no Chromium: neither chromium, chromium-browser nor google-chrome on PATH"
    ),
]


@pytest.fixture(scope="module")
def page_file(tmp_path_factory):
    folder = tmp_path_factory.mktemp("page")
    with VideoWriter(folder / "side_by_side.mp4", 194, 72, RATE_HZ) as video:
        for number in range(FRAMES):
            video.add(np.full((72, 194, 3), (number, 90, 255 - number), np.uint8))
    write_page(folder / "report.html", report(), points(150), moments(), PALETTE, video.path, TIMES_S)
    return folder / "report.html"


@pytest.fixture(scope="module")
def browser():
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with sync_api.sync_playwright() as playwright:
        # A container's root user and its small /dev/shm are no concern of a page of our own.
        browser = playwright.chromium.launch(
            executable_path=BROWSER, args=["--no-sandbox", "--disable-dev-shm-usage"]
        )
        yield browser
        browser.close()


@pytest.fixture
def shown(browser, page_file):
    """The page, opened from its file; fails at the end if the browser had anything to say or asked for
    anything else."""
    page, complaints, requests = browser.new_page(), [], []
    page.on("console", lambda message: complaints.append(f"{message.type}: {message.text}"))
    page.on("pageerror", lambda error: complaints.append(f"error: {error}"))
    page.on("request", lambda request: requests.append(request.url[:60]))
    page.goto(page_file.as_uri())
    until(page, "document.querySelector('video').readyState >= 2")
    yield page
    page.close()
    assert complaints == []
    assert [url for url in requests if not url.startswith("data:")] == [page_file.as_uri()[:60]]


def until(page, condition):
    """Wait until a condition in JavaScript holds. Playwright's own way to wait is closed by the page's
    security policy."""
    page.evaluate(
        """() => new Promise((done, fail) => {
        setTimeout(() => fail(new Error(`20 s without: CONDITION`)), 20000);
        const look = () => CONDITION ? done() : requestAnimationFrame(look);
        look();
    })""".replace("CONDITION", condition)
    )


def click_at(page, share):
    """Click on the timeline, `share` of its width from the left."""
    plot = page.locator(".plot")
    plot.scroll_into_view_if_needed()
    box = plot.bounding_box()
    page.mouse.click(box["x"] + share * box["width"], box["y"] + 60)


def video_time(page):
    return page.evaluate("document.querySelector('video').currentTime")


def test_all_pictures_load(shown):
    until(shown, "[...document.images].every(image => image.complete)")
    assert shown.evaluate("[...document.images].map(image => image.naturalWidth)") == [108] * len(moments())


def test_the_video_plays(shown):
    assert shown.evaluate("[video.videoWidth, video.videoHeight]") == [194, 72]
    assert shown.evaluate("video.duration") == pytest.approx(FRAMES / RATE_HZ, abs=0.1)
    assert video_time(shown) == 0
    shown.evaluate("video.play()")
    until(shown, "video.currentTime > 0.3 && !video.paused")
    assert "Covers 2.0 s to 13.9 s" in shown.inner_text("#covered")


def test_a_click_on_the_timeline_seeks(shown):
    for time_s in (3.0, 10.0):  # the recording has a gap between these, the video has none
        click_at(shown, time_s / 14.9)
        playhead = "parseFloat(document.querySelector('.playhead').style.left)"
        until(shown, f"!video.seeking && Math.abs({playhead} - {time_s / 0.149}) < 1")
        assert video_time(shown) == pytest.approx((TIMES_S.index(time_s) + 0.5) / RATE_HZ, abs=0.1)


def test_a_click_outside_of_the_video_says_what_it_covers(shown):
    click_at(shown, 0.02)
    until(shown, "document.querySelector('#covered').textContent.includes('is not in the video')")
    assert video_time(shown) == 0


def test_moments_seek_where_the_video_covers_them(shown):
    times = shown.locator(".seek:visible").evaluate_all("all => all.map(one => Number(one.dataset.time))")
    assert times == [2, 3, 4, 5]  # of 0 to 5 s
    shown.locator(".seek:visible").last.click()
    until(shown, "!video.seeking && video.currentTime > 0")
    assert video_time(shown) == pytest.approx((30 + 0.5) / RATE_HZ, abs=0.1)


def test_hovering_tells_of_the_frame(shown):
    plot = shown.locator(".plot")
    plot.scroll_into_view_if_needed()
    box = plot.bounding_box()
    shown.mouse.move(box["x"] + box["width"] * 5.0 / 14.9, box["y"] + 60)
    tip = shown.wait_for_selector(".tip").inner_text()
    for expected in ("1700000005.000000000", "5.00 s", "deviation", "0 frames"):
        assert expected in tip
    shown.mouse.move(box["x"] + box["width"] / 2, box["y"] - 80)
    shown.wait_for_selector(".tip", state="hidden")


@pytest.mark.parametrize("width", [400, 1400])
def test_nothing_sticks_out(shown, width):
    shown.set_viewport_size({"width": width, "height": 800})
    assert shown.evaluate("document.documentElement.scrollWidth") <= width


def test_dark_where_the_reader_likes_it_dark(shown):
    def brightness():
        return sum(
            map(
                int,
                shown.evaluate("getComputedStyle(document.body).backgroundColor").strip("rgb()").split(","),
            )
        )

    shown.emulate_media(color_scheme="light")
    light = brightness()
    shown.emulate_media(color_scheme="dark")
    assert light > 600 and brightness() < 120


def test_names_that_are_scripts_do_nothing(browser, tmp_path):
    page, complaints = browser.new_page(), []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("dialog", lambda dialog: (complaints.append(dialog.message), dialog.dismiss()))
    page.on("request", lambda request: complaints.append(request.url[:60]))
    for make in (page_of, index_of):
        for name in NAMES:
            file = make(tmp_path, name) and tmp_path / ("report.html" if make is page_of else "index.html")
            page.goto(file.as_uri())
            asked = [text for text in complaints if not text.startswith(("file:", "data:"))]
            assert asked == [], name
    page.close()


def test_the_policy_stops_a_script_that_got_in(browser, tmp_path):
    """Its digest lets the page's own script run, and none beside it."""
    file = tmp_path / "report.html"
    html = page_of(tmp_path, HARMLESS)
    file.write_text(
        html.replace("<main>", "<main><script>window.ran = true</script><p onclick='window.ran = true'>x")
    )
    page, complaints = browser.new_page(), []
    page.on("console", lambda message: complaints.append(message.text))
    page.goto(file.as_uri())
    page.click("main > p")
    assert page.evaluate("window.ran") is None
    assert len([text for text in complaints if "Content Security Policy" in text]) == 2
    page.close()
