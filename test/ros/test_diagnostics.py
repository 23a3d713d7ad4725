# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Diagnostics: the words for each way in which masks can be missing."""

import time
from dataclasses import replace
from itertools import pairwise
from statistics import median

import pytest
from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.qos import QoSProfile, ReliabilityPolicy
from ros_helpers import NODE, Camera
from sensor_msgs.msg import CompressedImage, Image

from dcfm_ros.pipeline.telemetry import CameraStatus
from dcfm_ros.ros.diagnostics import (
    REPORTS_THAT_COUNT,
    NodeState,
    TopicState,
    Trouble,
    backend_diagnostic,
    camera_diagnostic,
)
from dcfm_ros.ros.health import CameraHealth, Health, HealthReporter

WORKING = CameraStatus(
    camera="",
    size=(480, 640),
    received=100,
    masks=99,
    dropped=1,
    unheard=0,
    over_rate=0,
    discarded=0,
    without_feature=0,
    unaligned=0,
    refused={},
    failures=0,
    publish_failures=0,
    keyframes=12,
    encode_failures=0,
    slow_encodes=0,
    encoding_s=0.03,
    overdue=3,
    over_budget=0,
    resets=0,
    input_hz=30.0,
    mask_hz=29.9,
    keyframe_hz=3.3,
    latency_p50_ms=10.0,
    latency_p99_ms=20.0,
    motion_p50_ms=0.6,
    encode_p50_ms=50.0,
    convert_p50_ms=0.25,
    publish_p50_ms=0.5,
    queue_p50_ms=5.0,
    threshold=0.48,
    feature_age_frames=4,
    has_feature=True,
    last_error="",
    stamp_stands_s=0.0,
    silent_s=0.02,
)


ACTIVE = NodeState("/robot1/dcfm/segmenter", "active", in_state_s=100.0, room=lambda: "give it more room")
HEARD = TopicState("/image", publishers=1)
OK, WARN, ERROR = DiagnosticStatus.OK, DiagnosticStatus.WARN, DiagnosticStatus.ERROR


