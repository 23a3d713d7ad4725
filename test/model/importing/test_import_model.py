# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The one door: formats told apart, class tables, model folders, and training that starts from them."""

from types import SimpleNamespace

import pytest
import torch
import yaml
from helpers import tiny_config, write_tiny_model
from importing_helpers import FOUR, hugging_face, nvlabs_backbone, nvlabs_segmentation, per_frame, written

from dcfm_ros.cli import main
from dcfm_ros.model import folder as folder_module
from dcfm_ros.model.config import ConfigError
from dcfm_ros.model.folder import load_model
from dcfm_ros.model.importing.checkpoint import CheckpointError
from dcfm_ros.model.importing.import_model import import_model, read_model
from dcfm_ros.sources.classes import CITYSCAPES19
from dcfm_ros.training.start import new_model


@pytest.fixture(scope="module")
def segmentation(tmp_path_factory):
    """A segmentation model of four classes in NVlabs' layout."""
    return written(
        tmp_path_factory.mktemp("nvlabs") / "segformer.pth", {"state_dict": nvlabs_segmentation(per_frame())}
    )


@pytest.fixture(scope="module")
def backbone(tmp_path_factory):
    return written(tmp_path_factory.mktemp("nvlabs") / "mit_b0.pth", nvlabs_backbone(per_frame()))


def test_the_record_tells_where_a_model_comes_from(segmentation, tmp_path):
    import_model([segmentation], tmp_path / "model", input_size=(480, 853))
    plain = yaml.safe_load((tmp_path / "model" / "model.yaml").read_text())
    assert plain["training"] == {
        "imported": {"format": "nvlabs", "files": ["segformer.pth"], "untrained": []}
    }
    assert (plain["model"]["input_height"], plain["model"]["input_width"]) == (480, 853)


@pytest.mark.slow
def test_formats_are_told_apart_by_their_names(segmentation, backbone, tmp_path):
    assert read_model([segmentation]).format == read_model([backbone]).format == "nvlabs"
    for prefix in ("", "segformer."):
        tensors = hugging_face(per_frame(), prefix)
        assert read_model([written(tmp_path / "a.bin", tensors)]).format == "huggingface"
    with pytest.raises(
        CheckpointError,
        match="a.pth has none of the formats published, nvlabs, mmsegmentation, huggingface, "
        "efficientnet_lite, timm_efficientnet_lite, resnet: its tensors are called conv1.weight, fc.weight",
    ):
        read_model([written(tmp_path / "a.pth", {"conv1.weight": torch.ones(1), "fc.weight": torch.ones(1)})])


def test_more_classes_than_a_mask_tells_apart_are_refused(tmp_path):
    tensors = hugging_face(per_frame())
    tensors |= {
        "decode_head.classifier.weight": torch.ones(256, 256, 1, 1),
        "decode_head.classifier.bias": torch.ones(256),
    }
    with pytest.raises(CheckpointError, match="a.pth has 256 classes; a mask tells at most 255 apart"):
        read_model([written(tmp_path / "a.pth", tensors)])


@pytest.mark.slow
def test_quantised_weights_are_named_whatever_lies_beside_them(tmp_path):
    whole = hugging_face(per_frame())
    name = "segformer.encoder.block.0.0.mlp.dense1.weight"
    quantised = torch.quantize_per_tensor(whole[name], 0.1, 0, torch.qint8)
    for change in ({name: whole[name].to(torch.int8), f"{name}.SCB": torch.ones(128)}, {name: quantised}):
        with pytest.raises(
            CheckpointError,
            match=rf"{name} holds torch.q?int8, expected floating point; give weights that are not",
        ):
            read_model([written(tmp_path / "a.pth", whole | change)])
    for tensor, what in ((whole[name].to("meta"), "without values"), (whole[name].to_sparse(), "sparse")):
        with pytest.raises(
            CheckpointError, match=f"{name} is {what}; save the model with all of its weights"
        ):
            read_model([written(tmp_path / "a.pth", whole | {name: tensor})])


