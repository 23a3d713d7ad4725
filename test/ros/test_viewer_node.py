# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The viewer over DDS: beside a segmenter into a file, and with messages of the tests' own."""

import array
import signal

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.node import Node
from rclpy.parameter import Parameter
from ros_helpers import Camera, pixels
from sensor_msgs.msg import CompressedImage, Image

from dcfm_ros import stamps
from dcfm_ros.msg import ClassColor, ClassPalette, KeyframeEvent, MaskInfo
from dcfm_ros.ros import messages, process, viewer_node
from dcfm_ros.ros.latched import LATCHED
from dcfm_ros.ros.transports import Transport
from dcfm_ros.ros.viewer_node import ViewerNode


def counts(probe) -> dict[str, int]:
    """Return the message of the viewer's newest diagnostic."""
    found = [
        status for message in probe.arrays() for status in message.status if status.name.endswith("/viewer")
    ]
    return {item.key: int(item.value) for item in found[-1].values} if found else {}


@pytest.mark.slow
def test_a_file_holds_the_masks_that_were_sent(camera, probe, processes, tmp_path):
    from viewer_helpers import Recorded  # skips where the viewer cannot be installed

    file = tmp_path / "drive.rrd"
    viewer = processes("viewer", "-p", f"target:='{file}'", installed=True)
    viewer.wait_for_text("viewing /camera/image_raw")
    number, before = 0, 0
    while not before:  # one end or the other may not have heard of it yet
        number += 1
        camera.segment(seed=number)
        # a viewer that hears the segmenter by now hears this, too, and so the threshold
        probe.diagnostic(camera.topic)
        probe.arrays().clear()
        before = probe.spin_until(lambda: counts(probe), "a diagnostic of the viewer")["shown"]
    sent, answers = [], []
    for seed in range(number + 1, number + 9):
        sent.append(camera.send(seed=seed))
        answers.append(camera.answer(sent[-1]))
        if len(sent) in (4, 8):  # its queue holds five images, should it be held up
            probe.spin_until(lambda: counts(probe)["shown"] >= before + len(sent), "all frames in the viewer")
    viewer.signal(signal.SIGINT)
    assert viewer.wait() == 0, viewer.text()
    assert "Traceback" not in viewer.text() and "viewed: " in viewer.text()
    found = Recorded(file)
    masks, images = found.masks("/camera/mask"), found.images("/camera/image")
    scores, ages = found.scalars("/camera/scheduling/score"), found.scalars("/camera/feature_age")
    for message, (mask, info) in zip(sent, answers):
        stamp = stamps.stamp_ns(message.header.stamp)
        np.testing.assert_array_equal(masks[stamp], pixels(mask))
        picture = np.frombuffer(message.data, np.uint8).reshape(message.height, message.width, 3)[..., ::-1]
        # JPEG of noise; another picture differs by more
        assert np.abs(images[stamp].astype(int) - picture).mean() < 25
        assert scores[stamp] == pytest.approx(info.score) and ages[stamp] == info.feature_age_frames
    # the segmenter's own, from its diagnostics
    assert found.scalars("/camera/scheduling/threshold")[stamp] == 10.0
    assert {name for name, _ in found.classes().values()} >= {"unlabelled"} and len(found.classes()) == 5


def test_parameters_that_cannot_be_used_end_it_with_one_line(processes):
    viewer = processes("viewer", "-p", "target:=rviz")
    assert viewer.wait() == 1
    assert "viewer 'rviz': use rerun, rerun:web, or " in viewer.text() and "Traceback" not in viewer.text()


def test_a_missing_library_ends_it_with_one_line(capfd):
    def Missing():
        raise ModuleNotFoundError("the viewer needs rerun-sdk")

    with pytest.raises(SystemExit) as ended:
        process.create(Missing)
    assert ended.value.code == 1
    printed = capfd.readouterr()
    assert "the viewer needs rerun-sdk" in printed.err + printed.out and "Traceback" not in printed.err


