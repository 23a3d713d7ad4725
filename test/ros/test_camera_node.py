# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The camera node: a source as a camera would send it."""

import itertools
import json

import cv2
import numpy as np
import pytest
from rclpy.exceptions import ParameterException
from rclpy.parameter import Parameter
from ros_helpers import of
from sensor_msgs.msg import CompressedImage, Image

from dcfm_ros import stamps
from dcfm_ros.pipeline.decoding import decode_compressed, decode_image
from dcfm_ros.ros.camera_node import CameraNode

COUNT = 6


@pytest.fixture
def folder(tmp_path):
    """COUNT pictures of 32 × 24 in one colour each: red is 40, 80, ..., green 10, blue 200."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number in range(COUNT):
        picture = np.full((24, 32, 3), (200, 10, 40 * (number + 1)), np.uint8)
        cv2.imwrite(str(folder / f"{number:03}.png"), picture)
    return folder


def arguments(folder, log, **changes):
    values = {
        "source": folder,
        "sent_log": log,
        "rate": "20.0",
        "loop": "false",
        "wait_for_subscribers": 1,
        "image_topic": "/pictures",
        "frame_id": "eye",
        **changes,
    }
    return itertools.chain.from_iterable(("-p", f"{name}:={value}") for name, value in values.items())


def sent(log):
    return [json.loads(line) for line in log.read_text().splitlines()]


@pytest.mark.slow
@pytest.mark.parametrize("encoding", ["bgr8", "rgb8", "mono8", "jpeg", "png"])
def test_the_source_is_sent_once_as_logged(folder, probe, tmp_path, encoding):
    kind, topic = (
        (CompressedImage, "/pictures/compressed") if encoding in ("jpeg", "png") else (Image, "/pictures")
    )
    images = probe.collect(kind, topic)
    log = tmp_path / "sent.jsonl"
    values = {
        "source": str(folder),
        "sent_log": str(log),
        "rate": 20.0,
        "loop": False,
        "wait_for_subscribers": 1,
        "image_topic": "/pictures",
        "frame_id": "eye",
        "encoding": encoding,
        "preload": encoding in ("rgb8", "jpeg"),
    }
    node = CameraNode(
        context=probe.context,
        parameter_overrides=[Parameter(name, value=value) for name, value in values.items()],
    )
    try:
        probe.spin_until(lambda: len(images) == COUNT and node.finished.is_set(), "all images")
    finally:
        node.destroy_node()
    assert not node.failed
    entries = sent(log)
    assert [entry["index"] for entry in entries] == list(range(COUNT))
    assert [entry["stamp_ns"] for entry in entries] == [
        stamps.stamp_ns(image.header.stamp) for image in images
    ]
    gaps = np.diff([entry["stamp_ns"] for entry in entries])
    assert (gaps > 0).all()
    # Two images can follow a late one at once: the whole cannot be faster than the rate by more than two
    # periods.
    assert entries[-1]["stamp_ns"] - entries[0]["stamp_ns"] > (COUNT - 3) * 0.05e9 * 0.9
    assert (np.diff([entry["published_ns"] for entry in entries]) > 0).all()
    for number, image in enumerate(images):
        assert image.header.frame_id == "eye"
        decoded = decode_compressed(image) if kind is CompressedImage else decode_image(image)
        assert decoded.pixels.shape == (24, 32, 3)
        red, green, blue = decoded.pixels[12, 16, :: -1 if decoded.is_bgr else 1].astype(int)
        if encoding == "mono8":
            assert (
                red
                == green
                == blue
                == pytest.approx(0.299 * 40 * (number + 1) + 0.587 * 10 + 0.114 * 200, abs=1.5)
            )
        else:
            assert (red, green, blue) == pytest.approx(
                (40 * (number + 1), 10, 200), abs=4 if encoding == "jpeg" else 0
            )


@pytest.mark.slow
def test_the_process_ends_after_the_last_image_which_still_arrives(folder, processes, probe, tmp_path):
    images = probe.collect(Image, "/pictures")
    # as many as its publisher keeps
    camera = processes("camera", *arguments(folder, tmp_path / "sent.jsonl", frames=2))
    probe.spin_until(lambda: not camera.running(), "the camera's end")
    assert camera.wait() == 0 and "Traceback" not in camera.text(), camera.text()
    probe.spin_until(lambda: len(images) == 2, "all images")
    assert [entry["stamp_ns"] for entry in sent(tmp_path / "sent.jsonl")] == [
        stamps.stamp_ns(i.header.stamp) for i in images
    ]


@pytest.mark.slow
def test_the_source_begins_again(folder, processes, probe, tmp_path):
    images = probe.collect(Image, "/pictures")
    log = tmp_path / "sent.jsonl"
    camera = processes(
        "camera", *arguments(folder, log, loop="true", rate="50", frames=3, width=16, height=12)
    )
    probe.spin_until(lambda: len(images) >= 8, "three rounds")
    assert camera.stop() == 0
    entries = sent(log)
    assert [entry["index"] for entry in entries] == [number % 3 for number in range(len(entries))]
    assert {(image.width, image.height, image.encoding) for image in images} == {(16, 12, "bgr8")}
    first = next(entry for entry in entries if entry["stamp_ns"] == stamps.stamp_ns(images[0].header.stamp))
    assert images[0].data[2] == 40 * (first["index"] + 1)
    assert of(images, images[-1]) is images[-1]  # no stamp comes twice


@pytest.mark.slow
@pytest.mark.parametrize("preload", ["true", "false"])
def test_there_and_back_again(folder, processes, probe, tmp_path, preload):
    images = probe.collect(Image, "/pictures")
    log = tmp_path / "sent.jsonl"
    camera = processes(
        "camera",
        *arguments(folder, log, loop="true", rate="50.0", frames=3, to_and_fro="true", preload=preload),
    )
    probe.spin_until(lambda: len(images) >= 8, "two ways there and back")
    assert camera.stop() == 0
    entries = sent(log)
    assert [entry["index"] for entry in entries] == [
        (0, 1, 2, 1)[number % 4] for number in range(len(entries))
    ]
    for image in images:
        entry = next(entry for entry in entries if entry["stamp_ns"] == stamps.stamp_ns(image.header.stamp))
        assert image.data[2] == 40 * (entry["index"] + 1)


def test_of_a_source_that_is_shorter_than_frames_all_is_sent(folder, probe, tmp_path):
    values = {
        "source": str(folder),
        "sent_log": str(tmp_path / "sent.jsonl"),
        "loop": False,
        "frames": COUNT + 5,
        "preload": True,
        "image_topic": "/pictures",
    }
    node = CameraNode(
        context=probe.context,
        parameter_overrides=[Parameter(name, value=value) for name, value in values.items()],
    )
    try:
        probe.spin_until(node.finished.is_set, "the end of the source")
    finally:
        node.destroy_node()
    assert not node.failed and [entry["index"] for entry in sent(tmp_path / "sent.jsonl")] == list(
        range(COUNT)
    )


UNUSABLE = [
    (dict(encoding="h264"), ["h264", "rgb8", "jpeg"]),
    (dict(source="/no/such/source"), ["/no/such/source"]),
    (dict(rate=0.0), ["rate 0.0", "use 0.1 to 1000"]),
    (dict(rate="fast"), ["rate 'fast'", "a number"]),
    (dict(frames=-1), ["frames -1", "use 0 to"]),
    (dict(sent_log="/no/such/folder/sent.jsonl"), ["/no/such/folder/sent.jsonl"]),
]


@pytest.mark.parametrize("changes, words", UNUSABLE)
def test_settings_that_cannot_be_used_are_named(folder, probe, changes, words):
    values = {"source": str(folder), "image_topic": "/unused", **changes}
    with pytest.raises((ValueError, OSError, ParameterException)) as caught:
        CameraNode(
            context=probe.context,
            parameter_overrides=[Parameter(name, value=value) for name, value in values.items()],
        )
    assert all(word in str(caught.value) for word in words), caught.value


def test_a_refused_node_leaves_the_graph_at_once(probe):
    """It lives on in the traceback until the garbage collector comes by."""
    with pytest.raises(ValueError) as caught:
        CameraNode(
            context=probe.context,
            namespace="refused",
            parameter_overrides=[Parameter("source", value="/none")],
        )
    probe.spin_until(
        lambda: ("camera", "/refused") not in probe.node.get_node_names_and_namespaces(), "its end"
    )
    assert "/none" in str(caught.value)


@pytest.mark.slow
@pytest.mark.parametrize("changes", [UNUSABLE[0][0], UNUSABLE[3][0]])
def test_settings_that_cannot_be_used_end_the_process_with_a_message(folder, processes, tmp_path, changes):
    camera = processes("camera", *arguments(folder, tmp_path / "sent.jsonl", **changes))
    assert camera.wait() == 1
    assert "[camera]: " in camera.text() and "Traceback" not in camera.text(), camera.text()