@pytest.mark.parametrize(
    "changes, more, level, text",
    [
        ({}, {}, OK, "29.9 masks/s, 3.3 keyframes/s"),
        ({}, dict(incompatible_qos="an old offer of incompatible QoS"), OK, "29.9 masks/s"),
        ({}, dict(publishers=0), WARN, "no publisher on /image: start the camera, or set image_topic"),
        (
            {},
            dict(publishers=0, elsewhere=("/a", "/b", "/c", "/d"), parameter="rear.image_topic"),
            WARN,
            "no publisher on /image: start the camera, or set rear.image_topic; there are images on /a, /b, "
            "/c",
        ),
        (
            {},
            dict(
                publishers=0, parameter="rear.image_topic", other_types=("sensor_msgs/msg/CompressedImage",)
            ),
            ERROR,
            "set rear.image_transport to compressed",
        ),
        (dict(received=0, silent_s=-1.0), dict(publishers=0), WARN, "no publisher on /image"),
        (dict(received=0, silent_s=-1.0), {}, WARN, "no image yet on /image"),
        (
            dict(received=0, silent_s=-1.0),
            dict(publishers=0, incompatible_qos="Volatile publisher"),
            ERROR,
            "/image is published with an incompatible QoS (Volatile publisher): change the override "
            "qos_overrides./image.subscription",
        ),
        (
            dict(silent_s=9.0),
            dict(publishers=0, incompatible_qos="Volatile publisher"),
            ERROR,
            "an incompatible QoS",
        ),
        (
            {},
            dict(publishers=0, other_types=("sensor_msgs/msg/CompressedImage",)),
            ERROR,
            "/image is published as CompressedImage, not as Image: set image_transport to compressed",
        ),
        (
            {},
            dict(
                publishers=0, type="sensor_msgs/msg/CompressedImage", other_types=("sensor_msgs/msg/Image",)
            ),
            ERROR,
            "set image_transport to raw",
        ),
        (
            {},
            dict(publishers=0, other_types=("sensor_msgs/msg/PointCloud2",)),
            ERROR,
            "/image is published as PointCloud2, not as Image: set image_topic to the camera's",
        ),
        (
            {},
            dict(publishers=0, other_types=("other_msgs/msg/Image",)),
            ERROR,
            "/image is published as other_msgs/msg/Image, not as Image: set image_topic to the camera's",
        ),
        ({}, dict(other_types=("sensor_msgs/msg/CompressedImage",)), OK, "29.9 masks/s"),
        (dict(silent_s=7.4), {}, WARN, "no image for 7 s on /image"),
        (
            dict(stamp_stands_s=41.3),
            {},
            WARN,
            "29.9 masks/s, but the camera has no clock: its stamps have stood still for 41 s",
        ),
        (dict(stamp_stands_s=1.9), {}, OK, "29.9 masks/s"),
        (
            dict(mask_hz=0.0, refused={"encoding": 3}, last_error="encoding 'x'"),
            {},
            ERROR,
            "images refused: encoding 'x'",
        ),
        (dict(refused={"encoding": 3}, last_error="encoding 'x'"), {}, OK, "29.9 masks/s"),
        (dict(has_feature=False), {}, WARN, "waiting for first keyframe"),
        (
            dict(has_feature=False, encode_failures=2, last_error="keyframe encoder: no memory"),
            {},
            WARN,
            "waiting for first keyframe (keyframe encoder: no memory)",
        ),
        (dict(mask_hz=0.0, failures=3, last_error="broken"), {}, ERROR, "broken"),
        (
            dict(keyframe_hz=0.0, encode_failures=3, last_error="no memory"),
            {},
            ERROR,
            "old feature: no memory",
        ),
        # What the overloaded segmenter of a review said to be in order
        (
            dict(input_hz=11.9, mask_hz=5.5),
            dict(dropped=32),
            WARN,
            "5.5 masks/s of 11.9 images/s, 32 dropped",
        ),
        (
            dict(last_error="encoding 'x'"),
            dict(refused=2, failures=1),
            WARN,
            "29.9 masks/s of 30.0 images/s, 2 refused, 1 failed; the last error: encoding 'x'",
        ),
        (
            {},
            dict(resets=2),
            WARN,
            "2 restarts of the sequence: images change their size, their stamps jump, or two cameras publish "
            "/image",
        ),
        ({}, dict(resets=1), OK, "29.9 masks/s"),
        ({}, dict(lost=3), WARN, "3 images lost in transport: give it more room"),
        ({}, dict(overwritten=2), WARN, "29.9 masks/s, 2 images overwritten before the node took them"),
        (
            dict(encoding_s=34.2),
            {},
            ERROR,
            "the deep path has not returned for 34 s: no keyframes of any camera",
        ),
        (
            dict(encoding_s=34.2, has_feature=False, mask_hz=0.0),
            {},
            ERROR,
            "the deep path has not returned for 34 s",
        ),
        (
            dict(encoding_s=34.2, mask_hz=0.0, refused={"encoding": 3}),
            {},
            ERROR,
            "the deep path has not returned for 34 s",
        ),
        (dict(encoding_s=9.9), {}, OK, "29.9 masks/s"),
        (
            dict(latency_p50_ms=34.0),
            {},
            WARN,
            "latency 34 ms (p99 20) is more than the 33 ms from image to image",
        ),
        (dict(latency_p50_ms=33.0, latency_p99_ms=90.0), {}, OK, "29.9 masks/s"),
        (dict(feature_age_frames=20), {}, OK, "29.9 masks/s"),
        (
            dict(feature_age_frames=21),
            {},
            WARN,
            "common feature is 21 frames old, max_interval is 10: the encoder does not keep up",
        ),
    ],
)
def test_words(changes, more, level, text):
    recent = Trouble(**{name: value for name, value in more.items() if name in Trouble._fields})
    topic = replace(HEARD, **{name: value for name, value in more.items() if name not in Trouble._fields})
    status = camera_diagnostic("", ACTIVE, topic, replace(WORKING, **changes), recent)
    assert status.level == level and text in status.message
    assert (status.name, status.hardware_id) == ("/robot1/dcfm/segmenter: camera", "/image")