class Shown:
    """Stands for the viewer."""

    errors, left_out = 2, 1

    def __init__(self):
        self.frames, self.keyframes, self.palettes, self.closed = [], [], [], False

    def classes(self, classes):
        self.palettes.append(classes)

    def frame(self, *arguments):
        self.frames.append(arguments)

    def keyframe(self, *arguments):
        self.keyframes.append(arguments)

    def close(self):
        self.closed = True


@pytest.fixture
def shown(monkeypatch):
    shown = Shown()
    monkeypatch.setattr(viewer_node, "open_viewer", lambda target: shown)
    return shown


@pytest.fixture
def start(shown, probe):
    """`start(**parameters)`: the node in this process, beside the probe, and a segmenter in its namespace
    that has these parameters, and nothing else."""
    started = []

    def start(name="segmenter", **parameters_of_segmenter):
        segmenter = Node(name, namespace="/viewed/dcfm", context=probe.context)
        values = {
            "cameras": [""],
            "image_topic": "",
            "image_transport": "auto",
            "camera_info_topic": "",
            **parameters_of_segmenter.pop("named", {}),
            **parameters_of_segmenter,
        }
        for parameter, value in values.items():
            segmenter.declare_parameter(parameter, value)
        node = ViewerNode(
            context=probe.context,
            cli_args=["--ros-args", "-r", "__ns:=/viewed/dcfm", "-p", f"segmenter:={name}"],
        )
        for one in (segmenter, node):
            probe.add(one)
            started.append(one)
        return node

    yield start
    for node in started:
        if not (shown.closed and isinstance(node, ViewerNode)):
            node.destroy_node()


class Source:
    """Publishes all that the viewer listens to, for one camera."""

    def __init__(self, probe, camera="", topic="/seen/image", kind=Image):
        prefix = f"/viewed/dcfm/{camera}/" if camera else "/viewed/dcfm/"
        self._camera = Camera(probe, topic, prefix=f"/unused/{camera or 'camera'}", kind=kind)
        self._publishers = {
            name: probe.publisher(kind, prefix + name, reliable=True)
            for name, kind in (("mask", Image), ("mask_info", MaskInfo), ("keyframe", KeyframeEvent))
        }
        for publisher in (*self._publishers.values(), self._camera.publisher):
            probe.spin_until(
                lambda: publisher.get_subscription_count() > 0, f"a subscription of {publisher.topic_name}"
            )

    def send(self, image=True, info=True, mask=True, encoding="rgb8"):
        """A frame, or parts of it; returns its stamp in ns and the values of its mask."""
        message = self._camera.image(encoding=encoding)
        values = np.random.default_rng(message.header.stamp.nanosec).integers(0, 4, (64, 96)).astype(np.uint8)
        if image:
            self._camera.send(message)
        if mask:
            self._publishers["mask"].publish(messages.mono8_message(message.header, values))
        if info:
            self._publishers["mask_info"].publish(
                MaskInfo(header=message.header, score=0.5, is_keyframe=True, feature_age_frames=3)
            )
        return stamps.stamp_ns(message.header.stamp), values

    def publish(self, name, message):
        self._publishers[name].publish(message)


@pytest.mark.slow
def test_parts_of_a_frame_are_joined(start, shown, probe):
    node = start(image_topic="/seen/image")
    source = Source(probe)
    stamp, values = source.send()
    probe.spin_until(lambda: shown.frames, "the frame")
    ((camera, stamp_ns, image, mask, score, threshold, is_keyframe, age),) = shown.frames
    assert (camera, stamp_ns, score, threshold, is_keyframe, age) == ("", stamp, 0.5, None, True, 3)
    assert image.shape == (64, 96, 3)
    np.testing.assert_array_equal(mask, values)
    assert node.counts == {"shown": 1, "mask_alone": 0, "image_alone": 0, "undecodable": 0}


