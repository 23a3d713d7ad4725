# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Synthetic scenes as clips."""

import pickle

import numpy as np
import pytest

from dcfm_ros.sources.classes import STREET11
from dcfm_ros.sources.clips import open_clips
from dcfm_ros.sources.errors import SourceError
from dcfm_ros.sources.synthetic.video import SyntheticVideo


def test_a_clip_is_the_start_of_its_video():
    clips = open_clips("synthetic:7-9")
    assert (clips.name, clips.classes, len(clips.clips)) == ("synthetic 7-9", STREET11, 3)
    assert "own licence" in clips.terms
    clip, video = clips.clips[1], SyntheticVideo(8, 480, 360, 15.0)
    assert (clip.name, clip.length, clip.rate_hz, list(clip.labelled)) == (
        "synthetic 8",
        75,
        15.0,
        list(range(75)),
    )
    frame = video.frame(3)
    assert np.array_equal(clip.image(3), frame.image) and np.array_equal(clip.label(3), frame.label)


def test_what_is_handed_out_may_be_written_to():
    (clip,) = open_clips("synthetic:7").clips
    before = clip.image(0), clip.label(0)
    clip.image(0)[:] = 0
    clip.label(0)[:] = 255
    assert np.array_equal(clip.image(0), before[0]) and np.array_equal(clip.label(0), before[1])


def test_one_rendering_serves_image_and_label(monkeypatch):
    rendered = []
    original = SyntheticVideo.frame
    monkeypatch.setattr(
        SyntheticVideo, "frame", lambda video, index: rendered.append(index) or original(video, index)
    )
    (clip,) = open_clips("synthetic:11").clips
    for _ in range(2):
        for index in (0, 1, 2):
            clip.image(index), clip.label(index)
    assert rendered == [0, 1, 2]


def test_clips_can_be_sent_to_other_processes():
    clips = open_clips("synthetic:7-9")
    assert pickle.loads(pickle.dumps(clips)) == clips


@pytest.mark.parametrize(
    "source, split, message",
    [
        (
            "synthetic:x",
            "val",
            "synthetic:x has no valid seed; give a whole number of 0 or more, or two as in 1000-1019",
        ),
        ("synthetic:9-5", "val", "seeds 9-5: the last is smaller than the first"),
        (
            "synthetic:1019",
            "train",
            "synthetic:1019 has seeds that are for evaluation only, 1000 to 1019; train with others",
        ),
        ("synthetic:900-1000", "train", "synthetic:900-1000 has seeds that are for evaluation only"),
        ("synthetic", "train", "seeds that are for evaluation only"),
    ],
)
def test_bad_seeds_are_refused(source, split, message):
    with pytest.raises(SourceError, match=message):
        open_clips(source, split)


def test_reserved_seeds_evaluate_and_others_train():
    assert open_clips("synthetic").name == "synthetic 1000"
    assert open_clips("synthetic:1000-1019", "val").name == "synthetic 1000-1019"
    assert open_clips("synthetic:0-999", "train").clips[-1].name == "synthetic 999"
    assert open_clips("synthetic:1020", "train").name == "synthetic 1020"


def test_frames_outside_a_clip_are_refused():
    (clip,) = open_clips("synthetic:7").clips
    for index in (-1, 75):
        for read in (clip.image, clip.label):
            with pytest.raises(SourceError, match=f"no frame {index} in synthetic 7; it has 75"):
                read(index)
