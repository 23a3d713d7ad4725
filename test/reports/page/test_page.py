# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The page holds what the report says, whatever that is, and needs nothing but itself."""

import base64
import re
import tracemalloc
from html import unescape
from html.parser import HTMLParser

import cv2
import numpy as np
import pytest
from replay_page_helpers import PALETTE, moments, points, report, row

from dcfm_ros.reports.page import page
from dcfm_ros.reports.page.figures import tables
from dcfm_ros.reports.page.page import write_page
from dcfm_ros.reports.page.templates import inline

EVIL = "<script>alert(1)</script>"


class Elements(HTMLParser):
    """All start tags with their attributes, and the text outside of scripts and styles."""

    VOID = {"meta", "link", "img"}

    def __init__(self, html):
        super().__init__()
        self.tags, self.text, self.open = [], "", []
        self.feed(html)
        assert self.open == [], "elements that are never closed"

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):  # <path .../> in SVG
        self.tags.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] not in ("script", "style"):
            self.text += data + " "


def written(folder, report_, timeline=(), moments_=(), palette=PALETTE, video=None, **options):
    write_page(folder / "report.html", report_, timeline, moments_, palette, video, **options)
    assert [path.name for path in folder.iterdir() if path.suffix not in (".mp4",)] == ["report.html"]
    return (folder / "report.html").read_text()


def without(value):
    """A report in which every figure is None."""
    if isinstance(value, dict):
        return {key: without(inner) for key, inner in value.items()}
    return [without(inner) for inner in value] if isinstance(value, list) else None


def video_file(folder, size=10_000):
    file = folder / "side_by_side.mp4"
    file.write_bytes(np.random.default_rng(0).bytes(size))
    return file


def test_figures_are_there(tmp_path):
    text = Elements(written(tmp_path, report(), points(), moments())).text
    for expected in (
        "city_loop",
        "1\u202f234",
        "61.4",
        "20.0",
        "58.4",
        "58.41",
        "0.412",
        "96.2",
        "the last chunk is broken",
        "80 of 1234 masks have a label",
        "image at 1.5: JPEG ends early",
        "/camera/image_raw",
        "street11_b0",
        "keyframes",
        "threshold 0.18",
        "residual",
        "Moved along",
        "911",
        "Stood still",
        "As they were",
        "12.3",
        "Motion since the frame before",
        "mIoU 40.0 %",
        "1700000000.000000000",
        "--start-offset 3.0",
        "480×360",
    ):
        assert expected in text, expected


def test_text_from_outside_stays_text(tmp_path):
    evil = report(
        bag={"path": f"/drives/{EVIL}", "duration_s": 1.0, "start_ns": 0},
        rows=[row(name=EVIL, per_class_iou={EVIL: 0.5}, keyframe_reasons={EVIL: 3})],
        cameras=[
            report()["cameras"][0]
            | {"camera": EVIL, "topic": EVIL, "skipped": {EVIL: 1}, "skipped_examples": [EVIL]}
        ],
        notes=[EVIL, f'" onload="{EVIL}'],
        options={EVIL: EVIL, "list": [EVIL]},
        model={EVIL: EVIL, "name": EVIL},
        versions={"x": EVIL},
        machine={"cpu": EVIL},
        mode=EVIL,
    )
    line = [*points(5, EVIL), *points(5, "other", reason=EVIL)]
    moment = type(moments()[0])(EVIL, EVIL, 1, 1.0, 0.5, moments()[0].picture)
    html = written(tmp_path, evil, line, [moment], [(EVIL, (1, 2, 3))])
    elements = Elements(html)
    assert [attributes for tag, attributes in elements.tags if tag == "script"] == [
        {"type": "application/json"}
    ] * 2 + [{}]
    assert EVIL not in html.replace(inline("script.js"), "")
    assert elements.text.count(EVIL) >= 15
    assert not any(name.startswith("on") for _, attributes in elements.tags for name in attributes)


def test_nothing_is_loaded_from_elsewhere(tmp_path):
    html = written(tmp_path, report(), points(), moments(), video=video_file(tmp_path), video_times_s=[0.0])
    assert re.search(r"https?://|//[a-z]+\.[a-z]|@import|url\(|<iframe|<object|<embed", html) is None
    addresses = [
        attributes[name]
        for _, attributes in Elements(html).tags
        for name in ("src", "href", "srcset", "poster")
        if name in attributes
    ]
    assert len(addresses) == 8 and all(address.startswith("data:") for address in addresses)


