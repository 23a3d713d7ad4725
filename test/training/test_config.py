# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Training configurations: the shipped ones are as published, what is wrong is named, the command line
changes them."""

from pathlib import Path

import pytest
import yaml
from helpers import tiny_config

from dcfm_ros.model.build import build_model
from dcfm_ros.model.config import ConfigError
from dcfm_ros.model.folder import save_model
from dcfm_ros.sources.classes import CITYSCAPES19, STREET11, VSPW124
from dcfm_ros.training.config import load_train_config
from dcfm_ros.training.settings import PhaseConfig, SourceConfig, ValidationConfig

FOLDER = Path(__file__).parents[2] / "config" / "train"
SHIPPED = sorted(FOLDER.glob("*.yaml"))
PHASE = {"iterations": 10, "batch": 4, "height": 64, "width": 96, "lr_start": 0.001, "lr_end": 0.0005}
PLAIN = {"model": tiny_config().to_dict(), "phases": [PHASE]}


@pytest.fixture
def load(tmp_path):
    """Load the smallest configuration with changes; a change to None removes a setting."""

    def loaded(*settings, roots=(), **changes):
        plain = {**PLAIN, **changes}
        (tmp_path / "train.yaml").write_text(
            yaml.safe_dump({k: v for k, v in plain.items() if v is not None})
        )
        return load_train_config(tmp_path / "train.yaml", settings, roots)

    return loaded


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_shipped_configurations_load(path, stills):
    if path.stem == "my_data":  # takes its classes from the data
        message = (
            "my_data.yaml: the classes are those of the data, whose folder is not given: add --data PATH"
        )
        with pytest.raises(ConfigError, match=message):
            load_train_config(path)
        config = load_train_config(path, roots=[str(stills)])
        assert config.model.class_names == tiny_config().class_names
        assert config.data.sources[0].root == str(stills)
        return
    if path.stem == "distil":  # likewise; `dcfm distil` names the model as well
        config = load_train_config(path, roots=[str(stills)], init="street11_b0")
        assert config.data.sources[0].source == "soft_labels" and config.validation.root == str(stills)
        return
    config = load_train_config(path)
    assert config.iterations == sum(phase.iterations for phase in config.phases)
    assert all(not source.root for source in config.data.sources)  # no path of some machine
    assert config.phases[-1].learning_rate(config.phases[-1].iterations) == config.phases[-1].lr_end


def test_the_rates_that_trained_the_built_in_model():
    config = load_train_config(FOLDER / "street11_b0.yaml")
    rates = {
        0: 1e-3 / 200,
        19: 9.978888888888889e-05,
        199: 1e-3 - 199 / 1500 * 1.67e-4,
        1500: 8.33e-4,
        2369: 3e-4 / 230,
    }
    for iteration, rate in rates.items():
        assert config.learning_rate(iteration) == pytest.approx(rate, rel=1e-5), iteration
    assert config.weights(config.phases[0]) == (0.6, 0.4) and config.weights(config.phases[3]) == (0.7, 0.3)
    study = load_train_config(FOLDER / "camvid_study.yaml", ["data.sources.1.exclude=0016E5"])
    assert study.learning_rate(14) == pytest.approx(0.5 * (2.5e-4 - 14 / 240 * 1.7e-4), rel=1e-4)
    assert study.data.sources[1].exclude == "0016E5"


# name: (backbone, shallow channels used, common width, head layers, classes), crop, batch, iterations,
# radius-1 pairs, optimiser, encoder's rate at the start, after warm-up, half-way, in the last iteration,
# decoder's factor, weight decay
MIT = ("adamw", 10.0, 0.01)
HALF, LAST_160K, LAST_80K, LAST_40K = 0.5**0.9, 1 / 160000, (1 / 80000) ** 0.9, (1 / 40000) ** 0.9
SGD = ("sgd", 1.0, 5e-4)
CITYSCAPES_SGD = {
    0: 1e-8,
    1500: 1e-4 + 0.0099 * 0.9831126,
    40000: 1e-4 + 0.0099 * HALF,
    79999: 1e-4 + 0.0099 * LAST_80K,
}
PUBLISHED = {
    "vspw_mit_b2": (
        ("mit_b2", 32, 256, 0, VSPW124),
        (480, 853),
        16,
        160000,
        MIT,
        {0: 6e-11, 1500: 6e-5 * 0.990625, 80000: 3e-5, 159999: 6e-5 * LAST_160K},
    ),
    "vspw_mit_b5": (
        ("mit_b5", 32, 256, 0, VSPW124),
        (480, 853),
        16,
        160000,
        ("adamw", 15.0, 0.01),
        {0: 4e-11, 1500: 4e-5 * 0.990625, 80000: 2e-5, 159999: 4e-5 * LAST_160K},
    ),
    "cityscapes_mit_b1": (
        ("mit_b1", 32, 256, 1, CITYSCAPES19),
        (512, 1024),
        16,
        160000,
        MIT,
        {0: 6e-11, 1500: 6e-5 * 0.990625, 80000: 3e-5, 159999: 6e-5 * LAST_160K},
    ),
    "cityscapes_pspnet18": (
        ("pspnet18", 32, 320, 1, CITYSCAPES19),
        (768, 1536),
        8,
        80000,
        SGD,
        CITYSCAPES_SGD,
    ),
    "cityscapes_pspnet50": (
        ("pspnet50", 128, 1280, 1, CITYSCAPES19),
        (768, 1536),
        8,
        80000,
        SGD,
        CITYSCAPES_SGD,
    ),
    "cityscapes_pspnet101": (
        ("pspnet101", 128, 1280, 1, CITYSCAPES19),
        (768, 1536),
        4,
        80000,
        SGD,
        CITYSCAPES_SGD,
    ),
    "camvid_pspnet50": (
        ("pspnet50", 128, 1280, 1, STREET11),
        (640, 640),
        8,
        40000,
        SGD,
        {0: 0.02, 20000: 1e-5 + 0.01999 * HALF, 39999: 1e-5 + 0.01999 * LAST_40K},
    ),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_schedules(name):
    (backbone, used, common, head, classes), crop, batch, iterations, (optimiser, factor, decay), rates = (
        PUBLISHED[name]
    )
    config = load_train_config(FOLDER / f"{name}.yaml")
    model, (phase,) = config.model, config.phases
    assert (model.backbone, model.shallow_used, model.common_channels, model.head_layers) == (
        backbone,
        used,
        common,
        head,
    )
    assert tuple((c.name, c.color) for c in model.classes) == classes
    assert ((phase.height, phase.width), phase.batch, phase.iterations) == (crop, batch, iterations)
    assert (config.optimiser, config.decoder_lr, config.weight_decay, config.momentum) == (
        optimiser,
        factor,
        decay,
        0.9,
    )
    assert config.consistency and config.clip_norm == config.class_balance == 0 and config.init == ""
    assert config.data.radius == 1 and not config.data.neighbour_labels
    for iteration, rate in rates.items():
        assert config.learning_rate(iteration) == pytest.approx(rate, rel=1e-5), iteration


VSPW, CITYSCAPES = ((0.5, 2.0), "linear", 20, (0, 0.2, 0.2)), ((0.5, 2.0), "crop", 10, (0, 0.3, 0))
AUGMENTATION = {
    "vspw_mit_b2": VSPW,
    "vspw_mit_b5": VSPW,
    "cityscapes_mit_b1": CITYSCAPES,
    "cityscapes_pspnet18": CITYSCAPES,
    "cityscapes_pspnet50": CITYSCAPES,
    "cityscapes_pspnet101": CITYSCAPES,
    "camvid_pspnet50": ((1.0, 2.0), "crop", 10, (0, 0, 0)),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_augmentation(name):
    zooms, draw, rotation, colors = AUGMENTATION[name]
    change = load_train_config(FOLDER / f"{name}.yaml").augment
    assert ((change.min_zoom, change.max_zoom), change.zoom_draw, change.rotation) == (zooms, draw, rotation)
    assert (change.color, change.color_labelled, change.color_neighbour) == colors
    assert change.stretch == change.rare_center == 0


def test_defaults_and_sections(load):
    config = load(data={"radius": 3, "movable": ["car"]}, augment={"rotation": 1.0}, seed=5)
    assert config.model == tiny_config() and config.phases == (PhaseConfig(**PHASE),)
    assert (config.data.radius, config.data.movable, config.augment.rotation, config.seed) == (
        3,
        ("car",),
        1.0,
        5,
    )
    assert (
        config.consistency
        and config.data.sources == (SourceConfig("synthetic"),)
        and config.validation is None
    )
    config = load(
        data={"sources": [{"source": "camvid", "weight": 2}]}, validation={"source": "camvid", "frames": 7}
    )
    assert config.data.sources == (SourceConfig("camvid", 2),) and config.validation == ValidationConfig(
        "camvid", frames=7
    )


def test_class_tables(load, stills):
    model = {key: value for key, value in PLAIN["model"].items() if key != "classes"}
    assert load(model={**model, "classes": "vspw"}).model.class_names == tuple(name for name, _ in VSPW124)
    assert load(model={**model, "classes": "camvid"}) == load(model={**model, "classes": "street11"})
    assert load(f"model.classes={stills / 'classes.yaml'}").model == tiny_config()
    for source, table in (
        ("vspw", VSPW124),
        ("cityscapes", CITYSCAPES19),
        ("camvid", STREET11),
        ("synthetic", STREET11),
    ):
        found = load(
            model={**model, "classes": "data"}, data={"sources": [{"source": source}]}
        ).model.class_names
        assert found == tuple(name for name, _ in table)
    message = (
        "classes 'ade': use a list, vspw, cityscapes, camvid, street11, data, or the path of a classes.yaml"
    )
    with pytest.raises(ConfigError, match=message):
        load(model={**model, "classes": "ade"})
    with pytest.raises(ConfigError, match="there is no nowhere/classes.yaml"):
        load(model={**model, "classes": "nowhere/classes.yaml"})


def test_changes(load):
    sources = [{"source": "synthetic"}, {"source": "camvid"}]
    config = load(
        "seed=3",
        "data.radius=1",
        "model.dropout=0.2",
        "data.sources.1.exclude=0016E5",
        "phases.0.batch=9",
        "augment.rotation=0",
        data={"sources": sources},
    )
    assert (config.seed, config.data.radius, config.model.dropout, config.augment.rotation) == (3, 1, 0.2, 0)
    assert config.data.sources[1].exclude == "0016E5" and config.phases[0].batch == 9


def test_numbers_with_an_exponent_need_no_point(load):
    """YAML reads 1e-5 as text."""
    config = load(
        "model.block_eps=1e-5", "phases.0.lr_start=2E-3", "augment.rotation=1e1", "warmup_start=.5e-1"
    )
    found = config.model.block_eps, config.phases[0].lr_start, config.augment.rotation, config.warmup_start
    assert found == (1e-5, 0.002, 10.0, 0.05)


@pytest.mark.parametrize(
    "change, message",
    [
        ("consistency=nope", "consistency 'nope': use true or false"),
        ("amp=0.5", "amp 0.5: use true or false"),
        ("seed=abc", "seed 'abc': use a whole number"),
        ("seed=true", "seed True: use a whole number"),
        ("save_every=1.5", "save_every 1.5: use a whole number"),
        ("weight_decay=small", "weight_decay 'small': use a number"),
        ("weight_decay=.nan", "weight_decay nan: use 0 or more"),
        ("init=5", "init 5: use text"),
        ("data.radius=1.5", "radius 1.5: use a whole number"),
        ("data.movable=car", "movable 'car': use a list, each entry text"),
        ("data.sources.0.exclude=2016", "exclude 2016: use text .in quotes where YAML sees none."),
        ("data.sources.0.clips=2.5", "clips 2.5: use a whole number, or leave it out"),
        ("phases.0.batch=2.5", "batch 2.5: use a whole number"),
        ("phases.0.lr_start=abc", "lr_start 'abc': use a number"),
        ("phases.0.weights=[1, x]", "weights .1, 'x'.: use a list, each entry a number, or leave it out"),
        ("model.input_height=360.5", "input_height 360.5: use a whole number"),
        ("model.block_eps=tiny", "block_eps 'tiny': use a number"),
        ("model.dropout=", "dropout None: use a number"),
        ("validation.frames=1.5", "frames 1.5: use a whole number"),
        ("augment.zoom_draw=1", "zoom_draw 1: use text"),
    ],
)
def test_values_of_another_type_are_named(load, change, message):
    with pytest.raises(ConfigError, match=rf"train\.yaml: {message}"):
        load(change, data={"sources": [{"source": "synthetic"}]}, validation={"source": "camvid"})


@pytest.mark.parametrize(
    "change, message",
    [
        ("seed", "'seed': write setting=value, for example seed=1"),
        ("=3", "write setting=value"),
        ("seed.x=1", "'seed.x=1': seed has no settings of its own"),
        ("phases.1.batch=2", "'phases.1.batch=2': in place of 1 give the number of an entry, 0 to 0"),
        ("phases.first.batch=2", "in place of first give the number of an entry"),
        ("phases.5={}", "in place of 5 give the number"),
        ("seed=[1", "'seed=\\[1': the value is not valid YAML"),
        ("data.radios=1", r"unknown data settings \['radios'\]"),
    ],
)
def test_bad_changes_are_named(load, change, message):
    with pytest.raises(ConfigError, match=message):
        load(change, seed=1)


def test_folders_from_the_command_line(load):
    sources = [{"source": "synthetic"}, {"source": "camvid"}, {"source": "vspw"}]
    two = load(data={"sources": sources}, validation={"source": "camvid"}, roots=["camvid=/a=b", "vspw=/v"])
    assert [source.root for source in two.data.sources] == [
        "",
        "/a=b",
        "/v",
    ] and two.validation.root == "/a=b"
    one = load(data={"sources": sources[:2]}, validation={"source": "camvid"}, roots=["/data"])
    assert one.data.sources[1].root == one.validation.root == "/data"
    other = load(validation={"source": "vspw"}, roots=["/v"])
    assert other.validation.root == "/v" and other.data == load().data


def test_a_folder_with_an_equals_sign(load, tmp_path):
    (tmp_path / "a=b").mkdir()
    config = load(data={"sources": [{"source": "camvid"}]}, roots=[str(tmp_path / "a=b")])
    assert config.data.sources[0].root == str(tmp_path / "a=b")


@pytest.mark.parametrize("roots", [["/a", "/b"], ["/a", "camvid=/b"], ["camvid=/a", "/b"]])
def test_two_folders_for_one_data_set(load, roots):
    with pytest.raises(
        ConfigError, match=f"--data {roots[1]}: camvid already has the folder /a; give one per data set"
    ):
        load(data={"sources": [{"source": "camvid"}]}, roots=roots)


@pytest.mark.parametrize(
    "sources, root, message",
    [
        (
            ["camvid", "vspw"],
            "/data",
            "--data /data: the configuration has data of camvid, vspw; write NAME=PATH",
        ),
        (
            ["camvid"],
            "vspw=/v",
            "--data vspw=/v: vspw takes no folder here; the configuration has data of camvid",
        ),
        (["camvid"], "kitti=/v", "--data kitti=/v: kitti takes no folder here"),
        (["synthetic"], "/data", "--data /data: the configuration has no data with a folder"),
        (
            ["synthetic", "camvid"],
            "synthetic=/v",
            "synthetic takes no folder here; the configuration has data of camvid",
        ),
    ],
)
def test_folders_of_no_source_are_named(load, sources, root, message):
    with pytest.raises(ConfigError, match=message):
        load(data={"sources": [{"source": source} for source in sources]}, roots=[root])


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"rate": 3}, r"unknown training settings \['rate'\]: known are .*clip_norm"),
        ({"data": {"folder": "x"}}, r"unknown data settings \['folder'\]: known are .*sources"),
        (
            {"data": {"sources": [{"source": "vspw", "folder": "x"}]}},
            r"unknown source settings \['folder'\]: known are .*root",
        ),
        ({"data": {"sources": [{"weight": 1}]}}, "missing 1 required .*'source'"),
        ({"data": {"sources": ["camvid"]}}, "source is 'camvid': use a mapping of settings"),
        ({"data": {"sources": []}}, "data has no sources"),
        ({"phases": [PHASE | {"lr": 1}]}, r"unknown phase settings \['lr'\]: known are .*lr_start"),
        ({"augment": {"scale": 1}}, r"unknown augment settings \['scale'\]: known are .*min_zoom"),
        (
            {"validation": {"source": "camvid", "set": 1}},
            r"unknown validation settings \['set'\]: known are .*every",
        ),
        ({"model": tiny_config().to_dict() | {"depth": 1}}, r"unknown model settings \['depth'\]"),
        ({"model": None}, r"model settings lack \['backbone', 'classes'\]"),
        ({"phases": None}, "no phases"),
        ({"phases": [{k: v for k, v in PHASE.items() if k != "batch"}]}, "missing 1 required .*'batch'"),
        ({"phases": [PHASE | {"lr_start": "fast"}]}, "lr_start 'fast': use a number"),
        ({"phases": 3}, "phases is 3: use a list, each entry a mapping of settings"),
        ({"data": 3}, "data is 3: use a mapping of settings"),
        ({"data": {"sources": 3}}, "sources is 3: use a list, each entry a mapping of settings"),
        ({"model": 3}, "model is 3: use a mapping of settings"),
        ({"model": tiny_config().to_dict() | {"classes": ["road"]}}, "class 'road': give its name and color"),
        ({"augment": {"min_zoom": 3}}, "zoom range 3"),
    ],
)
def test_bad_settings_are_named(load, changes, message):
    with pytest.raises(
        ConfigError, match=rf"(?s)train\.yaml.*{message}" if not message.startswith("train") else message
    ):
        load(**changes)


def test_unusable_files_are_named(tmp_path):
    with pytest.raises(
        ConfigError, match="no training configuration at .*nowhere.yaml: name a YAML file, for example"
    ):
        load_train_config(tmp_path / "nowhere.yaml")
    for text, message in (
        ("model: [unclosed", "bad.yaml is not valid YAML"),
        ("- 1", "bad.yaml does not contain a mapping"),
        ("", "mapping"),
    ):
        (tmp_path / "bad.yaml").write_text(text)
        with pytest.raises(ConfigError, match=message):
            load_train_config(tmp_path / "bad.yaml")


@pytest.mark.parametrize("architecture", ("dcfm", "per_frame"))
def test_the_backbone_of_the_model_that_training_starts_from(load, tmp_path, architecture):
    origin = tiny_config(
        backbone="efficientnet_lite0",
        embed=16,
        shallow_used=20,
        block_eps=1e-5,
        image_mean=(0.1, 0.2, 0.3),
        architecture=architecture,
    )
    save_model(tmp_path / "origin", build_model(origin), {})
    model = {"backbone": "init", "classes": "street11", "input_height": 128, "input_width": 160}
    started = load(model=model, init=str(tmp_path / "origin")).model
    assert (started.backbone, started.embed, started.block_eps, started.image_mean) == (
        "efficientnet_lite0",
        16,
        1e-5,
        (0.1, 0.2, 0.3),
    )
    assert (started.architecture, started.input_height, len(started.classes)) == ("dcfm", 128, 11)
    assert started.shallow_used == (20 if architecture == "dcfm" else 12)  # a per-frame model uses none
    assert load(model=model | {"shallow_used": 6}, init=str(tmp_path / "origin")).model.shallow_used == 6
    with pytest.raises(ConfigError, match="backbone init is that of the model .*: name one by --init"):
        load(model=model)


def test_what_training_starts_from_is_in_place_of_the_file_s(tmp_path):
    path = tmp_path / "train.yaml"
    path.write_text(yaml.safe_dump(PLAIN | {"init": "a"}))
    assert load_train_config(path).init == "a" and load_train_config(path, init="b").init == "b"
    config = load_train_config(path, init_encoder="c.pth")
    assert (config.init, config.init_encoder) == ("", "c.pth")
    with pytest.raises(ConfigError, match="init b and init_encoder c: give one of them"):
        load_train_config(path, init="b", init_encoder="c")
