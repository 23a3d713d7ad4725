# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Contract of all backends: the model's logits, at any size, from two threads."""

import threading

import numpy as np
import pytest
import torch
from helpers import tiny_model
from pipeline_helpers import join

from dcfm_ros.model.folder import load_model
from dcfm_ros.model.image import normalised
from dcfm_ros.model.normalisation import IMAGENET
from dcfm_ros.pipeline.backend_table import TABLE, names_that_run
from dcfm_ros.pipeline.backends import BackendError, Sharing, make_backend
from dcfm_ros.sources.open import open_source

# Not ours: OpenVINO's converter traces, and PyTorch wants that no more.
pytestmark = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning:torch.jit", "ignore::torch.jit.TracerWarning"
)

CLASSES = 4
SIZES = [(64, 96), (96, 64)]


@pytest.fixture(scope="module")
def make():
    """Makes each backend once: compiling takes seconds."""
    made = {}

    def make(name, architecture="dcfm"):
        if not TABLE[name].is_installed:
            pytest.skip(f"{name} is not installed")
        if (name, architecture) not in made:
            made[name, architecture] = make_backend(
                name, tiny_model(CLASSES, architecture=architecture), "cpu", "f32"
            )
        return made[name, architecture]

    return make


@pytest.fixture(params=names_that_run(on_gpu=False))
def backend(make, request):
    return make(request.param)


@pytest.fixture(scope="module")
def model():
    return tiny_model(CLASSES)


def image(size, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (*size, 3), np.uint8)


def tensor(picture):
    return normalised(torch.from_numpy(picture)[None], IMAGENET)


def distance(logits, wanted):
    assert logits.dtype == np.float32 and logits.shape == wanted.shape[1:]
    return np.abs(logits - wanted[0].numpy()).max()


