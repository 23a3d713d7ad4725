# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What cannot be imported is refused in one sentence, and nothing is left behind."""

import json
import os
import re
import struct
import sys
import zipfile
import zlib

import numpy as np
import pytest
from data_import_helpers import (
    CAR,
    HEIGHT,
    NAMES,
    ROAD,
    WIDTH,
    brush,
    coco,
    coco_panoptic,
    cvat,
    cvat_polygon,
    datumaro,
    images,
    imported,
    label_studio,
    labelme,
    mask_of,
    needs_datumaro,
    png,
    voc,
    zipped,
)
from PIL import Image

from dcfm_ros.bags.to_label.brush_rle import encode_brush
from dcfm_ros.data_import import unpack
from dcfm_ros.data_import.errors import DataImportError
from dcfm_ros.data_import.label_studio import unpacked
from dcfm_ros.sources.errors import SourceError


@pytest.fixture
def refused(tmp_path):
    """Import what is refused; return the message."""

    def refuse(*files, **options) -> str:
        before = sorted(tmp_path.iterdir())
        with pytest.raises(DataImportError) as caught:
            imported(tmp_path / "out", *files, **options)
        assert sorted(tmp_path.iterdir()) == before
        return str(caught.value)

    return refuse


def one_entry(path, name, data=b"x", **about):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        entry = zipfile.ZipInfo(name)
        entry.compress_type = zipfile.ZIP_DEFLATED
        for key, value in about.items():
            setattr(entry, key, value)
        archive.writestr(entry, data)
    return path


def test_datumaro_that_is_missing(tmp_path, monkeypatch, refused):
    monkeypatch.setitem(sys.modules, "datumaro.components.environment", None)
    text = refused(coco(tmp_path / "export"))
    assert "datumaro cannot be imported" in text and "pip install datumaro" in text
    assert "pip install --no-deps -r requirements/data.txt" in text


def test_a_format_that_is_not_recognised(tmp_path, refused):
    needs_datumaro()
    images(tmp_path / "export", ["a.jpg"])
    (tmp_path / "export" / "notes.json").write_text("{}")
    assert "is not recognised: it has nothing of cvat, coco, voc" in refused(tmp_path / "export")


def test_several_formats_in_one_export(tmp_path, refused):
    export = label_studio(labelme(tmp_path / "export")).parent
    assert "could be label_studio or labelme: say which with --format" in refused(export)
    assert len(imported(tmp_path / "out", export, format="labelme", images=str(export / "images"))) == 2


def test_cityscapes_is_refused_with_the_reason(tmp_path, refused):
    needs_datumaro()
    images(tmp_path / "e" / "leftImg8bit/train/a", ["a_000000_000019_leftImg8bit.png"])
    images(tmp_path / "e" / "gtFine/train/a", ["a_000000_000019_gtFine_labelTrainIds.png"])
    (tmp_path / "e" / "readme.txt").write_text("")
    assert "Cityscapes's layout, of which datumaro loses classes" in refused(tmp_path / "e")


def test_a_short_export_of_label_studio(tmp_path, refused):
    (tmp_path / "min.json").write_text('[{"image": "a.png", "id": 1, "annotation_id": 2}]')
    assert "JSON-MIN, which lacks what is needed; export JSON" in refused(tmp_path / "min.json")


def test_video_exports_of_cvat(tmp_path, refused):
    needs_datumaro()
    export = cvat(tmp_path / "export")
    text = (export / "annotations.xml").read_text()
    (export / "annotations.xml").write_text(text.replace("</annotations>", "<track id='0'/></annotations>"))
    assert "an export for video: export it as `CVAT for images 1.1`" in refused(export)


def test_images_that_are_missing(tmp_path, refused):
    needs_datumaro()
    export = cvat(tmp_path / "export")
    (export / "images" / NAMES[1]).unlink()
    text = refused(export)
    assert "1 labelled image(s) are not in the export " in text and ": b_0001.png. Give the folder" in text
    images(tmp_path / "elsewhere" / "deep")
    assert len(imported(tmp_path / "out", export, images=str(tmp_path / "elsewhere"))) == 2


def test_an_images_folder_that_is_missing(tmp_path, refused):
    assert "--images nowhere is no folder" in refused(labelme(tmp_path / "export"), images="nowhere")