@pytest.mark.parametrize(
    "changes, users, text",
    [
        (
            dict(received=0, silent_s=-1.0),
            "",
            "no image yet on /image, although it has a publisher: it may not have begun; if `ros2 "
            "topic hz` counts images, they are of another container (docs/deployment.md), or too "
            "large for DDS: give it more room",
        ),
        (
            dict(received=0, silent_s=-1.0),
            "user id 7 is there",
            "no image yet on /image, although it has a publisher: user id 7 is there",
        ),
        (dict(silent_s=7.4), "user id 7 is there", "no image for 7 s on /image: user id 7 is there"),
        ({}, "user id 7 is there", "29.9 masks/s, 3.3 keyframes/s"),
    ],
)
def test_other_users_are_named_where_no_image_comes(changes, users, text):
    assert (
        camera_diagnostic(
            "", replace(ACTIVE, other_users=lambda: users), HEARD, replace(WORKING, **changes)
        ).message
        == text
    )


def test_a_spent_budget_is_the_reason_for_old_features():
    status = camera_diagnostic(
        "", ACTIVE, HEARD, replace(WORKING, feature_age_frames=30), Trouble(over_budget=2)
    )
    assert status.level == WARN and "raise keyframe_budget_hz" in status.message


@pytest.mark.parametrize(
    "changes, level, text",
    [
        (
            dict(state="unconfigured"),
            WARN,
            "unconfigured: no masks until `ros2 lifecycle set /robot1/dcfm/segmenter configure`",
        ),
        (
            dict(state="inactive"),
            WARN,
            "inactive: no masks until `ros2 lifecycle set /robot1/dcfm/segmenter activate`",
        ),
        (
            dict(state="unconfigured", refusal="cannot configure: no model"),
            ERROR,
            "cannot configure: no model",
        ),
        (dict(state="inactive", refusal="cannot activate: typo"), ERROR, "cannot activate: typo"),
        (dict(state="finalized"), WARN, "finalized: no masks"),
    ],
)
def test_words_of_a_node_that_is_not_active(changes, level, text):
    """The camera is not blamed, though it sends nothing, and the names are those of an active node."""
    node = replace(ACTIVE, **changes)
    for configured in (WORKING, None):
        status = camera_diagnostic("rear", node, replace(HEARD, publishers=0), configured)
        assert status.level == level and text in status.message
        assert (status.name, status.hardware_id) == ("/robot1/dcfm/segmenter: rear", "/image")
    status = backend_diagnostic(node, "auto", None)
    assert status.level == level and text in status.message
    assert (status.name, status.hardware_id) == ("/robot1/dcfm/segmenter: backend", "auto")


@pytest.mark.parametrize(
    "changes, publishers, text",
    [
        ({}, 1, "29.9 masks/s, 3.3 keyframes/s; 29.9 masks/s are fewer than min_mask_hz 30"),
        (
            dict(mask_hz=0.0, silent_s=9.0),
            1,
            "no image for 9 s on /image; 0.0 masks/s are fewer than min_mask_hz 30",
        ),
        (dict(mask_hz=0.0), 0, "no publisher on /image"),
        (dict(mask_hz=0.0, has_feature=False), 1, "waiting for first keyframe"),
    ],
)
def test_a_minimum_rate(changes, publishers, text):
    """It is an error whatever the reason, once the node has had time to start."""

    def diagnose(**node):
        return camera_diagnostic(
            "", replace(ACTIVE, **node), replace(HEARD, publishers=publishers), replace(WORKING, **changes)
        )

    status = diagnose(min_mask_hz=30.0)
    assert status.level == ERROR and status.message.startswith(text)
    assert (
        diagnose(min_mask_hz=30.0, in_state_s=5.0).level < ERROR and diagnose(min_mask_hz=0.0).level < ERROR
    )
    assert diagnose(min_mask_hz=30.0, state="inactive").level == WARN