def test_pictures_are_those_of_the_moments(tmp_path):
    shown = moments()
    images = [a for tag, a in Elements(written(tmp_path, report(), points(), shown)).tags if tag == "img"]
    assert len(images) == len(shown)
    for attributes, moment in zip(images, shown):
        kind, data = attributes["src"].split(",")
        picture = cv2.imdecode(np.frombuffer(base64.b64decode(data), np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
        assert kind == "data:image/jpeg;base64" and picture.shape == moment.picture.shape
        assert np.abs(picture.astype(int) - moment.picture).max() < 12


def test_the_video_is_in_the_page_byte_by_byte(tmp_path, monkeypatch):
    monkeypatch.setattr(page, "_PIECE", 300)  # many pieces, the last one shorter
    video = video_file(tmp_path, 10_001)
    html = written(tmp_path, report(), points(), video=video, video_times_s=[2.5])
    (tag,) = [attributes for tag, attributes in Elements(html).tags if tag == "video"]
    assert base64.b64decode(tag["src"].removeprefix("data:video/mp4;base64,")) == video.read_bytes()


def test_a_video_needs_its_times(tmp_path):
    with pytest.raises(ValueError, match="the times of .*side_by_side.mp4 are missing: give video_times_s"):
        write_page(tmp_path / "report.html", report(), points(), [], PALETTE, video_file(tmp_path))


@pytest.mark.slow
def test_a_large_video_takes_little_memory(tmp_path):
    video = video_file(tmp_path, 40_000_000)
    tracemalloc.start()
    try:
        write_page(tmp_path / "report.html", report(), [], [], PALETTE, video, [0.0])
        assert tracemalloc.get_traced_memory()[1] < 12_000_000
    finally:
        tracemalloc.stop()
    assert (tmp_path / "report.html").stat().st_size > 53_000_000


@pytest.mark.slow
@pytest.mark.parametrize("timeline", [[], points(7, flicker=None, miou=None)])
@pytest.mark.parametrize(
    "poor",
    [
        without(report()),
        without(report(rows=[row()])),
        report(rows=[]),
        report(cameras=[]),
        report(notes=[]),
        report(
            times_ms=None,
            options=None,
            versions=None,
            machine=None,
            model=None,
            scheduler=None,
            frames_per_s=None,
        ),
        report(rows=[row("per frame", per_class_iou={}, keyframe_reasons={}, feature_age_s=None)]),
    ],
    ids=range(7),
)
def test_what_is_missing_is_left_out_or_a_dash(tmp_path, poor, timeline):
    text = Elements(written(tmp_path, poor, timeline)).text
    assert re.search(r"\b(None|nan|Undefined)\b", text) is None


def test_without_labels_no_accuracy_is_claimed(tmp_path):
    nothing = dict.fromkeys(
        ("miou", "wiou", "pixel_accuracy", "mvc8", "mvc16", "miou_keyframes", "miou_other_frames")
    )
    nothing["miou_all"] = 0.0  # as metrics have it: classes without labels count 0
    nothing |= {"labelled_frames": 0, "per_class_iou": dict.fromkeys(("road", "sky", "car"))}
    rows = [row("DCFM", **nothing), row("per frame", **nothing)]
    text = Elements(written(tmp_path, report(rows=rows), points(miou=None))).text
    assert "The recording has no labels" in text
    assert (
        "mIoU" not in text
        and "mVC" not in text
        and "IoU of each class" not in text
        and "Labelled frames" not in text
    )
    assert "Flicker" in text and "Agreement" in text


def test_a_per_frame_row_has_no_motion(tmp_path):
    def lines(*rows):
        return {
            line.name: line.texts
            for title, found in tables(list(rows))
            for line in found
            if title == "Motion of common features"
        }

    per_frame = row("per frame", alignments={}, motion_px=None)
    assert lines(row(), per_frame) == {
        "Moved along": ["911", "–"],
        "Stood still": ["70", "–"],
        "As they were": ["253", "–"],
        "Mean motion, pixels": ["12.3", "–"],
    }
    assert lines(row(alignments={"none": 1234}, motion_px=None)) == {"As they were": ["1\u202f234"]}
    assert lines(per_frame) == {}
    assert "Motion of common features" not in Elements(written(tmp_path, report(rows=[per_frame]))).text


def test_without_trouble_there_is_no_warning(tmp_path):
    cameras = [{**report()["cameras"][0], "skipped": {}, "skipped_examples": []}]
    assert "Worth knowing" not in Elements(written(tmp_path, report(notes=[], cameras=cameras))).text
    assert "Worth knowing" in Elements(written(tmp_path, report())).text


def test_classes_stand_with_both_rows(tmp_path):
    bars = re.findall(r'<i class="row(\d)" style="width: ([\d.]+)%">', written(tmp_path, report()))
    assert bars == [("0", "90.0"), ("1", "90.0"), ("0", "80.0"), ("1", "80.0")]  # no label has a car


@pytest.mark.slow
def test_a_long_recording_makes_a_small_page(tmp_path):
    assert len(written(tmp_path, report(), points(100_000))) < 700_000


def test_cameras_have_timelines_of_their_own(tmp_path):
    elements = Elements(written(tmp_path, report(), [*points(9, "front"), *points(9, "left")]))
    assert sum(attributes.get("class") == "plot" for _, attributes in elements.tags) == 2
    assert "front" in elements.text and "left" in elements.text


def test_an_error_leaves_the_old_page_and_no_half_of_a_new_one(tmp_path):
    file = tmp_path / "report.html"
    file.write_text("old")
    broken = moments()[0]
    object.__setattr__(broken, "picture", np.zeros((0, 5, 3), np.uint8))
    with pytest.raises((ValueError, cv2.error)):
        write_page(file, report(), points(), [broken], PALETTE, None)
    assert file.read_text() == "old" and list(tmp_path.iterdir()) == [file]


def test_the_bags_name_is_the_title(tmp_path):
    assert (
        unescape(re.search("<title>(.*?)</title>", written(tmp_path, report()))[1]) == "city_loop: evaluation"
    )