def test_labels_of_another_size(tmp_path, refused):
    export = labelme(tmp_path / "export")
    images(export, size=(24, 16))
    text = refused(export)
    assert "a_0001.png are for 12x8, but" in text and "is 24x16: give the images that were labelled" in text


def test_a_mask_of_another_size(tmp_path, refused):
    needs_datumaro()
    export = voc(tmp_path / "export")
    images(export / "JPEGImages", size=(24, 16))
    assert "in a_0001 is 12x8, but the image 24x16" in refused(export)


def test_labels_of_the_unturned_photograph_name_exif(tmp_path, refused):
    export = labelme(tmp_path / "export")
    exif = Image.Exif()
    exif[0x0112] = 6
    for name in NAMES:
        Image.new("RGB", (WIDTH, HEIGHT)).save(export / name, exif=exif)
    assert "the EXIF orientation of the image turns" in refused(export)


def test_two_images_of_the_same_name(tmp_path, refused):
    assert "two labelled images are called a_0001 (a_0001.png)" in refused(
        labelme(tmp_path / "one"), labelme(tmp_path / "two")
    )


def test_an_image_that_could_be_one_of_two(tmp_path, refused):
    export = labelme(tmp_path / "export")
    images(tmp_path / "x" / "one")
    images(tmp_path / "x" / "two")
    assert "could both be the image a_0001.png" in refused(export, images=str(tmp_path / "x"))


def test_an_export_without_regions(tmp_path, refused):
    needs_datumaro()
    box = '<box label="car" occluded="0" xtl="1" ytl="1" xbr="3" ybr="3" z_order="0"></box>'
    text = refused(cvat(tmp_path / "export", shapes=box))
    assert "has no polygons and no masks, only 2 of box: draw the outlines" in text


def test_classes_that_the_model_has_not(tmp_path, refused):
    text = refused(labelme(tmp_path / "export"), classes="vspw", map=("road=shelving",))
    assert "has classes that are none of wall, ceiling" in text and ": road. Say what" in text
    assert "--map 'road=CLASS'" in text


def test_colours_that_the_label_map_has_not(tmp_path, refused):
    needs_datumaro()
    export = voc(tmp_path / "export")
    Image.new("RGB", (WIDTH, HEIGHT), (1, 2, 3)).save(export / "SegmentationClass" / NAMES[0])
    assert "Undeclared color (1, 2, 3)" in refused(export)


def test_label_pictures_without_classes(tmp_path, refused):
    export = png(tmp_path / "export")
    (export / "labels" / "classes.yaml").unlink()
    assert "nothing says what their values mean" in refused(export / "labels", images=str(export / "images"))


def test_damaged_json_and_xml(tmp_path, refused):
    needs_datumaro()
    (tmp_path / "cut.json").write_text('{"shapes": [')
    assert "cut.json is no whole JSON file" in refused(tmp_path / "cut.json")
    (tmp_path / "cut.xml").write_text("<annotations><meta>")
    assert "cut.xml is no whole XML file" in refused(tmp_path / "cut.xml")


def test_xml_that_grows_is_not_expanded(tmp_path, refused):
    (tmp_path / "bomb.xml").write_text('<!DOCTYPE a [<!ENTITY b "xxxx">]><annotations>&b;</annotations>')
    assert "bomb.xml defines entities, which no tool exports" in refused(tmp_path / "bomb.xml")


def test_xml_that_is_too_deep_for_a_tree(tmp_path, refused):
    (tmp_path / "deep.xml").write_text("<annotations>" * 100_000)
    assert "deep.xml has more than 100 elements within each other" in refused(tmp_path / "deep.xml")


@pytest.mark.parametrize(
    "change",
    [{"shapes": [{}]}, {"imageHeight": "tall" * 30_000}, {"imageHeight": float("inf")}, {"shapes": None}],
)
def test_damaged_labelme_files(tmp_path, refused, change):
    text = refused(labelme(tmp_path / "export", **change))
    assert "is no whole file of labelme" in text and len(text) < 1000


def test_a_panoptic_picture_without_colors(tmp_path, refused):
    needs_datumaro()
    export = coco_panoptic(tmp_path / "export")
    for path in (export / "panoptic_val").iterdir():
        Image.open(path).convert("L").save(path)
    assert "cannot be read (ValueError: it has 1 dimensions): export it again" in refused(export)


