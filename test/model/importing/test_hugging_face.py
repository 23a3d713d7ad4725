# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Hugging Face SegFormer: what `save_pretrained` wrote, and state dicts, and that the imported model computes
the same."""

import json
import os

import pytest
import torch
from importing_helpers import FOUR, hugging_face, image, logits, per_frame, written
from safetensors.torch import load_file, save_file

from dcfm_ros.model.backbone_specs import MIT_SPECS
from dcfm_ros.model.folder import load_model
from dcfm_ros.model.importing.checkpoint import CheckpointError
from dcfm_ros.model.importing.import_model import import_model, read_model
from dcfm_ros.model.model_yaml import untrained_parts

os.environ.setdefault("HF_HUB_OFFLINE", "1")
EPS = {"block_eps": 1e-5, "inner_eps": 1e-5}
# The larger ones differ in the number of blocks alone.
BETWEEN = [pytest.param(name, marks=pytest.mark.nightly) for name in ("mit_b3", "mit_b4")]
EXACT = {"rtol": 0, "atol": 1e-10}  # in float64: rounding in float32 depends on the processor


@pytest.fixture
def transformers():
    return pytest.importorskip(
        "transformers", reason="transformers is not installed; requirements/test.txt has it"
    )


def config(transformers, backbone="mit_b0", **changes):
    spec = MIT_SPECS[backbone]
    return transformers.SegformerConfig(depths=list(spec.depths), hidden_sizes=list(spec.widths), **changes)


def randomised(model):
    """Norms and biases, too: as they are made, ones and zeros, many mistakes would not show."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            if name.endswith("running_var"):
                tensor.copy_(0.5 + torch.rand(tensor.shape, generator=generator))
            elif tensor.ndim == 1:
                tensor.add_(0.1 * torch.randn(tensor.shape, generator=generator))
    return model.eval()


def saved(model, folder, kind):
    """Written by save_pretrained; `bin` as its earlier versions wrote."""
    model.save_pretrained(folder)
    if kind == "bin":
        torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
        (folder / "model.safetensors").unlink()
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("kind, embed", [("safetensors", 256), ("bin", 256), ("safetensors", 768)])
def test_a_segmentation_model_gives_the_same_logits(transformers, tmp_path, kind, embed):
    names = {0: "wall", 1: "floor", 2: "door"}
    settings = config(transformers, decoder_hidden_size=embed, num_labels=3, id2label=names)
    theirs = randomised(transformers.SegformerForSemanticSegmentation(settings))
    imported = import_model([saved(theirs, tmp_path / "theirs", kind)], tmp_path / "model")
    assert imported.format == "huggingface" and imported.ignored == () and imported.untrained == ()

    ours, picture = load_model(tmp_path / "model").double(), image().double()
    with torch.inference_mode():
        expected = theirs.double()(picture).logits
    torch.testing.assert_close(logits(ours, picture), expected, **EXACT)
    ours.published_order = False
    with torch.inference_mode():
        torch.testing.assert_close(ours.keyframe(picture), expected, **EXACT)
    assert ours.config.class_names == ("wall", "floor", "door") and ours.config.embed == embed
    assert (ours.config.block_eps, ours.config.inner_eps) == (1e-5, 1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("backbone, dtype", [("mit_b0", torch.float32), ("mit_b1", torch.float16)])
def test_a_state_dict_gives_the_same_logits(transformers, tmp_path, backbone, dtype):
    """Its names are other ones than those of save_pretrained, since version 5 of the library."""
    theirs = randomised(
        transformers.SegformerForSemanticSegmentation(config(transformers, backbone, num_labels=3))
    ).to(dtype)
    imported = import_model([written(tmp_path / "theirs.pth", theirs.state_dict())], tmp_path / "model")
    assert imported.format == "huggingface" and imported.ignored == () and imported.untrained == ()
    ours, picture = load_model(tmp_path / "model").double(), image().double()
    with torch.inference_mode():
        expected = theirs.double()(picture).logits
    torch.testing.assert_close(logits(ours, picture), expected, **EXACT)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ("SegformerModel", "SegformerForImageClassification"))
