# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Metrics against a slow and obvious reference, and by hand."""

import numpy as np
import pytest

from dcfm_ros.metrics.confusion import ConfusionMatrix
from dcfm_ros.metrics.consistency import RunLengths, consistency_windows, steady_share


def masks(count, ids, seed=0, size=(12, 17)):
    return list(np.random.default_rng(seed).choice(np.array(ids, np.uint8), (count, *size)))


def reference_scores(pairs, classes):
    """IoU by class, mIoU, mIoU over all, wIoU and pixel accuracy, from sets of pixels."""
    predicted, labelled = (np.concatenate([pair[k].ravel() for pair in pairs]) for k in (0, 1))
    predicted, labelled = predicted[labelled != 255], labelled[labelled != 255]
    iou, share = [], []
    for c in range(classes):
        union = np.sum((predicted == c) | (labelled == c))
        present = np.any(labelled == c)
        iou.append(np.sum((predicted == c) & (labelled == c)) / union if present else np.nan)
        share.append(np.mean(labelled == c))
    zeroed = np.nan_to_num(iou)
    return iou, np.nanmean(iou), zeroed.mean(), np.sum(zeroed * share), np.mean(predicted == labelled)


def reference_consistency(predictions, labels, n):
    """mVC_n as the definition reads: frames i+1..i+n-1 against frame i."""
    windows = []
    for i in range(len(labels) - n):
        steady = np.ones(labels[i].shape, bool)
        kept = np.ones(labels[i].shape, bool)
        for k in range(i + 1, i + n):
            steady &= labels[k] == labels[i]
            kept &= predictions[k] == predictions[i]
        windows.append((steady & kept).sum() / steady.sum() if steady.any() else 0.0)
    return windows


@pytest.mark.parametrize(
    "predicted, labelled",
    [
        ([0, 1, 2, 3, 4], [0, 1, 2, 3, 4, 255]),
        ([0, 1, 2, 3, 4, 17, 255], [0, 1, 3, 255]),  # predictions that are no class; labels without 2 and 4
        ([255], [0, 1]),
    ],
)
def test_scores_equal_the_reference(predicted, labelled):
    pairs = list(zip(masks(4, predicted), masks(4, labelled, seed=1)))
    matrix = ConfusionMatrix(5)
    for prediction, label in pairs:
        matrix.add(prediction, label)
    iou, miou, miou_all, wiou, accuracy = reference_scores(pairs, 5)
    np.testing.assert_allclose(matrix.iou(), iou, rtol=1e-12)
    np.testing.assert_allclose(
        [matrix.miou, matrix.miou_all, matrix.wiou, matrix.pixel_accuracy],
        [miou, miou_all, wiou, accuracy],
        rtol=1e-12,
    )


def test_scores_by_hand():
    matrix = ConfusionMatrix(3)
    matrix.add(np.array([[0, 0, 1, 1, 1]], np.uint8), np.array([[0, 0, 0, 1, 255]], np.uint8))
    np.testing.assert_allclose(matrix.iou(), [2 / 3, 1 / 2, np.nan])
    assert matrix.miou == pytest.approx(7 / 12)
    assert matrix.miou_all == pytest.approx(7 / 18)
    assert matrix.wiou == pytest.approx(0.75 * 2 / 3 + 0.25 / 2)
    assert matrix.pixel_accuracy == 0.75


def test_a_prediction_that_is_no_class_is_wrong_and_not_left_out():
    matrix = ConfusionMatrix(2)
    matrix.add(np.array([[0, 255, 7, 1]], np.uint8), np.array([[0, 0, 0, 1]], np.uint8))
    np.testing.assert_allclose(matrix.iou(), [1 / 3, 1])
    assert matrix.pixel_accuracy == 0.5


def test_a_missing_mask_is_wrong_everywhere():
    label = np.array([[0, 1, 1, 255]], np.uint8)
    matrix = ConfusionMatrix(2)
    matrix.add(np.array([[0, 1, 1, 1]], np.uint8), label)
    assert matrix.miou == 1
    matrix.add_missing(label)
    np.testing.assert_allclose(matrix.iou(), [0.5, 0.5])
    assert matrix.pixel_accuracy == 0.5


def test_255_classes_leave_only_255_void():
    matrix = ConfusionMatrix(255)
    values = np.arange(256, dtype=np.uint8)[None]
    matrix.add(values, values)
    assert matrix.miou == 1 and matrix.counts.sum() == 255


def test_no_labelled_pixel_gives_nan():
    matrix = ConfusionMatrix(2)
    matrix.add(np.zeros((2, 2), np.uint8), np.full((2, 2), 255, np.uint8))
    assert np.isnan([*matrix.iou(), matrix.miou, matrix.wiou, matrix.pixel_accuracy]).all()
    assert matrix.miou_all == 0


def test_counts_have_room_for_long_runs():
    matrix = ConfusionMatrix(2)
    matrix.counts[0, 0] = 1 << 40
    matrix.add(np.zeros((2, 2), np.uint8), np.zeros((2, 2), np.uint8))
    assert matrix.counts[0, 0] == (1 << 40) + 4


