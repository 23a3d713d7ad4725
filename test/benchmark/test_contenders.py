# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What takes part gives the masks it stands for, and does its work in the frame's time."""

import itertools
from importlib.util import find_spec
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from helpers import own_mask, tiny_model
from pipeline_helpers import FakeBackend

from dcfm_ros.benchmark.border import border_share
from dcfm_ros.benchmark.contenders import (
    ALWAYS,
    NEVER,
    EveryCellABorder,
    PipelineRow,
    PublishedNetwork,
    RewrittenNetwork,
    adaptive,
    fixed_interval,
    published_run,
    rewritten_run,
    type_of,
)
from dcfm_ros.benchmark.hugging_face import TransformersNetwork
from dcfm_ros.benchmark.interleave import interleave
from dcfm_ros.benchmark.networks import random_networks
from dcfm_ros.benchmark.participants import transformers_rows
from dcfm_ros.benchmark.scene import open_scene
from dcfm_ros.benchmark.steps import StepByStep, transfers
from dcfm_ros.benchmark.upsampling import Upsampling, measured_border_share
from dcfm_ros.model.fusion import resize
from dcfm_ros.pipeline import postprocess
from dcfm_ros.pipeline.backends import make_backend
from dcfm_ros.pipeline.backends.monolithic import compile_monolithic, in_torch
from dcfm_ros.pipeline.frames import Frame
from dcfm_ros.pipeline.preprocess import network_input
from dcfm_ros.pipeline.settings import Alignment, Mode, PipelineConfig, SchedulerConfig

# Not ours: OpenVINO's converter traces, and PyTorch wants that no more.
pytestmark = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning:torch.jit", "ignore::torch.jit.TracerWarning"
)

CAMERA, SIZE = (72, 108), (64, 96)


@pytest.fixture(scope="module")
def scene():
    return open_scene("synthetic", CAMERA)


@pytest.fixture(scope="module")
def networks():
    return random_networks("mit_b0", 4, CAMERA, SIZE)


@pytest.fixture(scope="module", params=["torch", "openvino"])
def make(request):
    """`make(model)`: the backend of a model, one engine after the other."""
    if request.param == "openvino":
        pytest.importorskip("openvino", reason="OpenVINO is not installed")
    return lambda model: make_backend(request.param, model, "cpu", "f32")


@pytest.fixture(scope="module")
def backend(make, networks):
    return make(networks.dcfm)


def noted(network):
    """The network, and a list that gets what it gives."""
    seen = []

    def noting(image):
        seen.append(network(image))
        return seen[-1]

    return noting, seen


@pytest.mark.slow
def test_whole_networks_give_the_models_masks(make, networks, scene, monkeypatch):
    model = networks.per_frame
    like = make(model)
    wanted = own_mask(model, scene.images[0])
    assert len(np.unique(wanted)) > 1
    published = PublishedNetwork(model, CAMERA)
    for network in (in_torch(published, "cpu"), compile_monolithic(published, SIZE, like).run):
        noting, seen = noted(network)
        published_run(noting, SIZE)(Frame("", 0, scene.images[0]), None)
        assert (
            seen[0].shape == (1, *CAMERA)
            and seen[0].dtype == np.uint8
            and (seen[0][0] == wanted).mean() > 0.999
        )
    made = []
    monkeypatch.setattr(
        "dcfm_ros.benchmark.contenders.upsampled_argmax",
        lambda *arguments: made.append(postprocess.upsampled_argmax(*arguments)),
    )
    rewritten_run(compile_monolithic(RewrittenNetwork(model).eval(), SIZE, like).run, SIZE)(
        Frame("", 0, scene.images[0]), None
    )
    assert made[0].shape == CAMERA and (made[0] == wanted).mean() > 0.999


@pytest.mark.slow
def test_transformers_gives_the_models_masks(networks, scene):
    pytest.importorskip("transformers", reason="transformers is not installed")
    model = networks.per_frame
    seen = in_torch(TransformersNetwork(model, CAMERA).eval(), "cpu")(
        network_input(Frame("", 0, scene.images[0]), SIZE)
    )
    wanted = own_mask(model, scene.images[0])
    assert seen.shape == (1, *CAMERA) and seen.dtype == np.uint8 and (seen[0] == wanted).mean() > 0.999


