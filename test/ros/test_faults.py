# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Faults of what is around the segmenter, and of its process: what is lost is counted, and masks come back
(docs/reliability.md)."""

import resource
import signal
import subprocess
import sys
import textwrap
import time

import pytest
from rclpy.qos import DurabilityPolicy, QoSProfile
from ros_helpers import Camera, Process, check_mask, segmenter_arguments
from sensor_msgs.msg import Image

from dcfm_ros.msg import ClassPalette

pytestmark = pytest.mark.slow
TOPIC = "/camera/image_raw"
BLOCKED_S = 0.9  # that eight small images take to publish only where Fast DDS waits for a lock: whole seconds


def begun(processes, model, *arguments):
    """A segmenter of its own name."""
    return processes("segmenter", *segmenter_arguments("/faults", model, *arguments))


def started(processes, model, *arguments):
    """The same, active."""
    process = begun(processes, model, *arguments)
    process.wait_for_text("active: ")
    return process


def every_image_is_counted(probe, topic: str, sent: int):
    told = []

    def all_are(status) -> bool:
        told.append({key: value for key, value in status.values.items() if value not in ("0", "0.0", "")})
        return status.ended() + status.number("lost") + status.number("overwritten") == sent

    try:
        return probe.diagnostic(topic, all_are)
    except AssertionError as error:
        raise AssertionError(f"of {sent} images not all are counted: {told[-1:]}") from error


# The camera


@pytest.fixture
def driver(tmp_path):
    """Starts the package's camera as a driver: on /camera/image_raw at 20 Hz."""
    begun = []

    def start(*arguments):
        log = tmp_path / f"driver{len(begun)}.log"
        begun.append(
            Process("camera", log, "-p", "rate:=20.0", "-p", "width:=96", "-p", "height:=64", *arguments)
        )
        begun[-1].wait_for_text("synthetic")
        return begun[-1]

    yield start
    for process in begun:
        process.signal(signal.SIGCONT)
        process.stop()


@pytest.mark.parametrize("how", ("killed", "stopped", "restarted"))
def test_a_camera_that_goes_and_comes(segmenter, probe, driver, how):
    segmenter.start()
    masks = probe.collect(Image, "/dcfm/mask")
    camera = driver()
    probe.spin_until(lambda: len(masks) > 5, "masks")
    camera.signal({"killed": signal.SIGKILL, "stopped": signal.SIGSTOP, "restarted": signal.SIGINT}[how])
    if how != "stopped":
        camera.wait()
    probe.diagnostic(TOPIC, lambda status: status.message.startswith(("no image for", "no publisher on")))
    masks.clear()
    if how == "stopped":
        camera.signal(signal.SIGCONT)
    else:
        driver()
    probe.spin_until(lambda: len(masks) > 5, "masks of the second life")
    status = probe.diagnostic(TOPIC, lambda status: status.level == b"\0" or "restarts" in status.message)
    assert status.number("failures") == 0 and status.number("discarded") == 0


def test_two_cameras_on_one_topic(segmenter, probe):
    """Each image has its mask; that their stamps jump is told."""
    segmenter.start(silence_s=1.0)
    first = Camera(probe).connect()
    second = Camera(probe, stamp_ns=first.stamp_ns - 3600 * 10**9).connect()
    for _ in range(4):
        first.segment()
        second.segment()
    status = probe.diagnostic(TOPIC, lambda status: status.number("resets") >= 6)
    assert "or two cameras publish /camera/image_raw" in status.message
    assert every_image_is_counted(probe, TOPIC, 8).number("masks") == 8


def test_far_more_images_than_masks_can_be_made(segmenter, probe):
    """As many as can be published, some thousand a second: the newest has a mask, the others are counted."""
    # On a topic that no camera had before: numbers are missed of a single publisher alone.
    segmenter.start(image_topic="/faults/many")
    camera = Camera(probe, "/faults/many").connect()
    camera.segment()
    for _ in range(400):
        last = camera.send()
    probe.spin_until(lambda: camera.has_mask(last), "the mask of the newest image")
    status = every_image_is_counted(probe, camera.topic, 401)
    assert status.number("dropped") + status.number("overwritten") + status.number("lost") > 0
    camera.segment()


def test_sixteen_cameras(processes, model, probe):
    names = [f"camera{number}" for number in range(16)]
    topics = [argument for name in names for argument in ("-p", f"{name}.image_topic:=/many/{name}")]
    started(processes, model, "-p", f"cameras:=[{', '.join(names)}]", *topics)
    cameras = [Camera(probe, f"/many/{name}", f"/faults/{name}").connect() for name in names]
    for _ in range(2):
        sent = [(camera, camera.send()) for camera in cameras]
        for camera, message in sent:
            check_mask(camera.answer(message)[0], message, 96, 64, 4)


