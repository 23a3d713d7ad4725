# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Everything that can be made of a mask, over DDS: other sizes and classes, colours, probabilities,
calibrations."""

import numpy as np
import pytest
from rclpy.qos import DurabilityPolicy, QoSProfile
from ros_helpers import PERIOD_NS, Camera, of, pixels
from sensor_msgs.msg import CameraInfo, Image

from dcfm_ros.msg import ClassPalette
from dcfm_ros.pipeline.topics import SWITCHED
from dcfm_ros.ros.camera_outputs import MAKERS

LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
TRADED = "{classes: {ground: {of: [road, sky], id: 7, color: [9, 8, 7]}, thing: {of: [car, tree], id: 3}}}"


def test_each_output_that_can_be_switched_is_made():
    assert MAKERS.keys() | {"camera_info"} == SWITCHED.keys()  # camera_info comes with its pairing


def one(probe, camera, outputs, **image):
    """The outputs of one image, after the first of each has come, and the image."""
    probe.spin_until(lambda: camera.segment(**image) and all(outputs), "all outputs")
    sent = camera.send(**image)
    camera.answer(sent)
    probe.spin_until(lambda: all(of(output, sent) for output in outputs), "all outputs of one image")
    return sent, [of(output, sent) for output in outputs]


def values(message, dtype):
    return np.frombuffer(message.data, dtype).reshape(message.height, message.width, -1)


@pytest.mark.slow
@pytest.mark.parametrize("size, width, height", [("0.5", 48, 32), ("30x20", 30, 20)])
def test_all_outputs_have_the_size_that_is_asked_for(segmenter, probe, size, width, height):
    segmenter.start(mask_size=size, binary_masks=["road"])
    camera = Camera(probe).connect()
    topics = ("mask", "confidence", "overlay", "color_mask", "probabilities", "mask/road")
    collected = [probe.collect(Image, f"/dcfm/{topic}") for topic in topics]
    _, messages = one(probe, camera, collected)
    assert {(message.width, message.height) for message in messages} == {(width, height)}


@pytest.mark.slow
def test_classes_are_those_of_the_class_map_everywhere(segmenter, probe, tmp_path):
    (tmp_path / "map.yaml").write_text(TRADED)
    segmenter.start(class_map=str(tmp_path / "map.yaml"), binary_masks=["thing"], probabilities_type="32F")
    camera = Camera(probe).connect()
    palette = probe.collect(ClassPalette, "/dcfm/palette", LATCHED)
    topics = ("mask", "confidence", "color_mask", "probabilities", "mask/thing", "overlay")
    _, (mask, confidence, color, probabilities, binary, overlay) = one(
        probe, camera, [probe.collect(Image, f"/dcfm/{topic}") for topic in topics]
    )
    probe.spin_until(lambda: palette, "the palette")
    assert [(c.id, c.name) for c in palette[0].classes] == [(7, "ground"), (3, "thing")]
    assert (palette[0].classes[0].r, palette[0].classes[0].g, palette[0].classes[0].b) == (9, 8, 7)
    labels = pixels(mask)
    assert set(np.unique(labels)) <= {3, 7}
    assert np.array_equal(pixels(binary), np.where(labels == 3, 255, 0))
    thing = palette[0].classes[1]
    wanted = np.where((labels == 7)[..., None], [9, 8, 7], [thing.r, thing.g, thing.b])
    assert color.encoding == "rgb8" and np.array_equal(values(color, np.uint8), wanted)
    assert (probabilities.encoding, probabilities.step) == ("32FC2", 96 * 8)
    shares = values(probabilities, np.float32)
    assert np.abs(shares.sum(2) - 1).max() < 1e-5  # no class is ignored
    assert np.abs(np.where(labels == 7, shares[..., 0], shares[..., 1]) * 255 - pixels(confidence)).max() <= 1
    assert (overlay.width, overlay.height) == (96, 64)


@pytest.mark.slow
def test_probabilities_are_of_all_classes_in_the_order_of_the_palette(camera, probe):
    _, (mask, probabilities) = one(
        probe, camera, [probe.collect(Image, f"/dcfm/{topic}") for topic in ("mask", "probabilities")]
    )
    assert (probabilities.encoding, probabilities.step) == ("8UC4", 96 * 4)
    shares = values(probabilities, np.uint8).astype(int)
    assert np.abs(shares.sum(2) - 255).max() <= 2
    own = np.take_along_axis(shares, pixels(mask)[..., None].astype(int), 2)[..., 0]
    assert (shares.max(2) - own).max() <= 1  # ties of rounding


@pytest.mark.slow
@pytest.mark.parametrize(
    "settings, message",
    [
        (dict(mask_size="big"), "mask_size 'big': use WIDTHxHEIGHT"),
        (dict(class_map="nowhere"), "no class map 'nowhere'"),
        (dict(binary_masks=["mountain"]), "no class 'mountain': use some of"),
        (dict(binary_masks=["road", "road"]), "some have one topic"),
        (dict(probabilities_type="16U"), "probabilities_type '16U': use one of 8U, 32F"),
        (
            dict(max_rate=0.5, silence_s=2.0),
            "max_rate 0.5: images would be so far apart that each starts a new sequence, "
            ".*; use at least 0.75",
        ),
        (dict(camera_info_topic="a b"), "camera_info_topic '.*a b' is not a topic name"),
    ],
)
def test_what_cannot_be_given_is_refused(segmenter, probe, settings, message):
    with pytest.raises(AssertionError, match=message):
        segmenter.start(**settings)


@pytest.mark.slow
def test_nothing_is_computed_while_nobody_listens(segmenter, probe):
    segmenter.start(lazy=True, min_mask_hz=5.0)
    camera = Camera(probe).connect()
    camera.segment()  # it listens
    for collected in (camera.masks, camera.infos, camera.keyframes):
        probe.drop(collected)

    def idle(status):
        camera.send()
        return status.message.startswith("idle: nobody subscribes to any output")

    status = probe.diagnostic(camera.topic, idle)
    assert status.level == b"\x00" and status.number("unheard") > 0
    masks, again = status.number("masks"), probe.collect(Image, "/dcfm/color_mask")
    assert (
        probe.diagnostic(camera.topic, lambda status: camera.send() and status.number("masks") > masks)
        and again
    )


@pytest.mark.slow
def test_masks_are_as_many_as_asked_for(segmenter, probe):
    segmenter.start(max_rate=1e9 / (4 * PERIOD_NS))
    camera = Camera(probe).connect()
    sent = []
    for number in range(9):
        sent.append(camera.send())
        if number % 4 == 0:
            camera.answer(sent[-1])
    assert [mask.header for mask in camera.masks] == [image.header for image in sent[::4]]
    assert (
        probe.diagnostic(camera.topic, lambda status: status.number("received") == 9).number("over_rate") == 6
    )


class Calibrated:
    """Sends infos beside images."""

    def __init__(self, probe, camera, **changes):
        self._camera, self._publisher = camera, probe.publisher(CameraInfo, "/camera/camera_info")
        self._changes = (
            dict(
                width=96,
                height=64,
                k=[50.0, 0.0, 40.0, 0.0, 60.0, 30.0, 0.0, 0.0, 1.0],
                d=[0.1, 0.0, 0.0, 0.0, 0.0],
                distortion_model="plumb_bob",
            )
            | changes
        )
        probe.spin_until(lambda: self._publisher.get_subscription_count() > 0, "a subscription of the infos")

    def send(self, image):
        self._publisher.publish(CameraInfo(header=image.header, **self._changes))


@pytest.mark.slow
def test_a_calibration_comes_beside_each_mask_whichever_is_first(segmenter, probe):
    segmenter.start(mask_size="0.5")
    camera = Camera(probe).connect()
    calibrated, infos = Calibrated(probe, camera), probe.collect(CameraInfo, "/dcfm/camera_info")
    probe.spin_until(
        lambda: calibrated.send(image := camera.send()) or (camera.answer(image) and infos), "an info"
    )
    late, alone, early = camera.send(), None, None
    camera.answer(late)
    calibrated.send(late)
    probe.spin_until(lambda: of(infos, late), "the info that came after the mask")
    alone = camera.send()
    camera.answer(alone)
    early = camera.image()
    calibrated.send(early)
    camera.answer(camera.send(early))
    info = probe.spin_until(lambda: of(infos, early), "the info that came before the mask")
    assert of(infos, alone) is None
    assert info.header == early.header and (info.width, info.height) == (48, 32)
    assert info.k.tolist() == [25.0, 0.0, 19.75, 0.0, 30.0, 14.75, 0.0, 0.0, 1.0]
    assert list(info.d) == [0.1, 0.0, 0.0, 0.0, 0.0] and info.distortion_model == "plumb_bob"
    status = probe.diagnostic(camera.topic, lambda status: status.number("camera_infos") >= 3)
    assert status.values["camera_info_topic"] == "/camera/camera_info"


@pytest.mark.slow
def test_a_calibration_of_another_size_is_told_and_masks_go_on(segmenter, probe):
    segmenter.start()
    camera = Camera(probe).connect()
    calibrated, infos = Calibrated(probe, camera, width=640), probe.collect(CameraInfo, "/dcfm/camera_info")

    def told(status):
        image = camera.send()
        calibrated.send(image)
        return (
            camera.answer(image)
            and status.number("camera_infos_refused") > 0
            and "no camera_info" in status.message
        )

    status = probe.diagnostic(camera.topic, told)
    assert (
        "camera_info is of 640x64 and the image of 96x64: let the driver send" in status.message and not infos
    )