@pytest.mark.slow
def test_what_finds_no_partner_is_counted(start, shown, probe, monkeypatch):
    monkeypatch.setattr(viewer_node, "_WAITING", 2)
    node = start(image_topic="/seen/image")
    source = Source(probe)
    ((_, join),) = node._joins

    def send(**parts):
        """The next frame, once the one before has arrived."""
        stamp, _ = source.send(**{"image": False, "mask": False, "info": False, **parts})
        probe.spin_until(
            lambda: len(join._frames.get(stamp, ())) == len(parts), f"{list(parts)} of the frame"
        )
        return stamp

    send(image=True)
    without_info = send(image=True, mask=True)
    assert node.counts["image_alone"] == 0 and shown.frames == []  # two may wait
    without_image = send(mask=True, info=True)
    assert node.counts["image_alone"] == 1
    send(info=True)  # alone it says nothing
    send(image=True)
    assert node.counts["mask_alone"] == 2
    assert [(frame[1], frame[2] is None, frame[4]) for frame in shown.frames] == [
        (without_info, False, None),
        (without_image, True, 0.5),
    ]
    node.destroy_node()
    assert shown.closed and node.counts == {"shown": 0, "mask_alone": 2, "image_alone": 2, "undecodable": 0}


@pytest.mark.slow
def test_pictures_that_cannot_be_decoded_are_counted(start, shown, probe):
    node = start(image_topic="/seen/image/compressed")
    source = Source(probe, topic="/seen/image/compressed", kind=CompressedImage)
    broken = source._camera.image()
    broken.data = array.array("B", broken.data[:50])
    source._camera.send(broken)
    source.publish("mask", messages.mono8_message(broken.header, np.ones((64, 96), np.uint8)))
    source.publish("mask_info", MaskInfo(header=broken.header))
    probe.spin_until(lambda: shown.frames, "the mask without its image")
    assert shown.frames[0][2] is None and node.counts["undecodable"] == 1
    whole = source._camera.send()
    # no data
    source.publish("mask", Image(header=whole.header, height=64, width=96, encoding="mono8", step=96))
    source.publish("mask_info", MaskInfo(header=whole.header))
    probe.spin_until(lambda: node.counts["undecodable"] == 2, "the refusal of the mask")
    assert len(shown.frames) == 1


@pytest.mark.slow
def test_pictures_of_a_video_are_shown(start, shown, probe, monkeypatch):
    """Compressed images carry the packets, whose own messages need not be installed."""
    from video_packet_helpers import Packet, encoded, number_in  # skips where PyAV is not installed

    monkeypatch.setattr(Transport, "message_class", lambda transport: CompressedImage)
    monkeypatch.setattr(
        viewer_node,
        "read_packet",
        lambda transport, message: Packet("h264", bytes(message.data), stamps.stamp_ns(message.header.stamp)),
    )
    node = start(image_topic="/seen/image/ffmpeg")
    source = Source(probe, topic="/seen/image/ffmpeg", kind=CompressedImage)
    for one in encoded("h264")[9:14]:
        message = source._camera.image()
        message.data = array.array("B", one.data)
        source._camera.send(message)
        source.publish("mask", messages.mono8_message(message.header, np.ones((48, 64), np.uint8)))
        source.publish("mask_info", MaskInfo(header=message.header))
        probe.spin_until(
            lambda number=one.number: len(shown.frames) + node.counts["undecodable"] > number - 9, "the frame"
        )
    assert [number_in(frame[2]) for frame in shown.frames] == [10, 11, 12, 13] and node.counts[
        "undecodable"
    ] == 1


@pytest.mark.slow
def test_several_cameras_keyframes_and_classes(start, shown, probe):
    start(
        "other",
        cameras=["front", "rear"],
        named={  # a relative topic is the robot's, as for the segmenter
            "front.image_topic": "seen/front",
            "front.image_transport": "raw",
            "rear.image_topic": "/seen/rear",
            "rear.image_transport": "auto",
            "front.camera_info_topic": "",
            "rear.camera_info_topic": "",
        },
    )
    front, rear = Source(probe, "front", "/viewed/seen/front"), Source(probe, "rear", "/seen/rear")
    front.send()
    stamp, _ = rear.send()
    rear.publish("keyframe", KeyframeEvent(header=rear._camera.header(), reason="deviation", score=0.25))
    for name in ("front", "rear"):
        palette = probe.node.create_publisher(ClassPalette, f"/viewed/dcfm/{name}/palette", LATCHED)
        palette.publish(ClassPalette(classes=[ClassColor(id=0, name="road", r=1, g=2, b=3)]))
    probe.spin_until(lambda: len(shown.frames) == 2 and shown.keyframes and shown.palettes, "all of it")
    assert {frame[0] for frame in shown.frames} == {"front", "rear"}
    ((camera, stamp_ns, reason, score),) = shown.keyframes
    assert (camera, reason, score) == ("rear", "deviation", 0.25) and stamp_ns > stamp
    assert shown.palettes == [[(0, "road", (1, 2, 3))]]  # both cameras' are the same


