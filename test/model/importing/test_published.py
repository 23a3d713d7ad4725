# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Published DCFM checkpoints: the model folder gives the published logits, and what does not fit is told."""

import importlib.util
import json
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from importing_helpers import written

from dcfm_ros.model.folder import load_model
from dcfm_ros.model.fusion import resize
from dcfm_ros.model.importing.checkpoint import CheckpointError
from dcfm_ros.model.importing.import_model import import_model, read_model

DATA = Path(__file__).parents[2] / "data"
SETTINGS = {  # of each case: backbone, embed, common_width, shallow_used, head_layers
    "mit_b0_head0": ("mit_b0", 256, 0, 16, 0),
    "mit_b1_head1": ("mit_b1", 256, 0, 32, 1),
    "pspnet18": ("pspnet18", 256, 320, 32, 1),
}

_spec = importlib.util.spec_from_file_location("weights_rule", DATA / "weights_rule.py")
weights_rule = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(weights_rule)


@cache
def reference(case):
    with np.load(DATA / f"{case}.npz") as file:
        return {
            key: json.loads(str(file[key])) if key.endswith(("config", "keys")) else file[key]
            for key in file.files
        }


@cache
def tensors(case, part):
    return {
        key: torch.from_numpy(np.asarray(weights_rule.weight(key, shape)))
        for key, shape in reference(case)[f"{part}_keys"].items()
    }


def files(folder, case="mit_b0_head0", change=None, prefix=""):
    """Encoder and decoder file; `change` may change the tensors of both by name."""
    parts = {part: dict(tensors(case, part)) for part in ("encoder", "decoder")}
    if change:
        change(parts)
    return [
        written(
            folder / f"{part}_epoch_160000.pth", {prefix + key: value for key, value in parts[part].items()}
        )
        for part in ("encoder", "decoder")
    ]


def picture(case, seed):
    return torch.from_numpy(weights_rule.image(seed, *reference(case)["config"]["size"]))


@pytest.mark.slow
@pytest.mark.parametrize("case", SETTINGS)
def test_the_imported_folder_gives_the_published_logits(tmp_path, case):
    encoder, decoder = files(tmp_path, case, prefix="module." if case == "pspnet18" else "")
    order = (decoder, encoder) if case == "mit_b1_head1" else (encoder, decoder)
    imported = import_model(order, tmp_path / "model")
    assert imported.format == "published" and imported.untrained == ()

    model, known = load_model(tmp_path / "model"), reference(case)
    model.published_order = True
    config = model.config
    assert (
        config.backbone,
        config.embed,
        config.common_width,
        config.shallow_used,
        config.head_layers,
    ) == SETTINGS[case]
    assert config.architecture == "dcfm" and config.class_names == tuple(f"class {i}" for i in range(19))
    with torch.inference_mode():
        first, second = (model.features(picture(case, seed)).common for seed in (1, 2))
        found = {
            "key": model.keyframe(picture(case, 1)),
            "causal": model.nonkey(picture(case, 3), first),
            "both": model.nonkey(picture(case, 3), first, second),
        }
    for name, logits in found.items():
        at_labels = resize(logits, tuple(known["config"]["size"]))[:, :, ::3, ::3].numpy()
        assert np.abs(at_labels - known[name]).max() < 1e-6, name


def test_the_classifier_that_is_never_used_is_ignored_by_name(tmp_path):
    imported = read_model(files(tmp_path))
    assert imported.ignored == ("backbone.decoder.conv_seg.bias", "backbone.decoder.conv_seg.weight")
    without = read_model(
        files(tmp_path, change=lambda parts: [parts["encoder"].pop(name) for name in imported.ignored])
    )
    assert without.ignored == ()


def test_one_file_of_two_is_not_enough(tmp_path):
    encoder, decoder = files(tmp_path)
    for given, kind in (([encoder], "encoder"), ([decoder], "decoder")):
        with pytest.raises(
            CheckpointError, match=rf"encoder_epoch_\*.pth and decoder_epoch_\*.pth, .*\({kind}\); give"
        ):
            read_model(given)
    with pytest.raises(
        CheckpointError, match=r"encoder_epoch_160000.pth \(encoder\), .*encoder_epoch_160000.pth \(enc"
    ):
        read_model([encoder, encoder])
    other = written(tmp_path / "other.pth", {"something": torch.ones(1)})
    with pytest.raises(CheckpointError, match=r"other.pth \(neither\)"):
        read_model([encoder, other])
    with pytest.raises(CheckpointError, match="is two files"):
        read_model([encoder, decoder, other])


