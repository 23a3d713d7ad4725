# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Names of classes are matched, renamed and united."""

import numpy as np
import pytest
import yaml
from data_import_helpers import imported, labelme, needs_datumaro, voc

from dcfm_ros.data_import.classes import given_classes, united
from dcfm_ros.data_import.errors import DataImportError
from dcfm_ros.data_import.export import Export, LabelledImage, Shape
from dcfm_ros.setting_fields import ConfigError
from dcfm_ros.sources.classes import STREET11

TABLE = (("road", (1, 1, 1)), ("traffic light", (2, 2, 2)), ("pedestrian", (3, 3, 3)))


def export(*names, drawn=None, colours=(), unlabelled=()):
    shapes = tuple(Shape(name) for name in (names if drawn is None else drawn))
    classes = tuple((name, dict(colours).get(name)) for name in names)
    return Export("e.zip", "x", classes, (LabelledImage("a", None, shapes),), frozenset(unlabelled))


def test_case_spaces_underscores_and_hyphens_do_not_count():
    found = united([export("ROAD", "Traffic_Light", "traffic-light")], TABLE)
    assert found.ids == {"ROAD": 0, "Traffic_Light": 1, "traffic-light": 1}
    assert (found.table, found.fill) == (TABLE, 255)


def test_unknown_classes_are_listed_with_the_remedy():
    with pytest.raises(DataImportError, match=r"none of road, traffic light, pedestrian: person, dog\. Say"):
        united([export("person", "road", "dog")], TABLE)


def test_unknown_classes_that_nobody_drew_are_a_note():
    found = united([export("road", "dog", drawn=["road"])], TABLE)
    assert found.notes == ("left out, as no shape has them: the classes dog",)


def test_names_are_mapped():
    found = united([export("person", "ego vehicle")], TABLE, ["Person=pedestrian", "ego_vehicle="])
    assert found.ids == {"person": 2, "ego vehicle": 255}
    with pytest.raises(DataImportError, match="--map dog=road: no class is called dog; there are road"):
        united([export("road")], TABLE, ["dog=road"])


def test_a_class_map_merges_and_ignores(tmp_path):
    path = tmp_path / "map.yaml"
    path.write_text(
        yaml.safe_dump({"classes": {"pedestrian": ["rider", "person"], "road": ["lane"]}, "ignore": ["sky"]})
    )
    found = united([export("lane", "person", "rider", "sky")], TABLE, class_map=str(path))
    assert found.ids == {"lane": 0, "person": 2, "rider": 2, "sky": 255}
    own = united([export("lane", "person", "rider", "sky")], None, class_map=str(path))
    assert [name for name, _ in own.table] == ["pedestrian", "road"]
    with pytest.raises(ConfigError, match="it does not say what becomes of dog"):
        united([export("lane", "person", "rider", "sky", "dog")], TABLE, class_map=str(path))


def test_own_classes_keep_their_order_and_get_colours_that_differ():
    first = export("floor", "shelf", colours=[("shelf", (9, 8, 7))])
    second = export("Shelf", "person", "void")
    found = united([first, second], None)
    names, colours = zip(*found.table)
    assert names == ("floor", "shelf", "person") and colours[1] == (9, 8, 7)
    assert len(set(colours)) == 3 and (0, 0, 0) not in colours
    assert found.ids == {"floor": 0, "shelf": 1, "Shelf": 1, "person": 2, "void": 255}


def test_background_of_the_format_is_no_class_unless_asked_for():
    of_tool = export("background", "road", unlabelled=["background"])
    assert united([of_tool], None).ids == {"background": 255, "road": 0}
    asked = united([of_tool], None, background="background")
    assert [name for name, _ in asked.table] == ["background", "road"]
    assert (asked.ids["background"], asked.fill) == (0, 0)
    with_it = (*TABLE, ("background", (0, 0, 0)))
    assert united([of_tool], with_it).fill == 3
    assert united([of_tool], TABLE, background="road").ids["background"] == 0
    with pytest.raises(DataImportError, match="--background sky is none of the classes road, traffic light"):
        united([of_tool], TABLE, background="sky")


def test_background_that_was_drawn_is_a_class():
    assert united([export("background", "road")], None).ids == {"background": 0, "road": 1}


def test_classes_are_those_of_a_table_a_file_or_a_model(tmp_path):
    (tmp_path / "classes.yaml").write_text("classes: [{name: a, color: [1, 2, 3]}]")
    assert given_classes(str(tmp_path / "classes.yaml")) == (("a", (1, 2, 3)),)
    assert given_classes("street11") == STREET11
    assert [name for name, _ in given_classes("street11_b0")][:2] == ["sky", "building"]
    with pytest.raises(DataImportError, match="--classes nosuch is no table .*, no file, and no model"):
        given_classes("nosuch")


def test_pixels_that_nobody_labelled_get_the_class_that_is_asked_for(tmp_path):
    needs_datumaro()
    found = imported(tmp_path / "out", voc(tmp_path / "export"), background="background")["a_0001"]
    names = [e["name"] for e in yaml.safe_load((tmp_path / "out" / "classes.yaml").read_text())["classes"]]
    assert names == ["background", "car", "road"]
    assert (found[:3] == 0).all() and (found[6:] == 2).all()
    found = imported(tmp_path / "two", labelme(tmp_path / "labelme"), background="sky")["a_0001"]
    assert (found[:3] == 2).all() and set(np.unique(found)) == {0, 1, 2}