def test_colors_that_are_none(tmp_path, refused):
    needs_datumaro()
    path = datumaro(tmp_path / "export") / "annotations/default.json"
    content = json.loads(path.read_text())
    content["categories"]["mask"]["colormap"][0]["g"] = 256
    path.write_text(json.dumps(content))
    assert "a class has the color [" in refused(tmp_path / "export")


def test_damaged_coco_files(tmp_path, refused):
    needs_datumaro()
    path = coco(tmp_path / "export") / "annotations/instances_default.json"
    whole = json.loads(path.read_text())
    path.write_text(json.dumps({**whole, "annotations": [{"id": 1}]}))
    assert "is no COCO file as tools write it (KeyError: 'category_id')" in refused(tmp_path / "export")
    path.write_text(json.dumps({**whole, "images": whole["images"][:1]}))
    assert "has annotations of the image 1, which it does not list" in refused(tmp_path / "export")


def test_damaged_label_studio_files(tmp_path, refused):
    path = label_studio(tmp_path / "export")
    whole = json.loads(path.read_text())
    whole[0]["annotations"][0]["result"][0]["original_width"] = None
    path.write_text(json.dumps(whole))
    assert "task 4 of" in refused(path)


def test_brushes_that_are_cut_off_or_of_another_size(tmp_path):
    packed = brush(mask_of(CAR))
    length = WIDTH * HEIGHT * 4
    np.testing.assert_array_equal(
        unpacked(packed, length).reshape(HEIGHT, WIDTH, 4)[..., 3] > 0, mask_of(CAR)
    )
    np.testing.assert_array_equal(unpacked(encode_brush(mask_of(CAR)), length), unpacked(packed, length))
    with pytest.raises(DataImportError, match="is cut off"):
        unpacked(packed[:20], length)
    with pytest.raises(DataImportError, match="holds 384 values, but its image 400"):
        unpacked(packed, 400)


def test_a_damaged_zip(tmp_path, refused):
    export = zipped(labelme(tmp_path / "export"))
    data = bytearray(export.read_bytes())
    data[60:90] = bytes(30)
    export.write_bytes(data)
    assert "is a damaged zip" in refused(export)
    export.write_bytes(bytes(data[:200]))
    assert "is a damaged zip" in refused(export)


def test_other_archives(tmp_path, refused):
    (tmp_path / "export.tar.gz").write_bytes(b"x")
    assert "an archive of another kind than zip: unpack it" in refused(tmp_path / "export.tar.gz")


@pytest.mark.parametrize("name", ["../x.json", "/x.json", "a/../../x.json", "C:/x.json"])
def test_paths_that_leave_the_zip(tmp_path, refused, name):
    assert "outside of its folder" in refused(one_entry(tmp_path / "e.zip", name))


def test_links_in_a_zip(tmp_path, refused):
    path = one_entry(tmp_path / "e.zip", "x.json", b"/etc/passwd", external_attr=0o120777 << 16)
    assert "holds the link x.json" in refused(path)


def test_a_zip_that_grows_beyond_measure(tmp_path, refused, monkeypatch):
    monkeypatch.setattr(unpack, "SMALL", 1000)
    path = one_entry(tmp_path / "e.zip", "x.json", bytes(10_000_000))
    assert "more than an export can" in refused(path)


def test_no_room_to_unpack(tmp_path, refused, monkeypatch):
    monkeypatch.setattr(unpack.shutil, "disk_usage", lambda path: type("Usage", (), {"free": 10}))
    assert "name another folder in TMPDIR" in refused(one_entry(tmp_path / "e.zip", "x.json", b"x" * 100))


def test_links_that_leave_the_folder(tmp_path, refused):
    export = labelme(tmp_path / "export")
    os.symlink("/etc/hostname", export / "x.png")
    assert "x.png is a link out of" in refused(export)


def test_names_in_an_export_that_leave_its_folder(tmp_path, refused):
    needs_datumaro()
    export = cvat(tmp_path / "export", shapes=cvat_polygon("road", ROAD), names=["../../x.png"])
    assert "names the file ../../x.png, outside of its folder" in refused(export)