def test_silence_does_not_count_while_nobody_listened():
    status = camera_diagnostic("", replace(ACTIVE, in_state_s=1.0), HEARD, replace(WORKING, silent_s=60.0))
    assert status.level == OK


def test_masks_that_wait_for_the_next_keyframe_are_late_on_purpose():
    late = replace(WORKING, latency_p50_ms=300.0)
    assert camera_diagnostic("", replace(ACTIVE, masks_wait=True), HEARD, late).level == OK
    assert camera_diagnostic("", ACTIVE, HEARD, late).level == WARN


def test_values():
    status = camera_diagnostic(
        "rear",
        ACTIVE,
        replace(HEARD, lost=7),
        replace(WORKING, camera="rear", refused={"size": 2, "data": 1}),
    )
    values = {item.key: item.value for item in status.values}
    assert status.name == "/robot1/dcfm/segmenter: rear"
    assert (
        values["size"] == "640x480"
        and values["dropped"] == "1"
        and values["lost"] == "7"
        and values["mask_hz"] == "29.9"
    )
    assert values["threshold"] == "0.480" and values["queue_p50_ms"] == "5.0" and values["state"] == "active"
    assert values["convert_p50_ms"] == "0.25" and values["publish_p50_ms"] == "0.50"
    assert values["overdue"] == "3" and values["over_budget"] == "0"
    assert values["refused_size"] == "2" and values["refused_data"] == "1"


@pytest.mark.parametrize(
    "more, level, text",
    [
        ({}, OK, "tensorrt on cuda in f16"),
        ({"state": "torch serves: tensorrt is being built"}, OK, "torch serves: tensorrt is being built"),
        ({"problem": "torch serves: no memory"}, WARN, "torch serves: no memory"),
    ],
)
def test_words_of_the_backend(more, level, text):
    values = {"backend": "tensorrt", "device": "cuda", "state": "tensorrt on cuda in f16", **more}
    status = backend_diagnostic(ACTIVE, "auto", values)
    assert (status.level, status.message, status.hardware_id) == (level, text, "cuda")
    failures = {"callback_failures": "0", "last_callback_failure": ""}
    assert {item.key: item.value for item in status.values} == {**values, **failures}


def test_losses_are_a_warning_for_some_reports(probe):
    """From the first report that counts them until they are older than the rates; a new life of the node
    counts from 0, which a count that goes back tells, whatever the others do."""
    warned = []
    seen = iter([(0, 0), (2, 0), (2, 0), (2, 0), (2, 0), (2, 0), (2, 0), (2, 0), (5, 3), (6, 0), (6, 0)])

    def look():
        dropped, lost = next(seen)
        return Health(
            ACTIVE,
            "cpu",
            {"state": "at work", "device": "cpu"},
            [CameraHealth("", replace(HEARD, lost=lost), replace(WORKING, dropped=dropped))],
        )

    reporter = HealthReporter(probe.node, look)
    reporter._publisher = type(
        "Published", (), {"publish": lambda self, message: warned.append(message.status[1].level == WARN)}
    )()
    for _ in range(11):
        reporter.publish()
    assert warned == [False, True, True, True, True, True, False, False, True, False, False]


@pytest.mark.slow
def test_the_backend_is_among_the_diagnostics(segmenter, probe):
    segmenter.start(image_topic="/diagnosed")
    status = probe.diagnostic("cpu")
    assert (status.level, status.name) == (OK, f"{NODE}: backend")
    assert status.message == f"{status.values['backend']} on cpu in {status.values['precision']}"


