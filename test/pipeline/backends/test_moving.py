# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Common features that move through maps, in every backend: all is as if they had been moved beforehand."""

import numpy as np
import pytest
import torch
from cuda_helpers import without_gpu
from helpers import one_thread, tiny_model  # noqa: F401

from dcfm_ros.model.alignment import aligned
from dcfm_ros.motion.maps import on_grid
from dcfm_ros.pipeline.backends import make_backend
from dcfm_ros.pipeline.backends.cuda.backend import CUDABackend, Feature

# Not ours: converters trace, and PyTorch wants that no more.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::torch.jit.TracerWarning")

SIZE, GRID, CAMERA = (64, 96), (16, 24), (75, 113)


@pytest.fixture(scope="module")
def make(tmp_path_factory):
    """Makes each backend once; GPU and TensorRT are stand-ins."""
    made = {}

    def new(name, precision, architecture):
        model = tiny_model(architecture=architecture)
        if name == "cuda":
            return CUDABackend(model, "cuda", precision)
        if name != "tensorrt":
            pytest.importorskip(name, reason="OpenVINO is not installed")
            return make_backend(name, model, "cpu", precision)
        pytest.importorskip("onnxruntime", reason="ONNX Runtime is not installed")
        import tensorrt_helpers

        from dcfm_ros.pipeline.backends.tensorrt import backend as tensorrt
        from dcfm_ros.pipeline.backends.tensorrt import build_program as tensorrt_build

        tensorrt_helpers.without_tensorrt(patch)
        folder = tmp_path_factory.mktemp("engines") / "f32"
        tensorrt_build.build_engines(model, "tiny", folder, SIZE, precision, "cuda", lambda what: None)
        return tensorrt.TensorRTBackend(folder)

    def make(name, precision="f32", architecture="dcfm"):
        key = name, precision, architecture
        if key not in made:
            made[key] = new(*key)
        return made[key]

    with pytest.MonkeyPatch.context() as patch:
        without_gpu(patch)
        yield make


@pytest.fixture(
    ids=" ".join,
    params=[("torch", "f32"), ("openvino", "f32"), ("cuda", "f32"), ("cuda", "f16"), ("tensorrt", "f32")],
)
def backend(make, request):
    return make(*request.param)


def features(backend):
    """S of a frame, and the common features of two keyframes."""
    pictures = [np.random.default_rng(seed).integers(0, 256, (*SIZE, 3), np.uint8) for seed in range(3)]
    shallow, *others = [backend.shallow(picture) for picture in pictures]
    return shallow, [backend.deep(other) for other in others]


def make_map(seed):
    """Beyond all borders here and there; nothing all but stands still, which OpenVINO's backend copies."""
    rng = np.random.default_rng(seed)
    return (rng.uniform(0.5, 6.0, (*GRID, 2)) * rng.choice([-1, 1], (*GRID, 2))).astype(np.float32)


HERE, THERE = make_map(1), make_map(2)
NOISE = np.random.default_rng(3).uniform(-0.5, 0.5, (32, 48, 2)).astype(np.float32)
FINER = 2.0 * HERE.repeat(2, axis=0).repeat(2, axis=1) + NOISE
MAPS = {
    "one": [HERE],
    "of a finer grid": [FINER],
    "two": [HERE, THERE],
    "the first": [HERE, None],
    "the second": [None, FINER],
}


def content(feature):
    return torch.as_tensor(feature.tensor if isinstance(feature, Feature) else feature)


def moved(feature, motion):
    """The feature of a backend, moved beforehand."""
    if motion is None:
        return feature
    tensor, motion = content(feature), torch.from_numpy(on_grid(motion, GRID))[None]
    if isinstance(feature, np.ndarray):  # channels last
        return aligned(tensor.permute(0, 3, 1, 2), motion).permute(0, 2, 3, 1).contiguous().numpy()
    tensor = aligned(tensor, motion)
    return feature._replace(tensor=tensor) if isinstance(feature, Feature) else tensor


def everything(backend, shallow, commons, *motions):
    """Logits, mask and confidence, and the mask alone."""
    logits = backend.decode(shallow, commons, *motions).copy()
    alone, _ = backend.mask(shallow, commons, CAMERA, False, *motions)
    return logits, *backend.mask(shallow, commons, CAMERA, True, *motions), alone


def same(some, others):
    return all(np.array_equal(one, other) for one, other in zip(some, others, strict=True))


@pytest.mark.slow
@pytest.mark.parametrize("motions", MAPS.values(), ids=MAPS)
def test_all_is_as_if_features_had_been_moved_beforehand(backend, motions):
    shallow, commons = features(backend)
    commons = commons[: len(motions)]
    logits, mask, confidence, alone = everything(backend, shallow, commons, motions)
    wanted, wanted_mask, wanted_confidence, _ = everything(
        backend, shallow, list(map(moved, commons, motions))
    )
    assert np.abs(logits - wanted).max() <= 1e-4 * np.abs(wanted).max()
    assert (mask != wanted_mask).mean() < 0.001 and np.abs(
        confidence.astype(int) - wanted_confidence
    ).max() <= 1
    assert np.array_equal(mask, alone)
    still, still_mask, *_ = everything(backend, shallow, commons)
    assert np.abs(logits - still).max() > 0.1 * np.abs(still).max() and (mask != still_mask).mean() > 0.01


@pytest.mark.slow
def test_without_a_map_all_is_as_ever(backend):
    shallow, commons = features(backend)
    for used in (commons[:1], commons):
        wanted = everything(backend, shallow, used)
        everything(backend, shallow, used, [HERE, THERE][: len(used)])
        for nothing in ((), [None] * len(used)):
            assert same(everything(backend, shallow, used, nothing), wanted)


@pytest.mark.slow
def test_a_kept_feature_stays_and_moves_from_there_each_time(backend):
    shallow, commons = features(backend)
    before = [content(feature).clone() for feature in (shallow, *commons)]
    first = everything(backend, shallow, commons, [HERE, THERE])
    everything(backend, shallow, commons, [THERE, HERE])
    assert same(everything(backend, shallow, commons, [HERE, THERE]), first)
    assert all(torch.equal(content(feature), kept) for feature, kept in zip((shallow, *commons), before))


@pytest.mark.slow
def test_there_is_a_map_for_each_feature_or_none_at_all(backend):
    shallow, commons = features(backend)
    with pytest.raises(ValueError):
        backend.decode(shallow, commons, [HERE])


@pytest.mark.slow
@pytest.mark.parametrize("name", ["torch", "openvino", "cuda"])
def test_logits_of_a_per_frame_network_do_not_move(make, name):
    backend = make(name, architecture="per_frame")
    shallow, commons = features(backend)
    wanted = everything(backend, shallow, commons[:1])
    assert same(everything(backend, shallow, commons[:1], [HERE]), wanted)