@pytest.mark.parametrize("n", [2, 3, 8])
def test_consistency_equals_the_reference(n):
    # Values seldom change from frame to frame, so that some pixels stand still for a whole window.
    rng = np.random.default_rng(n)
    videos = []
    for _ in range(2):
        video = [rng.integers(0, 3, (9, 11), dtype=np.uint8)]
        for _ in range(14):
            changed = rng.random((9, 11)) < 0.1
            video.append(np.where(changed, rng.choice(np.array([0, 1, 255], np.uint8), (9, 11)), video[-1]))
        videos.append(video)
    windows = consistency_windows(*videos, n)
    assert len(windows) == 15 - n and 0 < windows.mean() < 1
    np.testing.assert_allclose(windows, reference_consistency(*videos, n))


def test_consistency_by_hand():
    labels = [np.array([[0, 0, 1, 255]], np.uint8)] * 4
    predictions = [
        np.array([row], np.uint8) for row in ([5, 2, 1, 0], [5, 2, 1, 1], [5, 3, 1, 1], [5, 3, 0, 1])
    ]
    # Two windows of two frames; the change of the last frame is in the window that the published code misses.
    assert consistency_windows(predictions, labels, 2).tolist() == [0.75, 0.75]
    assert consistency_windows(predictions, labels, 3).tolist() == [0.5]


def test_consistency_of_labels_that_never_stand_still_is_zero():
    flicker = [np.full((3, 3), t % 2, np.uint8) for t in range(5)]
    assert consistency_windows([flicker[0]] * 5, flicker, 2).tolist() == [0, 0, 0]


def test_short_videos_have_no_window():
    video = masks(8, [0, 1])
    assert consistency_windows(video, video, 8).shape == (0,)
    assert consistency_windows([], [], 8).shape == (0,)


@pytest.mark.parametrize("classes", [0, 256])
def test_a_bad_number_of_classes_is_refused(classes):
    with pytest.raises(ValueError, match=f"classes is {classes}; give a whole number from 1 to 255"):
        ConfusionMatrix(classes)


@pytest.mark.parametrize(
    "prediction, label, message",
    [
        (
            np.zeros((2, 3), np.uint8),
            np.zeros((3, 2), np.uint8),
            r"prediction has shape \(2, 3\) but label \(3, 2\)",
        ),
        (np.zeros((2, 3), np.int64), np.zeros((2, 3), np.uint8), "prediction has .* type int64; give"),
        (np.zeros((2, 3), np.uint8), np.zeros((2, 3, 1), np.uint8), r"label has shape \(2, 3, 1\)"),
        (
            np.zeros((2, 3), np.uint8),
            np.full((2, 3), 4, np.uint8),
            "label holds the id 4, but there are 2 classes",
        ),
    ],
)
def test_bad_masks_are_refused(prediction, label, message):
    matrix = ConfusionMatrix(2)
    with pytest.raises(ValueError, match=message):
        matrix.add(prediction, label)
    assert not matrix.counts.any()


@pytest.mark.parametrize(
    "predictions, labels, n, message",
    [
        (masks(5, [0]), masks(4, [0]), 2, "5 predictions for 4 labels"),
        (masks(5, [0]), masks(5, [0]), 1, "n is 1; give a window of at least 2 frames"),
        (masks(3, [0]), masks(3, [0], size=(4, 4)), 2, "bring the prediction to the size of the label"),
        (
            masks(2, [0]) + masks(2, [0], size=(4, 4)),
            masks(2, [0]) + masks(2, [0], size=(4, 4)),
            2,
            "frame 2 has shape .* need one size",
        ),
    ],
)
def test_bad_videos_are_refused(predictions, labels, n, message):
    with pytest.raises(ValueError, match=message):
        consistency_windows(predictions, labels, n)


def test_merged_matrices_count_what_one_would():
    rng = np.random.default_rng(5)
    frames = [rng.integers(0, 4, (2, 6, 7), dtype=np.uint8) for _ in range(3)]
    whole, merged = ConfusionMatrix(4), ConfusionMatrix(4)
    for prediction, label in frames:
        whole.add(prediction, label)
        single = ConfusionMatrix(4)
        single.add(prediction, label)
        merged.merge(single)
    assert np.array_equal(whole.counts, merged.counts)
    with pytest.raises(ValueError, match="a matrix of 3 classes cannot be merged into one of 4"):
        merged.merge(ConfusionMatrix(3))


def test_run_lengths_by_hand():
    runs = RunLengths(16)
    for row, wanted in (([7, 7, 255], [1, 1, 1]), ([7, 1, 255], [2, 1, 2]), ([7, 7, 255], [3, 1, 3])):
        runs.add(np.array([row], np.uint8))
        assert runs.length.tolist() == [wanted]


@pytest.mark.parametrize("longest, kind", [(3, np.uint8), (16, np.uint8), (300, np.uint16)])
def test_run_lengths_stop_at_the_longest_that_is_asked_for(longest, kind):
    """Whole lengths, counted without end, are longer than that only where it does not matter."""
    rng = np.random.default_rng(longest)
    mask, runs, whole = np.zeros((20, 30), np.uint8), RunLengths(longest), np.zeros((20, 30), np.int64)
    changes = 0.5 / longest
    for _ in range(4 * longest):
        changed = rng.random(mask.shape) < changes
        mask = np.where(changed, mask ^ 1, mask)
        whole = np.where(changed, 1, whole + 1)
        runs.add(mask)
        assert runs.length.dtype == kind and np.array_equal(runs.length, np.minimum(whole, longest))
    assert whole.max() > longest and steady_share(runs, runs, longest) == 1.0