@pytest.mark.slow
@pytest.mark.parametrize("size", SIZES)
def test_logits_of_a_keyframe_are_the_models(backend, model, size):
    with torch.no_grad():
        wanted = model.keyframe(tensor(image(size)))
    shallow = backend.shallow(image(size))
    logits = backend.decode(shallow, [backend.deep(shallow)])
    assert logits.shape == (CLASSES, size[0] // 4, size[1] // 4)
    assert distance(logits, wanted) <= 1e-4
    assert np.ptp(logits) > 1e-2  # a model that says something


@pytest.mark.slow
def test_frame_after_a_keyframe_uses_the_keyframes_feature(backend, model):
    first, second = image(SIZES[0], 1), image(SIZES[0], 2)
    common = backend.deep(backend.shallow(first))
    with torch.no_grad():
        wanted = model.nonkey(tensor(second), model.features(tensor(first)).common)
    assert distance(backend.decode(backend.shallow(second), [common]), wanted) <= 1e-4


@pytest.mark.slow
def test_two_sided_logits_are_the_sum_of_both(backend, model):
    pictures = [image(SIZES[0], seed) for seed in range(3)]
    commons = [backend.deep(backend.shallow(picture)) for picture in (pictures[0], pictures[2])]
    shallow = backend.shallow(pictures[1])
    both = backend.decode(shallow, commons).copy()
    single = [backend.decode(shallow, [common]).copy() for common in commons]
    assert np.abs(both - (single[0] + single[1])).max() <= 1e-5
    with torch.no_grad():
        wanted = model.nonkey(
            tensor(pictures[1]), *(model.features(tensor(pictures[i])).common for i in (0, 2))
        )
    assert distance(both, wanted) <= 1e-4


@pytest.mark.slow
def test_features_stay_as_they_are_while_others_are_computed(backend):
    shallow = backend.shallow(image(SIZES[0], 1))
    common = backend.deep(shallow)
    before = backend.decode(shallow, [common]).copy()
    for size in SIZES:
        for seed in (5, 6):
            other = backend.shallow(image(size, seed))
            backend.decode(other, [backend.deep(other)])
    assert np.array_equal(backend.decode(shallow, [common]), before)


def test_image_may_change_after_the_shallow_path(backend):
    picture = image(SIZES[0], 1)
    shallow = backend.shallow(picture)
    logits = backend.decode(shallow, [backend.deep(shallow)]).copy()
    shallow = backend.shallow(picture)
    picture[:] = 0
    assert np.array_equal(backend.decode(shallow, [backend.deep(shallow)]), logits)


@pytest.mark.slow
def test_deep_path_runs_beside_the_shallow_one(backend):
    pictures = [image(SIZES[0], seed) for seed in range(4)]
    shallows = [backend.shallow(picture) for picture in pictures]
    commons = [backend.deep(shallow) for shallow in shallows]
    wanted = [backend.decode(shallow, [common]).copy() for shallow, common in zip(shallows, commons)]
    results, errors = [], []

    def encode():
        try:
            results.extend(backend.deep(shallow) for _ in range(3) for shallow in shallows)
        except Exception as error:
            errors.append(error)

    thread = threading.Thread(target=encode)
    thread.start()
    for _ in range(3):
        for picture, common, logits in zip(pictures, commons, wanted):
            assert np.abs(backend.decode(backend.shallow(picture), [common]) - logits).max() <= 1e-5
    join(thread)
    assert not errors
    for number, common in enumerate(results):
        logits = backend.decode(shallows[number % 4], [common])
        assert np.abs(logits - wanted[number % 4]).max() <= 1e-5


@pytest.mark.slow
def test_torch_and_openvino_agree(make):
    first, second = make("torch"), make("openvino")
    for size in SIZES:
        pictures = [image(size, seed) for seed in range(3)]
        logits = []
        for backend in (first, second):
            commons = [backend.deep(backend.shallow(picture)) for picture in pictures[:2]]
            shallow = backend.shallow(pictures[2])
            logits.append(
                [backend.decode(shallow, commons[:1]).copy(), backend.decode(shallow, commons).copy()]
            )
        for ours, theirs in zip(*logits):
            assert np.abs(ours - theirs).max() <= 1e-4


@pytest.mark.slow
def test_sizes_which_share_a_feature_size(backend, model):
    """S of 61 to 64 rows has 16: what follows S is one network, the shallow path another for each size."""
    for size in ((61, 95), SIZES[0]):
        shallow = backend.shallow(image(size))
        with torch.no_grad():
            wanted = model.keyframe(tensor(image(size)))
        logits = backend.decode(shallow, [backend.deep(shallow)])
        assert logits.shape[1:] == (16, 24) and distance(logits, wanted) <= 1e-4


@pytest.mark.slow
@pytest.mark.parametrize("name", names_that_run(on_gpu=False))
def test_a_per_frame_network_gives_its_logits_whatever_the_frame(make, name):
    backend, model = make(name, "per_frame"), tiny_model(CLASSES, architecture="per_frame")
    first, second = (backend.shallow(image(SIZES[0], seed)) for seed in (1, 2))
    common = backend.deep(first)
    with torch.no_grad():
        wanted = model.keyframe(tensor(image(SIZES[0], 1)))
    for shallow in (first, second):
        assert distance(backend.decode(shallow, [common]), wanted) <= 1e-4
    assert backend.per_frame and not make(name).per_frame


@pytest.mark.slow
def test_the_deep_path_gives_way_between_slices(monkeypatch, make):
    """PyTorch runs step by step: MiT-B0 has eight blocks of two steps, the shallow path runs the first; then
    come fusion and contribution. OpenVINO runs slices, whose masks do not depend on how they are cut."""
    shallow, called = make("torch").shallow(image(SIZES[0])), []
    make("torch").deep(shallow, lambda: called.append(1))
    assert len(called) == 2 * 7 + 2
    openvino = pytest.importorskip(
        "dcfm_ros.pipeline.backends.openvino.backend", reason="OpenVINO is not installed"
    )
    logits = []
    monkeypatch.setattr(openvino, "SHARE", 1e-3)
    for sharing, slices in ((Sharing.TURNS, 2 * 7 + SIZES[0][0] // 4), (Sharing.NONE, 1)):
        backend, called = make_backend("openvino", tiny_model(CLASSES), "cpu", "f32", sharing), []
        shallow = backend.shallow(image(SIZES[0]))
        common = backend.deep(shallow, lambda: called.append(1))
        logits.append(backend.decode(shallow, [common]).copy())
        assert len(called) == slices
    assert np.abs(logits[0] - logits[1]).max() <= 1e-5


@pytest.mark.slow
def test_concurrent_networks_have_cores_of_their_own_and_the_same_logits(make):
    pytest.importorskip("openvino", reason="OpenVINO is not installed")
    backend = make_backend("openvino", tiny_model(CLASSES), "cpu", "f32", Sharing.CORES)
    shallow = backend.shallow(image(SIZES[0]))
    logits = backend.decode(shallow, [backend.deep(shallow)]).copy()
    shared = make("openvino")
    shallow = shared.shallow(image(SIZES[0]))
    assert np.abs(logits - shared.decode(shallow, [shared.deep(shallow)])).max() <= 1e-5


@pytest.mark.slow
def test_prepared_sizes_are_ready(backend):
    """Any thread may prepare while others run."""
    shallow = backend.shallow(image(SIZES[0]))
    threads = [threading.Thread(target=backend.prepare, args=(size,)) for size in (SIZES[-1], SIZES[-1])]
    for thread in threads:
        thread.start()
    assert backend.decode(shallow, [backend.deep(shallow)]).shape[0] == CLASSES
    for thread in threads:
        join(thread)
    shallow = backend.shallow(image(SIZES[-1]))
    assert backend.mask(shallow, [backend.deep(shallow)], (90, 70))[0].shape == (90, 70)


@pytest.mark.slow
def test_bf16_masks_are_nearly_those_of_f32():
    pytest.importorskip("openvino", reason="OpenVINO is not installed")
    model = load_model("street11_b0")
    exact = make_backend("openvino", model, "cpu", "f32")
    try:
        fast = make_backend("openvino", model, "cpu", "bf16")
    except BackendError as error:
        pytest.skip(str(error))
    picture = open_source("synthetic:7", width=160, height=128).frame(3).image
    masks = []
    for backend in (exact, fast):
        shallow = backend.shallow(picture)
        masks.append(backend.mask(shallow, [backend.deep(shallow)], (128, 160))[0])
    assert np.count_nonzero(np.bincount(masks[0].ravel()) > 200) > 0 and (masks[0] != masks[1]).mean() < 0.02