def test_a_state_dict_of_an_encoder_is_the_saved_one(transformers, tmp_path, kind):
    theirs = randomised(getattr(transformers, kind)(config(transformers)))
    found = read_model([written(tmp_path / "theirs.pth", {"model": theirs.state_dict(), "epoch": 1})])
    saved_one = read_model([saved(theirs, tmp_path / "theirs", "safetensors")])
    assert (
        found.untrained == saved_one.untrained == ("fusion", "classifier")
        and found.ignored == saved_one.ignored
    )
    for name, tensor in saved_one.model.encoder.state_dict().items():
        assert torch.equal(tensor, found.model.encoder.state_dict()[name]), name


@pytest.mark.slow
@pytest.mark.parametrize("backbone", ("mit_b1", "mit_b2", *BETWEEN, "mit_b5"))
def test_encoders_of_every_size_are_the_same(transformers, tmp_path, backbone):
    theirs = randomised(transformers.SegformerModel(config(transformers, backbone)))
    theirs.save_pretrained(tmp_path)
    ours = read_model([tmp_path]).model
    (tmp_path / "model.safetensors").unlink()  # hundreds of MB
    assert ours.config.backbone == backbone
    encoder, picture = ours.encoder.double(), image(64, 64).double()
    with torch.inference_mode():
        expected = theirs.double()(picture, output_hidden_states=True).hidden_states
        found = encoder.deep(encoder.shallow(picture))
    assert len(found) == len(expected) == 4
    for stage, (one, other) in enumerate(zip(found, expected), start=1):
        torch.testing.assert_close(one, other, **EXACT, msg=lambda text: f"stage {stage}: {text}")


@pytest.mark.slow
def test_the_eps_of_the_library_is_the_one_that_fits(transformers, tmp_path):
    """Its configuration says 1e-6, which none of its layers uses."""
    theirs = randomised(transformers.SegformerModel(config(transformers, layer_norm_eps=1e-6))).double()
    ours = read_model([saved(theirs.float(), tmp_path, "safetensors")]).model.encoder.double()
    picture = image().double()
    with torch.inference_mode():
        expected = theirs.double()(picture, output_hidden_states=True).hidden_states
        right = ours.deep(ours.shallow(picture))
        for module in ours.modules():
            if isinstance(module, torch.nn.LayerNorm):
                module.eps = 1e-6
        wrong = ours.deep(ours.shallow(picture))
    error = [
        max(float((one - other).abs().max()) for one, other in zip(found, expected))
        for found in (right, wrong)
    ]
    assert error[0] < 1e-6 and error[1] > 3 * error[0]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ("SegformerModel", "SegformerForImageClassification"))
def test_encoders_alone_and_classifiers_of_images(transformers, tmp_path, kind):
    theirs = randomised(getattr(transformers, kind)(config(transformers)))
    imported = import_model([saved(theirs, tmp_path / "theirs", "safetensors")], tmp_path / "model")
    assert imported.untrained == untrained_parts(tmp_path / "model") == ("fusion", "classifier")
    assert imported.ignored == (() if kind == "SegformerModel" else ("classifier.bias", "classifier.weight"))
    assert imported.model.config.class_names == ("untrained",)


# Below: layouts written by hand, so that these run where transformers is missing.


@pytest.fixture
def folder(tmp_path):
    """A folder as save_pretrained writes it: `folder(change, **settings)`."""

    def make(change=None, **settings):
        tensors = hugging_face(per_frame(**EPS))
        if change:
            change(tensors)
        place = tmp_path / "theirs"
        place.mkdir(exist_ok=True)
        save_file(tensors, place / "model.safetensors")
        plain = {
            "model_type": "segformer",
            "layer_norm_eps": 1e-6,
            "hidden_act": "gelu",
            "id2label": {str(number): name for number, name in enumerate("abcd")},
            **settings,
        }
        (place / "config.json").write_text(json.dumps(plain))
        return place

    return make


