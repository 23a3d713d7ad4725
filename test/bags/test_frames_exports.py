# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What CVAT and Label Studio get of frames to label, read back as these tools read it."""

import json
from xml.etree import ElementTree
from zipfile import ZipFile

import cv2
import numpy as np
import pytest
from helpers import CLASSES

from dcfm_ros.bags.to_label.brush_rle import encode_brush
from dcfm_ros.bags.to_label.cvat import write_cvat
from dcfm_ros.bags.to_label.label_classes import label_classes, table_of, write_classes
from dcfm_ros.bags.to_label.label_studio import write_label_studio
from dcfm_ros.model.class_map import palette_table
from dcfm_ros.model.config import ClassSpec, ConfigError
from dcfm_ros.reports.png import write_png
from dcfm_ros.sources.clips.classes_file import read_classes
from dcfm_ros.sources.to_label import LabelFrame

TABLE = (("road", (128, 64, 128)), ('the "other" <one>', (1, 2, 3)), ("shelf", (70, 70, 70)))
SIZE = (40, 60)


def decode_brush(data):
    """Label Studio's decoder in its own words: (pixels, 4) uint8."""
    bits = "".join(f"{byte:08b}" for byte in data)
    at = 0

    def take(count):
        nonlocal at
        at += count
        return int(bits[at - count : at], 2)

    number, word, sizes = take(32), take(5) + 1, [take(4) + 1 for _ in range(4)]
    values = []
    while len(values) < number:
        is_run, length = take(1), take(sizes[take(2)]) + 1
        values += [take(word)] * length if is_run else [take(word) for _ in range(length)]
    return np.array(values, np.uint8).reshape(-1, 4)


@pytest.mark.parametrize("size", [(1, 1), (7, 5), (200, 300)])  # the last has runs longer than 16 bits hold
@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_brush_masks_are_read_back(size, share):
    mask = np.random.default_rng(1).uniform(size=size) < share
    if size == (200, 300):
        mask[50:] = True
        mask[:50] &= np.arange(300) < 20
    pixels = decode_brush(encode_brush(mask))
    assert (pixels == mask.reshape(-1, 1) * 255).all()


@pytest.fixture
def folder(tmp_path):
    """Two frames, the second of one class and pixels without one."""
    (tmp_path / "images").mkdir()
    (tmp_path / "prelabels").mkdir()
    rng = np.random.default_rng(0)
    masks = [
        rng.integers(0, 3, SIZE, dtype=np.uint8),
        np.where(rng.uniform(size=SIZE) < 0.5, 2, 255).astype(np.uint8),
    ]
    frames = []
    for number, mask in enumerate(masks):
        write_png(tmp_path / f"prelabels/a_{number}.png", mask)
        (tmp_path / f"images/a_{number}.jpg").write_bytes(b"image %d" % number)
        frames.append(
            LabelFrame(
                f"images/a_{number}.jpg",
                f"prelabels/a_{number}.png",
                "a",
                "",
                number,
                SIZE[1],
                SIZE[0],
                why={"rank": 2 - number, "uncertainty": 0.25},
            )
        )
    write_cvat(tmp_path, frames, TABLE, palette_table(dict(enumerate(color for _, color in TABLE))))
    write_label_studio(tmp_path, "to label", frames, TABLE, "street11")
    return tmp_path, masks


def test_masks_for_cvat(folder):
    """As PASCAL VOC has them: class colours of labelmap.txt, and an object for each class."""
    path, masks = folder
    with ZipFile(path / "cvat_prelabels.zip") as archive:
        lines = archive.read("labelmap.txt").decode().splitlines()
        assert lines[0].startswith("#") and lines[1:3] == ["background:0,0,0::", "road:128,64,128::"]
        assert archive.read("ImageSets/Segmentation/default.txt") == b"a_0\na_1\n"
        colors = np.array([[int(v) for v in line.split(":")[1].split(",")] for line in lines[1:]])
        for number, mask in enumerate(masks):
            data = np.frombuffer(archive.read(f"SegmentationClass/a_{number}.png"), np.uint8)
            rgb = cv2.imdecode(data, cv2.IMREAD_COLOR)[..., ::-1]
            found = (rgb[..., None, :] == colors).all(axis=-1)
            assert (found.sum(axis=-1) == 1).all()
            assert (found.argmax(axis=-1) == (mask + np.uint8(1))).all()  # 0: background
            data = np.frombuffer(archive.read(f"SegmentationObject/a_{number}.png"), np.uint8)
            objects = cv2.imdecode(data, cv2.IMREAD_COLOR)[..., ::-1]
            assert ((objects == 0).all(axis=-1) == (mask == 255)).all()
            assert objects[mask == 2].tolist() == [[128, 128, 0]] * (mask == 2).sum()  # VOC's third colour
        assert all(info.external_attr >> 16 == 0o644 for info in archive.infolist())


