# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Cityscapes' layouts: snippets of 30 frames, and stills."""

import numpy as np
import pytest

from dcfm_ros.sources.classes import CITYSCAPES19
from dcfm_ros.sources.clips import open_clips
from dcfm_ros.sources.errors import SourceError

SEQUENCES, STILLS, LABELS = "leftImg8bit_sequence", "leftImg8bit", "gtFine"


def write_snippet(tree, city, sequence, labelled, split="val"):
    for frame in range(labelled - 19, labelled + 11):
        tree.image(
            f"{SEQUENCES}/{split}/{city}/{city}_{sequence:06d}_{frame:06d}_leftImg8bit.png", frame % 256
        )
    write_label(tree, city, sequence, labelled, split)


def write_label(tree, city, sequence, frame, split="val"):
    tree.label(
        f"{LABELS}/{split}/{city}/{city}_{sequence:06d}_{frame:06d}_gtFine_labelTrainIds.png", frame % 19
    )


@pytest.fixture
def sequences(tree):
    """One snippet of its own, and two of one long sequence that follow each other."""
    write_snippet(tree, "ulm", 2, 19)
    write_snippet(tree, "bad_aibling", 0, 119)
    write_snippet(tree, "bad_aibling", 0, 149)
    return tree


def test_snippets_lie_around_their_labelled_frame(sequences):
    clips = open_clips(sequences.root)
    assert (clips.name, clips.classes) == ("cityscapes val", CITYSCAPES19)
    assert "non-commercial" in clips.terms
    assert [clip.name for clip in clips.clips] == [
        "bad_aibling_000000_000119",
        "bad_aibling_000000_000149",
        "ulm_000002_000019",
    ]
    for clip, labelled in zip(clips.clips, (119, 149, 19)):
        assert (clip.length, clip.rate_hz, list(clip.labelled)) == (30, 17.0, [19])
        assert [clip.image(i)[0, 0, 0] for i in range(30)] == list(range(labelled - 19, labelled + 11))
        assert set(np.unique(clip.label(19))) == {labelled % 19, 255}


def test_stills_where_there_are_no_sequences(tree):
    for frame in (19, 49):
        tree.image(f"{STILLS}/val/ulm/ulm_000000_{frame:06d}_leftImg8bit.png", frame)
        write_label(tree, "ulm", 0, frame)
    clips = open_clips(tree.root)
    assert clips.name == "cityscapes val (stills)"
    assert [(clip.name, clip.length, list(clip.labelled)) for clip in clips.clips] == [
        ("ulm_000000_000019", 1, [0]),
        ("ulm_000000_000049", 1, [0]),
    ]
    assert clips.clips[1].image(0)[0, 0, 0] == 49 and clips.clips[1].label(0)[1, 0] == 49 % 19


def test_sequences_go_before_stills(sequences):
    sequences.image(f"{STILLS}/val/ulm/ulm_000002_000019_leftImg8bit.png")
    assert open_clips(sequences.root).clips[0].length == 30


def test_missing_frames_are_named(sequences):
    for frame in (100, 128):
        sequences.remove(f"{SEQUENCES}/val/bad_aibling/bad_aibling_000000_{frame:06d}_leftImg8bit.png")
    with pytest.raises(
        SourceError,
        match=(
            "cityscapes val lacks 2 file.*val/bad_aibling/bad_aibling_000000_000100_leftImg8bit.png, "
            ".*bad_aibling_000000_000128_leftImg8bit.png; add them"
        ),
    ):
        open_clips(sequences.root)


def test_missing_labels_are_named(sequences):
    for city, name in (("bad_aibling", "000000_000149"), ("ulm", "000002_000019")):
        sequences.remove(f"{LABELS}/val/{city}/{city}_{name}_gtFine_labelTrainIds.png")
    with pytest.raises(
        SourceError,
        match=(
            "cityscapes val lacks 2 "
            "file.*gtFine/val/bad_aibling/bad_aibling_000000_000149_gtFine_labelTrainIds.png, "
            ".*gtFine/val/ulm/ulm_000002_000019_gtFine_labelTrainIds.png;"
        ),
    ):
        open_clips(sequences.root)


def test_missing_stills_and_their_labels_are_named(tree):
    tree.image(f"{STILLS}/val/ulm/ulm_000000_000019_leftImg8bit.png")
    write_label(tree, "ulm", 0, 49)
    with pytest.raises(
        SourceError,
        match=(
            r"cityscapes val \(stills\) lacks 2 file.*leftImg8bit/val/ulm/ulm_000000_000049_leftImg8bit.png, "
            ".*ulm_000000_000019_gtFine_labelTrainIds.png"
        ),
    ):
        open_clips(tree.root)


def test_labels_that_were_not_converted(tree):
    tree.image(f"{STILLS}/val/ulm/ulm_000000_000019_leftImg8bit.png")
    tree.label(f"{LABELS}/val/ulm/ulm_000000_000019_gtFine_labelIds.png")
    with pytest.raises(
        SourceError,
        match=r"no labels in .*gtFine/val; expected <city>/\*_gtFine_labelTrainIds.png, "
        "which csCreateTrainIdLabelImgs",
    ):
        open_clips(tree.root)


def test_splits_that_are_not_there(sequences):
    with pytest.raises(SourceError, match="no images of a split train in .*Splits that are there: val"):
        open_clips(sequences.root, "train")


def test_other_names_are_refused(sequences):
    sequences.image(f"{SEQUENCES}/val/ulm/bonn_000002_000019_leftImg8bit.png")
    with pytest.raises(
        SourceError, match="bonn_000002_000019_leftImg8bit.png is not named as in Cityscapes; expected ulm"
    ):
        open_clips(sequences.root)
