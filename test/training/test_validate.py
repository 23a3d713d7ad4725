# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The score that chooses the best model: masks as keyframe and causal, at an age of half the radius."""

import math

import cv2
import numpy as np
import pytest
import torch
from helpers import tiny_model

from dcfm_ros.model.alignment import aligned
from dcfm_ros.model.fusion import resize
from dcfm_ros.motion.track import MotionTrack
from dcfm_ros.sources.clips import ClipSet, open_clips
from dcfm_ros.training.group import Group
from dcfm_ros.training.validate import _prepared, chosen, confusion, mean_iou, score

ALONE = Group(0, 1, torch.device("cpu"))


@pytest.fixture(scope="module")
def model():
    return tiny_model()


def test_confusion_and_mean_iou():
    label = torch.tensor([[0, 0, 1], [1, 255, 2]], dtype=torch.uint8)
    mask = torch.tensor([[0, 1, 1], [1, 0, 0]])
    counts = confusion(mask, label, 4)
    assert counts.tolist() == [[1, 1, 0, 0], [0, 2, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0]]
    assert mean_iou(counts) == pytest.approx((1 / 3 + 2 / 3 + 0) / 3)  # class 3 is not in the labels
    assert math.isnan(mean_iou(np.zeros((4, 4), np.int64)))


def test_frames_are_chosen_evenly(stills, video):
    data = open_clips(str(video), "train")
    assert [index for _, index in chosen(data, 0)] == [index for _, index in chosen(data, 5)] == [0, 3]
    data = ClipSet("many", data.classes, data.clips * 50, "")
    assert len(chosen(data, 0)) == 100 and chosen(data, 20) == chosen(data, 0)[2::5]


class Drive:
    """A clip of 6 frames of the network's size: each moves by 5 pixels from the one before. The first and the
    fourth are labelled."""

    name, length, labelled = "drive", 6, (0, 3)

    def __init__(self):
        rng = np.random.default_rng(0)
        noise = sum(
            cv2.GaussianBlur(rng.normal(size=(64, 140, 3)), (0, 0), sigma) * sigma for sigma in (3, 9)
        )
        self.scene, self.asked = np.clip(128 + 120 * noise, 0, 255).astype(np.uint8), []

    def image(self, index):
        self.asked.append(index)
        return self.scene[:, 5 * index : 5 * index + 96].copy()

    def label(self, index):
        return np.uint8(self.scene[:, 5 * index : 5 * index + 96, 0] // 64)


@pytest.mark.parametrize("align", (False, True))
def test_the_score_is_that_of_the_masks(model, align):
    """Frame 0 has none before it; frame 3 of radius 4 is served by frame 1, whose feature moves by way of
    frame 2."""
    data = Drive()
    found = score(model, ClipSet("video", (), (data,), ""), 0, 4, ALONE, align)
    assert set(data.asked) == ({0, 1, 2, 3} if align else {0, 1, 3})
    track = MotionTrack()
    for index in (1, 2, 3):
        track.add(data.image(index), index, {1})
    motion = torch.from_numpy(track.motion(3, 1).map)[None]
    assert motion[0, 4:-4, 4:-4].median(dim=0).values.median(dim=0).values.tolist() == pytest.approx(
        [2.5, 0], abs=0.1
    )
    counts = np.zeros((2, 4, 4), np.int64)
    model.eval()
    with torch.inference_mode():
        images = {index: _prepared(data.image(index), model, ALONE.device) for index in (0, 1, 3)}
        for index in (0, 3):
            mask = resize(model.keyframe(images[index]), (64, 96)).argmax(1)[0]
            counts[0] += confusion(mask, torch.from_numpy(data.label(index)), 4)
        common = model.features(images[1]).common
        common = aligned(common, motion) if align else common
        mask = resize(model.nonkey(images[3], common), (64, 96)).argmax(1)[0]
        counts[1] += confusion(mask, torch.from_numpy(data.label(3)), 4)
    keyframe, causal = mean_iou(counts[0]), mean_iou(counts[1])
    assert found == pytest.approx(
        {"score": (keyframe + causal) / 2, "keyframe": keyframe, "causal": causal}, abs=1e-5
    )


def test_stills_have_keyframe_masks_alone(model, stills):
    found = score(model, open_clips(str(stills)), 0, 8, ALONE)
    assert set(found) == {"score", "keyframe"} and found["score"] == found["keyframe"] > 0


@pytest.mark.parametrize("align", (False, True))
def test_per_frame_networks(video, align):
    found = score(tiny_model(architecture="per_frame"), open_clips(str(video), "train"), 0, 8, ALONE, align)
    assert set(found) == {"score", "keyframe"}


@pytest.mark.parametrize("backbone", ("mit_b0", "resnet18"))
def test_a_feature_has_moved_on_its_own_grid(backbone):
    """Those of a ResNet are of an eighth of the input, maps of a quarter. Images of another size are resized
    before."""
    model, data, used = tiny_model(backbone=backbone), Drive(), []
    data.image = lambda index: cv2.resize(Drive.image(data, index), (192, 128))
    model.nonkey = lambda image, common: used.append(common) or torch.zeros(1, 4, 8, 12)
    for align in (False, True):
        score(model, ClipSet("video", (), (data,), ""), 0, 4, ALONE, align)
    still, moved = used
    cells = 5 * 2 * still.shape[3] / 96  # in two frames
    expected = aligned(still, torch.tensor([cells, 0.0]).expand(1, *still.shape[2:], 2))
    inner = [tensor[..., 2:-2, 2:-4] for tensor in (still, moved, expected)]
    assert (inner[1] - inner[2]).abs().mean() < 0.1 * (inner[1] - inner[0]).abs().mean()


def test_where_nothing_is_known_to_move_features_stay(model):
    data = Drive()
    data.image = lambda index: np.full((64, 96, 3), 40 * index, np.uint8)
    still, moves = (
        score(model, ClipSet("video", (), (data,), ""), 0, 4, ALONE, align) for align in (False, True)
    )
    assert still == moves and "causal" in still


def test_the_model_goes_on_training_as_it_was(model, stills):
    model.train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    score(model, open_clips(str(stills)), 1, 8, ALONE)
    assert model.training and all(
        torch.equal(value, before[name]) for name, value in model.state_dict().items()
    )


def test_processes_share_the_frames_out(model, stills, monkeypatch):
    """Their counts together are those of one process."""
    from dcfm_ros.training import validate

    kept = []
    monkeypatch.setattr(validate, "summed", lambda counts: kept.append(counts) or counts)
    data = open_clips(str(stills))
    for group in (ALONE, Group(0, 2, ALONE.device), Group(1, 2, ALONE.device)):
        score(model, data, 0, 8, group)
    assert np.array_equal(kept[0], kept[1] + kept[2]) and kept[2][0].sum() == 64 * 96


@pytest.mark.parametrize(
    "height, width, expected", [(360, 480, (352, 480)), (720, 960, (352, 480)), (360, 640, (320, 576))]
)
def test_images_are_resized_to_what_the_network_likes(height, width, expected):
    model = tiny_model(1, input_height=360, input_width=480)
    assert _prepared(np.zeros((height, width, 3), np.uint8), model, ALONE.device).shape == (1, 3, *expected)
