# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Class maps: what becomes of a model's classes, and maps that say nothing sensible."""

import numpy as np
import pytest
import yaml

from dcfm_ros.config_folders import config_folders, ready_class_maps
from dcfm_ros.labels import IGNORE_LABEL
from dcfm_ros.model.class_map import ClassMap, MappedClass, palette_table, read_class_map
from dcfm_ros.model.config import ClassSpec, ConfigError

CLASSES = [
    ClassSpec(name, (10 * number, 1, 2))
    for number, name in enumerate(["sky", "road", "pavement", "car", "tree"])
]


def given(tmp_path, text):
    (tmp_path / "map.yaml").write_text(text)
    return read_class_map(str(tmp_path / "map.yaml"), CLASSES)


def test_without_a_map_classes_are_the_models():
    same = read_class_map("", CLASSES)
    assert same == ClassMap.of_model(CLASSES) and not same.changes_ids and not same.merges
    assert [(c.id, c.name, c.color, c.sources) for c in same.classes][3] == (3, "car", (30, 1, 2), (3,))
    assert same.table[:5].tolist() == [0, 1, 2, 3, 4] and (same.table[5:] == IGNORE_LABEL).all()


def test_classes_are_merged_renamed_renumbered_and_ignored(tmp_path):
    found = given(
        tmp_path,
        "{classes: {ground: [road, pavement], plant: {of: tree, id: 7, color: [0, 255, 0]}, ghost: []}, "
        "ignore: [sky, car]}",
    )
    assert found.classes == (
        MappedClass(0, "ground", (10, 1, 2), (1, 2)),
        MappedClass(7, "plant", (0, 255, 0), (4,)),
        MappedClass(8, "ghost", (128, 128, 128), ()),
    )
    assert found.table[:6].tolist() == [IGNORE_LABEL, 0, 0, IGNORE_LABEL, 7, IGNORE_LABEL]
    assert found.groups.tolist() == [-1, 0, 0, -1, 1]
    assert found.colors[[0, 7, 8, 1, 255]].tolist() == [
        [10, 1, 2],
        [0, 255, 0],
        [128, 128, 128],
        [0, 0, 0],
        [0, 0, 0],
    ]
    assert found.changes_ids and found.merges
    assert found.by_name("plant").id == 7
    with pytest.raises(ConfigError, match="no class 'road': use some of ground, plant, ghost"):
        found.by_name("road")


def test_other_ids_alone_merge_nothing(tmp_path):
    found = given(
        tmp_path,
        "{classes: {a: {of: sky, id: 4}, b: {of: road, id: 3}, c: {of: pavement, id: 2}, d: {of: car, id: "
        "1}, e: {of: tree, id: 0}}}",
    )
    assert found.changes_ids and not found.merges and found.table[:5].tolist() == [4, 3, 2, 1, 0]


def test_the_rest(tmp_path):
    found = given(tmp_path, "{classes: {free: [road], other: }, ignore: sky, rest: other}")
    assert found.table[:5].tolist() == [IGNORE_LABEL, 0, 1, 1, 1]


