# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Masks of other sizes and classes, of logits in which every class wins somewhere."""

import numpy as np
import pytest
from helpers import tiny_model

from dcfm_ros.labels import IGNORE_LABEL
from dcfm_ros.model.class_map import ClassMap, MappedClass
from dcfm_ros.pipeline.backends.torch_cpu import TorchBackend
from dcfm_ros.pipeline.frames import Frame, Wanted
from dcfm_ros.pipeline.postprocess import upsampled_argmax, upsampled_argmax_confidence
from dcfm_ros.pipeline.segmenter import Segmenter
from dcfm_ros.pipeline.settings import MaskSize, Mode, PipelineConfig

SIZE = (64, 96)
LOGITS = np.random.default_rng(1).normal(0, 2, (4, 16, 24)).astype(np.float32)
IMAGE = np.random.default_rng(0).integers(0, 256, (8, 12, 3), np.uint8).repeat(8, 0).repeat(8, 1)
# Of four classes: 0 and 2 are one, 1 is another, 3 is ignored.
MERGED = ClassMap((MappedClass(9, "a", (1, 1, 1), (0, 2)), MappedClass(4, "b", (2, 2, 2), (1,))), 4)


class GivenLogits(TorchBackend):
    def decode(self, shallow, commons, motions=()):
        return LOGITS


def mask(mask_size="", class_map=None, wanted=Wanted()):
    segmenter = Segmenter(
        GivenLogits(tiny_model()),
        SIZE,
        PipelineConfig(Mode.SYNC, mask_size=mask_size),
        wanted=lambda camera: wanted,
        class_map=class_map,
    )
    try:
        return segmenter.process(Frame("", 0, IMAGE))[0]
    finally:
        segmenter.stop()


@pytest.mark.slow
@pytest.mark.parametrize(
    "text, size", [("", SIZE), ("0.5", (32, 48)), ("1/3", (21, 32)), ("40x30", (30, 40)), ("2", (128, 192))]
)
def test_a_mask_is_the_arg_max_of_the_logits_at_its_size(text, size):
    found = mask(text, wanted=Wanted(confidence=True))
    assert MaskSize(text).of(SIZE) == size == found.mask.shape == found.confidence.shape
    assert np.array_equal(found.mask, upsampled_argmax(LOGITS, size))


@pytest.mark.slow
def test_merged_classes_win_where_one_of_them_does():
    found, plain = mask(class_map=MERGED, wanted=Wanted(confidence=True)), upsampled_argmax(LOGITS, SIZE)
    assert set(np.unique(plain)) == {0, 1, 2, 3}
    assert np.array_equal(found.mask, np.array([9, 4, 9, IGNORE_LABEL], np.uint8)[plain])
    sums = upsampled_argmax_confidence(LOGITS, SIZE, np.array([0, 1, 0, -1]))[1]
    assert np.array_equal(found.confidence, sums)
    assert (sums[plain == 0] > upsampled_argmax_confidence(LOGITS, SIZE)[1][plain == 0]).any()
    assert np.array_equal(mask(class_map=MERGED).mask, found.mask)


@pytest.mark.slow
@pytest.mark.parametrize("class_map, classes", [(None, 4), (MERGED, 2)])
@pytest.mark.parametrize("kind, one", [(np.uint8, 255), (np.float32, 1)])
def test_probabilities_are_of_the_published_classes(class_map, classes, kind, one):
    found = mask("0.5", class_map, Wanted(confidence=True, probabilities=kind))
    assert found.probabilities.shape == (32, 48, classes) and found.probabilities.dtype == kind
    if class_map is None:
        assert np.abs(found.probabilities.sum(2, dtype=float) - one).max() <= 2 * one / 255
        own = np.take_along_axis(found.probabilities, found.mask[..., None].astype(int), 2)[..., 0]
    else:
        own = np.where(found.mask == 9, *np.moveaxis(found.probabilities, 2, 0))[found.mask != IGNORE_LABEL]
        found = type("", (), {"confidence": found.confidence[found.mask != IGNORE_LABEL]})
    assert np.abs(own.astype(float) / one - found.confidence / 255).max() < 0.005
    assert mask(class_map=class_map).probabilities is None


@pytest.mark.parametrize(
    "text", ["0", "-0.5", "640x", "x480", "0x10", "10x20x30", "20000x3", "5", "nan", "big", "1/0", "6.5x3"]
)
def test_sizes_that_are_none_are_refused(text):
    with pytest.raises(ValueError, match=f"mask_size '{text}': use WIDTHxHEIGHT"):
        PipelineConfig(mask_size=text)
