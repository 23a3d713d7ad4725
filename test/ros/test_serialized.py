# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Serialized messages are read as ROS reads them, and what is none is refused and counted."""

import array
import random

import pytest
from builtin_interfaces.msg import Time
from rclpy.serialization import deserialize_message, serialize_message
from ros_helpers import Camera
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, PointCloud2, PointField
from std_msgs.msg import Header

from dcfm_ros.msg import ClassColor, ClassPalette
from dcfm_ros.pipeline.decoding import MessageError
from dcfm_ros.ros import serialized
from dcfm_ros.ros.serialized import reader

FIELDS = ("header", "height", "width", "encoding", "is_bigendian", "step")


def image(frame_id: str = "optical", encoding: str = "bgr8", size: int = 60, **fields) -> Image:
    header = Header(stamp=Time(sec=-3, nanosec=999_999_999), frame_id=frame_id)
    values = {"height": 4, "width": 5, "step": 15, "is_bigendian": 1, **fields}
    return Image(header=header, encoding=encoding, data=array.array("B", range(size)), **values)


def same(found, wanted: Image) -> bool:
    return all(getattr(found, name) == getattr(wanted, name) for name in FIELDS) and bytes(
        found.data
    ) == bytes(wanted.data)


@pytest.mark.parametrize("frame_id", ("", "a", "ab", "abc", "abcd", "kamera/größe", "x" * 1001))
@pytest.mark.parametrize("encoding", ("", "bgr8", "mono8", "yuv422_yuy2"))
def test_an_image_is_read_as_by_ros(frame_id, encoding):
    """Every length, as what follows is aligned."""
    for size in (0, 1, 200):
        message = image(frame_id, encoding, size, height=2**32 - 1, step=2**31)
        assert same(reader(Image)(serialize_message(message)), message)


def test_an_image_of_the_other_byte_order():
    """As written by hand: ROS here writes in one order only."""
    data = b"\0\0\0\0" + b"\0\0\0\7" + b"\0\0\0\x09" + b"\0\0\0\2a\0" + b"\0\0"
    data += b"\0\0\0\1" + b"\0\0\0\2" + b"\0\0\0\6mono8\0" + b"\1" + b"\0"
    data += b"\0\0\0\2" + b"\0\0\0\2" + b"\x21\x22"
    found = reader(Image)(data)
    assert (found.header, bytes(found.data)) == (
        Header(stamp=Time(sec=7, nanosec=9), frame_id="a"),
        b"\x21\x22",
    )
    assert (found.height, found.width, found.encoding, found.is_bigendian, found.step) == (
        1,
        2,
        "mono8",
        1,
        2,
    )


def cloud(fields: int) -> PointCloud2:
    return PointCloud2(
        header=Header(frame_id="lidar"),
        height=1,
        width=5,
        fields=[
            PointField(name=f"f{number}", offset=number, datatype=2, count=1) for number in range(fields)
        ],
        data=array.array("B", range(60)),
    )


@pytest.mark.parametrize(
    "message", (image(), CompressedImage(format="jpeg", data=array.array("B", range(60))), cloud(4)), ids=type
)
def test_every_cut_message_is_refused(message):
    data, kind = serialize_message(message), type(message)
    for length in range(len(data) - 4):  # at the end there may be padding
        with pytest.raises(MessageError, match=f"of {length} bytes is no {kind.__name__}") as error:
            reader(kind)(data[:length])
        assert error.value.kind == "message"


def test_a_cloud_is_read_as_by_ros():
    for fields in (0, 3, 256):
        assert reader(PointCloud2)(serialize_message(cloud(fields))) == cloud(fields)


