# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The CUDA backend on a GPU: the CPU's masks, features that stay, two threads at once, frames that pass the
deep path by.

What needs no GPU is in test_cuda_logic.py, test_graphs.py, test_stream.py and test_kernels.py.
"""

import threading
import time

import numpy as np
import pytest
import torch
from helpers import tiny_model
from pipeline_helpers import TIMEOUT_S, in_thread, join

from dcfm_ros.model.build import build_model
from dcfm_ros.model.config import ClassSpec, ModelConfig
from dcfm_ros.pipeline.backends import BackendError, make_backend
from dcfm_ros.pipeline.backends.cuda.graphs import CaptureError
from dcfm_ros.pipeline.backends.cuda.stream import CudaStream
from dcfm_ros.pipeline.backends.torch_cpu import TorchBackend
from dcfm_ros.pipeline.postprocess import upsampled_argmax

pytestmark = pytest.mark.skipif(
    not torch.cuda.is_available(), reason="no NVIDIA GPU, or a PyTorch without CUDA"
)

SIZE, OTHER, CAMERA = (64, 96), (96, 64), (75, 113)
KINDS = {
    "mit_b0": {"backbone": "mit_b0"},
    "per_frame_mit_b0": {"architecture": "per_frame", "backbone": "mit_b0"},
    "pspnet18": {"backbone": "pspnet18", "common_width": 24, "head_layers": 1},
    "resnet18": {"backbone": "resnet18"},
}
TOLERANCES = {"f32": 1e-4, "f16": 0.01, "bf16": 0.05}  # of the largest logit


def image(size=SIZE, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (*size, 3), np.uint8)


def frame(backend, picture, common, camera=CAMERA):
    return backend.mask(backend.shallow(picture), [common], camera)[0]


def margin(logits, size):
    """Return the winner's lead over the second class at each pixel, (H, W)."""
    values = torch.nn.functional.interpolate(torch.from_numpy(logits)[None].double(), size, mode="bilinear")[
        0
    ]
    best = values.topk(2, dim=0).values
    return (best[0] - best[1]).numpy()


@pytest.fixture(scope="module")
def backend():
    return make_backend("torch", tiny_model(), "cuda")


@pytest.mark.parametrize("precision", TOLERANCES)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("moves", [False, True])
def test_logits_and_masks_are_those_of_the_cpu(kind, precision, moves):
    model = tiny_model(**KINDS[kind])
    gpu, cpu = make_backend("torch", model, "cuda", precision), TorchBackend(model)
    pictures = [image((66, 101), seed) for seed in range(3)]
    sides = 1 if gpu.per_frame else 2
    motions = [
        np.random.default_rng(seed).normal(0.0, 8.0, (34, 52, 2)).astype(np.float32)
        for seed in range(sides * moves)
    ]
    results = []
    for backend in (gpu, cpu):
        commons = [backend.deep(backend.shallow(picture)) for picture in pictures[:sides]]
        shallow = backend.shallow(pictures[2])
        results.append(
            (
                backend.decode(shallow, commons, motions).copy(),
                *backend.mask(shallow, commons, CAMERA, True, motions),
            )
        )
    (found, mask, confidence), (wanted, cpu_mask, cpu_confidence) = results
    error = np.abs(found - wanted).max()
    assert found.dtype == np.float32 and found.shape == wanted.shape
    assert error <= TOLERANCES[precision] * np.abs(wanted).max()
    sure = margin(wanted, CAMERA) > 2 * error
    assert sure.mean() > 0.5 and np.array_equal(mask[sure], cpu_mask[sure])
    sure = margin(found, CAMERA) > 1e-4
    assert np.array_equal(mask[sure], upsampled_argmax(found, CAMERA)[sure])
    assert np.abs(confidence.astype(int) - cpu_confidence).max() <= max(2, 300 * TOLERANCES[precision])
    assert gpu.status()["without CUDA graph"] == "0"


