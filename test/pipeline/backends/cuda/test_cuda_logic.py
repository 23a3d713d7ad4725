# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The CUDA backend's own logic on the CPU: what runs on which stream, what waits for what, whose memory a
result is.

Streams are fakes whose graphs overwrite their results, as CUDA graphs do. With a GPU, see test_cuda.py.
"""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from cuda_helpers import FakeStream, without_gpu
from helpers import one_thread, tiny_model  # noqa: F401
from pipeline_helpers import in_thread, join

from dcfm_ros.model.image import normalised
from dcfm_ros.model.inference import fold
from dcfm_ros.model.normalisation import IMAGENET
from dcfm_ros.pipeline import backends
from dcfm_ros.pipeline.backends import BackendError, make_backend
from dcfm_ros.pipeline.backends.cuda import backend as cuda
from dcfm_ros.pipeline.backends.cuda import torch_kernels
from dcfm_ros.pipeline.backends.cuda.backend import CUDABackend, convert_for_gpu
from dcfm_ros.pipeline.postprocess import upsampled_argmax, upsampled_argmax_confidence

CPU = torch.device("cpu")
SIZE, OTHER, CAMERA = (64, 96), (96, 64), (75, 113)
KINDS = {
    "mit_b0": {"backbone": "mit_b0"},
    "per_frame_mit_b0": {"architecture": "per_frame", "backbone": "mit_b0"},
    "pspnet18": {"backbone": "pspnet18", "common_width": 24, "head_layers": 1},
    "resnet18": {"backbone": "resnet18"},
}


@pytest.fixture
def make(monkeypatch):
    """Makes a CUDABackend on the CPU, with PyTorch's operations for kernels; `make.log` has what its streams
    did."""
    without_gpu(monkeypatch)

    def make(precision="f32", **changes):
        return CUDABackend(tiny_model(**changes), "cuda", precision)

    make.log = FakeStream.log
    return make


def image(size=SIZE, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (*size, 3), np.uint8)


def tensor(picture):
    return normalised(torch.from_numpy(picture)[None], IMAGENET)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("precision, tolerance", [("f32", 1e-5), ("bf16", 0.05), ("f16", 0.01)])
def test_logits_are_those_of_the_training_form(make, kind, precision, tolerance):
    backend, model = make(precision, **KINDS[kind]), tiny_model(**KINDS[kind])
    pictures = [image((66, 101), seed) for seed in range(3)]
    shallow = [backend.shallow(picture) for picture in pictures]
    common = [backend.deep(feature) for feature in shallow]
    with torch.inference_mode():
        wanted = {(0, 0): model.keyframe(tensor(pictures[0]))}
        if not backend.per_frame:
            kept = [model.features(tensor(picture)).common for picture in pictures]
            wanted[1, 0] = model.nonkey(tensor(pictures[1]), kept[0])
            wanted[1, 0, 2] = model.nonkey(tensor(pictures[1]), kept[0], kept[2])
    for (own, *keyframes), logits in wanted.items():
        found = backend.decode(shallow[own], [common[number] for number in keyframes])
        assert found.dtype == np.float32 and found.shape == logits.shape[1:]
        assert np.abs(found - logits[0].numpy()).max() <= tolerance * logits.abs().max()
    assert backend.status()["without CUDA graph"] == "0"


def test_masks_are_those_of_the_logits(make):
    backend = make()
    shallow = backend.shallow(image())
    commons = [backend.deep(shallow), backend.deep(backend.shallow(image(seed=1)))]
    for used in (commons[:1], commons):
        logits = backend.decode(shallow, used).copy()
        mask, confidence = backend.mask(shallow, used, CAMERA, with_confidence=True)
        wanted, certainty = upsampled_argmax_confidence(logits, CAMERA)
        values = (
            F.interpolate(torch.from_numpy(logits)[None], CAMERA, mode="bilinear")[0].topk(2, dim=0).values
        )
        sure = (values[0] - values[1] > 1e-4).numpy()
        assert mask.shape == confidence.shape == CAMERA and mask.dtype == confidence.dtype == np.uint8
        assert (
            np.array_equal(mask[sure], wanted[sure]) and np.abs(confidence.astype(int) - certainty).max() <= 1
        )
        same, nothing = backend.mask(shallow, used, CAMERA)
        assert np.array_equal(same, mask) and nothing is None
        assert np.array_equal(same[sure], upsampled_argmax(logits, CAMERA)[sure])


@pytest.mark.slow
def test_features_and_masks_are_their_owners(make):
    """Graphs and transfers reuse their memory; what was returned before stays."""
    backend = make()
    first = backend.shallow(image(seed=1))
    common = backend.deep(first)
    mask, confidence = backend.mask(first, [common], CAMERA, True)
    before = first.tensor.clone(), common.tensor.clone(), mask.copy(), confidence.copy()
    for size, camera in ((SIZE, CAMERA), (OTHER, (20, 10)), (SIZE, CAMERA)):
        other = backend.shallow(image(size, 5))
        backend.mask(other, [backend.deep(other)], camera, True)
    assert torch.equal(first.tensor, before[0]) and torch.equal(common.tensor, before[1])
    assert np.array_equal(mask, before[2]) and np.array_equal(confidence, before[3])
    assert np.array_equal(backend.mask(first, [common], CAMERA)[0], mask)


def test_maps_of_any_size_share_memory(make):
    """Larger ones and ones of other shapes come in between."""
    backend, masks = make(), []
    for size in (SIZE, OTHER, (128, 160), SIZE, (128, 160)):
        shallow = backend.shallow(image(size))
        motion = np.random.default_rng(0).normal(0.0, 4.0, (size[0] // 4, size[1] // 4, 2)).astype(np.float32)
        masks.append(backend.mask(shallow, 2 * [backend.deep(shallow)], CAMERA, True, [motion, None]))
        motion[:] = 0  # it may change once the mask is there
    for first, again in ((0, 3), (2, 4)):
        assert all(np.array_equal(one, other) for one, other in zip(masks[first], masks[again]))


def test_an_image_may_change_after_the_shallow_path(make):
    backend, picture = make(), image()
    wanted = backend.shallow(picture).tensor
    shallow = backend.shallow(picture)
    picture[:] = 0
    assert torch.equal(shallow.tensor, wanted)


def test_features_say_how_large_they_are(make):
    backend = make("f16")
    shallow = backend.shallow(image())
    assert shallow.nbytes == 2 * 32 * 16 * 24
    assert backend.deep(shallow).nbytes == 2 * 256 * 16 * 24


def test_who_runs_where_and_waits_for_what(make):
    backend = make()
    shallow = backend.shallow(image())
    common = backend.deep(shallow)
    make.log.clear()
    shallow = backend.shallow(image())
    # the last image has left
    assert make.log == [("host waits for", "frames"), ("frames", "runs", "shallow")]
    make.log.clear()
    backend.deep(shallow)
    assert make.log == [
        ("keyframes", "waits for", "frames"),
        ("keyframes", "runs", "deep"),
        ("host waits for", "keyframes"),
    ]
    make.log.clear()
    backend.mask(shallow, [common, common], CAMERA)
    assert make.log == 2 * [("frames", "waits for", "keyframes")] + [
        ("frames", "runs", "mask"),
        ("host waits for", "frames"),
    ]


def test_graphs_are_made_once_per_shape(make):
    backend = make()
    frames, keyframes = backend._frames.capture, backend._keyframes.capture

    def frame(size, camera, sure=False, sides=1, motions=()):
        shallow = backend.shallow(image(size))
        backend.mask(shallow, sides * [backend.deep(shallow)], camera, sure, motions)
        return frames.count, keyframes.count

    assert frame(SIZE, CAMERA) == frame(SIZE, CAMERA) == (2, 1)
    assert frame(SIZE, (50, 60)) == (3, 1)
    assert frame(SIZE, CAMERA, sure=True) == (4, 1)
    assert frame(SIZE, CAMERA, sides=2) == (5, 1)
    assert frame(OTHER, CAMERA) == (7, 2)
    assert frame(SIZE, CAMERA) == frame(SIZE, CAMERA, motions=[None]) == (7, 2)
    small, large = (np.ones((*grid, 2), np.float32) for grid in ((16, 24), (32, 48)))
    assert frame(SIZE, CAMERA, motions=[small]) == frame(SIZE, CAMERA, motions=[large]) == (8, 2)
    assert (
        frame(SIZE, CAMERA, sides=2, motions=[small, None])
        == frame(SIZE, CAMERA, sides=2, motions=[None, small])
        == (9, 2)
    )


def test_a_prepared_size_is_captured_already(make):
    backend = make()
    thread, _ = in_thread(backend.prepare, SIZE)  # as the segmenter does it for a new camera
    join(thread)
    backend.deep(backend.shallow(image()))
    assert (backend._frames.capture.count, backend._keyframes.capture.count) == (1, 1)


def test_without_graphs_all_is_the_same_and_it_is_said(make, caplog):
    wanted = make()
    shallow = wanted.shallow(image())
    mask = wanted.mask(shallow, [wanted.deep(shallow)], CAMERA)[0]
    backend = make()
    backend._frames.capture.refused = backend._keyframes.capture.refused = True
    backend.prepare(SIZE)
    for _ in range(2):
        shallow = backend.shallow(image())
        assert np.array_equal(backend.mask(shallow, [backend.deep(shallow)], CAMERA)[0], mask)
    assert backend.status()["without CUDA graph"] == "3"
    assert sum("no CUDA graph" in message for message in caplog.messages) == 3


def test_f32_means_f32(make):
    assert make("f16").precision == "f16" and torch.backends.cudnn.allow_tf32
    assert make("auto").precision == "f16"
    assert make("f32").precision == "f32" and not torch.backends.cudnn.allow_tf32


def test_the_models_own_weights_are_left_alone(make):
    model = tiny_model()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    CUDABackend(model, "cuda", "f16")
    for name, value in model.state_dict().items():
        assert value.dtype == before[name].dtype and torch.equal(value, before[name])


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_more_channels_of_zeros_change_nothing(kind):
    model = tiny_model(**KINDS[kind])
    picture = tensor(image())
    with torch.inference_mode():
        wanted = fold(model).shallow.encoder.shallow(picture)
        parts = convert_for_gpu(fold(model), CPU, torch.float32, channels=4)
        found = parts.shallow.encoder.shallow(F.pad(picture, (0, 0, 0, 0, 0, 1)))
    assert (found - wanted).abs().max() <= 1e-5


def test_weights_lie_channels_last():
    parts = convert_for_gpu(fold(tiny_model()), CPU, torch.float16, channels=4)
    kernels = [weight for part in parts for weight in part.parameters() if weight.ndim == 4]
    assert kernels and all(weight.is_contiguous(memory_format=torch.channels_last) for weight in kernels)
    assert {weight.dtype for part in parts for weight in part.parameters()} == {torch.float16}


@pytest.fixture
def two_gpus(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(backends, "sees_gpu", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 1)


def test_devices(two_gpus):
    assert cuda.cuda_device("cuda:0") == torch.device("cuda", 0)
    assert cuda.cuda_device("cuda") == torch.device("cuda", 1)


@pytest.mark.parametrize(
    "device, message",
    [
        ("cuda:2", "device 'cuda:2': PyTorch sees 2 GPUs, so use cuda:0 to cuda:1"),
        ("cuda:x", "unknown device 'cuda:x': use cuda or cuda:N"),
        ("cuda1", "unknown device 'cuda1': use cuda or cuda:N"),
    ],
)
def test_devices_that_are_not_there(two_gpus, device, message):
    with pytest.raises(BackendError) as error:
        make_backend("torch", tiny_model(), device)
    assert str(error.value) == message


def test_a_gpu_has_the_backend_made_for_it(make, two_gpus):
    for name in ("auto", "torch"):
        backend = make_backend(name, tiny_model())
        assert isinstance(backend, CUDABackend)
        assert (backend.name, backend.device, backend.precision) == ("torch", "cuda", "f16")
    assert make_backend("torch", tiny_model(), "cuda:1", "bf16").precision == "bf16"


def test_without_triton_pytorchs_operations_serve_and_it_is_said(monkeypatch, caplog):
    find_spec = cuda.importlib.util.find_spec
    monkeypatch.setattr(
        cuda.importlib.util,
        "find_spec",
        lambda name, *rest: None if name == "triton" else find_spec(name, *rest),
    )
    assert cuda.pixel_kernels() is torch_kernels
    assert "pip install triton" in caplog.text and len(caplog.messages) == 1
