# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The camera node plays video packets of a recording as images."""

import json

import numpy as np
import pytest
from bags_helpers import START_NS
from playing_helpers import ALL, node_of, play
from sensor_msgs.msg import Image
from video_helpers import number_in
from video_packet_helpers import FRAMES, GOP, PERIOD_NS, encoded, write_video_bag

from dcfm_ros.bags.types import COMPRESSED_VIDEO, FFMPEG_PACKET
from dcfm_ros.stamps import stamp_ns


def told(images):
    """(number in the picture, number of its stamp) of each."""
    return [
        (
            number_in(np.frombuffer(image.data, np.uint8).reshape(48, 64, 3)),
            (stamp_ns(image.header.stamp) - START_NS) // PERIOD_NS,
        )
        for image in images
    ]


@pytest.mark.slow
@pytest.mark.parametrize(
    "name, kind, recorded",
    [
        ("h264", FFMPEG_PACKET, "/camera/image_raw/ffmpeg"),
        ("h265 b", COMPRESSED_VIDEO, "/camera/image_raw/foxglove"),
        ("vp9", COMPRESSED_VIDEO, "/camera/image_raw"),
    ],
)
def test_pictures_are_played_as_images(probe, tmp_path, name, kind, recorded):
    bag, log = write_video_bag(tmp_path / "drive", {recorded: (kind, encoded(name))}), tmp_path / "sent.jsonl"
    images = probe.collect(Image, "/camera/image_raw", ALL)
    node = play(probe, bag, lambda: len(images) == FRAMES, speed=50.0, sent_log=str(log))
    assert not node.failed and told(images) == [(number, number) for number in range(FRAMES)]
    assert {(image.encoding, image.step, image.header.frame_id) for image in images} == {
        ("rgb8", 3 * 64, recorded)
    }
    assert [json.loads(line)["index"] for line in log.read_text().splitlines()] == list(range(FRAMES))


@pytest.mark.slow
def test_packets_without_a_picture_are_left_out(probe, tmp_path):
    bag = write_video_bag(tmp_path / "drive", {"/camera/video": (FFMPEG_PACKET, encoded("h264")[4:])})
    images = probe.collect(Image, "/camera/video", ALL)
    node = play(probe, bag, lambda: len(images) == 12, speed=50.0, frames=18)
    assert told(images) == [(number, number) for number in range(GOP, GOP + 12)]
    assert node.player.left_out == GOP - 4


@pytest.mark.slow
def test_each_round_is_the_same(probe, tmp_path):
    """A round begins with the pictures that the decoder of the last one would refuse."""
    bag = write_video_bag(tmp_path / "drive", {"/camera/video": (FFMPEG_PACKET, encoded("h264 b")[:15])})
    images = probe.collect(Image, "/camera/video", ALL)
    node = node_of(probe, bag, loop=True, speed=50.0)
    probe.add(node)
    try:
        probe.spin_until(lambda: len(images) >= 30, "two rounds")
    finally:
        probe.remove(node)
        node.destroy_node()
    shown = sorted(one.number for one in encoded("h264 b")[:15])
    assert told(images[:30]) == [(number, number) for number in shown] * 2