@pytest.mark.slow
def test_in_half_precision_weights_are_half_and_the_network_stays_as_it_was(networks, scene):
    model = networks.per_frame
    nets = [PublishedNetwork(model, CAMERA).eval()]
    if find_spec("transformers"):
        nets.append(TransformersNetwork(model, CAMERA).eval())
    for network in nets:
        image = network_input(Frame("", 0, scene.images[0]), SIZE)
        whole, half = in_torch(network, "cpu")(image), in_torch(network, "cpu", "bf16")(image)
        assert (half != whole).mean() < 0.05 and type_of(network) == torch.float32
        assert np.array_equal(in_torch(network, "cpu")(image), whole)


@pytest.mark.parametrize(
    "device, precision, rows",
    [
        ("cpu", "f32", ["f32"]),
        ("cpu", "bf16", ["f32"]),
        ("cuda", "f32", ["f32"]),
        ("cuda:1", "f16", ["f32", "f16"]),
    ],
)
def test_transformers_has_a_row_in_half_precision_on_a_gpu(device, precision, rows):
    found = transformers_rows(SimpleNamespace(device=device, precision=precision))
    assert [precision for _, precision in found] == rows and len(dict(found)) == len(rows)


def row(backend, mode, scheduler, name="row", alignment=Alignment.FLOW):
    return PipelineRow(name, backend, SIZE, PipelineConfig(mode, scheduler, alignment=alignment))


def timed(contender, rounds=2):
    return interleave([contender], 0.0, rounds, burst_s=0.0)[contender.name]


@pytest.mark.parametrize(
    "mode, scheduler, how, per_frame",
    [
        (Mode.SYNC, ALWAYS, {}, 1.0),
        (Mode.SYNC, NEVER, {}, 0.0),
        (Mode.SYNC, SchedulerConfig(2, 2), fixed_interval(2), 1 / 2),
        (Mode.SYNC, SchedulerConfig(6, 6), fixed_interval(6), 1 / 6),
        (Mode.SYNC, SchedulerConfig(2, 5, threshold=10.0), adaptive(SchedulerConfig(2, 5)), 1 / 5),
    ],
)
def test_rows_have_their_schedules_keyframes(scene, mode, scheduler, how, per_frame):
    backend = FakeBackend()
    times = timed(row(backend, mode, scheduler).contender(scene, **how))
    assert times.keyframes / len(times.samples) == pytest.approx(per_frame)
    assert len(backend.decoded) > len(times.samples)


@pytest.mark.parametrize("alignment", list(Alignment))
def test_common_features_of_a_row_move_where_it_says_so(scene, alignment):
    backend = FakeBackend()
    timed(
        row(backend, Mode.SYNC, SchedulerConfig(6, 6), alignment=alignment).contender(
            scene, **fixed_interval(6)
        )
    )
    moved = sum(motion is not None for motions in backend.motions for motion in motions)
    assert moved > len(backend.motions) / 2 if alignment is Alignment.FLOW else moved == 0


def test_no_mask_waits_for_keyframes_in_async_and_the_encoder_is_idle_after_a_burst(scene):
    backend = FakeBackend()
    with row(backend, Mode.ASYNC, ALWAYS).open() as run:
        for frame in itertools.islice(scene.frames(), 5):
            run(frame, None)
    begun = sum(backend.deep_started.acquire(blocking=False) for _ in range(9))
    assert 1 <= begun <= 5 and len(backend.encoded) == begun


def test_a_lent_backend_is_not_stopped(scene):
    backend, stopped = FakeBackend(), []
    backend.stop = lambda: stopped.append(1)
    timed(row(backend, Mode.SYNC, ALWAYS).contender(scene))
    assert not stopped and backend.encoded


@pytest.mark.parametrize("mode", [Mode.SYNC, Mode.ASYNC])
def test_a_frame_without_a_mask_ends_the_benchmark(scene, mode):
    backend = FakeBackend()
    backend.deep_error = RuntimeError("out of memory")
    with pytest.raises(RuntimeError, match="shallow: frame without a mask") as raised:
        with row(backend, mode, NEVER, "shallow").open() as run:
            run(next(scene.frames()), None)
    assert raised.value.__cause__.__cause__ is backend.deep_error