@pytest.mark.slow
def test_live(segmenter, probe):
    """Statuses of a camera without publisher, with masks, and after it falls silent."""
    segmenter.start(image_topic="/diagnosed")
    status = probe.diagnostic("/diagnosed")
    assert status.level == WARN and status.message.startswith("no publisher on /diagnosed")
    camera = Camera(probe, "/diagnosed").connect()
    status = probe.diagnostic("/diagnosed")
    assert status.level == WARN and status.message.startswith("no image yet on /diagnosed")
    camera.segment()
    camera.segment()

    def working():
        """A report on images that come. A machine that pauses for two seconds makes a silence, which it then
        tells truly."""
        began = time.monotonic()
        camera.segment()
        status = probe.diagnostic("/diagnosed")
        if not status.message.startswith("no image for "):
            return status
        assert time.monotonic() - began > 2.0
        return None

    status = probe.spin_until(working, "a report without a pause before it")
    assert status.level == OK and "masks/s" in status.message
    assert (
        status.number("received") == status.number("masks") == len(camera.masks)
        and status.number("keyframes") == 1
    )
    assert status.values["size"] == "96x64" and status.number("latency_p99_ms") > 0
    status = probe.diagnostic("/diagnosed", lambda s: s.level == WARN)
    assert status.message.startswith("no image for ")


@pytest.mark.slow
def test_one_message_each_second(processes, probe):
    """The installed command, unlike in the other tests."""
    processes("segmenter", "-r", "__node:=regular", "-p", "autostart:=false", installed=True)
    arrays = probe.arrays()

    def reports():
        return [array for array in arrays if any("/regular" in status.name for status in array.status)]

    probe.spin_until(lambda: len(reports()) >= 5, "five reports")
    stamps = [a.header.stamp.sec + a.header.stamp.nanosec / 1e9 for a in reports()]
    assert stamps[0] == pytest.approx(time.time(), abs=60)
    # The median is still so where the machine paused once.
    assert median(b - a for a, b in pairwise(stamps)) == pytest.approx(1.0, abs=0.5)


@pytest.mark.slow
def test_a_camera_without_a_clock_is_told_and_gets_masks(segmenter, probe):
    segmenter.start(image_topic="/clockless")
    camera = Camera(probe, "/clockless").connect()
    image = camera.image()
    image.header.stamp = Time()  # as of a driver that never fills it in
    sent = []

    def report():
        sent.append(camera.send(image))
        status = probe.diagnostic("/clockless")
        return status if "has no clock" in status.message else None

    status = probe.spin_until(report, "a report that the camera has no clock")
    assert status.level == WARN and "let the driver fill header.stamp" in status.message
    assert status.number("stamp_stands_s") >= 2.0 and status.number("resets") == 0
    probe.spin_until(lambda: len(camera.masks) == len(sent), "all masks")


@pytest.mark.slow
def test_incompatible_qos_is_named_and_overrides_are_heeded(processes, model, probe):
    """Subscriptions made reliable by an override do not hear best-effort cameras; other cameras are as
    ever."""
    process = processes(
        "segmenter",
        "-r",
        "__node:=strict",
        "-p",
        f"model:={model}",
        "-p",
        "backend:=torch",
        "-p",
        "cameras:=[one, two]",
        "-p",
        "qos_overrides./one/image_raw.subscription.reliability:=reliable",
        "-p",
        "qos_overrides./one/image_raw.subscription.depth:=3",
        "-p",
        "qos_overrides./dcfm/one/mask.publisher.reliability:=best_effort",
    )
    deaf = probe.publisher(Image, "/one/image_raw")
    two = Camera(probe, "/two/image_raw", "/dcfm/two").connect()
    two.segment()
    status = probe.diagnostic("/one/image_raw", lambda s: s.level == ERROR)
    assert "an incompatible QoS" in status.message and "RELIABLE" in status.message.upper()
    assert "qos_overrides./one/image_raw.subscription.reliability" in process.text()
    policies = [
        probe.node.get_subscriptions_info_by_topic(f"/{name}/image_raw")[0].qos_profile.reliability
        for name in ("one", "two")
    ]
    assert policies == [ReliabilityPolicy.RELIABLE, ReliabilityPolicy.BEST_EFFORT]
    policies = [
        probe.node.get_publishers_info_by_topic(f"/dcfm/{name}/mask")[0].qos_profile.reliability
        for name in ("one", "two")
    ]
    assert policies == [ReliabilityPolicy.BEST_EFFORT, ReliabilityPolicy.RELIABLE]
    probe.node.destroy_publisher(deaf)
    probe.diagnostic("/one/image_raw", lambda s: s.message.startswith("no publisher"))
    probe_masks = QoSProfile(depth=10, reliability=ReliabilityPolicy.BEST_EFFORT)
    masks = probe.collect(Image, "/dcfm/one/mask", probe_masks)
    one = Camera(probe, "/one/image_raw", "/dcfm/one", reliable=True).connect()
    image = one.send()
    probe.spin_until(lambda: masks, "a mask over best effort")
    assert masks[0].header == image.header
    probe.diagnostic("/one/image_raw", lambda s: s.level == OK)


