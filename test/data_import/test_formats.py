# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Each format gives the labels that were drawn."""

import json
from pathlib import Path

import numpy as np
import pytest
import yaml
from data_import_helpers import (
    CAR,
    COLOURS,
    EXPECTED,
    NAMES,
    ROAD,
    WITH_DATUMARO,
    WITHOUT_DATUMARO,
    coco,
    coco_panoptic,
    cvat,
    cvat_polygon,
    images,
    imported,
    label_studio,
    label_studio_result,
    label_studio_task,
    labelme,
    needs_datumaro,
    png,
    voc,
    zipped,
)
from PIL import Image

from dcfm_ros.data_import.options import FORMATS
from dcfm_ros.sources.clips import open_clips


def labels_with_classes(out) -> list[np.ndarray]:
    """Labels of a data folder as its user gets them, with 0 = road and 1 = car."""
    opened = open_clips(str(out))
    names = [name for name, _ in opened.classes]
    assert sorted(names) == ["car", "road"]
    ids = np.full(256, 255, np.uint8)
    ids[[names.index("road"), names.index("car")]] = 0, 1
    return [ids[clip.label(index)] for clip in opened.clips for index in clip.labelled]


@pytest.mark.parametrize("name", [*WITH_DATUMARO, *WITHOUT_DATUMARO])
def test_labels_of_every_format(tmp_path, name):
    if name in WITH_DATUMARO:
        needs_datumaro()
    folder = {**WITH_DATUMARO, **WITHOUT_DATUMARO}[name](tmp_path / "export")
    imported(tmp_path / "out", folder)
    found = labels_with_classes(tmp_path / "out")
    assert len(found) == 2
    for label in found:
        np.testing.assert_array_equal(label, EXPECTED)
    for number, image in enumerate(NAMES):
        assert (np.array(Image.open(tmp_path / "out" / "images" / image)) == 40 + number).all()


def test_every_format_is_tested():
    assert {*WITH_DATUMARO, *WITHOUT_DATUMARO} == set(FORMATS)


@pytest.mark.parametrize("name", ["voc", "labelme"])
def test_a_zip_is_read(tmp_path, name):
    if name in WITH_DATUMARO:
        needs_datumaro()
    export = zipped({**WITH_DATUMARO, **WITHOUT_DATUMARO}[name](tmp_path / "export"))
    assert list(imported(tmp_path / "out", export)) == ["a_0001", "b_0001"]


@pytest.mark.parametrize("kind", ["project", "job"])
def test_cvat_projects_and_jobs(tmp_path, kind):
    needs_datumaro()
    imported(tmp_path / "out", cvat(tmp_path / "export", kind))
    np.testing.assert_array_equal(labels_with_classes(tmp_path / "out")[1], EXPECTED)


def test_cvat_colours_and_order_of_classes(tmp_path):
    needs_datumaro()
    imported(tmp_path / "out", cvat(tmp_path / "export"))
    table = yaml.safe_load((tmp_path / "out" / "classes.yaml").read_text())["classes"]
    assert [(entry["name"], tuple(entry["color"])) for entry in table] == list(COLOURS.items())


def test_of_the_same_height_later_shapes_lie_above(tmp_path):
    needs_datumaro()
    shapes = cvat_polygon("car", CAR) + cvat_polygon("road", ROAD)
    found = imported(tmp_path / "out", cvat(tmp_path / "export", shapes=shapes))
    assert (found["a_0001"][4:6, 2:6] == 0).all() and (found["a_0001"][3, 2:6] == 1).all()


@pytest.mark.parametrize(
    "json_name, image_folder, first",
    [
        ("result.json", "images", 0),  # Label Studio
        ("train/_annotations.coco.json", "train", 0),  # Roboflow
        ("ds0/annotations/instances.json", "ds0/images", 1),  # Supervisely
    ],
)
def test_coco_of_other_tools(tmp_path, json_name, image_folder, first):
    needs_datumaro()
    imported(tmp_path / "out", coco(tmp_path / "export", json_name, image_folder, first))
    np.testing.assert_array_equal(labels_with_classes(tmp_path / "out")[0], EXPECTED)


def test_roboflows_class_of_the_project_is_none(tmp_path):
    needs_datumaro()
    export = coco(tmp_path / "export", "train/_annotations.coco.json", "train")
    path = export / "train" / "_annotations.coco.json"
    content = json.loads(path.read_text())
    for entry in content["categories"]:
        entry["supercategory"] = "my-street"
    content["categories"].insert(0, {"id": 0, "name": "my-street", "supercategory": "none"})
    path.write_text(json.dumps(content))
    imported(tmp_path / "out", export)
    assert len(labels_with_classes(tmp_path / "out")) == 2  # of road and car


