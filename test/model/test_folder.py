# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Model folders: written whole, read strictly."""

from dataclasses import replace

import pytest
import torch
import yaml
from helpers import tiny_model, write_tiny_model
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from dcfm_ros import files
from dcfm_ros.model import folder as folder_module
from dcfm_ros.model import model_yaml
from dcfm_ros.model.config import ClassSpec
from dcfm_ros.model.folder import load_model, save_model
from dcfm_ros.model.model_yaml import (
    CONFIG_FILE,
    WEIGHTS_FILE,
    ModelError,
    find_model,
    load_model_config,
    training_record,
)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A model folder to look at; tests which change it take a copy."""
    return write_tiny_model(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture
def spoilt(written, tmp_path):
    """A folder like `written` whose tensors or settings may be changed: `spoilt(tensors=f, plain=g)`."""

    def make(tensors=None, plain=None):
        weights, settings = (
            load_file(written / WEIGHTS_FILE),
            yaml.safe_load((written / CONFIG_FILE).read_text()),
        )
        if tensors:
            tensors(weights)
        if plain:
            plain(settings)
        save_file(weights, tmp_path / WEIGHTS_FILE)
        (tmp_path / CONFIG_FILE).write_text(yaml.safe_dump(settings))
        return tmp_path

    return make


def same_weights(one, other) -> bool:
    a, b = one.state_dict(), other.state_dict()
    return list(a) == list(b) and all(torch.equal(a[key], b[key]) for key in a)


def test_round_trip(written):
    model = load_model(written)
    assert not model.training and model.config == tiny_model().config
    assert same_weights(model, tiny_model())
    assert sorted(path.name for path in written.iterdir()) == [CONFIG_FILE, WEIGHTS_FILE]


def test_half_precision_is_half_the_size_and_nearly_the_same(written, tmp_path):
    small = save_model(tmp_path / "half", tiny_model(), half=True)
    ratio = (small / WEIGHTS_FILE).stat().st_size / (written / WEIGHTS_FILE).stat().st_size
    assert 0.49 < ratio < 0.52
    model, image = load_model(small), torch.randn(1, 3, 64, 96)
    assert all(
        value.dtype == torch.float32 for value in model.state_dict().values() if value.is_floating_point()
    )
    with torch.inference_mode():
        torch.testing.assert_close(model(image), tiny_model()(image), rtol=0, atol=5e-3)


def test_the_training_record_is_kept(tmp_path):
    folder = save_model(tmp_path / "deep" / "er", tiny_model(), record={"iterations_done": 5})
    assert training_record(folder) == {"iterations_done": 5}
    assert load_model_config(folder) == tiny_model().config


def test_a_missing_model_names_the_built_in_ones(written, tmp_path, monkeypatch):
    monkeypatch.setattr(model_yaml, "config_folders", lambda kind: [written.parent])
    with pytest.raises(
        ModelError, match=r"no model 'street99': give a folder that contains model.yaml, or .* model \(tiny\)"
    ):
        load_model("street99")
    assert find_model("tiny") == written
    assert load_model_config("tiny") == tiny_model().config
    monkeypatch.setattr(model_yaml, "config_folders", lambda kind: [])
    with pytest.raises(ModelError, match="none found"):
        load_model(tmp_path / "nowhere")
    with pytest.raises(ModelError, match="no model ''"):
        monkeypatch.chdir(tmp_path)
        load_model("")


def test_missing_weights_are_named(spoilt):
    folder = spoilt()
    (folder / WEIGHTS_FILE).unlink()
    with pytest.raises(ModelError, match="has no weights.safetensors"):
        load_model(folder)


def test_another_number_of_classes_is_explained(spoilt):
    folder = spoilt(plain=lambda settings: settings["model"]["classes"].pop())
    message = r"head.classifier.weight has shape \(4, .*the weights have 4 classes, model.yaml lists 3"
    with pytest.raises(ModelError, match=message):
        load_model(folder)


def test_another_width_is_named(spoilt):
    folder = spoilt(plain=lambda settings: settings["model"].update(embed=128))
    with pytest.raises(ModelError, match=r"has shape .*, expected \(128"):
        load_model(folder)


def test_unexpected_and_missing_weights_are_named(spoilt):
    def spoil(tensors):
        tensors["head.extra"] = tensors.pop("head.classifier.weight")

    with pytest.raises(
        ModelError, match="does not fit mit_b0: missing head.classifier.weight, unexpected head.extra"
    ):
        load_model(spoilt(tensors=spoil))


def test_long_lists_of_keys_are_cut(spoilt):
    folder = spoilt(plain=lambda settings: settings["model"].update(backbone="mit_b2", shallow_used=0))
    with pytest.raises(ModelError, match=r"does not fit mit_b2: missing .* and \d+ more, unexpected none"):
        load_model(folder)


def test_unreadable_weights_are_named(spoilt):
    folder = spoilt()
    whole = (folder / WEIGHTS_FILE).read_bytes()
    for content in (b"", b"not a safetensors file", whole[:-1000]):
        (folder / WEIGHTS_FILE).write_bytes(content)
        with pytest.raises(
            ModelError, match="weights.safetensors is not a readable safetensors file .*export it again"
        ):
            load_model(folder)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers_are_refused(tmp_path, value):
    folder = write_tiny_model(tmp_path / "model")
    tensors = load_file(folder / WEIGHTS_FILE)
    tensors["head.classifier.weight"].view(-1)[3] = value
    save_file(tensors, folder / WEIGHTS_FILE)
    with pytest.raises(
        ModelError, match="weights.safetensors: head.classifier.weight holds values that are not finite"
    ):
        load_model(folder)


# Prints, where it is printed, a billion entries.
BOMB = "model:\n  a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"  {name}: &{name} [{', '.join([f'*{before}'] * 10)}]\n" for before, name in zip("abcdefgh", "bcdefghi")
)


@pytest.mark.parametrize(
    "text, message",
    [
        ("model: [unclosed", "model.yaml is not valid YAML"),
        ("", "model.yaml has no section 'model'"),
        ("- a\n- b", "model.yaml has no section 'model'"),
        ("model: 3", "model.yaml has no section 'model'"),
        ("model: {backbone: mit_b0}", r"model.yaml: model settings lack \['classes'\]"),
        (
            "model: {backbone: mit_b9, classes: [{name: a, color: [0, 0, 0]}]}",
            "model.yaml: unknown backbone 'mit_b9'",
        ),
        ("model: {backbone: mit_b0, classes: [{name: a}]}", "model.yaml: .*color"),
        ("model: {backbone: mit_b0, classes: 3}", "model.yaml: "),
        ("model: {backbone: mit_b0, classes: [], embed: 65536}", "model.yaml: embed 65536: use 1 to 4096"),
        (
            "model: {backbone: mit_b0, classes: [], common_width: 65536}",
            "model.yaml: common_width 65536: use 0 to 4096",
        ),
        (BOMB, "model.yaml is not valid YAML.* aliases of aliases become too many entries"),
        ("[" * 100_000, "model.yaml is not valid YAML.* nested too deep"),
        (
            "model: {backbone: mit_b0, classes: [{name: a, color: [0, 0, 0]}], input_width: wide}",
            "model.yaml: ",
        ),
    ],
)
def test_bad_settings_are_named(tmp_path, text, message):
    (tmp_path / CONFIG_FILE).write_text(text)
    with pytest.raises(ModelError, match=message):
        load_model(tmp_path)


def test_an_interrupted_write_leaves_the_old_model(tmp_path, monkeypatch):
    folder = write_tiny_model(tmp_path / "model")

    def disk_is_full(tensors, path):
        path.write_bytes(b"the beginning of")
        raise OSError(28, "No space left on device")

    with (
        monkeypatch.context() as patched,
        pytest.raises(OSError, match="model could not be written .*No space left"),
    ):
        patched.setattr(folder_module, "save_file", disk_is_full)
        save_model(folder, tiny_model(3, seed=1))
    assert same_weights(load_model(folder), tiny_model())
    assert sorted(path.name for path in folder.iterdir()) == [CONFIG_FILE, WEIGHTS_FILE]
    save_model(folder, tiny_model(3, seed=1))
    assert same_weights(load_model(folder), tiny_model(3, seed=1))
    assert sorted(path.name for path in folder.iterdir()) == [CONFIG_FILE, WEIGHTS_FILE]


def test_weights_are_on_the_disk_before_they_get_their_name(tmp_path, monkeypatch):
    done, fsync, replace = [], files.os.fsync, files.os.replace
    monkeypatch.setattr(files.os, "fsync", lambda file: (done.append("flushed"), fsync(file)))
    monkeypatch.setattr(files.os, "replace", lambda old, new: (done.append(new.name), replace(old, new)))
    write_tiny_model(tmp_path / "model")
    assert done == ["flushed", "flushed", WEIGHTS_FILE, CONFIG_FILE]


@pytest.mark.parametrize("failing", [(folder_module, "save_file"), (files, "flush")])
def test_a_failed_write_removes_what_it_made(tmp_path, monkeypatch, failing):
    """Whatever the error; folders that were there stay."""

    def fail(*_):
        raise KeyboardInterrupt

    (tmp_path / "mine").mkdir()
    monkeypatch.setattr(*failing, fail)
    with pytest.raises(KeyboardInterrupt):
        save_model(tmp_path / "mine" / "deep" / "er", tiny_model())
    assert list((tmp_path / "mine").iterdir()) == []


def test_weights_without_a_configuration_do_not_stay(tmp_path, monkeypatch):
    replace = files.os.replace

    def fail_second(old, new):
        if new.name == CONFIG_FILE:
            raise OSError(5, "Input/output error")
        replace(old, new)

    monkeypatch.setattr(files.os, "replace", fail_second)
    with pytest.raises(OSError, match="model could not be written"):
        save_model(tmp_path / "model", tiny_model())
    assert list(tmp_path.iterdir()) == []


def test_an_error_of_safetensors_is_one_of_the_disk(tmp_path, monkeypatch):
    def fail(*_):
        raise SafetensorError("Error while serializing: IoError")

    monkeypatch.setattr(folder_module, "save_file", fail)
    with pytest.raises(OSError, match="model could not be written .*serializing: IoError.: free space there"):
        save_model(tmp_path / "model", tiny_model())


@pytest.mark.slow
@pytest.mark.parametrize("name", ["20250101", "a: b", "out #1", "it's $HOME 🚗", "a\nb"], ids=ascii)
def test_folders_of_any_name_are_written_and_read(tmp_path, name):
    model = tiny_model()
    save_model(tmp_path / name, model)
    assert torch.equal(load_model(tmp_path / name).head.classifier.weight, model.head.classifier.weight)


@pytest.mark.parametrize(
    "names", [("on", "null", "1", "1e5"), ("#", "a: b", "'", '"'), ("Straße", "木", "🚗", "~")]
)
def test_names_of_classes_stay_as_they_are(tmp_path, names):
    model = tiny_model(len(names))
    model.config = replace(model.config, classes=tuple(ClassSpec(name, (0, 0, 0)) for name in names))
    save_model(tmp_path, model)
    assert load_model_config(tmp_path).class_names == names


def test_settings_in_another_encoding_are_named(tmp_path):
    save_model(tmp_path, tiny_model())
    (tmp_path / CONFIG_FILE).write_bytes("# Straße".encode("latin-1"))
    with pytest.raises(
        ModelError, match="model.yaml is not valid YAML in UTF-8, correct it: .*decode byte 0xdf"
    ):
        load_model_config(tmp_path)


def test_whoever_reads_the_configuration_reads_the_weights(tmp_path):
    folder = save_model(tmp_path / "model", tiny_model())
    assert (folder / WEIGHTS_FILE).stat().st_mode == (folder / CONFIG_FILE).stat().st_mode