def test_all_is_captured_and_the_kernels_are_tritons(backend):
    pytest.importorskip("triton", reason="Triton is not installed")
    frame(backend, image(), backend.deep(backend.shallow(image())))
    assert backend.status() == {"kernels": "kernels", "without CUDA graph": "0"}


def test_features_and_masks_stay_as_they_are(backend):
    first = backend.shallow(image(seed=1))
    common = backend.deep(first)
    mask = backend.mask(first, [common], CAMERA)[0]
    before = first.tensor.clone(), common.tensor.clone(), mask.copy()
    for seed in range(50):
        size = (SIZE, OTHER)[seed % 2]
        other = backend.shallow(image(size, seed))
        backend.mask(other, [backend.deep(other)], CAMERA)
    assert torch.equal(first.tensor, before[0]) and torch.equal(common.tensor, before[1])
    assert np.array_equal(mask, before[2]) and np.array_equal(backend.mask(first, [common], CAMERA)[0], mask)


def test_an_image_may_change_after_the_shallow_path(backend):
    picture = image()
    common = backend.deep(backend.shallow(picture))
    wanted = frame(backend, picture, common)
    for _ in range(20):
        changing = picture.copy()
        shallow = backend.shallow(changing)
        changing[:] = 0
        assert np.array_equal(backend.mask(shallow, [common], CAMERA)[0], wanted)


def test_images_in_a_row_without_a_mask_in_between(backend):
    """Case of `two_sided`: one host buffer is shared, and not overwritten before it has been copied to the
    GPU."""
    pictures = [image(seed=seed) for seed in range(20)]
    common = backend.deep(backend.shallow(pictures[0]))
    wanted = [frame(backend, picture, common) for picture in pictures]
    shallows = [backend.shallow(picture) for picture in pictures]
    for shallow, mask in zip(shallows, wanted):
        assert np.array_equal(backend.mask(shallow, [common], CAMERA)[0], mask)


def test_maps_in_a_row(backend):
    """One host buffer serves the maps to one keyframe, and the kept feature stays."""
    shallow = backend.shallow(image())
    common = backend.deep(shallow)
    kept = common.tensor.clone()
    maps = [
        np.random.default_rng(seed).normal(0.0, 4.0, (16, 24, 2)).astype(np.float32) for seed in range(20)
    ]
    wanted = [backend.mask(shallow, [common], CAMERA, motions=[motion])[0] for motion in maps]
    for _ in range(5):
        for motion, mask in zip(maps, wanted):
            assert np.array_equal(backend.mask(shallow, [common], CAMERA, motions=[motion.copy()])[0], mask)
    assert torch.equal(common.tensor, kept) and any((mask != wanted[0]).any() for mask in wanted)


def test_the_deep_path_runs_beside_frames(backend):
    pictures = [image(seed=seed) for seed in range(4)]
    shallows = [backend.shallow(picture) for picture in pictures]
    commons = [backend.deep(shallow) for shallow in shallows]
    masks = [frame(backend, picture, common) for picture, common in zip(pictures, commons)]
    thread, encoded = in_thread(lambda: [backend.deep(shallow) for _ in range(50) for shallow in shallows])
    for _ in range(50):
        for picture, common, mask in zip(pictures, commons, masks):
            assert np.array_equal(frame(backend, picture, common), mask)
    join(thread)
    assert encoded  # the thread has not failed
    for number, common in enumerate(encoded[0]):
        assert torch.equal(common.tensor, commons[number % 4].tensor)


def test_sizes_are_captured_beside_frames_and_keyframes():
    """A new camera's graphs are recorded while others replay: neither breaks the other."""
    backend = make_backend("torch", tiny_model(), "cuda")
    shallow = backend.shallow(image())
    common = backend.deep(shallow)
    mask, stop, wrong = backend.mask(shallow, [common], CAMERA)[0], threading.Event(), []

    def encode():
        while not stop.is_set():
            if not torch.equal(backend.deep(shallow).tensor, common.tensor):
                wrong.append("keyframe")

    encoder, encoded = in_thread(encode)
    sizes = [(32 * rows, 32 * columns) for rows in (1, 2, 3) for columns in (1, 2, 4)]
    preparing, prepared = in_thread(lambda: [backend.prepare(size) for size in sizes])
    while preparing.is_alive():
        if not np.array_equal(frame(backend, image(), common), mask):
            wrong.append("frame")
    stop.set()
    join(encoder)
    assert prepared and encoded  # neither thread has failed
    assert not wrong and backend.status()["without CUDA graph"] == "0"