def test_images_and_labels_for_cvat(folder):
    path, _ = folder
    with ZipFile(path / "cvat_images.zip") as archive:
        assert archive.namelist() == ["a_0.jpg", "a_1.jpg"] and archive.read("a_1.jpg") == b"image 1"
    labels = json.loads((path / "cvat_labels.json").read_text())
    assert labels[0] == {"name": "road", "color": "#804080"} and len(labels) == 3


def test_a_class_called_background(tmp_path):
    table = (("background", (9, 9, 9)),)
    write_cvat(tmp_path, [], table, palette_table({0: (9, 9, 9)}))
    with ZipFile(tmp_path / "cvat_prelabels.zip") as archive:
        assert archive.read("labelmap.txt").decode().splitlines()[1:] == [
            "unlabelled:0,0,0::",
            "background:9,9,9::",
        ]


def test_tasks_for_label_studio(folder):
    path, masks = folder
    tasks = json.loads((path / "label_studio.json").read_text())
    assert [task["data"]["image"] for task in tasks] == [  # in the order of choice
        "/data/local-files/?d=to%20label/images/a_1.jpg",
        "/data/local-files/?d=to%20label/images/a_0.jpg",
    ]
    (prediction,) = tasks[1]["predictions"]
    assert (prediction["model_version"], prediction["score"]) == ("street11", 0.75)
    found = np.full(SIZE, 255, np.uint8)
    for region in prediction["result"]:
        assert (region["original_width"], region["original_height"]) == SIZE[::-1]
        (name,) = region["value"]["brushlabels"]
        opaque = decode_brush(region["value"]["rle"])[:, 3].reshape(SIZE) > 0
        found[opaque] = [one for one, _ in TABLE].index(name)
    assert (found == masks[0]).all()
    assert len(tasks[0]["predictions"][0]["result"]) == 1  # pixels without a class are no region


def test_the_interface_of_label_studio(folder):
    root = ElementTree.parse(folder[0] / "label_studio.xml").getroot()
    labels = root.find("BrushLabels")
    assert root.find("Image").get("value") == "$image" and labels.get("toName") == root.find("Image").get(
        "name"
    )
    assert [(one.get("value"), one.get("background")) for one in labels] == [
        (name, "#" + bytes(color).hex()) for name, color in TABLE
    ]
    regions = json.loads((folder[0] / "label_studio.json").read_text())[0]["predictions"][0]["result"]
    assert {(one["from_name"], one["to_name"]) for one in regions} == {("class", "image")}
    assert labels.get("name") == "class"


def test_classes_of_a_file_by_name(tmp_path):
    (tmp_path / "mine.yaml").write_text(
        "classes: [{name: shelf, color: [1, 2, 3]}, {name: road, color: [4, 5, 6]}]"
    )
    notes = []
    mapped = label_classes(CLASSES, str(tmp_path / "mine.yaml"), "", notes.append)
    assert table_of(mapped) == (("shelf", (1, 2, 3)), ("road", (4, 5, 6)))
    ids = np.array([[0, 1, 2]], np.uint8)  # sky, road, tree
    assert mapped.indices(ids).tolist() == [[255, 1, 255]]
    assert notes == [
        "the model does not know shelf: there are no pre-labels of this class; --class-map says what becomes "
        "what"
    ]
    write_classes(tmp_path, table_of(mapped))
    assert read_classes(tmp_path / "classes.yaml").table == table_of(mapped)


def test_classes_of_a_map(tmp_path):
    (tmp_path / "map.yaml").write_text(
        "classes: {ground: {of: [road], id: 7}, rest: [tree, car]}\nignore: [sky, pedestrian]"
    )
    mapped = label_classes(CLASSES, "", str(tmp_path / "map.yaml"), print)
    assert mapped.indices(np.array([[0, 1, 2, 3, 4]], np.uint8)).tolist() == [[255, 0, 1, 1, 255]]


def test_colours_that_label_pictures_cannot_tell_apart():
    classes = (ClassSpec("a", (0, 0, 0)), ClassSpec("b", (5, 5, 5)), ClassSpec("c", (5, 5, 5)))
    notes = []
    colors = [color for _, color in table_of(label_classes(classes, "", "", notes.append))]
    assert len({*colors, (0, 0, 0)}) == 4 and colors[1] == (5, 5, 5)
    assert notes[0].startswith("a, c: new colours")


def test_a_name_that_cvat_cannot_hold():
    with pytest.raises(ConfigError, match="class 'a:b': CVAT's label map cannot hold"):
        label_classes((ClassSpec("a:b", (1, 1, 1)),), "", "", print)