def test_coco_panoptic(tmp_path):
    needs_datumaro()
    imported(tmp_path / "out", coco_panoptic(tmp_path / "export"))
    for label in labels_with_classes(tmp_path / "out"):
        np.testing.assert_array_equal(label, EXPECTED)


def test_subsets_of_the_export_become_splits(tmp_path):
    needs_datumaro()
    for subset in ("train", "valid"):
        coco(tmp_path / "export", f"{subset}/_annotations.coco.json", subset)
        for name in NAMES:
            (tmp_path / "export" / subset / name).rename(tmp_path / "export" / subset / f"{subset}_{name}")
        path = tmp_path / "export" / subset / "_annotations.coco.json"
        path.write_text(path.read_text().replace('"file_name": "', f'"file_name": "{subset}_'))
    found = imported(tmp_path / "out", tmp_path / "export")
    assert list(found) == ["train/train_a_0001", "train/train_b_0001", "val/valid_a_0001", "val/valid_b_0001"]


def test_label_pictures_of_instances_do_not_count(tmp_path):
    needs_datumaro()
    export = voc(tmp_path / "export")
    for file in (export / "SegmentationObject").iterdir():
        file.write_bytes(b"")
    imported(tmp_path / "out", export)
    np.testing.assert_array_equal(labels_with_classes(tmp_path / "out")[0], EXPECTED)


def test_boxes_and_lines_are_left_out_and_said(tmp_path, capsys):
    from dcfm_ros.cli import main

    box = {"label": "car", "points": [[1, 1], [3, 3]], "shape_type": "rectangle"}
    road = {"label": "road", "points": np.reshape(ROAD, (4, 2)).tolist(), "shape_type": "polygon"}
    line = {"label": "road", "points": [[1, 1], [3, 3]], "shape_type": "line"}
    labelme(tmp_path / "export", shapes=[box, road, line])
    assert main(["data", "import", str(tmp_path / "export"), "--out", str(tmp_path / "out")]) == 0
    assert "no regions: 2 of box, 2 of line" in capsys.readouterr().out


def test_of_several_annotations_of_a_task_the_last_that_was_not_cancelled_counts(tmp_path):
    export = label_studio(tmp_path / "export")
    (task, *_) = json.loads(export.read_text())
    road, car = task["annotations"][0]["result"]
    other = {"id": 2, "was_cancelled": False, "result": [road]}
    cancelled = {"id": 3, "was_cancelled": True, "result": [car]}
    task["annotations"] += [other, cancelled]
    export.write_text(json.dumps([task]))
    found = imported(tmp_path / "out", export)["a_0001"]
    assert set(np.unique(found)) == {0, 255} and (found[4:] == 0).all()


@pytest.mark.parametrize(
    "address",
    ["/data/local-files/?d=frames/a_0001.png", "s3://bucket/x/a_0001.png", "https://a.b/c/a_0001.png?sig=1"],
)
def test_addresses_of_images_in_label_studio(tmp_path, address):
    road = label_studio_result("polygonlabels", "road", points=[[0, 0], [100, 0], [100, 100]])
    task = label_studio_task("a_0001.png", road, data={"text": "x", "picture": address})
    path = tmp_path / "tasks.json"
    path.write_text(json.dumps([task]))
    images(tmp_path / "images")
    assert list(imported(tmp_path / "out", path)) == ["a_0001"]


def test_label_pictures_take_the_classes_that_are_given(tmp_path):
    export = png(tmp_path / "export")
    (export / "labels" / "classes.yaml").rename(tmp_path / "classes.yaml")
    found = imported(
        tmp_path / "out",
        export / "labels",
        classes=str(tmp_path / "classes.yaml"),
        images=str(export / "images"),
    )
    np.testing.assert_array_equal(found["a_0001"], EXPECTED)


def test_several_exports_are_united_by_the_names_of_classes(tmp_path):
    shapes = [{"label": "Car", "points": np.reshape(CAR, (4, 2)).tolist(), "shape_type": "polygon"}]
    other = labelme(tmp_path / "other", shapes=shapes)
    for file in list(other.iterdir()):
        file.rename(other / f"more_{file.name}")
    for file in other.glob("*.json"):
        file.write_text(file.read_text().replace('"imagePath": "', '"imagePath": "more_'))
    files = [Path(f) for f in (*labelme(tmp_path / "one").glob("*.json"), other)]
    found = imported(tmp_path / "out", *files)
    assert sorted(found) == ["a_0001", "b_0001", "more_a_0001", "more_b_0001"]
    assert set(np.unique(found["more_a_0001"])) == {1, 255}
    np.testing.assert_array_equal(found["a_0001"], EXPECTED)
