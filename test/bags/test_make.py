# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A recording made of files: what is in it, for any reader."""

import json
import re
from pathlib import Path

import cv2
import numpy as np
import pytest
from bags_helpers import read_bag
from rosbags.highlevel import AnyReader

from dcfm_ros.bags import make
from dcfm_ros.bags.errors import BagError
from dcfm_ros.bags.finding import find_bags
from dcfm_ros.bags.make import make_bag
from dcfm_ros.bags.options import MakeOptions
from dcfm_ros.cli import main

COUNT = 5


@pytest.fixture
def folder(tmp_path):
    """images/ and, but for the second, labels/."""
    for name in ("images", "labels"):
        (tmp_path / "data" / name).mkdir(parents=True)
    for number in range(COUNT):
        cv2.imwrite(
            str(tmp_path / "data" / "images" / f"{number}.png"),
            np.full((24, 32, 3), (200, 10, 40 * number), np.uint8),
        )
        if number != 1:
            cv2.imwrite(
                str(tmp_path / "data" / "labels" / f"{number}.png"), np.full((24, 32), number, np.uint8)
            )
    return tmp_path / "data"


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_images_and_labels_share_stamps(folder, tmp_path, storage):
    out = tmp_path / "bag"
    report = make_bag(
        MakeOptions(
            str(folder), str(out), rate_hz=10.0, storage=storage, image_topic="/front/image", frame_id="eye"
        )
    )
    assert (report["images"], report["labels"]) == (COUNT, COUNT - 1)
    images, labels = [], []
    with AnyReader([out]) as reader:
        assert reader.message_count == 2 * COUNT - 1
        for connection, log_ns, raw in reader.messages():
            message = reader.deserialize(raw, connection.msgtype)
            stamp_ns = message.header.stamp.sec * 10**9 + message.header.stamp.nanosec
            assert (
                stamp_ns == log_ns
                and message.header.frame_id == "eye"
                and message.step * message.height == len(message.data)
            )
            (images if connection.topic == "/front/image" else labels).append((stamp_ns, message))
    assert np.diff([stamp for stamp, _ in images]).tolist() == [10**8] * (COUNT - 1)
    assert [stamp for stamp, _ in labels] == [
        stamp for number, (stamp, _) in enumerate(images) if number != 1
    ]
    assert [message.data[:3].tolist() for _, message in images] == [
        [40 * number, 10, 200] for number in range(COUNT)
    ]
    assert [set(message.data.tolist()) for _, message in labels] == [{0}, {2}, {3}, {4}]
    assert {message.encoding for _, message in images} == {"rgb8"} and {
        message.encoding for _, message in labels
    } == {"mono8"}


def test_the_command_says_what_is_in_it_and_where_it_is(folder, tmp_path, capsys):
    out, report = tmp_path / "bag", tmp_path / "report.json"
    assert main(["bag", "make", str(folder), str(out), "--json", str(report)]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "5 images on /camera/image_raw, 4 labels on /camera/label",
        f"written    {out}, {report}",
    ]
    assert json.loads(report.read_text())["images"] == COUNT
    assert main(["bag", "make", str(folder), str(out)]) == 2
    assert capsys.readouterr().err == f"dcfm bag make: {out} exists already: give another folder\n"