@pytest.mark.slow
def test_files_of_two_models_are_noticed(tmp_path):
    (tmp_path / "other").mkdir()
    encoder, _ = files(tmp_path)
    _, decoder = files(tmp_path / "other", "mit_b1_head1")  # reads 32 shallow channels; MiT-B0 has them
    assert read_model([encoder, decoder]).model.config.shallow_used == 32
    _, decoder = files(tmp_path / "other", "pspnet18")
    with pytest.raises(
        CheckpointError, match=r"mit_b0: bot_aspp.weight has \(320, 1024, 1, 1\), expected \(320, 256"
    ):
        read_model([encoder, decoder])
    extra = files(
        tmp_path / "other", change=lambda parts: [part.update(extra=torch.ones(1)) for part in parts.values()]
    )
    with pytest.raises(CheckpointError, match="both hold extra; give one encoder and one decoder"):
        read_model(extra)
    both = written(
        tmp_path / "other" / "both.pth",
        tensors("mit_b0_head0", "encoder") | tensors("mit_b0_head0", "decoder"),
    )
    with pytest.raises(CheckpointError, match=r"both.pth \(encoder and decoder\)"):
        read_model([both])


def rename(part, old, new):
    return lambda parts: parts[part].update({new: parts[part].pop(old)})


def reshape(part, name, *shape):
    return lambda parts: parts[part].update({name: torch.zeros(shape)})


@pytest.mark.slow
@pytest.mark.parametrize(
    "change, message",
    [
        (
            rename("encoder", "backbone.encoder.norm4.weight", "backbone.encoder.norm5.weight"),
            r"does not fit mit_b0: 1 missing: backbone.encoder.norm4.weight; 1 unexpected: "
            r"backbone.encoder.norm5.weight",
        ),
        (
            rename("decoder", "ffm.convblk.norm.bias", "ffm.convblk.norm.offset"),
            r"1 missing: ffm.convblk.norm.bias; 1 unexpected: ffm.convblk.norm.offset",
        ),
        (
            rename("decoder", "final.1.weight", "last.weight"),
            "lacks final.1.weight, which tells how the model is built",
        ),
        (rename("decoder", "ffm.convblk.conv.weight", "ffm.convblk.weight"), "lacks ffm.convblk.conv.weight"),
        (
            rename("encoder", "backbone.decoder.linear_fuse.conv.weight", "x"),
            "lacks backbone.decoder.linear_fuse.conv.weight",
        ),
        (
            reshape("encoder", "backbone.encoder.norm4.weight", 255),
            r"does not fit mit_b0: backbone.encoder.norm4.weight has \(255,\), expected \(256,\)",
        ),
        (
            reshape("decoder", "ffm.convblk.conv.weight", 256, 256, 1, 1),
            "reads 256 channels, which leaves 0 shallow .* 1 to 32",
        ),
        (
            reshape("decoder", "ffm.convblk.conv.weight", 256, 256 + 33, 1, 1),
            r"leaves 33 shallow ones beside the 256",
        ),
        (reshape("decoder", "ffm.convblk.conv.weight", 256), "expected 4 dimensions"),
        (reshape("decoder", "bot_aspp.weight", 128, 256, 1, 1), "leaves 144 shallow ones beside the 128"),
        (lambda parts: parts["encoder"].update({"ffm.convblk.norm.bias": torch.zeros(256)}), "is two files"),
        (
            lambda parts: parts["decoder"].update({"extra": torch.ones(1)}),
            "0 missing: none; 1 unexpected: extra",
        ),
        (
            lambda parts: parts["decoder"].update({"final.1.weight": torch.full((19, 256, 1, 1), torch.nan)}),
            "final.1.weight holds values that are not finite",
        ),
        (
            lambda parts: parts["decoder"].update(
                {"final.1.weight": torch.ones(19, 256, 1, 1, dtype=torch.int8)}
            ),
            "final.1.weight holds torch.int8, expected floating point",
        ),
    ],
)
def test_what_does_not_fit_is_named_and_nothing_is_written(tmp_path, change, message):
    with pytest.raises(CheckpointError, match=message):
        import_model(files(tmp_path, change=change), tmp_path / "model")
    assert not (tmp_path / "model").exists()


def test_half_precision_weights_are_taken(tmp_path):
    def halve(parts):
        for part in parts.values():
            part.update({name: tensor.half() for name, tensor in part.items() if tensor.is_floating_point()})

    model = read_model(files(tmp_path, change=halve)).model
    assert all(p.dtype == torch.float32 for p in model.parameters())
    whole = tensors("mit_b0_head0", "decoder")["final.1.weight"]
    torch.testing.assert_close(model.head.classifier.weight, whole, atol=1e-3, rtol=1e-3)
