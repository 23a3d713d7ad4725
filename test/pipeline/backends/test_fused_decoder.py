# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The decoder as one loop gives the logits of the decoder in PyTorch, also of sampled and of bfloat16
contributions."""

import numpy as np
import pytest
import torch
from helpers import tiny_model

from dcfm_ros.model.alignment import aligned
from dcfm_ros.model.inference import fold
from dcfm_ros.pipeline.backends.decoder_weights import DecoderWeights
from dcfm_ros.pipeline.backends.feature_values import feature_values
from dcfm_ros.pipeline.backends.fused_decoder import fused_logits

HEIGHT, WIDTH = 9, 14


def parts_and_weights(**changes):
    decoder = fold(tiny_model(**changes)).decoder
    return decoder, DecoderWeights(
        np.ascontiguousarray(decoder.weight[:, :, 0, 0].numpy().T), decoder.classifier[:, :, 0, 0].numpy()
    )


def features(decoder, seed=0):
    """S and common contribution, (1, h, w, channels)."""
    rng = np.random.default_rng(seed)
    shape = (1, HEIGHT, WIDTH)
    return (
        rng.normal(size=(*shape, 32)).astype(np.float32),
        rng.normal(size=(*shape, decoder.weight.shape[0])).astype(np.float32),
    )


def by_torch(decoder, shallow, common, motion=None):
    first, second = (torch.from_numpy(value).permute(0, 3, 1, 2) for value in (shallow, common))
    if motion is not None:
        second = aligned(second, torch.from_numpy(motion)[None])
    with torch.no_grad():
        return decoder(first, second)[0].permute(1, 2, 0).numpy()


def motion_map(reach):
    rng = np.random.default_rng(2)
    signs = rng.choice([-1, 1], (HEIGHT, WIDTH, 2))
    return (reach * signs * rng.uniform(0.2, 1.0, (HEIGHT, WIDTH, 2))).astype(np.float32)


@pytest.mark.parametrize("used", [1, 4, 6, 32])
@pytest.mark.parametrize("classes", [2, 5])
@pytest.mark.parametrize("reach", [None, 2.0, 30.0])
def test_logits_are_those_of_pytorch(used, classes, reach):
    """For all numbers of shallow channels, and maps that reach beyond the border."""
    decoder, weights = parts_and_weights(classes=classes, shallow_used=used)
    shallow, common = features(decoder)
    motion = None if reach is None else motion_map(reach)
    found = fused_logits(weights, shallow[0], common[0], motion)
    assert found.dtype == np.float32 and found.shape == (HEIGHT, WIDTH, classes)
    np.testing.assert_allclose(found, by_torch(decoder, shallow, common, motion), atol=2e-5)


def test_cells_that_almost_stand_still_are_taken_as_they_are():
    decoder, weights = parts_and_weights()
    shallow, common = features(decoder)
    motion = np.full((HEIGHT, WIDTH, 2), 0.1, np.float32)
    np.testing.assert_array_equal(
        fused_logits(weights, shallow[0], common[0], motion),
        fused_logits(weights, shallow[0], common[0], None),
    )


def test_a_contribution_in_bfloat16_is_read_as_its_numbers():
    decoder, weights = parts_and_weights()
    shallow, common = features(decoder)
    stored = (common.view(np.uint32) >> 16).astype(np.uint16)
    rounded = np.ascontiguousarray(feature_values(stored).transpose(1, 2, 0))[None]
    assert 0.0 < np.abs(rounded - common).max() < 2**-7 * np.abs(common).max()
    motion = motion_map(3.0)
    np.testing.assert_allclose(
        fused_logits(weights, shallow[0], stored[0], motion),
        fused_logits(weights, shallow[0], rounded[0], motion),
        atol=1e-6,
    )


def test_features_that_are_all_zero_divide_by_nothing():
    decoder, weights = parts_and_weights()
    shallow, common = (np.zeros_like(value) for value in features(decoder))
    assert np.array_equal(
        fused_logits(weights, shallow[0], common[0], None), np.zeros((HEIGHT, WIDTH, len(weights.classes)))
    )
