# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Video packets in recordings: every picture with its stamp, from any place on, chosen and refused as image
topics are."""

import pytest
from bags_helpers import LOG_DELAY_NS, START_NS, image_of
from helpers import tiny_model, write_tiny_model
from rosbags.rosbag2 import StoragePlugin, Writer
from segmenting_helpers import content, segment, stop_at
from video_helpers import number_in, picture
from video_packet_helpers import FRAMES, GOP, PERIOD_NS, encoded, write_video_bag

from dcfm_ros.bags.errors import BagError
from dcfm_ros.bags.labels import open_labels
from dcfm_ros.bags.reading import open_bag
from dcfm_ros.bags.replay import Replay, Skipped, check_images, images
from dcfm_ros.bags.topics import choose_cameras
from dcfm_ros.bags.types import COMPRESSED_VIDEO, FFMPEG_PACKET, VIDEOS, typestore

TOPIC = "/camera/image_raw/ffmpeg"
ALL = list(range(FRAMES))


def frames_of(path, first=None, topics=()):
    with open_bag(path) as bag:
        return list(images(bag, choose_cameras(bag, topics), first or {}))


def told(frames, camera=""):
    """Of each the number in its picture, or the kind of its error."""
    return [
        one.error.kind if isinstance(one, Skipped) else number_in(one.image)
        for one in frames
        if one.camera == camera
    ]


def plain(one):
    """All that tells a frame or a skipped image from others."""
    if isinstance(one, Skipped):
        return one.number, one.camera, one.log_ns, one.error.kind
    return one.context.number, one.camera, one.context.log_ns, one.stamp_ns, one.image.tobytes()


@pytest.mark.slow
@pytest.mark.parametrize("kind", VIDEOS)
@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
@pytest.mark.parametrize("name", ["h264", "h264 b", "h265", "av1", "vp9"])
def test_every_picture_comes_with_its_stamp(tmp_path, name, storage, kind):
    frames = frames_of(write_video_bag(tmp_path / "drive", {TOPIC: (kind, encoded(name))}, storage))
    assert told(frames) == ALL
    assert [one.stamp_ns for one in frames] == [START_NS + number * PERIOD_NS for number in ALL]
    assert [one.context.number for one in frames] == ALL
    assert [one.context.log_ns for one in frames] == [
        START_NS + number * PERIOD_NS + LOG_DELAY_NS for number in ALL
    ]
    assert {one.context.header.frame_id for one in frames} == {TOPIC} and {
        one.image.shape for one in frames
    } == {(48, 64, 3)}


def test_a_recording_that_begins_between_key_pictures(tmp_path):
    path = write_video_bag(tmp_path / "drive", {TOPIC: (FFMPEG_PACKET, encoded("h264")[4:])})
    assert told(frames_of(path)) == ["key"] * (GOP - 4) + ALL[GOP:]
    with open_bag(path) as bag, Replay(bag, choose_cameras(bag), tiny_model(), "torch", "f32") as replay:
        list(replay.run())
    record = replay.cameras[""]
    assert record.summary()["skipped"] == {"key": GOP - 4} and record.masks == FRAMES - GOP
    assert record.notes(TOPIC)[0].startswith(f"{TOPIC}: 6 of 26 images skipped (6 key); the first at ")


def test_lost_and_damaged_messages_cost_the_pictures_up_to_the_next_key_picture(tmp_path):
    stream = [*encoded("h265")]
    # one is damaged, and another missing
    packets = [*stream[:4], b"\0\1\0\0damage", *stream[5:12], *stream[13:]]
    for kind in VIDEOS:
        found = told(frames_of(write_video_bag(tmp_path / kind.split("/")[0], {TOPIC: (kind, packets)})))
        lost = "key" if kind == FFMPEG_PACKET else "packet"  # pts tell before the decoder does
        assert found == [0, 1, 2, 3, "message"] + ["key"] * 5 + [10, 11, lost] + ["key"] * 6 + ALL[20:]


def test_without_a_key_picture_nothing_can_be_used(tmp_path):
    path = write_video_bag(tmp_path / "drive", {TOPIC: (COMPRESSED_VIDEO, encoded("h264")[1:GOP])})
    with open_bag(path) as bag, Replay(bag, choose_cameras(bag), tiny_model(), "torch", "f32") as replay:
        list(replay.run())
        with pytest.raises(
            BagError, match="none of the 9 images can be used; at .* waits for an IDR picture of H.264"
        ):
            check_images(bag, replay)


# Starting in the middle


def damaged_stream(name):
    stream = [*encoded(name)]
    return [*stream[:13], b"?", *stream[14:17], *stream[18:]]


@pytest.mark.slow
@pytest.mark.parametrize(
    "packets",
    [
        encoded("h264"),
        encoded("h264 b"),
        encoded("h265 open"),
        encoded("av1"),
        damaged_stream("h264"),
        damaged_stream("h265 b"),
        encoded("h264")[3:],
    ],
    ids=["h264", "h264 b", "h265 open", "av1", "h264 damaged", "h265 b damaged", "h264 joined"],
)
def test_from_any_image_on_all_is_as_from_the_start(tmp_path, packets):
    path = write_video_bag(tmp_path / "drive", {TOPIC: (FFMPEG_PACKET, packets)})
    whole = [plain(one) for one in frames_of(path)]
    for first in (1, 9, 10, 11, 14, 20, len(packets) - 1):
        assert [plain(one) for one in frames_of(path, {"": first})] == [
            one for one in whole if one[0] >= first
        ]


def test_what_lies_before_the_key_picture_is_not_decoded(tmp_path, monkeypatch):
    from dcfm_ros.pipeline.video_packets import VideoDecoder

    path, fed = write_video_bag(tmp_path / "drive", {TOPIC: (COMPRESSED_VIDEO, encoded("h264"))}), []
    with open_bag(path) as bag:
        cameras, decode = choose_cameras(bag), VideoDecoder.decode
        monkeypatch.setattr(
            VideoDecoder, "decode", lambda self, packet: fed.append(packet) or decode(self, packet)
        )
        assert told(images(bag, cameras, {"": 25})) == ALL[25:]
    assert len(fed) == FRAMES - 20


def test_two_cameras_begin_at_images_of_their_own(tmp_path):
    path = write_video_bag(
        tmp_path / "drive",
        {"/front/video": (FFMPEG_PACKET, encoded("h264")), "/rear/video": (COMPRESSED_VIDEO, encoded("vp9"))},
    )
    whole = frames_of(path)
    assert told(whole, "front") == told(whole, "rear") == ALL
    assert [one.context.number for one in whole] == list(range(2 * FRAMES))
    first = {"front": 30, "rear": 51}
    assert [plain(one) for one in frames_of(path, first)] == [
        plain(one) for one in whole if one.context.number >= first[one.camera]
    ]


@pytest.mark.slow
@pytest.mark.parametrize("name, at", [("h264", 14), ("h264 b", 22)])
def test_masks_of_a_run_that_was_stopped_are_those_of_one_that_was_not(tmp_path, name, at):
    model = write_tiny_model(tmp_path / "tiny")
    stream = [*encoded(name)]
    bag = write_video_bag(tmp_path / "drive", {TOPIC: (FFMPEG_PACKET, [*stream[:5], b"?", *stream[6:]])})
    report = segment(bag, tmp_path / "whole", model)
    with pytest.raises(KeyboardInterrupt):
        segment(bag, tmp_path / "out", model, stop_at(at))
    again = segment(bag, tmp_path / "out", model)
    assert again["resumed_at_image"] >= at - 1 and again["cameras"] == report["cameras"]
    assert content(tmp_path / "out") == content(tmp_path / "whole")
    assert (
        report["cameras"][0]["masks"] == FRAMES - 5
        and len(content(tmp_path / "whole")["/dcfm/mask"]) == FRAMES - 5
    )


# Which topics


def with_images(folder, topics):
    """A recording with an image in each of these topics, as they are called, or three video packets."""
    packets = {
        name: (FFMPEG_PACKET, encoded("h264")[:3])
        for name in topics
        if not name.endswith(("image_raw", "compressed"))
    }

    def stills(writer):
        for name in topics:
            if name not in packets:
                message = image_of(
                    START_NS, "eye", picture(3), "jpeg" if name.endswith("compressed") else "rgb8"
                )
                connection = writer.add_connection(name, message.__msgtype__, typestore=typestore())
                writer.write(connection, START_NS, typestore().serialize_cdr(message, message.__msgtype__))

    return write_video_bag(folder, packets, extra=stills)


@pytest.mark.parametrize(
    "there, chosen",
    [
        (["/a/image_raw", "/a/image_raw/compressed", "/a/image_raw/ffmpeg"], ["/a/image_raw"]),
        (
            ["/a/image_raw/compressed", "/a/image_raw/ffmpeg", "/a/image_raw/foxglove"],
            ["/a/image_raw/compressed"],
        ),
        (["/a/image_raw/ffmpeg", "/a/image_raw/foxglove"], ["/a/image_raw/ffmpeg"]),
        (["/a/image_raw", "/b/video"], ["/a/image_raw", "/b/video"]),
    ],
)
def test_of_a_cameras_topics_one_is_taken(tmp_path, there, chosen):
    with open_bag(with_images(tmp_path / "drive", there)) as bag:
        cameras = choose_cameras(bag)
        assert [camera.topic.name for camera in cameras] == chosen and not bag.notes
        assert [camera.name for camera in cameras] == [
            camera.topic.name[1] if len(chosen) > 1 else "" for camera in cameras
        ]
        (asked,) = choose_cameras(bag, there[-1:])
        assert (
            asked.topic.name == there[-1]
            and asked.is_video
            and asked.raw_name == there[-1].removesuffix("/ffmpeg").removesuffix("/foxglove")
        )


def test_an_unknown_codec_is_refused_and_leaves_others_alone(tmp_path):
    unread = [one._replace(format="mpeg4") for one in encoded("h264")[:7]]
    path = write_video_bag(
        tmp_path / "drive",
        {"/front/video": (COMPRESSED_VIDEO, unread), "/rear/video": (COMPRESSED_VIDEO, encoded("h264"))},
    )
    with open_bag(path) as bag:
        assert [camera.topic.name for camera in choose_cameras(bag)] == ["/rear/video"]
        assert bag.notes == [
            "/front/video is left out: video of format 'mpeg4' is not read: publish h264, h265, av1, vp9, or "
            "images"
        ]
        with pytest.raises(BagError, match="topic /front/video of .*: video of format 'mpeg4' is not read"):
            choose_cameras(bag, ["/front/video"])


def test_a_video_type_of_another_make(tmp_path):
    with Writer(tmp_path / "bag", version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        connection = writer.add_connection(
            TOPIC, FFMPEG_PACKET, msgdef="uint8[] data\n", rihs01="RIHS01_" + "ab" * 32
        )
        writer.write(connection, START_NS, b"\0\1\0\0\0\0\0\0")
    with (
        open_bag(tmp_path / "bag") as bag,
        pytest.raises(
            BagError, match="its ffmpeg_image_transport_msgs/msg/FFMPEGPacket is not that of ROS 2"
        ),
    ):
        choose_cameras(bag, [TOPIC])


def test_labels_are_no_video(tmp_path):
    path = with_images(tmp_path / "drive", ["/a/image_raw", "/a/label"])
    with (
        open_bag(path) as bag,
        pytest.raises(BagError, match=f"topic /a/label of .* is of type {FFMPEG_PACKET}, not an image"),
    ):
        open_labels(bag, choose_cameras(bag, ["/a/image_raw"]), ["/a/label"])


@pytest.mark.slow
def test_original_packets_are_copied_as_they_are(tmp_path):
    path = write_video_bag(tmp_path / "drive", {TOPIC: (COMPRESSED_VIDEO, encoded("h264"))})
    segment(path, tmp_path / "out", write_tiny_model(tmp_path / "tiny"), all_topics=True)
    assert content(tmp_path / "out")[TOPIC] == content(path)[TOPIC]
