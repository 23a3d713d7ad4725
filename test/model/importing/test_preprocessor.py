# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What Hugging Face's image processor says: size, normalisation and labels, honoured or refused by name."""

import json
import os

import numpy as np
import pytest
import torch
import yaml
from importing_helpers import hugging_face, per_frame
from safetensors.torch import save_file

from dcfm_ros.model.image import normalised
from dcfm_ros.model.importing.checkpoint import CheckpointError
from dcfm_ros.model.importing.import_model import import_model, read_model
from dcfm_ros.model.importing.preprocessor import read_preprocessor

os.environ.setdefault("HF_HUB_OFFLINE", "1")
DEFAULT = "default: give --input-size, of its training"


def of(folder, settings, file="preprocessor_config.json"):
    (folder / file).write_text(json.dumps(settings))
    return read_preprocessor(folder)


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A folder of a SegFormer as save_pretrained writes it, but for the image processor."""
    folder = tmp_path_factory.mktemp("weights")
    save_file(hugging_face(per_frame(block_eps=1e-5)), folder / "model.safetensors")
    names = dict(enumerate(("wall", "floor", "sky", "tree")))
    (folder / "config.json").write_text(json.dumps({"model_type": "segformer", "id2label": names}))
    return folder


@pytest.fixture
def folder(weights, tmp_path):
    for path in weights.iterdir():
        (tmp_path / path.name).symlink_to(path)
    return tmp_path


def picture():
    return np.random.default_rng(3).integers(0, 256, (64, 96, 3), np.uint8)


@pytest.mark.slow
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"image_mean": [0.5, 0.4, 0.3], "image_std": [0.2, 0.25, 0.5]},
        {"do_normalize": False},
        {"rescale_factor": 1 / 128, "image_mean": [0.9, 0.8, 0.7], "image_std": [1.0, 0.9, 0.8]},
        {"do_rescale": False, "image_mean": [123.675, 116.28, 103.53], "image_std": [58.395, 57.12, 57.375]},
        {"do_rescale": False, "do_normalize": False},
    ],
)
def test_images_are_prepared_as_the_library_does(folder, settings):
    """By the processor that transformers makes of the file itself."""
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")
    transformers.SegformerImageProcessorPil(**settings, do_resize=False).save_pretrained(folder)
    theirs = transformers.SegformerImageProcessorPil.from_pretrained(folder)
    wanted = theirs(picture(), return_tensors="pt")["pixel_values"].float()
    config = read_model([folder]).model.config
    found = normalised(torch.from_numpy(picture())[None], config.normalisation)
    torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-5)


def test_the_usual_values_stay_as_they_are(tmp_path):
    found = of(tmp_path, {"rescale_factor": 0.00392156862745098}).normalisation()
    assert found == {"image_mean": (0.485, 0.456, 0.406), "image_std": (0.229, 0.224, 0.225)}
    assert of(tmp_path, {"image_mean": 0.5, "image_std": 0.25}).normalisation() == {
        "image_mean": (0.5,) * 3,
        "image_std": (0.25,) * 3,
    }


@pytest.mark.slow
def test_values_of_the_file_become_the_model_s(folder):
    of(folder, {"image_mean": [0.5, 0.4, 0.3], "image_std": [0.2, 0.25, 0.5]})
    config = read_model([folder]).model.config
    assert (config.image_mean, config.image_std) == ((0.5, 0.4, 0.3), (0.2, 0.25, 0.5))


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"do_center_crop": True}, "do_center_crop is True, which this package does not do to images"),
        ({"do_flip_channel_order": True}, "do_flip_channel_order is True"),
        ({"do_pad": True}, "do_pad is True"),
        ({"rescale_factor": 0}, "rescale_factor is 0, expected a number above 0"),
        ({"rescale_factor": "1/255"}, "rescale_factor is '1/255', expected a number"),
        ({"image_mean": [0.5, 0.5]}, r"image_mean is \[0.5, 0.5\], expected three numbers"),
        ({"image_std": [0.5, None, 0.5]}, "image_std is .*expected three numbers"),
        (
            {"image_mean": [123.7, 116.3, 103.5]},
            r"with image_mean \[123.7, 116.3, 103.5\], .* and rescale_factor 0.00392157 the model would have "
            r"image_mean",
        ),
        ({"image_std": [0, 0, 0]}, "with image_mean .* the model would have image_std"),
        ({"image_mean": [-0.5, 0, 0]}, "with image_mean .* the model would have image_mean"),
    ],
)
def test_what_the_model_cannot_do_is_refused_by_name(tmp_path, settings, message):
    with pytest.raises(CheckpointError, match=f"preprocessor_config.json: {message}"):
        of(tmp_path, settings).normalisation()


@pytest.mark.parametrize(
    "size, wanted",
    [
        ({"height": 512, "width": 1024}, ((512, 1024), "preprocessor_config.json")),
        (640, ((640, 640), "preprocessor_config.json")),
        ([512, 640], ((512, 640), "preprocessor_config.json")),
        ({"shortest_edge": 512}, ((512, 512), "preprocessor_config.json: shortest edge 512, as a square")),
        ({"height": 512, "width": 512, "longest_edge": None}, ((512, 512), "preprocessor_config.json")),
    ],
)
def test_sizes_of_every_form(tmp_path, size, wanted):
    assert of(tmp_path, {"size": size}).size() == wanted


def test_a_size_that_is_not_used_is_none(tmp_path):
    assert of(tmp_path, {"size": 512, "do_resize": False}).size() is None
    assert of(tmp_path, {}).size() is None


@pytest.mark.parametrize(
    "size, message",
    [
        ({"longest_edge": 512}, r"size is {'longest_edge': 512}, not height and width.*give --input-size"),
        ({"shortest_edge": 512, "longest_edge": 1024}, "not height and width"),
        ("512", "size is '512', not height"),
        (
            {"height": 16, "width": 512},
            "size is .*, but input_height 16: use 32 to 8192 pixels; give --input-size",
        ),
        ({"height": 512.5, "width": 512}, "not height and width"),
    ],
)
def test_a_size_that_cannot_be_is_refused_unless_one_is_given(folder, size, message):
    of(folder, {"size": size})
    with pytest.raises(CheckpointError, match=f"preprocessor_config.json: .*{message}"):
        read_model([folder])


@pytest.mark.slow
def test_the_size_is_the_default_and_said(folder):
    of(folder, {"size": {"height": 128, "width": 160}})
    found = read_model([folder])
    assert "input 128x160 (preprocessor_config.json)" in str(found)
    assert (found.model.config.input_height, found.model.config.input_width) == (128, 160)
    given = read_model([folder], input_size=(64, 96))
    assert "input 64x96 (--input-size)" in str(given)
    of(folder, {"size": {"longest_edge": 5}})
    assert read_model([folder], input_size=(64, 96)).model.config.input_width == 96
    (folder / "preprocessor_config.json").unlink()
    assert f"input 360x480 ({DEFAULT})" in str(read_model([folder]))


@pytest.mark.parametrize("name", ("do_reduce_labels", "reduce_labels", "reduce_zero_label"))
def test_labels_that_count_from_one_are_noticed_in_every_version(tmp_path, name):
    assert of(tmp_path, {name: True}).reduces_labels
    assert not of(tmp_path, {name: False}).reduces_labels and not of(tmp_path, {}).reduces_labels


@pytest.mark.slow
def test_labels_that_count_from_one_leave_masks_as_they_are_and_are_said(folder, tmp_path):
    plain = read_model([folder])
    of(folder, {"do_reduce_labels": True})
    found = import_model([folder], tmp_path / "model")
    assert (
        found.model.config.class_names == plain.model.config.class_names == ("wall", "floor", "sky", "tree")
    )
    assert all(torch.equal(one, plain.model.state_dict()[n]) for n, one in found.model.state_dict().items())
    note = "label files of its data set count from 1, and 0 is no class (do_reduce_labels)"
    assert note in str(found) and note not in str(plain)
    record = yaml.safe_load((tmp_path / "model" / "model.yaml").read_text())["training"]["imported"]
    assert record["label_files"].startswith(note)


def test_the_section_of_the_newer_file_comes_first(tmp_path):
    of(tmp_path, {"size": 512})
    assert of(tmp_path, {"processor_class": "X"}, "processor_config.json").size()[0] == (512, 512)
    newer = of(tmp_path, {"image_processor": {"size": 640}}, "processor_config.json")
    assert newer.size() == ((640, 640), "processor_config.json")


def test_without_a_file_nothing_is_known(tmp_path):
    nothing = read_preprocessor(tmp_path)
    assert nothing.normalisation() == {} and nothing.size() is None and not nothing.reduces_labels
