# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Soft labels: what is kept of a teacher's probabilities, and the folder that holds them."""

import json
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml

from dcfm_ros.sources.clips import open_clips
from dcfm_ros.sources.clips.soft_labels import TOP, hard_labels, log_shares, packed
from dcfm_ros.sources.errors import SourceError


def cell(*shares):
    """Probabilities (classes, 1, 1)."""
    return np.float32(shares)[:, None, None]


@pytest.mark.parametrize(
    "shares, ids, codes",  # a code is 25 times the logarithm of 1 / share
    [
        ((0.1, 0.6, 0.3), (1, 2, 0, 255), (13, 30, 58, 255)),
        ((0.02, 0.5, 0.2, 0.15, 0.1, 0.03), (1, 2, 3, 4), (17, 40, 47, 58)),
        ((1.0, 0.0), (0, 255, 255, 255), (0, 255, 255, 255)),  # classes without a share are none
        ((0.4, 0.2), (0, 1, 255, 255), (10, 27, 255, 255)),  # 0.4 went to classes that are ignored
        ((0.3, 0.1), (255,) * 4, (255,) * 4),  # most of it did: no label
    ],
)
def test_the_most_probable_classes_are_kept_with_their_shares(shares, ids, codes):
    soft = packed(cell(*shares))
    assert soft.dtype == np.uint8 and soft.shape == (1, 1, 2 * TOP)
    assert tuple(soft[0, 0, :TOP]) == ids and tuple(soft[0, 0, TOP:]) == codes
    logs = log_shares(soft, len(shares))[0, 0]
    assert logs.shape == (len(shares) + 1,)
    if ids[0] != 255:
        kept = sorted(shares, reverse=True)[:TOP]
        expected = [share / sum(shares) if share in kept else 0 for share in shares]
        np.testing.assert_allclose(np.exp(logs[:-1]), expected, atol=0.012)
        assert np.exp(logs[-1]) < 1e-4
    else:
        assert logs[-1] == 0 and (np.exp(logs[:-1]) < 1e-4).all()


def test_hard_labels_are_the_teachers_mask():
    rng = np.random.default_rng(0)
    logits = 6 * np.stack([cv2.resize(rng.normal(size=(4, 6)), (24, 16)) for _ in range(6)])
    shares = np.exp(logits) / np.exp(logits).sum(0)
    mask = np.argmax([cv2.resize(one, (96, 64)) for one in logits], axis=0)
    label = hard_labels(packed(shares), 6)
    assert label.dtype == np.uint8 and label.shape == (64, 96)
    assert (label == mask).mean() > 0.99


def test_hard_labels_are_void_where_there_is_no_label():
    soft = packed(np.ones((2, 4, 4), np.float32) * 0.5)
    soft[:, 2:] = 255
    label = hard_labels(soft, 2)
    assert set(np.unique(label[:, :7])) <= {0, 1} and (label[:, 9:] == 255).all()


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


def not_an_array(path: Path):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("soft", b"text")


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
        (not_an_array, "holds no soft labels"),
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
