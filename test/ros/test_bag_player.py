# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The camera node plays a recording: what arrives, when, and what cannot be played."""

import json
import time

import numpy as np
import pytest
from bags_helpers import CAMERA, LOG_DELAY_NS, PERIOD_NS, START_NS, cut_file, read_bag, write_bag
from playing_helpers import ALL, node_of, play
from rclpy.impl.rcutils_logger import RcutilsLogger
from rosbags.rosbag2 import StoragePlugin, Writer
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from dcfm_ros.bags.errors import BagError
from dcfm_ros.bags.reading import open_bag
from dcfm_ros.bags.stamps import stamp_message
from dcfm_ros.bags.types import CAMERA_INFO, IMAGE, typestore
from dcfm_ros.ros.bag_time import BagTime
from dcfm_ros.ros.play_options import is_recording
from dcfm_ros.stamps import stamp_ns

COUNT = 12


def fields_of(message) -> tuple:
    """Return what two classes of an image message have in common."""
    header = (message.header.stamp.sec, message.header.stamp.nanosec, message.header.frame_id)
    if hasattr(message, "format"):
        return *header, message.format, bytes(message.data)
    return (
        *header,
        message.width,
        message.height,
        message.step,
        message.encoding,
        message.is_bigendian,
        bytes(message.data),
    )