def test_a_format_that_is_said_is_not_doubted(backbone):
    with pytest.raises(
        CheckpointError, match=r"mit_b0.pth does not fit mit_b0: \d+ missing: encoder.block.0.0.attention"
    ):
        read_model([backbone], format="huggingface")
    with pytest.raises(CheckpointError, match="is two files"):
        read_model([backbone], format="published")
    with pytest.raises(
        CheckpointError, match="format is onnx; give one of auto, published, nvlabs, mmsegmentation, hugg"
    ):
        read_model([backbone], format="onnx")
    with pytest.raises(CheckpointError, match="no checkpoint is given"):
        read_model([])


def test_another_number_of_classes_is_refused(segmentation):
    with pytest.raises(
        CheckpointError, match="segformer.pth has 4 classes, but --classes names 3; give .* as many"
    ):
        read_model([segmentation], classes=FOUR[:3])
    with pytest.raises(ConfigError, match="input_height 3: use 32 to 8192"):
        read_model([segmentation], input_size=(3, 480))


def test_models_are_not_overwritten_nor_imported(segmentation, tmp_path):
    write_tiny_model(tmp_path / "mine")
    before = (tmp_path / "mine" / "model.yaml").read_text()
    with pytest.raises(
        CheckpointError, match="mine already holds a model; give another folder, or remove it"
    ):
        import_model([segmentation], tmp_path / "mine")
    assert (tmp_path / "mine" / "model.yaml").read_text() == before
    with pytest.raises(CheckpointError, match="mine is a model folder of this package; use it as it is"):
        import_model([tmp_path / "mine"], tmp_path / "other")


def test_a_full_disk_leaves_no_model(segmentation, tmp_path, monkeypatch):
    def disk_is_full(tensors, path):
        path.write_bytes(b"the beginning of")
        raise OSError(28, "No space left on device")

    out = tmp_path / "my" / "models" / "model"
    with (
        monkeypatch.context() as patched,
        pytest.raises(OSError, match="models/model could not be written .*No space left"),
    ):
        patched.setattr(folder_module, "save_file", disk_is_full)
        import_model([segmentation], out)
    assert list(tmp_path.iterdir()) == []  # no folder either
    import_model([segmentation], out)
    assert same(load_model(out).state_dict(), per_frame().state_dict())


def test_what_cannot_be_imported_writes_nothing(segmentation, tmp_path):
    whole = torch.load(segmentation, weights_only=True)["state_dict"]
    for change in (
        {"decode_head.extra": torch.ones(1)},
        {"decode_head.linear_pred.bias": torch.tensor([torch.nan] * 4)},
    ):
        with pytest.raises(CheckpointError):
            import_model([written(tmp_path / "a.pth", {**whole, **change})], tmp_path / "model")
        assert [path.name for path in tmp_path.iterdir()] == ["a.pth"]


def test_a_file_in_the_folders_place_is_named(segmentation, tmp_path):
    (tmp_path / "model").write_text("mine")
    with pytest.raises(OSError, match="model could not be written .*give another folder"):
        import_model([segmentation], tmp_path / "model")
    assert (tmp_path / "model").read_text() == "mine"


# Training


def training(folder, parts="all", **changes):
    """What `new_model` reads of a training's configuration."""
    return SimpleNamespace(
        model=tiny_config(4, **changes),
        init=str(folder) if folder else "",
        init_encoder="",
        init_parts=parts,
        seed=3,
        head_std=0.5,
    )


def same(one, other):
    return all(torch.equal(tensor, other[name]) for name, tensor in one.items())


@pytest.mark.slow
@pytest.mark.parametrize("parts, embed", [("all", 256), ("backbone", 64)])
def test_training_starts_from_a_backbone_alone_with_everything_else_fresh(backbone, tmp_path, parts, embed):
    """The folder's random fusion is not taken, so its width does not matter."""
    import_model([backbone], tmp_path / "model")
    model, fresh = (new_model(training(folder, parts, embed=embed)) for folder in (tmp_path / "model", None))
    assert same(model.encoder.state_dict(), per_frame().encoder.state_dict())
    assert same(
        {name: t for name, t in model.state_dict().items() if not name.startswith("encoder.")},
        fresh.state_dict(),
    )