def test_the_library_s_names_are_those_of_the_helper(transformers, tmp_path):
    theirs = transformers.SegformerForSemanticSegmentation(config(transformers, num_labels=4))
    theirs.save_pretrained(tmp_path)
    shapes = [
        {name: tuple(tensor.shape) for name, tensor in tensors.items()}
        for tensors in (load_file(tmp_path / "model.safetensors"), hugging_face(per_frame(**EPS)))
    ]
    assert shapes[0] == shapes[1]


def test_a_folder_by_hand(folder):
    ours = read_model([folder()]).model
    assert torch.equal(logits(ours), logits(per_frame(**EPS))) and ours.config.class_names == tuple("abcd")


def test_a_file_is_enough(folder, tmp_path):
    place = folder()
    # config.json lies beside it
    assert read_model([place / "model.safetensors"]).model.config.class_names == tuple("abcd")
    alone = written(tmp_path / "alone.bin", hugging_face(per_frame(**EPS)))
    imported = read_model([alone])
    assert imported.model.config.class_names[0] == "class 0" and imported.class_names_from.startswith(
        "nobody"
    )
    assert torch.equal(logits(imported.model), logits(per_frame(**EPS)))


@pytest.mark.slow
@pytest.mark.parametrize("before", ("segformer.encoder.", "encoder.", ""))
def test_an_encoder_may_begin_where_it_likes(tmp_path, before):
    """As state dicts of SegformerModel, and of the encoder in it, in version 4 of the library."""
    ours = per_frame(**EPS)
    tensors = {
        before + name.removeprefix("segformer.encoder."): tensor
        for name, tensor in hugging_face(ours).items()
        if name.startswith("segformer.")
    }
    found = read_model([written(tmp_path / "a.pth", tensors)])
    assert found.untrained == ("fusion", "classifier")
    assert all(
        torch.equal(tensor, found.model.encoder.state_dict()[name])
        for name, tensor in ours.encoder.state_dict().items()
    )


def test_safetensors_come_before_a_pickle(folder):
    place = folder()
    (place / "pytorch_model.bin").write_bytes(b"not even readable")
    assert read_model([place]).files == ("model.safetensors",)


def test_a_folder_without_weights_says_what_it_looks_for(tmp_path):
    def refused(message):
        with pytest.raises(
            CheckpointError, match=f"holds neither model.safetensors nor pytorch_model.bin; {message}"
        ):
            read_model([tmp_path])

    refused("give a folder in which save_pretrained wrote PyTorch weights, or a file")
    (tmp_path / "encoder.pth").touch()
    refused("give the file, or of published DCFM both: encoder.pth")
    for step in (500, 1000):  # as a training leaves them
        (tmp_path / f"checkpoint-{step}").mkdir()
        (tmp_path / f"checkpoint-{step}" / "config.json").write_text("{}")
    refused("give one of its folders: checkpoint-1000, checkpoint-500")
    (tmp_path / "adapter_config.json").write_text("{}")
    with pytest.raises(CheckpointError, match="holds an adapter .LoRA. by itself; merge_and_unload"):
        read_model([tmp_path])