@pytest.mark.slow
def test_the_same_names_in_every_lifecycle_state(segmenter, probe):
    """An aggregator counts a status that is not sent any more as stale, and its group as an error."""
    segmenter.start(cameras=["left", "right"])
    try:
        names, arrays = {}, probe.arrays()
        for transition, state in (
            (None, "active"),
            ("deactivate", "inactive"),
            ("cleanup", "unconfigured"),
            ("configure", "inactive"),
        ):
            if transition:
                assert probe.change(transition)
            arrays.clear()
            probe.spin_until(lambda: len(arrays) >= REPORTS_THAT_COUNT, "reports")
            found = {
                status.name: {value.key: value.value for value in status.values}
                for status in arrays[-1].status
            }
            assert {values["state"] for name, values in found.items() if not name.endswith("backend")} == {
                state
            }
            names[transition] = set(found)
        assert set(map(frozenset, names.values())) == {
            frozenset(f"{NODE}: {part}" for part in ("backend", "left", "right"))
        }
    finally:
        segmenter.reset()
        assert probe.set(cameras=[""]) == ""


@pytest.mark.slow
def test_a_publisher_of_another_type_is_named(segmenter, probe):
    segmenter.start(image_topic="/diagnosed")
    publisher = probe.publisher(CompressedImage, "/diagnosed")
    status = probe.diagnostic("/diagnosed", lambda s: s.level == ERROR)
    assert "set image_transport to compressed" in status.message
    probe.node.destroy_publisher(publisher)


@pytest.mark.slow
def test_a_minimum_rate_takes_effect_while_running(segmenter, probe):
    segmenter.start(image_topic="/diagnosed", min_mask_hz=1000.0)
    Camera(probe, "/diagnosed").connect().segment()
    status = probe.diagnostic("/diagnosed", lambda s: s.level == ERROR)
    assert "are fewer than min_mask_hz 1000" in status.message
    assert probe.set(min_mask_hz=0) == ""
    assert "fewer" not in probe.diagnostic("/diagnosed").message


@pytest.mark.slow
def test_a_topic_without_publisher_says_where_images_are(segmenter, probe):
    segmenter.start(image_topic="/diagnosed")
    publisher = probe.publisher(CompressedImage, "/elsewhere/compressed")
    status = probe.diagnostic("/diagnosed", lambda s: "there are images on" in s.message)
    assert status.message.endswith("; there are images on /elsewhere/compressed")
    probe.node.destroy_publisher(publisher)


def test_what_stays_wrong_is_logged_once_and_so_is_its_end(probe, capfd):
    broken = replace(WORKING, silent_s=60.0)
    seen = iter([broken] * 4 + [WORKING] + [broken] * 8 + [WORKING] * 3)
    reporter = HealthReporter(
        probe.node,
        lambda: Health(
            ACTIVE, "cpu", {"state": "at work", "device": "cpu"}, [CameraHealth("rear", HEARD, next(seen))]
        ),
    )
    for _ in range(16):
        reporter.publish()
    lines = [line for line in capfd.readouterr().err.splitlines() if "rear: " in line]
    assert len(lines) == 2 and "[WARN]" in lines[0] and "rear: no image for 60 s" in lines[0]
    assert "[INFO]" in lines[1] and "rear: 29.9 masks/s" in lines[1]