@pytest.mark.slow
def test_diagnostics_tell_of_the_viewers_errors(start, shown, probe):
    start(image_topic="/seen/image")
    arrays = probe.arrays()
    probe.spin_until(lambda: counts(probe), "a diagnostic")
    status = next(
        status for message in arrays for status in message.status if status.name == "/viewed/dcfm/viewer"
    )
    assert status.level == status.WARN and "1 left out, 2 errors of the viewer" in status.message
    assert counts(probe)["errors"] == 2


@pytest.mark.slow
def test_a_segmenter_with_wrong_settings_is_asked_again(start, shown, probe):
    node = start(cameras=["a-b"], image_topic="/seen/image")
    segmenter = next(one for one in probe._executor.get_nodes() if one.get_name() == "segmenter")
    probe.spin_until(lambda: node._cameras._client.services_are_ready(), "the segmenter's parameters")
    assert segmenter.set_parameters([Parameter("cameras", value=["front"])])[0].successful
    segmenter.declare_parameter("front.image_topic", "/seen/front")
    segmenter.declare_parameter("front.image_transport", "auto")
    segmenter.declare_parameter("front.camera_info_topic", "")
    Source(probe, "front", "/seen/front").send()
    probe.spin_until(lambda: shown.frames, "the frame")


@pytest.mark.slow
@pytest.mark.parametrize("parameters", [{"cameras": [True, False]}, {"cameras": 5}, {"cameras": "front"}])
def test_a_segmenter_that_cannot_be_configured_does_not_end_it(start, shown, probe, parameters, capfd):
    node = start(**parameters)
    probe.spin_until(lambda: "the segmenter's cameras: cameras" in capfd.readouterr().err, "its words")
    assert node._joins == []


@pytest.mark.slow
def test_another_node_of_that_name_does_not_end_it(probe, shown, capfd):
    """It has no such parameters."""
    other = Node("segmenter", namespace="/viewed/dcfm", context=probe.context)
    node = ViewerNode(context=probe.context, cli_args=["--ros-args", "-r", "__ns:=/viewed/dcfm"])
    for one in (other, node):
        probe.add(one)
    try:
        probe.spin_until(lambda: "it has no parameters cameras" in capfd.readouterr().err, "its words")
    finally:
        for one in (other, node):
            one.destroy_node()


@pytest.mark.slow
def test_diagnostics_under_the_segmenter_s_name_can_say_anything(start, shown, probe):
    """Thresholds are read of the cameras that are shown, if they are numbers."""
    node = start(image_topic="/seen/image")
    probe.spin_until(lambda: node._joins, "the camera")

    def told(topic: str, threshold: str) -> dict[str, float]:
        values = [KeyValue(key="threshold", value=threshold)]
        status = DiagnosticStatus(name="/viewed/dcfm/segmenter: x", hardware_id=topic, values=values)
        node._read_diagnostics(DiagnosticArray(status=[status]))
        return node._thresholds

    assert told("/seen/image", "") == told("/other/image", "1.0") == {}
    assert told("/seen/image", "0.5") == {"/seen/image": 0.5}


@pytest.mark.slow
def test_masks_that_stay_away_are_a_warning(start, shown, probe, monkeypatch):
    monkeypatch.setattr(viewer_node, "_SILENT_S", 0.0)
    start(image_topic="/seen/image")
    found = probe.spin_until(
        lambda: [
            status
            for message in probe.arrays()
            for status in message.status
            if status.name == "/viewed/dcfm/viewer"
        ],
        "a diagnostic",
    )
    assert found[0].level == DiagnosticStatus.WARN and "is /viewed/dcfm/segmenter active?" in found[0].message