def write_infos(bag, folder, topics, damaged=()):
    """The recording anew, a camera_info behind each image of these topics, {image topic: topic of the
    camera_info}. Its focal length is the stamp's last digits; those of the images with the numbers `damaged`
    are no messages."""
    store, counts = typestore(), dict.fromkeys(topics, 0)
    with open_bag(bag) as whole, Writer(folder, version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        images = {
            topic.name: writer.add_connection(topic.name, topic.msgtype, typestore=store)
            for topic in whole.topics
        }
        infos = {
            name: writer.add_connection(name, CAMERA_INFO, typestore=store) for name in {*topics.values()}
        }
        for topic, log_ns, raw in whole.messages():
            writer.write(images[topic.name], log_ns, raw)
            if topic.name in topics:
                header, number = whole.decode(topic, raw).header, counts[topic.name]
                counts[topic.name] += 1
                info = b"?" if number in damaged else store.serialize_cdr(camera_info(header), CAMERA_INFO)
                writer.write(infos[topics[topic.name]], log_ns + 1_000_000, info)
    return folder


def camera_info(header):
    types = typestore().types
    k = np.array([header.stamp.nanosec % 1000 + 1.0, 0, 48, 0, 100, 32, 0, 0, 1])
    roi = types["sensor_msgs/msg/RegionOfInterest"](
        x_offset=0, y_offset=0, height=0, width=0, do_rectify=False
    )
    header = types["std_msgs/msg/Header"](
        stamp=stamp_message(stamp_ns(header.stamp)), frame_id=header.frame_id
    )
    return types[CAMERA_INFO](
        header=header,
        height=64,
        width=96,
        distortion_model="plumb_bob",
        d=np.zeros(5),
        k=k,
        r=np.eye(3).ravel(),
        p=np.eye(3, 4).ravel(),
        binning_x=0,
        binning_y=0,
        roi=roi,
    )


def times(clocks) -> list[int]:
    return [stamp_ns(clock.clock) for clock in clocks]


# What arrives


@pytest.mark.slow
@pytest.mark.parametrize("storage, encoding", [("mcap", "rgb8"), ("sqlite3", "mono8"), ("mcap", "jpeg")])
def test_images_arrive_as_they_were_recorded(probe, tmp_path, storage, encoding):
    topic = f"{CAMERA}/compressed" if encoding == "jpeg" else CAMERA
    bag = write_bag(
        tmp_path / "drive", COUNT, (topic,), storage, encoding=encoding, corrupt=[3], stamps={5: 0, 6: 0}
    )
    log = tmp_path / "sent.jsonl"
    images = probe.collect(CompressedImage if encoding == "jpeg" else Image, topic, ALL)
    node = play(probe, bag, lambda: len(images) == COUNT, speed=20.0, sent_log=str(log))
    assert not node.failed
    recorded = [message for _, message in read_bag(bag)[topic]]
    assert [fields_of(image) for image in images] == [fields_of(message) for message in recorded]
    entries = [json.loads(line) for line in log.read_text().splitlines()]
    assert [entry["index"] for entry in entries] == list(range(COUNT))
    assert [entry["stamp_ns"] for entry in entries] == [stamp_ns(image.header.stamp) for image in images]
    assert (np.diff([entry["published_ns"] for entry in entries]) > 0).all()


@pytest.mark.slow
def test_two_cameras_keep_their_topics_and_their_order(probe, tmp_path):
    topics = "/front/image_raw", "/rear/image_raw"
    bag = write_bag(tmp_path / "drive", COUNT, topics, labels="/front/label", extra=["/chatter"])
    arrived = []
    for topic in topics:
        probe.node.create_subscription(
            Image, topic, lambda image, topic=topic: arrived.append((topic, image)), ALL
        )
    play(probe, bag, lambda: len(arrived) == 2 * COUNT, topics=list(topics), speed=20.0)
    for topic in topics:
        images = [image for where, image in arrived if where == topic]
        assert [fields_of(image) for image in images] == [
            fields_of(message) for _, message in read_bag(bag)[topic]
        ]


@pytest.mark.slow
def test_one_camera_of_several_goes_to_another_topic(probe, tmp_path):
    bag = write_bag(tmp_path / "drive", COUNT, ("/front/image_raw", "/rear/image_raw"))
    images, others = probe.collect(Image, "/elsewhere", ALL), probe.collect(Image, "/front/image_raw", ALL)
    play(
        probe,
        bag,
        lambda: len(images) == 4,
        topics=["/rear/image_raw"],
        image_topic="/elsewhere",
        frames=4,
        speed=20.0,
    )
    assert {image.header.frame_id for image in images} == {"camera_1"} and not others


@pytest.mark.slow
def test_compressed_images_go_to_a_topic_that_says_so(probe, tmp_path):
    bag = write_bag(tmp_path / "drive", 3, (f"{CAMERA}/compressed",), encoding="png")
    images = probe.collect(CompressedImage, "/elsewhere/compressed", ALL)
    play(probe, bag, lambda: len(images) == 3, image_topic="/elsewhere", speed=20.0)
    assert all("png" in image.format for image in images)


@pytest.mark.slow
@pytest.mark.parametrize("encoding", ["rgb8", "jpeg"])
def test_the_camera_info_of_an_image_follows_it(probe, tmp_path, encoding):
    """camera_info is published as recorded, without damaged messages; that of another namespace is not the
    camera's."""
    topic = f"{CAMERA}/compressed" if encoding == "jpeg" else CAMERA
    whole = write_bag(tmp_path / "whole", COUNT, (topic, "/rear/image_raw"), encoding=encoding)
    bag = write_infos(
        whole, tmp_path / "drive", {topic: "/camera/camera_info", "/rear/image_raw": "/rear/camera_info"}, [2]
    )
    arrived = []
    for kind, where in (
        (CompressedImage if encoding == "jpeg" else Image, topic),
        (CameraInfo, "/camera/camera_info"),
        (CameraInfo, "/rear/camera_info"),
    ):
        probe.node.create_subscription(
            kind, where, lambda message, where=where: arrived.append((where, message)), ALL
        )
    node = play(probe, bag, lambda: len(arrived) == 2 * COUNT - 1, topics=[topic], speed=5.0)
    assert (node.player.sent, node.player.left_out) == (COUNT, 0)
    infos = [message for where, message in arrived if where == "/camera/camera_info"]
    headers = [message.header for where, message in arrived if where == topic]
    assert [info.header for info in infos] == headers[:2] + headers[3:]
    for info in infos:
        assert (info.width, info.height, info.distortion_model) == (96, 64, "plumb_bob")
        assert info.k[0] == stamp_ns(info.header.stamp) % 1000 + 1


@pytest.mark.slow
def test_the_camera_info_goes_where_the_images_go(probe, tmp_path):
    """With `frames`, camera_info goes with the first images only, including the last one's."""
    bag = write_infos(
        write_bag(tmp_path / "whole", COUNT), tmp_path / "drive", {CAMERA: "/camera/camera_info"}
    )
    images, infos = (
        probe.collect(Image, "/mine/image", ALL),
        probe.collect(CameraInfo, "/mine/camera_info", ALL),
    )
    play(probe, bag, lambda: len(images) == len(infos) == 3, image_topic="/mine/image", frames=3, speed=20.0)
    assert [info.header for info in infos] == [image.header for image in images]


@pytest.mark.slow
def test_two_cameras_may_share_a_camera_info(probe, tmp_path):
    """Topics such as /camera/image_raw and /camera/image_rect share a camera_info; it is published once."""
    topics = "/camera/image_raw", "/camera/image_rect"
    whole = write_bag(tmp_path / "whole", COUNT, topics)
    bag = write_infos(whole, tmp_path / "drive", {topics[0]: "/camera/camera_info"})
    images = [probe.collect(Image, topic, ALL) for topic in topics]
    infos = probe.collect(CameraInfo, "/camera/camera_info", ALL)
    play(
        probe,
        bag,
        lambda: all(len(collected) == COUNT for collected in (*images, infos)),
        topics=list(topics),
        speed=10.0,
    )
    assert [info.header for info in infos] == [image.header for image in images[0]]


@pytest.mark.slow
def test_a_cut_recording_is_played_as_far_as_it_is_whole(probe, processes, tmp_path):
    bag = write_bag(tmp_path / "drive", 100)  # several chunks
    cut_file(bag / "drive.mcap", 0.8)
    images, log = probe.collect(Image, CAMERA, ALL), tmp_path / "sent.jsonl"
    camera = processes(
        "camera",
        "-p",
        f"source:={bag}",
        "-p",
        "loop:=false",
        "-p",
        "wait_for_subscribers:=1",
        "-p",
        "speed:=50.0",
        "-p",
        f"sent_log:={log}",
    )
    probe.spin_until(lambda: not camera.running(), "the end of the camera")
    assert camera.wait() == 0 and "truncated" in camera.text() and "Traceback" not in camera.text(), (
        camera.text()
    )
    sent = [json.loads(line)["stamp_ns"] for line in log.read_text().splitlines()]
    assert 10 < len(sent) < 100
    # Its publisher keeps the last ones until they have arrived; of those before, a slow listener may miss
    # some.
    probe.spin_until(lambda: images and stamp_ns(images[-1].header.stamp) == sent[-1], "the last image")
    assert {stamp_ns(image.header.stamp) for image in images} <= set(sent)


# When


@pytest.fixture
def begun(monkeypatch):
    """When the player asked for the time of each image. From the first of these its pace counts: an image
    that is late by itself is followed by early ones."""
    asked_ns, wait_until = [], BagTime.wait_until

    def asking(*arguments):
        asked_ns.append(time.monotonic_ns())
        return wait_until(*arguments)

    monkeypatch.setattr(BagTime, "wait_until", asking)
    return asked_ns


@pytest.mark.slow
@pytest.mark.parametrize("speed", [4.0, 0.5])
def test_speed_and_clock(begun, probe, tmp_path, speed):
    """Real clocks on a machine that may be busy; test_bag_time checks to the millisecond."""
    count = 8
    bag = write_bag(tmp_path / "drive", count)
    images, clocks, log = (
        probe.collect(Image, CAMERA, ALL),
        probe.collect(Clock, "/clock", ALL),
        tmp_path / "sent.jsonl",
    )
    last_ns = START_NS + LOG_DELAY_NS + (count - 1) * PERIOD_NS
    play(
        probe, bag, lambda: len(images) == count and last_ns in times(clocks), speed=speed, sent_log=str(log)
    )
    published = [json.loads(line)["published_ns"] for line in log.read_text().splitlines()]
    due_ns = (count - 1) * PERIOD_NS / speed
    assert 0.999 * due_ns < published[-1] - begun[0] < due_ns + 5e9
    told = times(clocks)
    assert (np.diff(told) > 0).all()
    assert {START_NS + LOG_DELAY_NS + number * PERIOD_NS for number in range(count)} <= set(told)
    assert max(np.diff(told)) <= 10_000_000 * max(1.0, speed)


@pytest.mark.slow
def test_no_clock(probe, tmp_path):
    bag = write_bag(tmp_path / "drive", 3)
    images, clocks = probe.collect(Image, CAMERA, ALL), probe.collect(Clock, "/clock", ALL)
    play(probe, bag, lambda: len(images) == 3, clock=False, speed=20.0)
    assert not clocks


@pytest.mark.slow
def test_the_end_is_followed_by_the_beginning_a_period_later(begun, probe, tmp_path):
    count, rounds = 4, 3
    bag = write_bag(tmp_path / "drive", count)
    images, clocks, log = (
        probe.collect(Image, CAMERA, ALL),
        probe.collect(Clock, "/clock", ALL),
        tmp_path / "sent.jsonl",
    )
    node = node_of(probe, bag, loop=True, speed=4.0, sent_log=str(log))
    try:
        probe.spin_until(lambda: len(images) >= rounds * count, "three rounds")
        probe.spin_until(lambda: (np.diff(times(clocks)) < 0).sum() >= rounds - 1, "their clock")
    finally:
        node.destroy_node()  # in the midst of a round
    assert not node.failed
    stamps = [stamp_ns(image.header.stamp) for image in images]
    assert stamps == [stamps[number % count] for number in range(len(stamps))]
    entries = [json.loads(line) for line in log.read_text().splitlines()]
    assert [entry["index"] for entry in entries] == [number % count for number in range(len(entries))]
    published = [entry["published_ns"] for entry in entries[: rounds * count]]
    assert published[-1] - begun[0] > 0.999 * (rounds * count - 1) * PERIOD_NS / 4.0
    backwards = [number for number, step in enumerate(np.diff(times(clocks))) if step < 0]
    told = times(clocks)
    assert len(backwards) >= rounds - 1
    assert {told[number + 1] for number in backwards} == {START_NS + LOG_DELAY_NS}
    assert {told[number] for number in backwards} == {START_NS + LOG_DELAY_NS + (count - 1) * PERIOD_NS}


# What cannot be played


UNUSABLE = [
    (dict(source="no/such.mcap"), ["no/such.mcap", "give a folder with metadata.yaml"]),
    (dict(topics=["/none"]), ["/none", CAMERA]),
    (dict(topics=["/chatter"]), ["/chatter", "std_msgs/msg/String", CAMERA]),
    (dict(rate=30.0), ["rate is 30.0", "a recording", "leave it out"]),
    (dict(encoding="jpeg"), ["encoding is 'jpeg'", "a recording", "leave it out"]),
    (
        dict(camera_info_url="camera.yaml"),
        ["camera_info_url is 'camera.yaml'", "a recording", "leave it out"],
    ),
    (dict(speed=0.0), ["speed 0.0", "use 0.01 to 1000"]),
    (
        dict(source="synthetic", lockstep=True),
        ["lockstep is True", "synthetic", "no recording", "leave it out"],
    ),
    (dict(source="synthetic", topics=["/x"]), ["topics is ('/x',)", "synthetic", "leave it out"]),
]


@pytest.mark.parametrize("changes, words", UNUSABLE)
def test_settings_that_cannot_be_used_are_named(probe, tmp_path, changes, words):
    bag = write_bag(tmp_path / "drive", 2, extra=["/chatter"])
    with pytest.raises(Exception) as caught:
        node_of(probe, **{"source": bag, **changes})
    assert all(word in str(caught.value) for word in words), caught.value


def test_several_cameras_need_topics_for_several(probe, tmp_path):
    bag = write_bag(tmp_path / "drive", 2, ("/front/image_raw", "/rear/image_raw"))
    with pytest.raises(
        ValueError, match="image_topic /x is for one camera, and .* has 2, /front/image_raw, /rear/image_r"
    ):
        node_of(probe, bag, image_topic="/x")
    with pytest.raises(
        ValueError, match="mask_topic /x is for one camera, and .* has front, rear: write {camera} where"
    ):
        node_of(probe, bag, lockstep=True, mask_topic="/x")


@pytest.mark.slow
def test_topics_that_ros_cannot_have(probe, tmp_path):
    bag = write_bag(tmp_path / "drive", 2, ("/my camera/image",))
    with pytest.raises(
        ValueError, match="drive: .*/my camera/image.*; choose a camera with `topics` and its topic"
    ):
        node_of(probe, bag)
    images = probe.collect(Image, "/mine", ALL)
    play(probe, bag, lambda: len(images) == 2, image_topic="/mine")


@pytest.mark.slow
def test_bytes_that_are_no_message_are_left_out(probe, tmp_path):
    bag = write_bag(tmp_path / "drive", 1)
    with (
        Writer(tmp_path / "damaged", version=9, storage_plugin=StoragePlugin.MCAP) as writer,
        open_bag(bag) as whole,
    ):
        camera = writer.add_connection(CAMERA, IMAGE, typestore=typestore())
        ((_, log_ns, raw),) = whole.messages()
        for number, message in enumerate((raw[:30], raw, b"", b"\xff" * 50)):
            writer.write(camera, log_ns + number, message)
    images = probe.collect(Image, CAMERA, ALL)
    node = play(probe, tmp_path / "damaged", lambda: len(images) == 1, lockstep=False)
    assert not node.failed and (node.player.sent, node.player.left_out) == (1, 3)


def test_a_recording_without_any_message_is_no_endless_loop(probe, tmp_path):
    with Writer(tmp_path / "damaged", version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        writer.write(writer.add_connection(CAMERA, IMAGE, typestore=typestore()), START_NS, b"\xff" * 50)
    node = play(probe, tmp_path / "damaged", loop=True, wait_for_subscribers=0)
    assert node.failed and node.player.left_out == 1


@pytest.mark.slow
@pytest.mark.parametrize(
    "log_ns, text",
    [
        (
            -1,
            "message 0 of {bag} has log time -1 ns, which is not a valid ROS time "
            "(0 to 2147483648000000000 ns) "
            "and was left out, 1 so far",
        ),
        (
            2**63 - 1,
            "message 2 of {bag} has log time 9223372036854775807 ns, which is not a valid ROS time (0 to "
            "2147483648000000000 ns) and was left out, 1 so far",
        ),
    ],
)
def test_log_times_that_are_no_time_are_said(probe, tmp_path, monkeypatch, log_ns, text):
    bag = write_bag(tmp_path / "drive", 2)
    with (
        open_bag(bag) as whole,
        Writer(tmp_path / "odd", version=9, storage_plugin=StoragePlugin.SQLITE3) as writer,
    ):
        camera = writer.add_connection(CAMERA, IMAGE, typestore=typestore())
        messages = [(log_ns, raw) for _, log_ns, raw in whole.messages()]
        for at_ns, raw in (*messages, (log_ns, messages[0][1])):
            writer.write(camera, at_ns, raw)
    images, told = probe.collect(Image, CAMERA, ALL), []
    monkeypatch.setattr(RcutilsLogger, "warning", lambda self, said, **_: told.append(said))
    node = play(probe, tmp_path / "odd", lambda: len(images) == 2, speed=20.0)
    assert not node.failed and (node.player.sent, node.player.left_out) == (2, 1)
    assert text.format(bag=tmp_path / "odd") in told


@pytest.mark.slow
def test_a_recording_that_begins_at_time_0_is_played_round_after_round(probe, tmp_path):
    """Its recorder's clock was set after the first image."""
    bag = write_bag(tmp_path / "drive", 3)
    with (
        open_bag(bag) as whole,
        Writer(tmp_path / "odd", version=9, storage_plugin=StoragePlugin.MCAP) as writer,
    ):
        camera = writer.add_connection(CAMERA, IMAGE, typestore=typestore())
        for number, (_, log_ns, raw) in enumerate(whole.messages()):
            writer.write(camera, log_ns if number else 0, raw)
    images, clocks = probe.collect(Image, CAMERA, ALL), probe.collect(Clock, "/clock", ALL)
    node = node_of(probe, tmp_path / "odd", loop=True, speed=0.5)
    try:
        probe.spin_until(lambda: len(images) >= 6 and times(clocks).count(0) == 2, "two rounds")
    finally:
        node.destroy_node()
    assert not node.failed and max(times(clocks)) < START_NS + 10**10


@pytest.mark.slow
def test_metadata_stands_for_its_folder(probe, tmp_path):
    bag = write_bag(tmp_path / "drive", 2)
    images = probe.collect(Image, CAMERA, ALL)
    play(probe, bag / "metadata.yaml", lambda: len(images) == 2, speed=20.0)


@pytest.mark.slow
def test_a_folder_of_several_recordings_is_refused(probe, tmp_path):
    for name in ("a", "b"):
        (write_bag(tmp_path / name, 1) / f"{name}.mcap").rename(tmp_path / f"{name}.mcap")
    with pytest.raises(
        BagError, match=r"holds 2 recordings \(a.mcap, b.mcap\): give one of them as the source"
    ):
        node_of(probe, tmp_path)
    images = probe.collect(Image, CAMERA, ALL)
    play(probe, tmp_path / "a.mcap", lambda: len(images) == 1)


def test_a_source_that_cannot_be_looked_at(tmp_path, monkeypatch):
    def refuse(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("pathlib.Path.iterdir", refuse)
    with pytest.raises(
        ValueError, match=f"source {tmp_path} cannot be read: Permission denied; get access to it"
    ):
        is_recording(str(tmp_path))


@pytest.mark.slow
def test_a_bad_recording_ends_the_process_with_a_message(processes, tmp_path):
    (tmp_path / "bad.mcap").write_bytes(b"no recording at all")
    camera = processes("camera", "-p", f"source:={tmp_path / 'bad.mcap'}")
    assert camera.wait() == 1
    assert "bad.mcap" in camera.text() and "Traceback" not in camera.text(), camera.text()


def test_what_is_a_recording(tmp_path):
    assert (
        is_recording(str(write_bag(tmp_path / "drive", 1)))
        and is_recording("gone.mcap")
        and is_recording("old.bag")
    )
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "0.png").touch()
    assert is_recording(str(tmp_path / "drive" / "metadata.yaml"))
    assert (
        not is_recording(str(tmp_path / "pictures"))
        and not is_recording("synthetic:3")
        and not is_recording("drive.mp4")
    )
    (tmp_path / "drive" / "metadata.yaml").unlink()
    assert is_recording(str(tmp_path / "drive"))
