# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A start for the decoder of a DCFM model that begins as a per-frame one.

Its keyframes have nearly the masks of that model then, and training has to teach it only what to do with old
common features.

The per-frame model's logits are linear in the deep feature D: z = V D + b. DCFM's decoder sees D by its
direction alone, u = D / |D|, or by that of the bottleneck's output, C. The bottleneck keeps the directions
that span V, and those in which u varies most. The fusion ignores the shallow feature at first. Its channels
come in pairs: C's deviation from its mean along some directions, and the same with the other sign; of each
pair the ReLU passes one, and their difference is the deviation. The norm takes the mean off, as it does in
training. One more channel is constant: on it the classifier has what the mean gives each class, and b. What
|D| varies is lost: it scales the logits of all classes of a pixel alike.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from dcfm_ros.model.dcfm import DCFM, FeatureFusion
from dcfm_ros.model.per_frame import PerFrame

_PIXELS = 2000  # of each batch, by which directions, norms and spreads are measured


@torch.no_grad()
def start_decoder(model: DCFM, origin: PerFrame, batches: Iterable[Tensor]) -> list[str]:
    """Set bottleneck, FFM and head so that keyframes get the masks of `origin`, whose encoder and fusion the
    model has already. Return the classes that `origin` lacks: their rows of the classifier stay as they are.

    batches: normalised images (B, 3, H, W), by which norms and spreads are measured
    """
    names = origin.config.class_names
    rows = [(new, names.index(name)) for new, name in enumerate(model.config.class_names) if name in names]
    olds = [old for _, old in rows]
    assert origin.classifier.bias is not None
    classifier, offset = origin.classifier.weight[olds, :, 0, 0], origin.classifier.bias[olds]  # V, b
    deep = _deep_pixels(model, batches)  # D, (pixels, deep)
    common = nn.functional.normalize(deep, dim=1)
    if isinstance(model.bottleneck, nn.Conv2d):
        kept = _directions(classifier, common, model.bottleneck.out_channels)
        model.bottleneck.weight.zero_()
        model.bottleneck.weight[: len(kept), :, 0, 0] = kept
        common, classifier = common @ kept.T, classifier @ kept.T
    length = deep.norm(dim=1) * common.norm(dim=1)  # what the decoder does not see
    common = nn.functional.normalize(common, dim=1)
    mean = common.mean(0)
    pairs = _directions(classifier, common - mean, (model.config.common_channels - 1) // 2)
    pairs = torch.cat([pairs, -pairs])
    fused = _fuse(model.ffm, pairs, common)
    if isinstance(model.head.hidden, nn.Sequential):
        conv, norm = model.head.hidden[0], model.head.hidden[1]
        assert isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d)
        _hand_on(conv, norm, nn.functional.normalize(fused, dim=1))
    of_channels = classifier @ pairs.T * (common - mean).norm(dim=1).mean()
    constant = classifier @ mean + offset / length.mean()
    scale = (length * fused.norm(dim=1)).mean()
    for (new, _), row, last in zip(rows, of_channels, constant):
        model.head.classifier.weight[new] = 0.0
        model.head.classifier.weight[new, : len(row), 0, 0] = scale * row
        model.head.classifier.weight[new, -1] = scale * last
    return [name for name in model.config.class_names if name not in names]


def _fuse(ffm: FeatureFusion, pairs: Tensor, common: Tensor) -> Tensor:
    """Make the FFM give the deviations of C from its mean along these directions, in units of the mean
    deviation, and a constant 1 in the last channel. Return what it gives for samples of C, before it is made
    unit length."""
    count = len(pairs)
    ffm.conv.weight.zero_()
    ffm.conv.weight[:count, : pairs.shape[1], 0, 0] = pairs
    assert ffm.conv.bias is not None
    ffm.conv.bias.zero_()
    along, unit_of = common @ pairs.T, (common - common.mean(0)).norm(dim=1).mean()
    assert ffm.norm.running_mean is not None and ffm.norm.running_var is not None
    ffm.norm.bias.zero_()
    ffm.norm.running_mean[:count] = along.mean(0)
    ffm.norm.running_var[:count] = along.var(0, unbiased=False)
    ffm.norm.weight[:count] = (along.var(0, unbiased=False) + ffm.norm.eps).sqrt() / unit_of
    ffm.norm.bias[-1] = 1.0
    fused = torch.zeros(len(common), ffm.conv.out_channels)
    fused[:, :count] = torch.relu((along - along.mean(0)) / unit_of)
    fused[:, -1] = 1.0
    return fused


def _deep_pixels(model: DCFM, batches: Iterable[Tensor]) -> Tensor:
    """Return D (n, deep) of some pixels of each batch."""
    was_training, found = model.training, []
    model.eval()
    for images in batches:
        pixels = model.deep(model.shallow(images)).float().permute(0, 2, 3, 1).flatten(0, 2)
        found.append(pixels[:: max(1, len(pixels) // _PIXELS)])
    model.train(was_training)
    return torch.cat(found)


def _directions(classifier: Tensor, samples: Tensor, count: int) -> Tensor:
    """Return up to `count` orthonormal rows: those that span the classifier, then the main ones of the
    samples."""
    of_classes = torch.linalg.svd(classifier, full_matrices=False).Vh[:count]
    rest = samples - (samples @ of_classes.T) @ of_classes
    main = torch.linalg.svd(rest.T @ rest, full_matrices=False).Vh[: count - len(of_classes)]
    return torch.cat([of_classes, main])


def _hand_on(conv: nn.Conv2d, norm: nn.BatchNorm2d, samples: Tensor) -> None:
    """Make convolution and norm hand the first channels on as they are: the convolution by the identity, the
    norm by a scale and an offset that undo what it does to the samples (n, channels)."""
    number = torch.arange(samples.shape[1])
    conv.weight.zero_()
    conv.weight[number, number] = 1.0
    if conv.bias is not None:
        conv.bias.zero_()
    mean, variance = samples.mean(0), samples.var(0, unbiased=False)
    for own, measured in (
        (norm.running_mean, mean),
        (norm.running_var, variance),
        (norm.bias, mean),
        (norm.weight, (variance + norm.eps).sqrt()),
    ):
        assert own is not None
        own[: samples.shape[1]] = measured
