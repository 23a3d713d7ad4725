# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Teachers: models of this package, checkpoints, and ONNX networks of each kind."""

import sys

import numpy as np
import pytest
import torch
from helpers import CLASSES, tiny_model, write_tiny_model
from torch import nn

from dcfm_ros.distillation.open_teacher import open_teacher
from dcfm_ros.model.config import ConfigError
from dcfm_ros.model.folder import save_model
from dcfm_ros.model.image import normalised
from dcfm_ros.model.model_yaml import ModelError
from dcfm_ros.pipeline.backends.base import BackendError

pytest.importorskip("onnx")
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore:torch.tensor results")


@pytest.fixture
def picture():
    return np.random.default_rng(0).integers(0, 256, (64, 96, 3), np.uint8)


def shares_of(model, picture):
    with torch.inference_mode():
        logits = model.keyframe(normalised(torch.from_numpy(picture)[None], model.config.normalisation))
    return logits.softmax(1)[0].numpy()


@pytest.mark.parametrize("architecture", ["dcfm", "per_frame"])
def test_a_model_folder(architecture, options, picture, tmp_path):
    folder = write_tiny_model(tmp_path / "model", architecture=architecture)
    teacher = open_teacher(options(teacher=str(folder)), device="cpu")
    try:
        found = teacher.probabilities(picture)
    finally:
        teacher.stop()
    expected = shares_of(tiny_model(architecture=architecture), picture)
    assert np.abs(found - expected).max() < 0.05  # bfloat16, where the processor is made for it
    assert (teacher.classes, teacher.folder) == (CLASSES[:4], folder)


def test_a_checkpoint_is_imported_once(options, picture, tmp_path):
    transformers = pytest.importorskip("transformers")
    config = transformers.SegformerConfig(num_labels=3, hidden_sizes=[32, 64, 160, 256], depths=[2, 2, 2, 2])
    names = {0: "sky", 1: "road", 2: "car"}
    config.id2label, config.label2id = names, {name: number for number, name in names.items()}
    network = transformers.SegformerForSemanticSegmentation(config).eval()
    network.save_pretrained(tmp_path / "segformer")
    chosen = options(teacher=str(tmp_path / "segformer"))
    for _ in range(2):
        teacher = open_teacher(chosen, device="cpu")
        teacher.stop()
    assert [c.name for c in teacher.classes] == ["sky", "road", "car"]
    assert teacher.folder.parent == tmp_path / "run"


def test_a_teacher_that_is_not_there_or_untrained(options, tmp_path):
    with pytest.raises(ModelError, match="no model"):
        open_teacher(options(teacher=str(tmp_path / "none")))
    folder = save_model(
        tmp_path / "encoder", tiny_model(), {"imported": {"untrained": ["fusion", "classifier"]}}
    )
    with pytest.raises(ConfigError, match="untrained in fusion and classifier: it cannot teach"):
        open_teacher(options(teacher=str(folder)))


class Bands(nn.Module):
    """Logits by brightness, at a quarter of the size, or what is made of them."""

    def __init__(self, kind="logits", channels_last=False):
        super().__init__()
        self.kind, self.channels_last = kind, channels_last

    def forward(self, image):
        pixels = image.permute(0, 3, 1, 2) if self.channels_last else image
        grey = nn.functional.avg_pool2d(pixels.float().mean(1, keepdim=True), 4)
        logits = -((grey - torch.tensor([-1.0, 0.0, 1.0]).view(1, 3, 1, 1)) ** 2)
        if self.kind == "probabilities":
            return logits.softmax(1)
        if self.kind == "ids":
            return logits.argmax(1)
        if self.kind == "ids 4d":
            return logits.argmax(1, keepdim=True)
        if self.kind == "last":
            return logits.permute(0, 2, 3, 1)
        if self.kind == "classification":
            return logits.mean((2, 3))
        if self.kind == "nan":
            return logits * float("nan")
        return logits


