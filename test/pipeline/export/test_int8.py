# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`dcfm export --precision int8`: a model folder whose quantised networks give nearly the same masks; what is
refused, and in which words."""

import importlib.util
import shutil

import cv2
import numpy as np
import pytest
import torch
import yaml
from helpers import one_thread, tiny_model, write_tiny_model  # noqa: F401

openvino = pytest.importorskip("openvino", reason="OpenVINO is not installed")

from dcfm_ros.cli import main
from dcfm_ros.model.folder import load_model, save_model
from dcfm_ros.model.image import normalised
from dcfm_ros.model.stored import INT8_FOLDER, StoredModel
from dcfm_ros.pipeline.backends.base import BackendError
from dcfm_ros.pipeline.backends.openvino.backend import OpenVINOBackend
from dcfm_ros.pipeline.backends.openvino.graphs import COMMON, DEEP, SHALLOW, SHALLOW_FEATURE, Graphs
from dcfm_ros.pipeline.backends.openvino.int8 import INT8_RECORD, Int8Record
from dcfm_ros.pipeline.backends.openvino.slices import plan
from dcfm_ros.pipeline.export.options import ExportOptions

SIZE, OTHER = (64, 96), (96, 64)
FRAMES = 12


@pytest.fixture(scope="module")
def nncf():
    return pytest.importorskip("nncf", reason="NNCF is not installed")


def image(seed, size=SIZE):
    """Regions, as the networks of random weights tell noise by nothing."""
    small = np.random.default_rng(seed).integers(0, 256, (4, 6, 3), np.uint8)
    return cv2.resize(small, size[::-1], interpolation=cv2.INTER_CUBIC)


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    folder = tmp_path_factory.mktemp("images")
    for number in range(FRAMES):
        cv2.imwrite(str(folder / f"{number:02}.png"), image(number, (70, 100)))
    return folder


def exported(nncf, images, folder, model, *more):
    assert main([*arguments(model, images, folder), *more]) == 0
    return folder


@pytest.fixture(scope="module")
def quantised(nncf, images, tmp_path_factory):
    """A transformer: the folder of the export."""
    folder = tmp_path_factory.mktemp("models")
    model = save_model(folder / "model", with_regions(tiny_model()))
    return exported(nncf, images, folder / "int8", model, "--max-difference", "10")


def with_regions(model):
    """The model with a classifier that sees where an image differs from its mean: random ones give one class
    everywhere."""
    pixels = normalised(torch.from_numpy(image(0))[None], model.config.normalisation)
    with torch.no_grad():
        own = model.features(pixels)
        feature = model.head.hidden(model.fuse(own.common, own.shallow, is_keyframe=True))[0].flatten(1)
        mean = (feature / feature.norm(dim=0)).mean(1)
        weight = model.head.classifier.weight
        weight -= (weight[:, :, 0, 0] @ mean / mean.square().sum())[:, None, None, None] * mean[:, None, None]
    return model


def logits(model, precision, picture):
    backend = OpenVINOBackend(model, precision)
    shallow = backend.shallow(picture)
    return backend.decode(shallow, [backend.deep(shallow)]).copy()


def share_of_other_classes(found, wanted):
    return float((found.argmax(0) != wanted.argmax(0)).mean())


@pytest.mark.slow
def test_masks_are_nearly_those_of_f32_at_any_size(quantised):
    model = StoredModel(quantised)
    for size in (SIZE, OTHER):
        pictures = [image(100 + number, size) for number in range(3)]
        shares = [
            share_of_other_classes(logits(model, "int8", one), logits(model, "f32", one)) for one in pictures
        ]
        assert np.mean(shares) < 0.1
    assert not np.array_equal(logits(model, "int8", pictures[0]), logits(model, "f32", pictures[0]))


@pytest.mark.slow
def test_the_record_says_what_was_done(quantised):
    record = Int8Record.read(quantised / INT8_FOLDER)
    assert (record.size, record.any_size) == ([*SIZE], True)
    assert (record.calibration_frames, record.checked_frames) == (FRAMES - 2, 2)
    assert 0 <= record.difference <= 0.1
    assert record.sha256 == StoredModel(quantised).sha256
    assert record.layers[SHALLOW] > 0 and record.layers[DEEP] > 20 and record.left_out == []
    assert record.versions["nncf"] and record.versions["openvino"]
    assert sorted(path.name for path in quantised.iterdir()) == [
        "model.yaml",
        INT8_FOLDER,
        "weights.safetensors",
    ]


@pytest.mark.slow
def test_weights_are_int8_and_what_is_sensitive_is_left(quantised):
    core = openvino.Core()
    for name in (SHALLOW, DEEP):
        graph = core.read_model(quantised / INT8_FOLDER / f"{name}.xml")
        nodes = graph.get_ops()
        kinds = {
            (node.get_type_name(), node.input_value(0).get_node().get_type_name())
            for node in nodes
            if node.inputs()
        }
        assert int8_weights(graph) == Int8Record.read(quantised / INT8_FOLDER).layers[name]
        assert kinds & {("MatMul", "FakeQuantize"), ("Convolution", "FakeQuantize")}
        assert ("GroupConvolution", "FakeQuantize") not in kinds
        assert ("ScaledDotProductAttention", "FakeQuantize") not in kinds


def int8_weights(graph):
    return sum(
        node.get_type_name() == "Constant" and node.get_element_type() == openvino.Type.i8
        for node in graph.get_ops()
    )


@pytest.mark.slow
def test_networks_that_are_cut_out_compute_in_int8(quantised):
    """Folded weights would be float32: the same masks, at no gain."""
    graphs = Graphs(openvino.Core(), quantised / INT8_FOLDER, SIZE)
    layers = Int8Record.read(quantised / INT8_FOLDER).layers
    assert int8_weights(graphs.shallow()) == layers[SHALLOW]
    assert int8_weights(graphs.part([SHALLOW_FEATURE], COMMON)) == layers[DEEP]
    slices = [graphs.part([first], last) for first, last in plan(graphs, 0.05).slices]
    assert sum(map(int8_weights, slices)) == layers[DEEP]


@pytest.mark.slow
def test_the_slices_together_are_the_uncut_deep_path(quantised):
    core = openvino.Core()
    graphs = Graphs(core, quantised / INT8_FOLDER, SIZE)

    def run(network, *inputs):
        compiled = core.compile_model(network, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
        return compiled(list(inputs))[0].copy()

    shallow = run(graphs.shallow(), image(200)[None])
    whole = run(graphs.part([SHALLOW_FEATURE], COMMON), shallow)
    planned, features = plan(graphs, 0.05), {SHALLOW_FEATURE: shallow}
    assert len(planned.slices) > 4 and len(planned.bands) > 1
    for first, last in planned.slices:
        features[last] = run(graphs.part([first], last), features[first])
    inputs = [features[name] for name in planned.inputs]
    bands = [graphs.band(rows) for rows in planned.bands]
    common = np.concatenate(
        [
            run(band.network, *(value[:, rows].copy() for value, rows in zip(inputs, band.input_rows)))
            for band in bands
        ],
        axis=1,
    )
    # a value on the border between two levels may fall on either side
    assert np.linalg.norm(common - whole) <= 1e-3 * np.linalg.norm(whole)


@pytest.mark.slow
def test_the_work_is_that_of_the_layers_in_f32(quantised, tmp_path):
    from dcfm_ros.pipeline.backends.openvino.store import GraphStore

    core = openvino.Core()
    exact = GraphStore(StoredModel(quantised)).graphs(core, SIZE)
    assert Graphs(core, quantised / INT8_FOLDER, SIZE).work() == pytest.approx(exact.work())


@pytest.mark.slow
def test_steps_stay_in_f32_until_masks_are_near_enough(nncf, images, tmp_path, capsys):
    """Of a network without transformers, whose conclusion is quantised as well."""
    model = save_model(tmp_path / "model", with_regions(tiny_model(backbone="resnet18")))
    few = ("--calibration-frames", "5", "--max-difference")
    free = exported(nncf, images, tmp_path / "free", model, *few, "100")
    record = Int8Record.read(free / INT8_FOLDER)
    assert record.left_out == [] and record.difference > 0
    bound = 90 * record.difference  # in percent: a tenth less
    held = exported(nncf, images, tmp_path / "held", model, *few, f"{bound:.6f}")
    found = Int8Record.read(held / INT8_FOLDER)
    assert 100 * found.difference <= bound and found.left_out
    assert sum(found.layers.values()) < sum(record.layers.values())
    for name in (SHALLOW, DEEP):  # what is written in one round, and stays in the next, is what is recorded
        graph = openvino.Core().read_model(held / INT8_FOLDER / f"{name}.xml")
        assert int8_weights(graph) == found.layers[name]
    assert f"left in f32 for that: {', '.join(found.left_out)}" in capsys.readouterr().out
    assert main([*arguments(model, images, tmp_path / "none"), *few, "0"]) == 2
    assert "although only the least harmful step is quantised" in capsys.readouterr().err
    assert not (tmp_path / "none").exists()


@pytest.mark.slow
def test_into_the_models_own_folder(nncf, images, tmp_path):
    model = write_tiny_model(tmp_path / "model", architecture="per_frame", backbone="resnet18")
    (model / "notes.txt").write_text("mine")
    weights = (model / "weights.safetensors").read_bytes()
    exported(nncf, images, model, model, "--calibration-frames", "2", "--max-difference", "20")
    assert (model / "notes.txt").read_text() == "mine"
    assert (model / "weights.safetensors").read_bytes() == weights
    picture = image(300)
    # a network in memory is recognised as well
    assert np.array_equal(
        logits(StoredModel(model), "int8", picture), logits(load_model(model), "int8", picture)
    )


@pytest.mark.slow
def test_graphs_of_other_weights_are_refused(quantised, tmp_path):
    model = shutil.copytree(quantised, tmp_path / "model")
    save_model(model, tiny_model(seed=1))
    with pytest.raises(
        BackendError, match=rf"{INT8_FOLDER} was made from other weights or settings than those of .*: run `"
    ):
        OpenVINOBackend(StoredModel(model), "int8")
    changed = load_model(quantised)
    with torch.no_grad():
        changed.head.classifier.weight[0] += 1.0
    with pytest.raises(BackendError, match="was made from other weights"):
        OpenVINOBackend(changed, "int8")


@pytest.mark.slow
@pytest.mark.parametrize(
    "change, message",
    [
        (
            lambda folder: (folder / "deep.xml").write_text("no network"),
            "openvino_int8 is damaged or incomplete: run `",
        ),
        (lambda folder: (folder / INT8_RECORD).write_text("[]"), "int8.yaml is not what an export writes"),
        (lambda folder: (folder / INT8_RECORD).unlink(), "int8.yaml is not what an export writes"),
        (lambda folder: edit(folder, format=0), "was written by another version of dcfm_ros: run `"),
        (
            lambda folder: edit(folder, any_size=False, size=[32, 32]),
            "is for images of 32x32 alone, not of 96x64: run `.*` with --size 64x96",
        ),
    ],
    ids=["graph", "record", "no record", "version", "size"],
)
def test_what_cannot_be_run_is_refused(quantised, tmp_path, change, message):
    model = shutil.copytree(quantised, tmp_path / "model")
    change(model / INT8_FOLDER)
    with pytest.raises(BackendError, match=message):
        OpenVINOBackend(StoredModel(model), "int8").prepare(SIZE)


def edit(folder, **changes):
    path = folder / INT8_RECORD
    path.write_text(yaml.safe_dump({**yaml.safe_load(path.read_text()), **changes}))


def test_without_quantised_networks_there_is_no_int8(tmp_path):
    model = write_tiny_model(tmp_path / "model")
    with pytest.raises(
        BackendError,
        match=r"model has no quantised networks: run `dcfm export .*model --format openvino --precision int8 "
        r"--calibrate SOURCE --out FOLDER`; or use precision auto",
    ):
        OpenVINOBackend(StoredModel(model), "int8")
    with pytest.raises(BackendError, match="this model is in no folder; use precision auto"):
        OpenVINOBackend(tiny_model(), "int8")


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"format": "onnx", "calibrate": "x"}, "format onnx has no precision int8: give --format openvino"),
        ({}, "precision int8 needs images to quantise by: give --calibrate SOURCE"),
        ({"precision": "f16", "calibrate": "x"}, "--calibrate is for int8: give --precision int8"),
    ],
)
def test_options_that_do_not_belong_together(arguments, message):
    with pytest.raises(ValueError, match=message):
        ExportOptions(**{"format": "openvino", "precision": "int8", "out": "out", **arguments})


def arguments(model, images, out):
    return [
        *("export", str(model), "--format", "openvino", "--precision", "int8"),
        *("--calibrate", str(images), "--out", str(out)),
    ]


def test_without_nncf(monkeypatch, images, tmp_path, capsys):
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *rest: None if name == "nncf" else find_spec(name, *rest)
    )
    model = write_tiny_model(tmp_path / "model")
    assert main(arguments(model, images, tmp_path / "out")) == 2
    assert capsys.readouterr().err.endswith("dcfm export: int8 needs nncf: pip install nncf\n")


def test_one_image_is_too_little(nncf, images, tmp_path, capsys):
    model = write_tiny_model(tmp_path / "model")
    assert main(arguments(model, images / "00.png", tmp_path / "out")) == 2
    assert "00.png has a single frame: give a source with some" in capsys.readouterr().err


def test_a_folder_with_something_else_is_left_alone(nncf, images, tmp_path, capsys):
    model = write_tiny_model(tmp_path / "model")
    other = write_tiny_model(tmp_path / "other")
    assert main(arguments(model, images, other)) == 2
    assert "holds something other than an export: give another folder" in capsys.readouterr().err