@pytest.mark.parametrize(
    "text, message",
    [
        ("", "it has no `classes`"),
        ("[a, b]", "it has no `classes`"),
        ("{classes: [road]}", "it has no `classes`"),
        (
            "{classes: {a: road}, other: 1}",
            "unknown keys \\['other'\\]: use classes, ignore, rest, skip_unknown",
        ),
        ("{classes: {a: {from: road}}}", "class 'a' has unknown keys \\['from'\\]: use color, id, of"),
        (
            "{classes: {a: [road, grass]}}",
            "'a' is made of 'grass', which the model has not: use some of sky, road,",
        ),
        ("{classes: {a: [road], b: [sky, road]}}", "'road' becomes both 'a' and 'b': name it once"),
        ("{classes: {a: [road]}, ignore: [road]}", "'road' becomes both 'a' and 'ignored'"),
        ("{classes: {a: [road]}}", "does not say what becomes of sky, pavement, car, tree"),
        ("{classes: {a: [road]}, rest: b}", "rest 'b' is not one of its classes a"),
        ("{classes: {a: {of: road, id: 255}}, rest: a}", "class 'a' has id 255: use 0 to 254"),
        ("{classes: {a: {of: road, id: true}}, rest: a}", "class 'a' has id True"),
        ("{classes: {a: {of: road, id: 1}, b: {of: sky, id: 1}}, rest: a}", "ids \\[1\\] are given twice"),
        ("{classes: {a: {of: road, color: [1, 2, 300]}}, rest: a}", "class 'a': color"),
        ("{classes: {a: {of: road, color: [1, 2]}}, rest: a}", "class 'a': "),
        ("{classes: {a: {of: road, color: red}}, rest: a}", "class 'a': color"),
        ("{classes: {a: [road]}, rest: [a]}", "rest \\['a'\\] is not one of its classes a"),
        ("{classes: {a: 3}, rest: a}", "'a' is made of 3: give a list of the model's class names"),
        ("{classes: {a: [road", "cannot be read"),
    ],
)
def test_maps_that_say_nothing_sensible_are_refused(tmp_path, text, message):
    with pytest.raises(ConfigError, match=f"class map map.yaml.*{message}"):
        given(tmp_path, text)


def test_a_map_that_is_not_there_is_refused():
    with pytest.raises(
        ConfigError,
        match="no class map 'nowhere': give a YAML file, or one of autoware, cityscapes, traversable",
    ):
        read_class_map("nowhere", CLASSES)


@pytest.mark.parametrize("model", ["street11", "street11_b0"])
@pytest.mark.parametrize("name", sorted(ready_class_maps()))
def test_every_class_of_the_built_in_models_is_in_the_ready_maps(name, model):
    plain = yaml.safe_load((config_folders("models")[0] / model / "model.yaml").read_text())
    classes = [ClassSpec(c["name"], tuple(c["color"])) for c in plain["model"]["classes"]]
    mapped = read_class_map(name, classes)
    assert (mapped.groups >= 0).all()
    by_name = {c.name: mapped.table[number] for number, c in enumerate(classes)}
    expected = {
        "traversable": {"road": 0, "pavement": 0, "car": 1, "pedestrian": 1, "sky": 2},
        "cityscapes": {"road": 0, "pavement": 1, "tree": 8, "sky": 10, "pedestrian": 11, "car": 13},
        "autoware": {
            "road": 9,
            "pavement": 10,
            "car": 7,
            "pedestrian": 6,
            "tree": 14,
            "sky": 15,
            "building": 1,
        },
    }[name]
    assert {key: by_name[key] for key in expected} == expected
    assert (
        len({c.id for c in mapped.classes})
        == len(mapped.classes)
        == {"traversable": 3, "cityscapes": 19, "autoware": 16}[name]
    )


def test_colours_of_a_mask():
    colors = ClassMap.of_model(CLASSES).colors
    assert (
        colors.shape == (256, 3)
        and colors.dtype == np.uint8
        and colors[4].tolist() == [40, 1, 2]
        and not colors[5:].any()
    )


@pytest.mark.parametrize(
    "colors, message",
    [
        ([], r"there are colours of the ids \[\]; give 1 to 255 of them"),
        ([(0, 0, 0)] * 256, "of ids 0 to 254, as mask value 255 is unlabelled"),
        ([(0, 0, 0), (0, 300, 0)], r"colour of class 1 is \(0, 300, 0\)"),
        ([(0, 0)], r"colour of class 0 is \(0, 0\); give red, green and blue"),
    ],
)
def test_bad_palettes_are_refused(colors, message):
    with pytest.raises(ValueError, match=message):
        palette_table(dict(enumerate(colors)))