@pytest.mark.parametrize("rate_hz, expected_hz", [(None, 25), (10.0, 10)])
def test_a_video_keeps_its_own_times(tmp_path, rate_hz, expected_hz):
    video = cv2.VideoWriter(str(tmp_path / "drive.mp4"), cv2.VideoWriter_fourcc(*"mp4v"), 25, (32, 24))
    for number in range(6):
        video.write(np.full((24, 32, 3), 40 * number, np.uint8))
    video.release()
    assert (
        make_bag(MakeOptions(str(tmp_path / "drive.mp4"), str(tmp_path / "bag"), rate_hz=rate_hz))["images"]
        == 6
    )
    with AnyReader([tmp_path / "bag"]) as reader:
        assert np.diff([log_ns for _, log_ns, _ in reader.messages()]).tolist() == [10**9 // expected_hz] * 5


@pytest.mark.parametrize("source", ["data", "synthetic:1000", "synthetic:1000-1001"])
def test_at_most_so_many_frames(folder, tmp_path, monkeypatch, source):
    monkeypatch.chdir(tmp_path)
    assert make_bag(MakeOptions(source, "bag", frames=2))["images"] == 2
    assert read_bag(Path("bag"))["/camera/image_raw"][-1][0] == make._START_NS + round(1e9 / 15)


def test_more_frames_than_there_are(folder, tmp_path):
    assert make_bag(MakeOptions(str(folder), str(tmp_path / "bag"), frames=COUNT + 1))["images"] == COUNT


def test_the_slowest_rate(folder, tmp_path):
    make_bag(MakeOptions(str(folder), str(tmp_path / "bag"), rate_hz=0.1))
    assert read_bag(tmp_path / "bag")["/camera/image_raw"][-1][0] == make._START_NS + (COUNT - 1) * 10 * 10**9


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError])
def test_nothing_is_left_of_an_aborted_one(folder, tmp_path, monkeypatch, error):
    options, made, seen = MakeOptions(str(folder), str(tmp_path / "out" / "bag")), make.image_message, []

    def fails(stamp_ns, *arguments):
        if stamp_ns > make._START_NS:
            seen.extend(
                file.relative_to(tmp_path / "out").as_posix() for file in (tmp_path / "out").rglob("*.mcap")
            )
            with pytest.raises(
                BagError, match="no recording found"
            ):  # a half one is not taken for a recording
                find_bags([tmp_path / "out"])
            raise error
        return made(stamp_ns, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(make, "image_message", fails)
        with pytest.raises(error):
            make_bag(options)
    assert seen == ["bag.partial/bag/bag.mcap"] and not list((tmp_path / "out").iterdir())
    assert make_bag(options)["images"] == COUNT
    assert sorted(file.name for file in (tmp_path / "out" / "bag").iterdir()) == ["bag.mcap", "metadata.yaml"]


def test_what_a_killed_one_left_is_replaced(folder, tmp_path):
    left = tmp_path / "bag.partial" / "bag"
    left.mkdir(parents=True)
    (left / "bag.mcap").write_bytes(b"half")
    assert make_bag(MakeOptions(str(folder), str(tmp_path / "bag")))["images"] == COUNT
    assert not left.parent.exists()


def test_what_another_command_left_is_not_touched(folder, tmp_path):
    left = tmp_path / "bag.partial"
    left.mkdir()
    (left / "state.json").write_text("{}")
    with pytest.raises(
        BagError, match=f"{left} is an unfinished output of another command: finish it by running"
    ):
        make_bag(MakeOptions(str(folder), str(tmp_path / "bag")))
    assert (left / "state.json").exists() and not (tmp_path / "bag").exists()


def test_what_is_there_is_not_written_over(folder, tmp_path):
    with pytest.raises(BagError, match=f"{tmp_path} exists already: give another folder"):
        make_bag(MakeOptions(str(folder), str(tmp_path)))


@pytest.mark.parametrize(
    "changes, text",
    [
        (dict(rate_hz=1001.0), "rate_hz 1001.0: use 0.1 to 1000 images per second"),
        (
            dict(label_topic="/camera/image_raw"),
            "image topic and label topic are both /camera/image_raw: give labels a topic of their own",
        ),
        *[
            (
                dict(image_topic=name),
                f"image topic {name!r} is no full name of ROS: give letters, digits and underscores",
            )
            for name in (
                "no good",
                "x//y",
                "/x//y",
                "/x/",
                "image",
                "/1st",
                "/größe",
                "/a-b",
                "/",
                "/x" * 124,
                "/x\n",
            )
        ],
        (dict(label_topic="label"), "label topic 'label' is no full name of ROS"),
    ],
)
def test_options_that_cannot_be_used(changes, text):
    with pytest.raises(ValueError, match=re.escape(text)):
        MakeOptions("images", "bag", **changes)
