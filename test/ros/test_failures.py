# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A deep path, a decoder and an executor that fail or stand still, in a node within the test's own process:
masks go on."""

import threading

import pytest
from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.executors import SingleThreadedExecutor
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.parameter import Parameter
from ros_helpers import DEFAULTS, Camera
from sensor_msgs.msg import Image

from dcfm_ros.pipeline import segmenter
from dcfm_ros.pipeline.backends import make_backend
from dcfm_ros.pipeline.backends.base import MasksOnHost
from dcfm_ros.ros import camera_port, health, segmenter_node

TOPIC = "/failing/image"


class FailingBackend(MasksOnHost):
    """A backend whose deep path fails while `fails` is set, and whose decoder fails while `fails_decoding`
    is."""

    def __init__(self, backend):
        self._backend = backend
        self.fails = self.fails_decoding = False
        self.calls = 0
        self._entered, self._go_on = threading.Event(), threading.Event()
        self._go_on.set()

    def hold(self) -> tuple[threading.Event, threading.Event]:
        """Block the deep path until the second event is set; the first event tells that it
        does."""
        self._entered.clear()
        self._go_on.clear()
        return self._entered, self._go_on

    def __getattr__(self, name):
        return getattr(self._backend, name)

    def deep(self, shallow, between_slices=lambda: None):
        self.calls += 1
        self._entered.set()
        self._go_on.wait(60)
        if self.fails:
            raise RuntimeError("out of memory, as it were")
        return self._backend.deep(shallow, between_slices)

    def decode(self, shallow, commons, motions=()):
        if self.fails_decoding:
            raise RuntimeError("decoder broken")
        return self._backend.decode(shallow, commons, motions)


@pytest.fixture
def failing(model, monkeypatch, probe):
    """(backend, node): an active SegmenterNode, served by a thread."""
    made = []

    def make(*arguments, **options):
        made.append(FailingBackend(make_backend(*arguments, **options)))
        return made[-1]

    monkeypatch.setattr(segmenter, "make_backend", make)
    monkeypatch.setattr(health, "REPORT_S", 0.1)
    context = probe.context
    values = {**DEFAULTS, "model": str(model), "image_topic": TOPIC, "max_interval": 3}
    node = segmenter_node.SegmenterNode(
        context=context,
        cli_args=["--ros-args", "-r", "__node:=failing"],
        parameter_overrides=[Parameter(name, value=value) for name, value in values.items()],
    )
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)
    thread = threading.Thread(target=executor.spin)
    try:
        assert node.trigger_configure() == TransitionCallbackReturn.SUCCESS
        assert node.trigger_activate() == TransitionCallbackReturn.SUCCESS
        thread.start()
        yield made[0], node
    finally:
        executor.shutdown()
        thread.join()
        node.destroy_node()


@pytest.mark.slow
def test_masks_go_on_with_the_old_feature(failing, probe):
    backend, _ = failing
    camera = Camera(probe, TOPIC).connect()
    assert [camera.segment()[1].is_keyframe for _ in range(4)] == [True, False, False, True]
    probe.spin_until(lambda: len(camera.keyframes) == 2, "the second keyframe")
    backend.fails = True
    calls = backend.calls
    ages = []
    while backend.calls < calls + 2:
        ages.append(camera.segment()[1].feature_age_frames)
    status = probe.diagnostic(TOPIC, lambda s: s.number("encode_failures") >= 2)
    assert "out of memory, as it were" in status.values["last_error"]
    assert ages == sorted(ages) and len(camera.keyframes) == 2
    backend.fails = False
    probe.spin_until(lambda: camera.segment() and len(camera.keyframes) > 2, "the next keyframe")
    assert camera.keyframes[2].reason == "interval"
    assert probe.spin_until(
        lambda: camera.segment()[1].feature_age_frames < min(ages[-1], 3), "the new feature"
    )
    assert all(info.dropped_since_last == 0 for info in camera.infos)


@pytest.mark.slow
def test_no_masks_until_the_first_keyframe_succeeds(failing, probe):
    backend, _ = failing
    backend.fails = True
    camera = Camera(probe, TOPIC).connect()
    lost = [camera.send()]

    def waiting(status):
        if status.message.startswith(
            "no image for "
        ):  # a machine that pauses for two seconds makes a silence
            lost.append(camera.send())
        return status.number("encode_failures") == len(lost) and status.message.startswith(
            "waiting for first keyframe ("
        )

    assert "out of memory" in probe.diagnostic(TOPIC, waiting).message
    backend.fails = False
    image = camera.send()  # tried again at once, not after an interval
    _, info = camera.answer(image)
    assert info.is_keyframe and info.sequence == 1 and not any(map(camera.has_mask, lost))
    probe.spin_until(lambda: camera.keyframes, "the keyframe")
    assert camera.keyframes[0].reason in ("first", "reset") and camera.keyframes[0].header == image.header


@pytest.mark.slow
def test_a_failing_decoder_costs_its_frames_only(failing, probe):
    backend, _ = failing
    camera = Camera(probe, TOPIC).connect()
    camera.segment()
    backend.fails_decoding = True
    lost = camera.send()
    status = probe.diagnostic(TOPIC, lambda s: s.number("failures") == 1)
    assert status.values["last_error"] == "decoder broken"
    backend.fails_decoding = False
    camera.segment()
    assert not camera.has_mask(lost)


@pytest.mark.slow
def test_the_node_can_be_ended_while_the_encoder_works(failing, probe):
    backend, _node = failing
    camera = Camera(probe, TOPIC).connect()
    camera.segment()
    entered, go_on = backend.hold()
    probe.spin_until(lambda: camera.segment() and entered.is_set(), "a keyframe in the deep path")
    sent = [camera.segment() for _ in range(2)]
    assert len(sent) == 2  # masks do not wait for the encoder
    threading.Timer(0.3, go_on.set).start()
    assert probe.change("deactivate", "/dcfm/failing") and probe.change("cleanup", "/dcfm/failing")
    assert go_on.is_set()


@pytest.mark.slow
def test_a_deep_path_that_does_not_return_is_an_error_and_masks_go_on(failing, probe, monkeypatch):
    backend, _node = failing
    for module in ("ros.diagnostics", "pipeline.stream"):
        monkeypatch.setattr(f"dcfm_ros.{module}.STALLED_S", 0.5)
    camera = Camera(probe, TOPIC).connect()
    camera.segment()
    entered, go_on = backend.hold()
    probe.spin_until(lambda: camera.segment() and entered.is_set(), "a keyframe in the deep path")
    status = probe.diagnostic(
        TOPIC, lambda s: camera.segment() and s.message.startswith("the deep path has not returned")
    )
    assert (
        status.level == DiagnosticStatus.ERROR
        and status.number("masks") > 0
        and float(status.values["encoding_s"]) >= 0.5  # rounded
    )
    go_on.set()
    status = probe.diagnostic(TOPIC, lambda s: camera.segment() and s.level == DiagnosticStatus.OK)
    assert status.number("slow_encodes") >= 1


@pytest.mark.slow
def test_images_that_the_executor_comes_to_too_late_for_are_counted(failing, probe):
    _, node = failing
    camera = Camera(probe, TOPIC).connect()
    camera.segment()
    sent, received = 1, probe.diagnostic(TOPIC).number("received")
    assert received == sent
    held, go_on = threading.Event(), threading.Event()
    node.executor.create_task(lambda: (held.set(), go_on.wait(60)))
    assert held.wait(60)
    for _ in range(12):
        camera.send()
    go_on.set()
    status = probe.diagnostic(
        TOPIC, lambda s: s.number("received") + s.number("overwritten") + s.number("lost") == 13
    )
    overwritten = status.number("overwritten")
    assert (
        0 < overwritten <= 12 - 5
        and f"{overwritten:.0f} images overwritten before the node took them" in status.message
    )


@pytest.mark.slow
def test_another_segmenter_on_the_same_topic_is_told(failing, probe, monkeypatch):
    monkeypatch.setattr(camera_port, "_RIVAL_S", 0.2)
    camera = Camera(probe, TOPIC).connect()
    camera.segment()
    name = probe.node.get_fully_qualified_name()  # the session's segmenter may be told of, too

    def is_told(status):
        camera.send()
        return name in status.message and "publishes masks on the same topic" in status.message

    assert not is_told(probe.diagnostic(TOPIC))
    rival = probe.node.create_publisher(Image, "/dcfm/mask", 1)
    probe.diagnostic(TOPIC, is_told)
    probe.node.destroy_publisher(rival)
    probe.diagnostic(TOPIC, lambda status: not is_told(status))


@pytest.mark.slow
def test_images_that_are_sent_while_nobody_listens_are_not_overwritten(failing, probe):
    _, _node = failing
    camera = Camera(probe, TOPIC).connect()
    camera.segment()
    assert probe.change("deactivate", "/dcfm/failing")
    for _ in range(12):
        camera.send()
    assert probe.change("activate", "/dcfm/failing")
    probe.spin_until(
        lambda: camera.has_mask(camera.send()) or len(camera.masks) > 1, "a mask of the second life"
    )
    status = probe.diagnostic(TOPIC, lambda s: s.number("received") > 1)
    assert status.number("overwritten") == 0