@pytest.mark.parametrize("weights", (True, False))
@pytest.mark.parametrize(
    "kind, architecture", [("mask2former", "Mask2FormerForUniversalSegmentation"), ("dpt", "DPTModel")]
)
def test_other_architectures_are_named(tmp_path, weights, kind, architecture):
    if weights:
        save_file({"embeddings.weight": torch.ones(1)}, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text(json.dumps({"model_type": kind, "architectures": [architecture]}))
    with pytest.raises(
        CheckpointError,
        match=rf"config.json: model_type is '{kind}' \({architecture}\); of .* only 'segformer'",
    ):
        read_model([tmp_path])


@pytest.mark.slow
@pytest.mark.parametrize(
    "settings, message",
    [
        ({"hidden_act": "relu"}, "config.json: hidden_act is 'relu'; only 'gelu' can be imported"),
        ({"model_type": "beit"}, "model_type is 'beit'"),
        (
            {"num_attention_heads": [1, 2, 4, 8]},
            r"num_attention_heads is \[1, 2, 4, 8\]; only \[1, 2, 5, 8\]",
        ),
        ({"sr_ratios": [8, 4, 2]}, "sr_ratios is"),
        ({"strides": [4, 2, 2, 1]}, "strides is"),
        ({"patch_sizes": 7}, "patch_sizes is 7"),
        (
            {"id2label": {"0": "a", "2": "b"}},
            "id2label does not name the classes 0, 1, 2, ... each once; give --classes",
        ),
        ({"id2label": ["a", "b"]}, "id2label does not name"),
        ({"id2label": {"0": "a", "1": "b"}}, "has 4 classes, but the checkpoint names 2; give --classes"),
        (
            {"id2label": {"0": "a", "1": "b", "2": "b", "3": "c"}},
            "config.json: id2label: class names repeat: 'b'; give --classes",
        ),
        (
            {"id2label": {"1": "a", "2": "b", "3": "c", "4": "d"}},
            "id2label does not name the classes 0, 1, 2, ... each once",
        ),
        ({"id2label": {"0": "a", "1": "b", "2": None, "3": "c"}}, "class 2 has no name; give --classes"),
        (
            {"id2label": {"0": "a", "1": "", "2": "b", "3": "c"}},
            "config.json: id2label: class 1 has no name; give --classes",
        ),
    ],
)
def test_settings_that_would_compute_something_else_are_refused(folder, settings, message):
    with pytest.raises((CheckpointError, ValueError), match=message):
        read_model([folder(**settings)])


@pytest.mark.slow
@pytest.mark.parametrize(
    "id2label", [["a"], {"1": "a"}, {"0": "a", "1": "a", "2": "", "3": "c"}, {"0": "a"}, None]
)
def test_with_classes_given_those_of_the_file_do_not_matter(folder, id2label):
    imported = read_model([folder(id2label=id2label)], classes=FOUR)
    assert imported.model.config.classes == FOUR and imported.class_names_from == "--classes"


def test_names_of_any_text_come_back_from_the_model_s_folder(folder, tmp_path):
    names = ["on, null", "1", "Gebäude 木 🚗", "#: - '\""]
    import_model([folder(id2label=dict(enumerate(names)))], tmp_path / "model")
    assert load_model(tmp_path / "model").config.class_names == tuple(names)


@pytest.mark.parametrize(
    "text, message", [("{", "config.json is not valid JSON"), ("[]", "config.json holds a list")]
)
def test_a_broken_configuration_is_named(folder, text, message):
    place = folder()
    (place / "config.json").write_text(text)
    with pytest.raises(CheckpointError, match=message):
        read_model([place])


def renamed(old, new):
    return lambda tensors: tensors.update({new: tensors.pop(old)})


@pytest.mark.parametrize(
    "change, message",
    [
        (
            renamed(
                "segformer.encoder.block.0.0.attention.self.value.bias",
                "segformer.encoder.block.0.0.attention.self.v.bias",
            ),
            "1 missing: segformer.encoder.block.0.0.attention.self.value.bias; "
            "1 unexpected: segformer.encoder.block.0.0.attention.self.v.bias",
        ),
        (
            renamed("decode_head.classifier.weight", "decode_head.x.weight"),
            "lacks decode_head.classifier.weight",
        ),
        (
            lambda tensors: tensors.update({"classifier.weight": torch.ones(1000, 256)}),
            "1 unexpected: classifier.weight",
        ),
        (
            lambda tensors: tensors.update(
                {"segformer.encoder.block.0.0.attention.self.key.weight": torch.ones(64, 32)}
            ),
            r"attention.self.key.weight has \(64, 32\), expected \(32, 32\)",
        ),
    ],
)
def test_what_does_not_fit_is_named(folder, change, message):
    with pytest.raises(CheckpointError, match=message):
        read_model([folder(change)])
