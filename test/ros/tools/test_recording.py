# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Recordings: what is written comes back."""

import json

import numpy as np
import pytest

from dcfm_ros.ros.tools.recording import SENT, RecordingWriter, read_recording

HEIGHT, WIDTH = 4, 6


def entry(stamp_ns, **changes):
    return {
        "stamp_ns": stamp_ns,
        "received_ns": stamp_ns + 5,
        "width": WIDTH,
        "height": HEIGHT,
        "step": WIDTH,
        "encoding": "mono8",
        "frame_id": "camera",
        **changes,
    }


def mask(seed):
    return np.random.default_rng(seed).integers(0, 256, (HEIGHT, WIDTH), np.uint8)


def write(folder, masks=(), info=(), keyframes=(), sent=()):
    """masks: (entry, pixels)"""
    writer = RecordingWriter(folder)
    for one, pixels in masks:
        writer.mask(one, pixels)
    for one in info:
        writer.info(one)
    for one in keyframes:
        writer.keyframe(one)
    writer.close()
    (folder / SENT).write_text("".join(json.dumps(one) + "\n" for one in sent))
    return read_recording(folder)


def test_masks_come_back_in_order_of_arrival(tmp_path):
    recording = write(
        tmp_path / "new" / "folder", [(entry(stamp), mask(stamp).tobytes()) for stamp in (30, 10, 20)]
    )
    assert [one["stamp_ns"] for one in recording.masks] == [30, 10, 20]
    for one in recording.masks:
        assert np.array_equal(recording.pixels(one), mask(one["stamp_ns"]))
        assert one["frame_id"] == "camera" and one["received_ns"] == one["stamp_ns"] + 5


def test_pixels_may_be_a_view_of_a_message(tmp_path):
    recording = write(tmp_path, [(entry(1), memoryview(mask(1).ravel()))])
    assert np.array_equal(recording.pixels(recording.masks[0]), mask(1))


def test_writer_counts(tmp_path):
    writer = RecordingWriter(tmp_path)
    for stamp in range(3):
        writer.mask(entry(stamp), mask(stamp).tobytes())
    writer.keyframe({"stamp_ns": 0})
    writer.info({"stamp_ns": 0})
    assert (writer.masks, writer.keyframes) == (3, 1)
    writer.close()


@pytest.mark.parametrize(
    "changes, size",
    [
        (dict(encoding="mono16"), HEIGHT * WIDTH),
        (dict(encoding="rgb8"), HEIGHT * WIDTH),
        (dict(step=WIDTH + 2), HEIGHT * (WIDTH + 2)),
        (dict(step=WIDTH + 2), HEIGHT * WIDTH),
        (dict(height=HEIGHT + 1), HEIGHT * WIDTH),
        (dict(), HEIGHT * WIDTH - 1),
        (dict(), HEIGHT * WIDTH + 1),
        (dict(), 0),
    ],
)
def test_what_is_no_mask_has_no_pixels_and_harms_no_other(tmp_path, changes, size):
    recording = write(
        tmp_path,
        [(entry(1), mask(1).tobytes()), (entry(2, **changes), bytes(size)), (entry(3), mask(3).tobytes())],
    )
    first, bad, last = recording.masks
    assert recording.pixels(bad) is None
    assert np.array_equal(recording.pixels(first), mask(1)) and np.array_equal(
        recording.pixels(last), mask(3)
    )


def test_info_is_by_stamp_and_keyframes_in_order(tmp_path):
    recording = write(
        tmp_path,
        info=[{"stamp_ns": 20, "score": 0.5}, {"stamp_ns": 10, "score": 0.25}],
        keyframes=[{"stamp_ns": 20, "reason": "first"}, {"stamp_ns": 10, "reason": "reset"}],
    )
    assert recording.info[10]["score"] == 0.25 and recording.info[20]["score"] == 0.5
    assert [event["reason"] for event in recording.keyframes] == ["first", "reset"]


def test_each_sent_image_with_its_first_mask(tmp_path):
    sent = [
        {"index": number, "stamp_ns": 10 * number, "published_ns": 10 * number + 1} for number in range(4)
    ]
    masks = [
        (entry(stamp, received_ns=received), mask(0).tobytes())
        for stamp, received in ((10, 100), (0, 101), (10, 102), (77, 103), (30, 104))
    ]
    recording = write(tmp_path, masks, sent=sent)
    pairs = [(image["index"], one and one["received_ns"]) for image, one in recording.by_sent()]
    assert pairs == [(0, 101), (1, 100), (2, None), (3, 104)]


def test_empty_and_missing_recordings_are_empty(tmp_path):
    for recording in (write(tmp_path / "empty"), read_recording(tmp_path / "missing")):
        assert recording.sent == recording.masks == recording.keyframes == [] and recording.info == {}
        assert list(recording.by_sent()) == []


def test_new_recording_replaces_an_old_one(tmp_path):
    write(tmp_path, [(entry(1), mask(1).tobytes())], keyframes=[{"stamp_ns": 1}])
    recording = write(tmp_path, [(entry(2), mask(2).tobytes())])
    assert [one["stamp_ns"] for one in recording.masks] == [2] and recording.keyframes == []
    assert np.array_equal(recording.pixels(recording.masks[0]), mask(2))
