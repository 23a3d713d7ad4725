# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Which topics are cameras: chosen by their kind, named by what tells them apart, refused by message."""

import numpy as np
import pytest
from bags_helpers import CAMERA, image_of, write_bag
from rosbags.rosbag2 import StoragePlugin, Writer

from dcfm_ros.bags.errors import BagError
from dcfm_ros.bags.reading import open_bag
from dcfm_ros.bags.topics import camera_names, choose_cameras, image_topic
from dcfm_ros.bags.types import COMPRESSED_IMAGE, IMAGE, typestore

PICTURE = np.zeros((4, 6, 3), np.uint8)


def bag_of(folder, topics):
    """A recording with one message each. topics: name -> encoding, or any other type."""
    store = typestore()
    with Writer(folder, version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        for number, (name, encoding) in enumerate(topics.items()):
            if "/" in encoding:
                connection = writer.add_connection(name, encoding, msgdef="string data\n", rihs01="RIHS01_0")
                writer.write(connection, number, b"\0\1\0\0\1\0\0\0\0")
                continue
            known = encoding in ("jpeg", "rgb8")
            message = image_of(number, "eye", PICTURE, encoding if known else "rgb8")
            if not known:
                message.encoding = encoding
            kind = COMPRESSED_IMAGE if encoding == "jpeg" else IMAGE
            writer.write(
                writer.add_connection(name, kind, typestore=store), number, store.serialize_cdr(message, kind)
            )
    return open_bag(folder)


ALL = {
    "/front/image_raw": "rgb8",
    "/front/image_raw/compressed": "jpeg",
    "/rear/image_raw/compressed": "jpeg",
    "/depth/image_rect": "16UC1",
    "/thermal/image": "32FC1",
    "/front/truth": "mono8",
    "/rear/label": "mono8",
    "/dcfm/mask": "mono8",
    "/imu": "sensor_msgs/msg/Imu",
    "/odd": "odd_msgs/msg/Odd",
}


def test_all_that_look_like_cameras(tmp_path):
    with bag_of(tmp_path / "bag", ALL) as bag:
        cameras = choose_cameras(bag, labels=("/front/truth",))
        assert [(camera.name, camera.topic.name, camera.compressed) for camera in cameras] == [
            ("front", "/front/image_raw", False),
            ("rear", "/rear/image_raw/compressed", True),
        ]


def test_those_that_are_asked_for_in_their_order(tmp_path):
    with bag_of(tmp_path / "bag", ALL) as bag:
        asked = ("/rear/image_raw/compressed", "/front/image_raw/compressed")
        cameras = choose_cameras(bag, asked)
        assert [(camera.name, camera.topic.name) for camera in cameras] == list(zip(("rear", "front"), asked))
        (only,) = choose_cameras(bag, ["/front/image_raw"])
        assert only.name == ""  # as the live node's only camera


@pytest.mark.parametrize(
    "topics, text",
    [
        (["/none"], "has no topic /none: its image topics are .*/depth/image_rect, .*/front/image_raw"),
        (
            ["/imu"],
            "topic /imu of .* is of type sensor_msgs/msg/Imu, not an image of ROS 2: give a topic of "
            "sensor_msgs/msg/Image or",
        ),
        (["/odd"], "topic /odd of .* is of type odd_msgs/msg/Odd, not an image"),
        (
            ["/thermal/image"],
            "topic /thermal/image of .*: encoding '32FC1' is not supported: publish one of rgb8",
        ),
        (["/front/image_raw", "/front/image_raw"], "topic /front/image_raw is given twice"),
    ],
)
def test_topics_that_cannot_be_used(tmp_path, topics, text):
    with bag_of(tmp_path / "bag", ALL) as bag, pytest.raises(BagError, match=text):
        choose_cameras(bag, topics)


def test_a_topic_without_messages(tmp_path):
    path = tmp_path / "bag"
    with Writer(path, version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        writer.add_connection(CAMERA, IMAGE, typestore=typestore())
        other = writer.add_connection("/rear/image_raw", IMAGE, typestore=typestore())
        writer.write(other, 1, typestore().serialize_cdr(image_of(1, "eye", PICTURE, "rgb8"), IMAGE))
    with open_bag(path) as bag:
        text = (
            f"topic {CAMERA} of {path} holds no messages: its image topics are {CAMERA}, /rear/image_raw; "
            f"name one"
        )
        for asked in (
            lambda: choose_cameras(bag, ["/rear/image_raw", CAMERA]),
            lambda: image_topic(bag, CAMERA),
        ):
            with pytest.raises(BagError, match=text):
                asked()


@pytest.mark.parametrize(
    "topics, text",
    [
        ({"/imu": "sensor_msgs/msg/Imu"}, "holds no camera images: none of its 1 topics carries images$"),
        ({"/depth/image": "rgb8"}, "holds no camera images: its image topics are /depth/image; name one"),
    ],
)
def test_a_recording_without_cameras(tmp_path, topics, text):
    with bag_of(tmp_path / "bag", topics) as bag, pytest.raises(BagError, match=text):
        choose_cameras(bag)


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_an_empty_recording(tmp_path, storage):
    with open_bag(write_bag(tmp_path / "bag", 0, storage=storage)) as bag:
        with pytest.raises(BagError, match="bag holds no camera images: it holds no messages at all$"):
            choose_cameras(bag)
        with pytest.raises(
            BagError, match=f"topic {CAMERA} of .*bag holds no messages: it holds no messages at all$"
        ):
            choose_cameras(bag, [CAMERA])


def test_an_image_type_of_another_make(tmp_path):
    with Writer(tmp_path / "bag", version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        writer.add_connection(CAMERA, IMAGE, msgdef="uint8[] data\n", rihs01="RIHS01_" + "ab" * 32)
    with (
        open_bag(tmp_path / "bag") as bag,
        pytest.raises(BagError, match="its sensor_msgs/msg/Image is not that of ROS 2"),
    ):
        image_topic(bag, CAMERA)


@pytest.mark.parametrize(
    "topics, names",
    [
        (("/front/image_raw", "/rear/image_raw"), ["front", "rear"]),
        (("/cam0/image_raw/compressed", "/cam1/image_raw/compressed"), ["cam0", "cam1"]),
        (("/a/left/image", "/b/left/image"), ["a_left", "b_left"]),
        (("/0/image_raw", "/left-eye/image"), ["_0", "left_eye"]),
        (("/image", "/image_raw"), ["image", "image_raw"]),
        (("/cam/image", "/cam/image_raw"), ["cam", "cam_2"]),
    ],
)
def test_names(topics, names):
    assert camera_names(topics) == names and all(name.isidentifier() for name in names)


def test_names_never_collide():
    topics = ["/a_b/image", "/a/b/image", "/c/b/image"]
    assert len(set(camera_names(topics))) == 3


def image_messages(pictures, encoding):
    """(msgtype, CDR bytes) of pictures in an encoding of `image_of`."""
    kind = COMPRESSED_IMAGE if encoding in ("jpeg", "png") else IMAGE
    return [
        (kind, bytes(typestore().serialize_cdr(image_of(number, "eye", picture, encoding), kind)))
        for number, picture in enumerate(pictures)
    ]


def recorded(folder, messages):
    """A recording of (topic, msgtype, CDR bytes)."""
    with Writer(folder, version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        connections = {}
        for number, (topic, kind, raw) in enumerate(messages):
            if (topic, kind) not in connections:
                connections[topic, kind] = writer.add_connection(topic, kind, typestore=typestore())
            writer.write(connections[topic, kind], number, raw)
    return folder


RAW, JPEG = image_messages([PICTURE], "rgb8")[0], image_messages([PICTURE], "jpeg")[0]


def refused_of(kind):
    """An image that no encoding makes usable."""
    message = image_of(1, "eye", PICTURE, "rgb8" if kind == IMAGE else "jpeg")
    if kind == IMAGE:
        message.encoding = "nv24"
    else:
        message.format = "16UC1; png compressed "
    return kind, bytes(typestore().serialize_cdr(message, kind))


def test_empty_images_at_the_start_do_not_decide(tmp_path):
    """Drivers send some."""
    empty = typestore().types[IMAGE](
        header=image_of(1, "eye", PICTURE, "rgb8").header,
        height=0,
        width=0,
        encoding="",
        is_bigendian=0,
        step=0,
        data=np.zeros(0, np.uint8),
    )
    raw = bytes(typestore().serialize_cdr(empty, IMAGE))
    with open_bag(recorded(tmp_path / "bag", [(CAMERA, IMAGE, raw)] * 2 + [(CAMERA, *RAW)] * 3)) as bag:
        assert [camera.topic.name for camera in choose_cameras(bag)] == [CAMERA] and not bag.notes


def test_a_camera_that_is_left_out_is_noted(tmp_path):
    messages = [
        (CAMERA, *RAW),
        ("/thermal/image_raw", *refused_of(IMAGE)),
        ("/rear/compressed", *refused_of(COMPRESSED_IMAGE)),
    ]
    with open_bag(recorded(tmp_path / "bag", messages)) as bag:
        assert [camera.topic.name for camera in choose_cameras(bag)] == [CAMERA]
        assert {note.split(":")[0] for note in bag.notes} == {
            "/rear/compressed is left out",
            "/thermal/image_raw is left out",
        }


def test_where_the_raw_topic_cannot_be_used_the_compressed_one_is(tmp_path):
    messages = [(CAMERA, *refused_of(IMAGE)), (f"{CAMERA}/compressed", *JPEG)]
    with open_bag(recorded(tmp_path / "bag", messages)) as bag:
        assert [camera.topic.name for camera in choose_cameras(bag)] == [f"{CAMERA}/compressed"]
        assert bag.notes[0].startswith(f"{CAMERA} is left out: encoding 'nv24'")


@pytest.mark.parametrize("asked", [(), (CAMERA,)])
def test_a_topic_of_two_types(tmp_path, asked):
    with open_bag(recorded(tmp_path / "bag", [(CAMERA, *RAW)] * 3 + [(CAMERA, *JPEG)] * 5)) as bag:
        assert [camera.topic.msgtype for camera in choose_cameras(bag, asked)] == [COMPRESSED_IMAGE]
        assert bag.notes == [
            f"{CAMERA} holds 5 messages of {COMPRESSED_IMAGE} and 3 of {IMAGE}, which are not read: record "
            "these to a topic of their own"
        ]


def test_names_are_of_ascii_and_each_once():
    assert camera_names(
        ["/cam-1/image_raw", "/cam_1/image_raw", "/cam_1_2/image_raw", "/vörne/image_raw"]
    ) == ["cam_1", "cam_1_3", "cam_1_2", "v_rne"]