@pytest.mark.parametrize("order", ("little", "big"))
def test_fields_that_a_cloud_claims_are_counted_before_they_are_made(monkeypatch, order):
    """ROS's library would take 690 MB and 1.5 s for a message of 10 MB that claims as many."""
    monkeypatch.setattr(serialized, "deserialize_message", lambda *_: pytest.fail("it was read"))
    stamp, length, size = (7, 9), (2,), (1, 5)
    before, after = (
        b"".join(number.to_bytes(4, order) for number in numbers)
        for numbers in ((*stamp, *length), (*size, 10_000_000))
    )
    representation = {"little": b"\0\1\0\0", "big": b"\0\0\0\0"}[order]
    with pytest.raises(MessageError, match="^cloud has 10000000 fields: at most 256 are read") as error:
        reader(PointCloud2)(representation + before + b"a\0\0\0" + after + bytes(10_000_000))
    assert error.value.kind == "message"


def test_clouds_in_another_representation_are_refused():
    with pytest.raises(MessageError, match="it is not in plain CDR"):
        reader(PointCloud2)(b"\0\3" + serialize_message(cloud(3))[2:])


@pytest.mark.parametrize(
    "message",
    (CameraInfo(d=[0.0] * 10_000), ClassPalette(classes=[ClassColor(name="x" * 300)] * 256)),
    ids=type,
)
def test_messages_that_have_little_to_say_are_short(message):
    kind = type(message)
    with pytest.raises(MessageError, match=f"a {kind.__name__} of .* bytes is refused: none needs") as error:
        reader(kind)(serialize_message(message))
    assert error.value.kind == "message" and reader(kind)(serialize_message(kind())) == kind()


def test_damage_is_refused_or_read_as_ros_reads_it():
    whole, chance, refused = serialize_message(image()), random.Random(0), 0
    for _ in range(3000):
        data = bytearray(whole)
        for _ in range(chance.randint(1, 4)):
            data[chance.randrange(4, 60)] = chance.choice((0, 1, 127, 255, chance.randrange(256)))
        try:
            found = reader(Image)(bytes(data))
        except MessageError:
            refused += 1
            continue
        try:
            wanted = deserialize_message(bytes(data), Image)
        except Exception:  # ROS is stricter about the ends of strings
            continue
        assert found.data == memoryview(wanted.data) and found.height == wanted.height
    assert 300 < refused < 2900


@pytest.mark.slow
@pytest.mark.parametrize("kind", (Image, CompressedImage))
def test_messages_that_are_none_are_counted_and_told(segmenter, probe, kind):
    segmenter.start(image_topic="/none/image", image_transport="raw" if kind is Image else "compressed")
    camera = Camera(probe, "/none/image", kind=kind).connect()
    camera.segment()
    whole = serialize_message(camera.image())
    for count in range(3):
        camera.publisher.publish(whole[:30])
        status = probe.diagnostic(camera.topic, lambda status: status.number("refused_message") == count + 1)
    assert f"is no {kind.__name__}, although its publisher says so" in status.values["last_error"]
    assert (status.number("received"), status.values["overwritten"]) == (4, "0")
    camera.segment()


@pytest.mark.slow
def test_calibrations_that_are_none_or_far_too_long_are_counted_and_told(segmenter, probe):
    """Long ones would wait for their masks, 64 of them."""
    segmenter.start(image_topic="/none/image")
    camera = Camera(probe, "/none/image").connect()
    infos = probe.publisher(CameraInfo, "/none/camera_info")
    probe.spin_until(lambda: infos.get_subscription_count() > 0, "the subscription of calibrations")
    whole = serialize_message(CameraInfo(height=4, width=5))
    long = serialize_message(CameraInfo(height=4, width=5, d=[0.0] * 10_000))
    for count, data in enumerate((whole[:30], long, whole[:60]), 1):
        infos.publish(data)
        status = probe.diagnostic(camera.topic, lambda status: status.number("camera_infos_refused") == count)
    camera.segment()
    message = "but no camera_info for them: a message of 60 bytes is no CameraInfo"
    assert message in status.message or probe.diagnostic(camera.topic, lambda found: message in found.message)
