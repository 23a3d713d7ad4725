"""Diagnostics: the words for each way in which masks can be missing."""

import time
from dataclasses import replace
from itertools import pairwise
from statistics import median

import pytest
from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.qos import QoSProfile, ReliabilityPolicy
from ros_helpers import Camera
from sensor_msgs.msg import Image

from dcfm_ros.pipeline.camera import CameraStatus
from dcfm_ros.ros.diagnostics import backend_diagnostic, camera_diagnostic

WORKING = CameraStatus(
    camera="", size=(480, 640), received=100, masks=99, dropped=1, refused={}, failures=0, keyframes=12, encode_failures=0,
    overdue=3, over_budget=2, resets=0, input_hz=30.0, mask_hz=29.9, keyframe_hz=3.3, latency_p50_ms=10.0,
    latency_p99_ms=20.0, encode_p50_ms=50.0, convert_p50_ms=0.25, publish_p50_ms=0.5, queue_p50_ms=5.0,
    threshold=0.48, feature_age_frames=4, has_feature=True, last_error="", silent_s=0.02)


@pytest.mark.parametrize("changes, publishers, qos, level, text", [
    ({}, 1, "", DiagnosticStatus.OK, "29.9 masks/s, 3.3 keyframes/s"),
    ({}, 1, "an old offer of incompatible QoS", DiagnosticStatus.OK, "29.9 masks/s"),
    ({}, 0, "", DiagnosticStatus.WARN, "no publisher on /image"),
    (dict(received=0, silent_s=-1.0), 0, "", DiagnosticStatus.WARN, "no publisher on /image"),
    (dict(received=0, silent_s=-1.0), 1, "", DiagnosticStatus.WARN, "no image yet on /image"),
    (dict(received=0, silent_s=-1.0), 1, "offers an incompatible QoS", DiagnosticStatus.ERROR, "offers an incompatible QoS"),
    (dict(silent_s=7.4), 1, "", DiagnosticStatus.WARN, "no image for 7 s on /image"),
    (dict(mask_hz=0.0, refused={"encoding": 3}, last_error="encoding 'x'"), 1, "", DiagnosticStatus.ERROR, "images refused: encoding 'x'"),
    (dict(refused={"encoding": 3}, last_error="encoding 'x'"), 1, "", DiagnosticStatus.OK, "29.9 masks/s"),
    (dict(has_feature=False), 1, "", DiagnosticStatus.WARN, "waiting for first keyframe"),
    (dict(has_feature=False, encode_failures=2, last_error="keyframe encoder: no memory"), 1, "", DiagnosticStatus.WARN,
     "waiting for first keyframe (keyframe encoder: no memory)"),
    (dict(mask_hz=0.0, failures=3, last_error="broken"), 1, "", DiagnosticStatus.ERROR, "broken"),
    (dict(keyframe_hz=0.0, encode_failures=3, last_error="no memory"), 1, "", DiagnosticStatus.ERROR, "old feature: no memory"),
])
def test_words(changes, publishers, qos, level, text):
    status = camera_diagnostic(replace(WORKING, **changes), "/image", publishers, qos, "segmenter")
    assert status.level == level and text in status.message
    assert (status.name, status.hardware_id) == ("segmenter: camera", "/image")


def test_values():
    status = camera_diagnostic(replace(WORKING, camera="rear", refused={"size": 2, "data": 1}), "/image", 1, "", "segmenter", lost=7)
    values = {item.key: item.value for item in status.values}
    assert status.name == "segmenter: rear"
    assert values["size"] == "640x480" and values["dropped"] == "1" and values["lost"] == "7" and values["mask_hz"] == "29.9"
    assert values["threshold"] == "0.480" and values["queue_p50_ms"] == "5.0"
    assert values["convert_p50_ms"] == "0.25" and values["publish_p50_ms"] == "0.50"
    assert values["overdue"] == "3" and values["over_budget"] == "2"
    assert values["refused_size"] == "2" and values["refused_data"] == "1"


@pytest.mark.parametrize("more, level, text", [
    ({}, DiagnosticStatus.OK, "tensorrt on cuda in f16"),
    ({"state": "torch serves: tensorrt is being built"}, DiagnosticStatus.OK, "torch serves: tensorrt is being built"),
    ({"problem": "torch serves: no memory"}, DiagnosticStatus.WARN, "torch serves: no memory"),
])
def test_words_of_the_backend(more, level, text):
    values = {"backend": "tensorrt", "device": "cuda", "state": "tensorrt on cuda in f16", **more}
    status = backend_diagnostic(values, "segmenter")
    assert (status.level, status.message, status.name, status.hardware_id) == (level, text, "segmenter: backend", "cuda")
    assert {item.key: item.value for item in status.values} == values