# The segmenter's process


def test_a_segmenter_that_was_killed_and_starts_again(processes, model, probe):
    """As `respawn` of the launch file and systemd do."""
    camera = Camera(probe, "/faults/image", "/faults")
    latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    palettes = probe.collect(ClassPalette, "/faults/palette", latched)
    first = started(processes, model)
    camera.connect().segment()
    probe.spin_until(lambda: len(palettes) == 1, "the palette")
    first.signal(signal.SIGKILL)
    assert first.wait() == -signal.SIGKILL
    started(processes, model)
    probe.spin_until(lambda: len(palettes) == 2, "the palette of the second life")
    probe.spin_until(
        lambda: camera.has_mask(camera.send()) or len(camera.masks) > 1, "a mask of the second life"
    )
    camera.segment()


def test_a_machine_that_stands_still_now_and_then(processes, model, probe):
    """A process that stops while it holds a lock of Fast DDS's shared memory makes those who publish to it
    wait for one to three seconds, and DDS drops what they publish, also just after it goes on."""
    process = started(processes, model)
    camera = Camera(probe, "/faults/image", "/faults").connect()
    sent = 0
    for _ in range(5):
        camera.segment()
        process.signal(signal.SIGSTOP)
        began = time.monotonic()
        for _ in range(8):
            camera.send()
        blocked = time.monotonic() - began > BLOCKED_S
        process.signal(signal.SIGCONT)
        after = [camera.send()]
        if blocked:
            probe.spin_until(
                lambda after=after: any(map(camera.has_mask, after)) or after.append(camera.send()), "a mask"
            )
        else:
            camera.answer(after[0])
        sent += 9 + len(after)
    status = every_image_is_counted(probe, camera.topic, sent)
    assert status.number("masks") >= 10 and status.number("failures") == 0


@pytest.mark.parametrize("state", ("unconfigured", "inactive", "active"))
@pytest.mark.parametrize("number", (signal.SIGINT, signal.SIGTERM, signal.SIGHUP))
def test_signals_in_every_state(processes, model, probe, state, number):
    process = begun(processes, model, "-p", "autostart:=false")
    states = {"unconfigured": (), "inactive": ("configure",), "active": ("configure", "activate")}
    for transition in states[state]:
        assert probe.change(transition, "/faults/segmenter")
    if state == "unconfigured":
        probe.state("/faults/segmenter")
    process.signal(number)
    assert process.wait() == (-signal.SIGHUP if number == signal.SIGHUP else 0)
    assert "Traceback" not in process.text()


# Who listens


@pytest.mark.parametrize("how", (signal.SIGSTOP, signal.SIGKILL))
def test_a_reliable_subscriber_that_reads_no_more(segmenter, probe, how):
    segmenter.start()
    camera = Camera(probe).connect()
    program = textwrap.dedent(
        """
        import rclpy
        from rclpy.qos import QoSProfile
        from sensor_msgs.msg import Image
        rclpy.init()
        node = rclpy.create_node("reader")
        node.create_subscription(Image, "/dcfm/mask", lambda mask: None, QoSProfile(depth=1))
        rclpy.spin(node)
        """
    )
    reader = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.DEVNULL)
    try:
        probe.spin_until(lambda: probe.node.count_subscribers("/dcfm/mask") == 2, "the reader")
        camera.segment()
        reader.send_signal(how)
        sent = [camera.segment()[1] for _ in range(30)]
        assert all(info.latency_s < 5.0 for info in sent)
    finally:
        reader.kill()
        reader.wait()
    status = probe.diagnostic(TOPIC, lambda status: status.number("masks") >= 31)
    assert status.number("publish_failures") == status.number("dropped") == 0


# What the machine lacks


def test_too_little_memory_to_start(tmp_path, model):
    """It ends or stays unconfigured, and says why."""
    log = tmp_path / "log"
    program = "import sys; from dcfm_ros.ros.segmenter_node import main; sys.exit(main())"
    with log.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "-c", program, "--ros-args", *segmenter_arguments("/faults", model)],
            stdout=output,
            stderr=subprocess.STDOUT,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (700 << 20, 700 << 20)),
        )
    try:
        code = process.wait(60)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        code = None
    text = log.read_text()
    assert code != 0 and any(word in text.lower() for word in ("memory", "alloc", "thread")), text[-2000:]
