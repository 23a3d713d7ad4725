# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The kernels of the GPU against the CPU's functions: run by Triton's interpreter where there is no GPU."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from dcfm_ros.model.alignment import aligned
from dcfm_ros.model.image import normalised
from dcfm_ros.model.normalisation import EFFICIENTNET_LITE, IMAGENET
from dcfm_ros.pipeline.backends.cuda import torch_kernels
from dcfm_ros.pipeline.postprocess import upsampled_argmax, upsampled_argmax_confidence

pytest.importorskip("triton", reason="Triton is not installed")
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
with pytest.MonkeyPatch.context() as patch:  # Triton reads this when a kernel is defined
    if DEVICE == "cpu":
        patch.setenv("TRITON_INTERPRET", "1")
    from dcfm_ros.pipeline.backends.cuda import triton_kernels as kernels

MODULES = [kernels, torch_kernels]
SIZES = [  # of the logits, of the mask
    ((15, 20), (60, 80)),  # stride 4
    ((15, 20), (67, 101)),  # not a whole number
    ((23, 17), (23, 17)),  # as it is
    ((20, 30), (13, 11)),  # down
    ((20, 30), (50, 11)),  # up and down
    ((1, 20), (30, 80)),  # one row
    ((20, 1), (80, 30)),
    ((1, 1), (9, 7)),
    ((9, 7), (1, 1)),
]
CLASS_COUNTS = [1, 2, 11, 124]


@pytest.fixture(autouse=True)
def few_programs(monkeypatch):
    """The interpreter takes a millisecond for each class of each program."""
    if DEVICE == "cpu":
        monkeypatch.setattr(kernels, "_PIXELS", 8192)


def make_logits(classes, size, seed=0):
    return torch.from_numpy(
        np.random.default_rng(seed).normal(0.0, 2.0, (1, classes, *size)).astype(np.float32)
    )


def labels(module, logits, size, with_confidence=True):
    result = module.upsampled_labels(logits.to(DEVICE), size, with_confidence)
    assert result.dtype == torch.uint8 and result.shape == (1 + with_confidence, *size)
    return result.cpu().numpy()


def clear(logits, size):
    """Return the pixels at which the winner leads by more than rounding."""
    if logits.shape[1] == 1:
        return np.ones(size, bool)
    best = F.interpolate(logits.double(), size, mode="bilinear", align_corners=False)[0].topk(2, dim=0).values
    return (best[0] - best[1] > 1e-4).numpy()


@pytest.mark.slow
@pytest.mark.parametrize("module", MODULES)
@pytest.mark.parametrize(
    "classes, small, large",
    [(11, *sizes) for sizes in SIZES] + [(classes, *SIZES[1]) for classes in CLASS_COUNTS if classes != 11],
)
def test_labels_are_those_of_the_cpu_away_from_ties(module, classes, small, large):
    logits = make_logits(classes, small)
    wanted, confidence = upsampled_argmax_confidence(logits[0].numpy(), large)
    found, certainty = labels(module, logits, large)
    sure = clear(logits, large)
    assert sure.mean() > 0.99 or sure.size < 200
    assert np.array_equal(found[sure], wanted[sure])
    assert np.abs(certainty.astype(int) - confidence).max() <= 1
    assert np.array_equal(
        labels(module, logits, large, with_confidence=False)[0][sure],
        upsampled_argmax(logits[0].numpy(), large)[sure],
    )


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_logits_of_less_precision_are_blended_in_float32(dtype):
    logits = make_logits(11, (15, 20)).to(dtype)
    wanted = labels(kernels, logits.float(), (67, 101))
    assert np.array_equal(labels(kernels, logits, (67, 101)), wanted)


def test_logits_with_classes_last_in_memory():
    logits = make_logits(11, (15, 20))
    assert np.array_equal(
        labels(kernels, logits.contiguous(memory_format=torch.channels_last), (67, 101)),
        labels(kernels, logits, (67, 101)),
    )


@pytest.mark.slow
@pytest.mark.parametrize("module", MODULES)
@pytest.mark.parametrize("classes", CLASS_COUNTS)
def test_on_a_plateau_the_first_class_wins(module, classes):
    for level in (-1e3, 0.0, 7.25):
        found, certainty = labels(module, torch.full((1, classes, 15, 20), level), (67, 101))
        assert not found.any()
        assert np.abs(certainty - 255.0 / classes).max() <= 1


@pytest.mark.parametrize("module", MODULES)
def test_two_classes_that_share_the_lead_everywhere_do_not_flicker(module):
    logits = make_logits(3, (10, 14))
    logits[0, 2] = logits[0, 1]
    assert 2 not in labels(module, logits, (75, 113))[0]


@pytest.mark.parametrize("module", MODULES)
def test_confidence_neither_overflows_nor_wraps(module):
    logits = torch.zeros(1, 3, 4, 4)
    logits[0, 1] = 3e4
    found, certainty = labels(module, logits, (16, 16))
    assert (found == 1).all() and (certainty == 255).all()
    found, certainty = labels(module, -logits, (16, 16))
    assert (found == 0).all() and (np.abs(certainty.astype(int) - 127) <= 1).all()


@pytest.mark.slow
@pytest.mark.parametrize("module", MODULES)
def test_all_255_class_ids_can_win(module):
    logits = np.zeros((255, 15, 17), np.float32)
    order = np.random.default_rng(0).permutation(255).reshape(15, 17)
    np.put_along_axis(logits, order[None], 1.0, axis=0)
    assert np.array_equal(labels(module, torch.from_numpy(logits)[None], (15, 17))[0], order)