def test_the_backend_is_among_the_diagnostics(segmenter, probe):
    segmenter.start(image_topic="/diagnosed")
    status = probe.diagnostic("cpu")
    assert (status.level, status.name) == (DiagnosticStatus.OK, "segmenter: backend")
    assert status.message == f"{status.values['backend']} on cpu in {status.values['precision']}"


def test_live(segmenter, probe):
    """From no publisher to masks and to silence; one message each second."""
    segmenter.start(image_topic="/diagnosed")
    status = probe.diagnostic("/diagnosed")
    assert (status.level, status.message) == (DiagnosticStatus.WARN, "no publisher on /diagnosed")
    camera = Camera(probe, "/diagnosed").connect()
    status = probe.diagnostic("/diagnosed")
    assert (status.level, status.message) == (DiagnosticStatus.WARN, "no image yet on /diagnosed")
    camera.segment()
    camera.segment()

    def working():
        """A report on images that come. A machine that pauses for two seconds makes a silence, which it then tells truly."""
        began = time.monotonic()
        camera.segment()
        status = probe.diagnostic("/diagnosed")
        if not status.message.startswith("no image for "):
            return status
        assert time.monotonic() - began > 2.0
        return None

    status = probe.spin_until(working, "a report without a pause before it")
    assert status.level == DiagnosticStatus.OK and "masks/s" in status.message
    assert status.number("received") == status.number("masks") == len(camera.masks) and status.number("keyframes") == 1
    assert status.values["size"] == "96x64" and status.number("latency_p99_ms") > 0
    status = probe.diagnostic("/diagnosed", lambda s: s.level == DiagnosticStatus.WARN)
    assert status.message.startswith("no image for ")
    arrays = probe.arrays()
    arrays.clear()
    probe.spin_until(lambda: len(arrays) >= 5, "five arrays")
    stamps = [a.header.stamp.sec + a.header.stamp.nanosec / 1e9 for a in arrays]
    assert stamps[0] == pytest.approx(time.time(), abs=60)
    # The median is still so where the machine paused once.
    assert median(b - a for a, b in pairwise(stamps)) == pytest.approx(1.0, abs=0.5)


def test_incompatible_qos_is_named_and_overrides_are_heeded(processes, model, probe):
    """Subscriptions made reliable by an override do not hear best-effort cameras; other cameras are as ever."""
    process = processes(
        "segmenter", "-r", "__node:=strict", "-p", f"model:={model}", "-p", "backend:=torch", "-p", "cameras:=[one, two]",
        "-p", "qos_overrides./one/image_raw.subscription.reliability:=reliable",
        "-p", "qos_overrides./one/image_raw.subscription.depth:=3",
        "-p", "qos_overrides./dcfm/one/mask.publisher.reliability:=best_effort")
    deaf = probe.publisher(Image, "/one/image_raw")
    two = Camera(probe, "/two/image_raw", "/dcfm/two").connect()
    two.segment()
    status = probe.diagnostic("/one/image_raw", lambda s: s.level == DiagnosticStatus.ERROR)
    assert "incompatible QoS" in status.message and "RELIABILITY" in status.message.upper()
    assert "qos_overrides./one/image_raw.subscription.reliability" in process.text()
    policies = [probe.node.get_subscriptions_info_by_topic(f"/{name}/image_raw")[0].qos_profile.reliability for name in ("one", "two")]
    assert policies == [ReliabilityPolicy.RELIABLE, ReliabilityPolicy.BEST_EFFORT]
    policies = [probe.node.get_publishers_info_by_topic(f"/dcfm/{name}/mask")[0].qos_profile.reliability for name in ("one", "two")]
    assert policies == [ReliabilityPolicy.BEST_EFFORT, ReliabilityPolicy.RELIABLE]
    probe.node.destroy_publisher(deaf)
    probe_masks = QoSProfile(depth=10, reliability=ReliabilityPolicy.BEST_EFFORT)
    masks = probe.collect(Image, "/dcfm/one/mask", probe_masks)
    one = Camera(probe, "/one/image_raw", "/dcfm/one", reliable=True).connect()
    image = one.send()
    probe.spin_until(lambda: masks, "a mask over best effort")
    assert masks[0].header == image.header
    probe.diagnostic("/one/image_raw", lambda s: s.level == DiagnosticStatus.OK)