@pytest.mark.slow
def test_training_starts_from_a_segmentation_model_with_its_fusion(segmentation, tmp_path):
    import_model([segmentation], tmp_path / "model")
    model, origin = new_model(training(tmp_path / "model", "backbone")), per_frame()
    assert same(model.encoder.state_dict(), origin.encoder.state_dict())
    trained = {
        name: tensor for name, tensor in origin.fusion.state_dict().items() if "num_batches" not in name
    }
    assert same(trained, model.fusion.state_dict())
    with pytest.raises(ConfigError, match="use the same embed"):
        new_model(training(tmp_path / "model", "backbone", embed=768))


@pytest.mark.slow
def test_training_from_a_model_of_another_eps_says_what_to_set(tmp_path):
    import_model([written(tmp_path / "a.bin", hugging_face(per_frame()))], tmp_path / "model")
    with pytest.raises(
        ConfigError, match="the model has block_eps 1e-05, .*give the configuration those of the model"
    ):
        new_model(training(tmp_path / "model"))
    new_model(training(tmp_path / "model", block_eps=1e-5))


@pytest.mark.slow
@pytest.mark.parametrize(
    "text",
    (
        "training: {imported: {untrained: all}}",
        "training: {imported: {untrained: [3]}}",
        "training: {imported: [a]}",
    ),
)
def test_a_damaged_record_is_named(backbone, tmp_path, text):
    import_model([backbone], tmp_path / "model")
    path = tmp_path / "model" / "model.yaml"
    path.write_text(yaml.safe_dump({**yaml.safe_load(path.read_text()), **yaml.safe_load(text)}))
    with pytest.raises(folder_module.ModelError, match="training.imported.untrained is not a list of names"):
        load_model(tmp_path / "model")


# The command


def run(capsys, *arguments):
    try:
        code = main(["import", *map(str, arguments)])
    except SystemExit as stop:
        code = stop.code
    return code, *capsys.readouterr()


def test_the_command_says_what_it_made(segmentation, tmp_path, capsys):
    table = tmp_path / "classes.yaml"
    table.write_text(
        yaml.safe_dump({"classes": [{"name": row.name, "color": list(row.color)} for row in FOUR]})
    )
    out = tmp_path / "model"
    code, output, errors = run(
        capsys, segmentation, "--out", out, "--classes", table, "--input-size", "64x96"
    )
    assert code == 0 and errors == ""
    assert "nvlabs: mit_b0, per_frame, 4 classes (named by --classes), input 64x96 (--input-size)" in output
    assert (
        "ignored: decode_head.conv_seg.bias, decode_head.conv_seg.weight" in output
        and f"written to {out}" in output
    )
    assert load_model(out).config.classes == FOUR


def test_the_command_knows_class_tables(backbone, tmp_path, capsys):
    code, output, _ = run(capsys, backbone, "--out", tmp_path / "model", "--classes", "cityscapes")
    assert code == 0 and "untrained: fusion, classifier" in output
    assert "input 360x480 (default: give --input-size, of its training)" in output
    assert load_model(tmp_path / "model").config.class_names == tuple(name for name, _ in CITYSCAPES19)


@pytest.mark.parametrize(
    "arguments, message",
    [
        (("--classes", "nowhere.yaml"), "dcfm import: there is no nowhere.yaml"),
        (("--classes", "vspw"), "has 4 classes, but --classes names 124"),
        (("--format", "onnx"), "'onnx': use one of auto"),
        (("--input-size", "480"), "'480' is not height x width, as in 480x853"),
        (("--input-size", "8x9000"), "input_height 8: use 32 to 8192"),
        (("--prefix", "net"), "no name begins with net.; they begin with backbone., decode_head."),
    ],
)
def test_wrong_arguments_of_the_command_are_a_message(segmentation, tmp_path, capsys, arguments, message):
    code, output, errors = run(capsys, segmentation, "--out", tmp_path / "model", *arguments)
    assert code == 2 and output == "" and message in errors and "Traceback" not in errors
    assert not (tmp_path / "model").exists()