def test_memory_stays_bounded_over_many_sizes():
    backend = make_backend("torch", tiny_model(), "cuda")
    shallow = backend.shallow(image())
    common = backend.deep(shallow)
    used = []
    for _ in range(2):  # more sizes than graphs are kept
        for height in range(40, 80):
            backend.mask(shallow, [common], (height, 60))
        torch.cuda.synchronize()
        used.append(torch.cuda.memory_allocated())
    assert used[1] <= used[0] + 2**20
    assert backend.status()["without CUDA graph"] == "0"


def test_what_cannot_be_captured_leaves_the_lane_usable():
    stream = CudaStream(torch.device("cuda", torch.cuda.current_device()), priority=0, graphs=4)

    def waits(tensor):
        return tensor * tensor.sum().item()  # the host reads a value: no graph can

    ones = torch.ones(3)
    with stream.open("work"):
        for _ in range(2):
            assert stream.run("waits", waits, ones).tolist() == [3, 3, 3]
        assert stream.failures == 1
        for value in (1.0, 2.0):
            assert stream.run("double", lambda tensor: tensor * 2, value * ones).tolist() == 3 * [2 * value]
        assert stream.failures == 1
        with pytest.raises(CaptureError):
            stream._graphs._capture(waits, (ones,))


def test_memory_that_runs_out_is_said_clearly():
    backend = make_backend("torch", tiny_model(), "cuda")
    torch.cuda.empty_cache()
    share = (torch.cuda.memory_reserved() + 2**24) / torch.cuda.get_device_properties(0).total_memory
    torch.cuda.set_per_process_memory_fraction(share)
    try:
        with pytest.raises(BackendError, match="out of memory in the shallow path: use a smaller model"):
            backend.shallow(image((4096, 8192)))
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    shallow = backend.shallow(image())
    assert backend.mask(shallow, [backend.deep(shallow)], CAMERA)[0].shape == CAMERA


def percentiles(times):
    return np.percentile(times, 50), np.percentile(times, 99)


@pytest.mark.parametrize("backbone", ["mit_b0", "mit_b5"])
def test_frames_pass_constant_encoding_by(backbone):
    """The asynchronous guarantee: p99 of a frame beside keyframes is at most twice its median without."""
    torch.manual_seed(0)
    classes = tuple(ClassSpec(f"class {number}", (number, 0, 0)) for number in range(124))
    model = build_model(
        ModelConfig(backbone=backbone, classes=classes, input_height=480, input_width=864)
    ).eval()
    backend, picture, camera = make_backend("torch", model, "cuda"), image((480, 864)), (480, 853)
    shallow = backend.shallow(picture)
    common = backend.deep(shallow)

    def measured(count=500):
        times = []
        for number in range(count + 20):
            started = time.perf_counter()
            frame(backend, picture, common, camera)
            if number >= 20:
                times.append(time.perf_counter() - started)
        return percentiles(times)

    def beside_keyframes():
        stop, encoded = threading.Event(), []

        def encode():
            while not stop.is_set():
                encoded.append(backend.deep(shallow).nbytes)

        thread, _ = in_thread(encode)
        try:
            p50, p99 = measured()
        finally:
            stop.set()
            thread.join(TIMEOUT_S)
        print(
            f"{backbone}: alone p50 {1e3 * alone:.2f} ms; "
            f"beside {len(encoded)} keyframes p50 {1e3 * p50:.2f}, p99 {1e3 * p99:.2f} ms"
        )
        assert len(encoded) > 10
        return p99

    alone, _ = measured()
    assert min(beside_keyframes() for _ in range(3)) <= 2 * alone  # the host has other work, too, at times