@pytest.mark.slow
def test_every_cell_a_border_does_the_same_work_on_other_logits(backend, monkeypatch):
    worst, made = EveryCellABorder(backend), []
    monkeypatch.setattr(
        "dcfm_ros.benchmark.contenders.upsampled_argmax",
        lambda logits, size: made.append(logits) or postprocess.upsampled_argmax(logits, size),
    )
    shallow = worst.shallow(np.zeros((*SIZE, 3), np.uint8))
    common = worst.deep(shallow)
    asked, decode = [], backend.decode
    monkeypatch.setattr(backend, "decode", lambda *arguments: asked.append(arguments) or decode(*arguments))
    motions = [np.full((16, 24, 2), 1.5, np.float32)]
    mask, confidence = worst.mask(shallow, [common], CAMERA, motions=motions)
    assert asked == [(shallow, [common], motions)]
    own = decode(shallow, [common])
    assert mask.shape == CAMERA and confidence is None and worst.name == backend.name
    assert border_share(made[0]) == 1.0 and made[0].strides == own.strides and made[0].shape == own.shape


@pytest.mark.slow
def test_steps_are_those_of_a_frame(backend, scene, monkeypatch):
    common = ["preprocess", "motion", "shallow network", "keyframe decision"]
    tail = ["fusion and head", "upsample-argmax"]
    split, moved = StepByStep(backend, scene, SIZE), []
    decode = backend.decode
    monkeypatch.setattr(
        backend,
        "decode",
        lambda shallow, commons, motions=(): (
            moved.append([motion is not None for motion in motions]),
            decode(shallow, commons, motions),
        )[1],
    )
    times = interleave(split.contenders, 0.0, 2, burst_s=0.0)
    shallow, keyframe = times.values()
    assert list(shallow.steps()) == common + tail
    # of keyframes their own
    assert {len(of_frame) for of_frame in moved} == {1} and [True] in moved and [False] in moved
    assert list(keyframe.steps()) == [*common, "deep path, common feature", *tail]
    assert 0 < sum(values.sum() for values in keyframe.steps().values()) <= keyframe.samples.sum()
    report = split.report(times)
    assert [step["step"] for step in report["steps"]] == list(keyframe.steps()) and report[
        "transfers"
    ] is None
    assert report["slices"]["number"] >= 1 and report["slices"]["longest_ms"] > 0


def test_transfers_are_timed_by_themselves(scene):
    assert list(timed(transfers(scene, SIZE, "cpu")).steps()) == ["image to the device", "mask to the host"]


@pytest.mark.slow
def test_upsampling_is_timed_on_the_models_logits_and_on_made_ones(backend, scene):
    made = Upsampling(backend, scene, SIZE)
    assert list(made.shares) == ["the model's own", "made, 0%", "made, 15%", "made, 100%"]
    shares = list(made.shares.values())
    assert shares[1:] == pytest.approx([0.0, 0.15, 1.0], abs=0.05) and 0 < shares[0] < 1
    rows = made.report(interleave(made.contenders, 0.0, 1, burst_s=0.0))
    assert [(row["logits"], row["border_share"]) for row in rows] == [
        (what, pytest.approx(share, abs=1e-4)) for what, share in made.shares.items()
    ]
    assert [way["layout"] for way in rows[0]["torch"]] == ["channels first", "channels last"]


@pytest.mark.slow
def test_both_ways_of_upsampling_make_the_mask(backend, scene, monkeypatch):
    ours, theirs = [], []
    monkeypatch.setattr(
        "dcfm_ros.benchmark.upsampling.upsampled_argmax",
        lambda *arguments: ours.append(postprocess.upsampled_argmax(*arguments)),
    )
    monkeypatch.setattr(
        "dcfm_ros.benchmark.upsampling.resize",
        lambda *arguments: theirs.append(resize(*arguments)) or theirs[-1],
    )
    interleave(Upsampling(backend, scene, SIZE).contenders, 0.0, 0, burst_s=0.0)
    for mask, logits in zip(ours[::3], theirs[::6], strict=True):
        assert mask.shape == CAMERA and (mask == logits[0].argmax(0).numpy()).mean() > 0.999


def test_one_class_has_no_borders_to_make(scene):
    backend = make_backend("torch", tiny_model(classes=1), "cpu")
    assert list(Upsampling(backend, scene, SIZE).shares) == ["the model's own", "made, 0%"]
    assert measured_border_share(backend, scene, SIZE) == 0.0


@pytest.mark.slow
def test_border_cells_are_those_of_shallow_frames(backend, scene, monkeypatch):
    commons, decode = [], backend.decode
    monkeypatch.setattr(
        backend, "decode", lambda shallow, common: commons.append(common[0]) or decode(shallow, common)
    )
    assert 0 < measured_border_share(backend, scene, SIZE, frames=3) < 1
    assert len(commons) == 3 and all(common is commons[0] for common in commons)