@pytest.mark.parametrize("pixels", [32, 128])
def test_any_number_of_programs_gives_the_same_labels(monkeypatch, pixels):
    logits = make_logits(3, (5, 7))
    wanted = labels(kernels, logits, (19, 27))
    monkeypatch.setattr(kernels, "_PIXELS", pixels)
    assert np.array_equal(labels(kernels, logits, (19, 27)), wanted)


@pytest.mark.parametrize("module", MODULES)
@pytest.mark.parametrize("size", [(1, 1), (37, 53), (64, 96)])
@pytest.mark.parametrize(
    "dtype, error", [(torch.float32, 1e-6), (torch.float16, 2e-3), (torch.bfloat16, 2e-2)]
)
@pytest.mark.parametrize("norm", [IMAGENET, EFFICIENTNET_LITE])
def test_pixels_are_normalised_once_and_rounded_once(module, size, dtype, error, norm):
    image = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8))
    pixels = module.normalised_pixels(image.to(DEVICE), dtype, norm)
    wanted = normalised(image[None], norm)
    assert pixels.shape == (1, module.CHANNELS, *size) and pixels.dtype == dtype
    assert pixels.is_contiguous(memory_format=torch.channels_last)
    assert (pixels[:, :3].cpu().float() - wanted).abs().max() <= error
    assert not pixels[:, 3:].any()


def make_map(size, seed=1):
    """Beyond all borders here and there."""
    return torch.from_numpy(np.random.default_rng(seed).normal(0.0, 4.0, (*size, 2)).astype(np.float32))


@pytest.mark.slow
@pytest.mark.parametrize("module", MODULES)
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
# the interpreter cuts bfloat16 off
@pytest.mark.parametrize(
    "dtype, error", [(torch.float32, 1e-5), (torch.float16, 5e-4), (torch.bfloat16, 8e-3)]
)
@pytest.mark.parametrize(
    "channels, size", [(24, (9, 14)), (5, (17, 3)), (256, (4, 6)), (3, (1, 20)), (1, (20, 1)), (7, (1, 1))]
)
def test_features_move_as_in_training_and_are_rounded_once(module, layout, dtype, error, channels, size):
    feature, motion = make_logits(channels, size).to(dtype).contiguous(memory_format=layout), make_map(size)
    found = module.aligned(feature.to(DEVICE), motion.to(DEVICE))
    wanted = aligned(feature.float(), motion[None])
    assert found.dtype == dtype and found.shape == feature.shape
    assert (found.cpu().float() - wanted).abs().max() <= error * wanted.abs().max()
    # as the decoder reads it fastest
    assert module is torch_kernels or found.is_contiguous(memory_format=layout)


@pytest.mark.parametrize("cells", [4, 128])
def test_any_number_of_programs_moves_a_feature_alike(monkeypatch, cells):
    feature, motion = make_logits(3, (5, 7)).to(DEVICE), make_map((5, 7)).to(DEVICE)
    wanted = kernels.aligned(feature, motion)
    monkeypatch.setattr(kernels, "_CELLS", cells)
    assert torch.equal(kernels.aligned(feature, motion), wanted)


COMPILE = """
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from dcfm_ros.pipeline.backends.cuda import triton_kernels as kernels
from dcfm_ros.pipeline.backends.cuda.triton_kernels import _align, _label, _normalise

def binary(kernel, target, constants, **types):
    types.update((name, "constexpr") for name in constants)
    source = ASTSource(kernel, {name: types[name] for name in kernel.arg_names}, constants)
    return triton.compile(source, target=GPUTarget("cuda", target, 32)).asm["cubin"]

sizes = dict.fromkeys(("height", "width", "rows", "columns"), "i32")
scales = dict.fromkeys(("row_scale", "column_scale"), "fp32")
strides = dict.fromkeys(("of_channel", "of_row", "of_column", "to_channel", "to_row", "to_column"), "i32")
colours = dict(zip(_normalise.arg_names[3:9], (124.0, 116.0, 104.0, 0.017, 0.018, 0.0174)))
for target in (80, 90):
    for sure in (True, False):
        assert binary(_label, target, dict(CLASSES=124, WITH_CONFIDENCE=sure, BLOCK=kernels._PIXELS),
                      logits="*fp32", labels="*u8", **sizes, **scales)
    assert binary(_normalise, target, dict(colours, CHANNELS=kernels.CHANNELS, BLOCK=kernels._VALUES),
                  image="*u8", pixels="*fp16", count="i32")
    for kind in ("fp32", "fp16", "bf16"):
        # Triton makes ones constants, whatever the type of the features is.
        ones = ({}, dict(of_channel=1, to_channel=1), dict(height=1, width=1, channels=1))
        for constants in ones if kind == "fp16" else ones[:1]:
            assert binary(_align, target, dict(constants, CHANNELS=256, BLOCK=kernels._CELLS),
                          feature="*" + kind, motion="*fp32", result="*" + kind, height="i32", width="i32", channels="i32",
                          **strides)
print("compiled")
"""


@pytest.mark.slow
def test_kernels_compile_for_gpus(tmp_path):
    """Compile to machine code, which needs no GPU: Ampere and Hopper. In a separate process, where nothing is
    interpreted."""
    environment = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    environment.update(TRITON_CACHE_DIR=str(tmp_path), PYTHONPATH=str(Path(__file__).parents[4]))
    done = subprocess.run(
        [sys.executable, "-c", COMPILE], env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "compiled\n"