@pytest.fixture
def exported(tmp_path):
    """`exported(network, example)`: the path of its ONNX file."""

    def make(network, example=torch.zeros(1, 3, 64, 96), dynamic=False):
        path = tmp_path / "teacher.onnx"
        axes = {"image": {2: "height", 3: "width"}} if dynamic else None
        torch.onnx.export(
            network, (example,), str(path), input_names=["image"], dynamo=False, dynamic_axes=axes
        )
        return str(path)

    return make


@pytest.fixture
def classes_file(tmp_path):
    path = tmp_path / "three.yaml"
    path.write_text(
        "classes: [{name: dark, color: [0, 0, 0]}, {name: grey, color: [9, 9, 9]}, "
        "{name: light, color: [90, 90, 90]}]"
    )
    return str(path)


@pytest.mark.parametrize("kind", ["logits", "probabilities", "ids", "ids 4d", "last"])
@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
def test_an_onnx_network(kind, engine, options, exported, classes_file, picture, monkeypatch):
    pytest.importorskip(engine)
    if engine == "openvino":  # as where ONNX Runtime is not installed
        monkeypatch.setitem(sys.modules, "onnxruntime", None)
    teacher = open_teacher(options(teacher=exported(Bands(kind)), classes=classes_file))
    found = teacher.probabilities(picture)
    scaled = (picture / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    with torch.inference_mode():
        logits = Bands()(torch.from_numpy(scaled).float().permute(2, 0, 1)[None])
    assert found.shape == (3, 16, 24) and [c.name for c in teacher.classes] == ["dark", "grey", "light"]
    if kind.startswith("ids"):
        assert np.array_equal(found.argmax(0), logits.argmax(1)[0].numpy()) and found.max() == 1
    else:
        np.testing.assert_allclose(found, logits.softmax(1)[0].numpy(), atol=1e-4)


def test_an_onnx_network_of_bytes_in_rows_and_one_of_any_size(options, exported, picture):
    teacher = open_teacher(
        options(teacher=exported(Bands(channels_last=True), torch.zeros(1, 64, 96, 3, dtype=torch.uint8)))
    )
    assert teacher.probabilities(picture).shape == (3, 16, 24)
    assert [c.name for c in teacher.classes] == ["class 0", "class 1", "class 2"]
    teacher = open_teacher(options(teacher=exported(Bands(), dynamic=True)))
    assert teacher.probabilities(picture).shape[1] > 100  # about 512x512 pixels


@pytest.mark.parametrize(
    "network, changes, message",
    [
        (Bands("classification"), {}, "which is no segmentation"),
        (Bands("nan"), {}, "gives values that are not finite"),
        (Bands("ids"), {}, "gives class ids, so their number is unknown: name its classes by --classes"),
        (Bands(), {"classes": "street11"}, "has 3 classes, but --classes names 11"),
    ],
)
def test_an_onnx_network_that_cannot_teach(network, changes, message, options, exported):
    with pytest.raises(ConfigError, match=message):
        open_teacher(options(teacher=exported(network), **changes))


def test_files_that_are_no_networks(options, tmp_path, exported):
    with pytest.raises(BackendError, match="there is no file"):
        open_teacher(options(teacher=str(tmp_path / "none.onnx")))
    (tmp_path / "bad.onnx").write_bytes(b"not onnx")
    with pytest.raises(BackendError, match="cannot be loaded as an ONNX network"):
        open_teacher(options(teacher=str(tmp_path / "bad.onnx")))
    import onnx

    network = onnx.load(exported(Bands()))
    network.graph.ClearField("output")
    onnx.save(network, tmp_path / "mute.onnx")
    with pytest.raises(BackendError, match="mute.onnx cannot be loaded as an ONNX network"):
        open_teacher(options(teacher=str(tmp_path / "mute.onnx")))
    flat = exported(nn.Flatten(), torch.zeros(1, 8))
    with pytest.raises(ConfigError, match="expected one image"):
        open_teacher(options(teacher=flat))


def test_classes_are_for_onnx_alone(options, tmp_path):
    folder = write_tiny_model(tmp_path / "model")
    with pytest.raises(ConfigError, match="only an ONNX file needs them"):
        open_teacher(options(teacher=str(folder), classes="street11"))
