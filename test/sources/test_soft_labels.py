# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Soft labels: what is kept of a teacher's probabilities, and the folder that holds them."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml

from dcfm_ros.sources.clips import open_clips
from dcfm_ros.sources.clips.soft_labels import TOP, hard_labels, packed, soft_of_hard
from dcfm_ros.sources.errors import SourceError


def cell(*shares):
    """Probabilities (classes, 1, 1)."""
    return np.float32(shares)[:, None, None]


@pytest.mark.parametrize(
    "shares, ids, parts",
    [
        ((0.1, 0.6, 0.3), (1, 2, 0, 255), (153, 76, 26, 0)),
        ((0.02, 0.5, 0.2, 0.15, 0.1, 0.03), (1, 2, 3, 4), (128, 51, 38, 26)),
        ((1.0, 0.0), (0, 255, 255, 255), (255, 0, 0, 0)),  # classes without a share are none
        ((0.4, 0.2), (0, 1, 255, 255), (170, 85, 0, 0)),  # 0.4 went to classes that are ignored
        ((0.3, 0.1), (255,) * 4, (0,) * 4),  # most of it did: no label
    ],
)
def test_the_most_probable_classes_are_kept_with_their_shares(shares, ids, parts):
    soft = packed(cell(*shares))
    assert soft.dtype == np.uint8 and soft.shape == (1, 1, 2 * TOP)
    assert tuple(soft[0, 0, :TOP]) == ids
    np.testing.assert_allclose(soft[0, 0, TOP:].astype(int), parts, atol=1)


def test_hard_labels_are_the_most_probable_classes_at_the_images_size():
    shares = np.zeros((3, 2, 2), np.float32)
    shares[[0, 1, 2, 0], [0, 0, 1, 1], [0, 1, 0, 1]] = 1.0
    label = hard_labels(packed(shares))
    assert label.shape == (8, 8)
    assert [label[0, 0], label[3, 4], label[4, 3], label[7, 7]] == [0, 1, 2, 0]
    assert np.array_equal(hard_labels(soft_of_hard(label)), label)


def test_void_of_hard_labels_has_no_share():
    soft = soft_of_hard(np.full((8, 8), 255, np.uint8))
    assert (soft[..., :TOP] == 255).all() and not soft[..., TOP:].any()


@pytest.fixture
def folder(tmp_path):
    """A whole folder: one clip of two frames in each split."""
    frames = tmp_path / "frames"
    frames.mkdir()
    for number in range(2):
        cv2.imwrite(str(frames / f"{number}.jpg"), np.full((8, 12, 3), 100 * number, np.uint8))
        soft = packed(np.eye(3, dtype=np.float32)[number][:, None, None].repeat(2, 1).repeat(3, 2))
        np.savez_compressed(frames / f"{number}.npz", soft=soft)
    names = ("sky", "road", "car")
    classes = [{"name": name, "color": [number, 0, 0]} for number, name in enumerate(names)]
    (tmp_path / "classes.yaml").write_text(yaml.safe_dump({"classes": classes}))
    clip = {"name": "drive 0", "rate_hz": 15.0, "frames": ["0", "1"]}
    index = {"format": 1, "terms": "of the test", "clips": {"train": [clip], "val": [clip]}}
    (tmp_path / "soft_labels.json").write_text(json.dumps(index))
    return tmp_path


def test_it_is_a_data_set_like_others(folder):
    data = open_clips(str(folder), "val")
    (clip,) = data.clips
    assert (clip.name, clip.length, list(clip.labelled), data.terms) == ("drive 0", 2, [0, 1], "of the test")
    assert clip.image(1).shape == (8, 12, 3) and (clip.label(1) == 1).all()
    assert [name for name, _ in data.classes] == ["sky", "road", "car"]


def write(path: Path, **changes):
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.mark.parametrize(
    "spoil, message",
    [
        (lambda f: (f / "soft_labels.json").unlink(), "labelling is unfinished; run dcfm distil again"),
        (lambda f: (f / "soft_labels.json").write_text("{"), "is damaged"),
        (lambda f: write(f / "soft_labels.json", format=9), "has format 9, this version reads 1"),
        (lambda f: write(f / "soft_labels.json", clips={"train": []}), "has no split val"),
        (
            lambda f: write(
                f / "soft_labels.json",
                clips={"val": [{"name": "", "rate_hz": 1, "frames": ["../../secret"]}]},
            ),
            "lies outside frames/",
        ),
    ],
)
def test_a_folder_that_is_not_whole_is_refused(folder, spoil, message):
    (folder / "plan.json").write_text("{}")
    spoil(folder)
    with pytest.raises(SourceError, match=message):
        open_clips(str(folder), "val")


@pytest.mark.parametrize(
    "spoil, message",
    [
        (lambda path: path.write_bytes(path.read_bytes()[:40]), "not readable as soft labels"),
        (lambda path: np.savez(path, soft=np.zeros((2, 3, 5), np.uint8)), "holds no soft labels"),
        (lambda path: np.savez(path, soft=np.array([{}], dtype=object)), "not readable as soft labels"),
        (lambda path: np.savez(path, soft=np.full((2, 3, 8), 7, np.uint8)), "holds classes that"),
    ],
)
def test_a_damaged_frame_is_named(folder, spoil, message):
    spoil(folder / "frames" / "0.npz")
    with pytest.raises(SourceError, match=message) as error:
        open_clips(str(folder), "train").clips[0].label(0)
    assert "0.npz" in str(error.value)
