# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Every architecture in every backend: the training form's logits, of ResNets with C smaller than S, at odd
sizes."""

import numpy as np
import pytest
import torch
from helpers import one_thread, tiny_model  # noqa: F401

from dcfm_ros.model.image import normalised
from dcfm_ros.pipeline.backend_table import TABLE, names_that_run
from dcfm_ros.pipeline.backends import make_backend

# Not ours: OpenVINO's converter traces, and PyTorch wants that no more.
pytestmark = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning:torch.jit", "ignore::torch.jit.TracerWarning"
)

SIZE = (66, 101)  # as 480x853 of published models, no stride divides it: grids of 17x26, 9x13, 5x7 and 3x4
KINDS = {
    "mit_b0": {"backbone": "mit_b0"},
    "per_frame_mit_b0": {"architecture": "per_frame", "backbone": "mit_b0"},
    "mit_b0_of_mmsegmentation": {"architecture": "per_frame", "backbone": "mit_b0", "fusion": "relu"},
    "pspnet18": {"backbone": "pspnet18", "common_width": 24, "head_layers": 1},
    "efficientnet_lite0": {"backbone": "efficientnet_lite0", "embed": 32, "shallow_used": 24},
    "resnet18": {"backbone": "resnet18"},
    "per_frame_pspnet18": {"architecture": "per_frame", "backbone": "pspnet18"},
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", names_that_run(on_gpu=False))
def test_logits_are_those_of_the_training_form(name, kind):
    if not TABLE[name].is_installed:
        pytest.skip(f"{name} is not installed")
    model = tiny_model(**KINDS[kind])
    backend = make_backend(name, model, "cpu", "f32")
    raw = [np.random.default_rng(seed).integers(0, 256, (*SIZE, 3), np.uint8) for seed in range(3)]
    pictures = [normalised(torch.from_numpy(picture)[None], model.config.normalisation) for picture in raw]
    shallow = [backend.shallow(picture) for picture in raw]
    common = [backend.deep(feature) for feature in shallow]
    with torch.inference_mode():
        wanted = {(0, 0): model.keyframe(pictures[0])}
        if backend.per_frame:
            wanted[1, 0] = wanted[0, 0]  # whatever S is
        else:
            kept = [model.features(picture).common for picture in pictures]
            wanted[1, 0] = model.nonkey(pictures[1], kept[0])
            wanted[1, 0, 2] = model.nonkey(pictures[1], kept[0], kept[2])
    for (own, *keyframes), logits in wanted.items():
        found = backend.decode(shallow[own], [common[number] for number in keyframes])
        assert found.dtype == np.float32 and found.shape == logits.shape[1:]
        assert np.abs(found - logits[0].numpy()).max() <= 1e-5
        assert np.ptp(found) > 1e-2  # a model that says something
    grid = (9, 13) if "net18" in kind else (17, 26)
    assert found.shape[1:] == grid