def test_what_is_not_there(tmp_path, refused):
    assert "there is no nowhere.zip" in refused("nowhere.zip")
    (tmp_path / "empty").mkdir()
    assert "is empty" in refused(tmp_path / "empty")


def test_an_output_folder_that_is_there(tmp_path, refused):
    export = labelme(tmp_path / "export")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("")
    assert "out is there already: give another --out" in refused(export)
    (tmp_path / "out" / "mine.txt").unlink()
    assert len(imported(tmp_path / "out", export)) == 2  # an empty one is used


def test_frames_to_label_are_no_export(tmp_path, refused):
    (tmp_path / "to_label").mkdir()
    (tmp_path / "to_label" / "frames.json").write_text("{}")
    assert "holds frames to label: give what the annotation tool exported" in refused(tmp_path / "to_label")


@pytest.mark.parametrize("corner", [float("nan"), float("inf"), -1e308])
def test_outlines_that_lie_nowhere(tmp_path, refused, corner):
    shape = {"label": "road", "shape_type": "polygon", "points": [[0, 0], [corner, 4], [4, 4]]}
    text = refused(labelme(tmp_path / "export", shapes=[shape]))
    assert "the outline of road in a_0001.png has points that lie nowhere" in text


@pytest.mark.parametrize(
    "change, text",
    [
        (lambda tasks: tasks.append(5), "project-1-at-2026.json lists '5' among its tasks"),
        (
            lambda tasks: tasks[0]["annotations"][0]["result"][0]["value"].update(polygonlabels=[7]),
            "task 4 of .* is not as Label Studio exports it .a shape's class is .7.",
        ),
        (
            lambda tasks: tasks[0]["annotations"][0]["result"][0].update(original_height=float("inf")),
            "task 4 of .* is not as Label Studio exports it",
        ),
    ],
    ids=["task", "class", "size"],
)
def test_damaged_label_studio_files(tmp_path, refused, change, text):
    path = label_studio(tmp_path)
    tasks = json.loads(path.read_text())
    change(tasks)
    path.write_text(json.dumps(tasks))
    assert re.search(text, refused(path))


def test_a_zip_whose_table_is_damaged(tmp_path, refused):
    path = zipped(labelme(tmp_path / "export"))
    data = bytearray(path.read_bytes())
    data[-6:-2] = b"\xff\xff\xff\xff"  # where the table begins
    path.write_bytes(data)
    assert "export.zip is a damaged zip" in refused(path)


def test_a_name_that_no_file_can_have(tmp_path, refused):
    one_entry(tmp_path / "a.zip", "x" * 300)
    assert "a.zip is a damaged zip" in refused(tmp_path / "a.zip")


def test_errors_name_files_by_the_zip_they_are_in(tmp_path):
    folder = labelme(tmp_path / "export")
    (folder / NAMES[0]).write_bytes(b"no image")
    path = zipped(folder)
    with pytest.raises(SourceError, match=f"^{path}:{NAMES[0]} cannot be read as an image"):
        imported(tmp_path / "out", path)


def test_label_pictures_that_ask_for_too_much(tmp_path):
    needs_datumaro()
    folder = voc(tmp_path / "export")
    header = struct.pack(">II5B", 30_000, 30_000, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", 13) + b"IHDR" + header + struct.pack(">I", zlib.crc32(b"IHDR" + header))
    path = folder / "SegmentationClass" / NAMES[0]
    path.write_bytes(path.read_bytes()[:8] + chunk + path.read_bytes()[33:])
    with pytest.raises(SourceError, match=f"{NAMES[0]} is 30000x30000; scale it down"):
        imported(tmp_path / "out", folder)


def test_label_pictures_whose_parts_ask_for_too_much(tmp_path):
    """OpenCV, by which datumaro reads them, reserves the four gigabytes."""
    needs_datumaro()
    folder = coco_panoptic(tmp_path / "export")
    path = folder / "panoptic_val" / NAMES[0]
    data = bytearray(path.read_bytes())
    data[(at := data.index(b"IDAT") - 4) : at + 4] = b"\xff\xff\0\0"
    path.write_bytes(data)
    with pytest.raises(SourceError, match=f"{NAMES[0]} cannot be read as a PNG; it is damaged"):
        imported(tmp_path / "out", folder)
