# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Small exports as annotation tools write them: each holds the same labels, `EXPECTED`."""

import base64
import io
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dcfm_ros.data_import.import_data import import_data
from dcfm_ros.data_import.options import DataImportOptions

WIDTH, HEIGHT = 12, 8
NAMES = ("a_0001.png", "b_0001.png")
ROAD = [0, 4, 12, 4, 12, 8, 0, 8]  # x and y of the corners
CAR = [2, 3, 6, 3, 6, 6, 2, 6]  # above the road
COLOURS = {"road": (128, 64, 128), "car": (0, 0, 142)}
EXPECTED = np.full((HEIGHT, WIDTH), 255, np.uint8)  # with road, car
EXPECTED[4:8] = 0
EXPECTED[3:6, 2:6] = 1


def needs_datumaro():
    pytest.importorskip("datumaro", reason="datumaro is not installed: requirements/data.txt")


def imported(out, *files, **options):
    """Import into a folder; return the labels by their path in it, without ending."""
    import_data(DataImportOptions(tuple(map(str, files)), str(out), **options))
    return {
        path.relative_to(out).with_suffix("").as_posix().replace("labels/", ""): np.array(Image.open(path))
        for path in sorted(out.rglob("labels/**/*.png"))
    }


def images(folder: Path, names=NAMES, size=(WIDTH, HEIGHT)) -> Path:
    """Write images, each of another grey."""
    for number, name in enumerate(names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", size, (40 + number,) * 3).save(folder / name)
    return folder


def zipped(folder: Path) -> Path:
    """Pack a folder as tools do."""
    path = folder.with_suffix(".zip")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(folder.rglob("*")):
            archive.write(file, file.relative_to(folder).as_posix())
    return path


def mask_of(corners) -> np.ndarray:
    left, top, right, bottom = min(corners[::2]), min(corners[1::2]), max(corners[::2]), max(corners[1::2])
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[top:bottom, left:right] = True
    return mask


def runs(values) -> list[int]:
    """Lengths of runs, the first of zeros."""
    flat = np.asarray(values).ravel().astype(int)
    changes = np.flatnonzero(np.diff(np.concatenate([[0], flat]))).tolist()
    return np.diff([0, *changes, len(flat)]).tolist()


def cvat_xml(shapes: str, names=NAMES, kind="task", labels=("road", "car")) -> str:
    entries = "".join(
        f"<label><name>{name}</name><color>#{bytes(COLOURS.get(name, (9, 9, 9))).hex()}</color>"
        "<type>any</type><attributes></attributes></label>"
        for name in labels
    )
    subset = ' subset="default" task_id="3"' if kind == "project" else ""
    subsets = "<subsets>default</subsets>" if kind == "project" else ""
    return (
        f'<?xml version="1.0" encoding="utf-8"?><annotations><version>1.1</version><meta><{kind}><id>3</id>'
        f"<labels>{entries}</labels>{subsets}</{kind}><dumped>2026-01-01</dumped></meta>"
        + "".join(
            f'<image id="{number}" name="{name}"{subset} width="{WIDTH}" height="{HEIGHT}">{shapes}</image>'
            for number, name in enumerate(names)
        )
        + "</annotations>"
    )


def cvat_polygon(label, corners, z_order=0) -> str:
    points = ";".join(f"{x:.2f},{y:.2f}" for x, y in zip(corners[::2], corners[1::2]))
    about = f'source="manual" occluded="0" points="{points}" z_order="{z_order}"'
    return f'<polygon label="{label}" {about}></polygon>'


def cvat_mask(label, corners, z_order=0) -> str:
    left, top, right, bottom = min(corners[::2]), min(corners[1::2]), max(corners[::2]), max(corners[1::2])
    rle = ", ".join(map(str, runs(np.ones((bottom - top, right - left)))))
    return (
        f'<mask label="{label}" source="manual" occluded="0" rle="{rle}" left="{left}" top="{top}" '
        f'width="{right - left}" height="{bottom - top}" z_order="{z_order}"></mask>'
    )


def cvat(folder: Path, kind="task", shapes="", **about) -> Path:
    images(folder / "images" / ("default" if kind == "project" else ""))
    # The car is the first in the file, and lies above.
    shapes = shapes or cvat_mask("car", CAR, z_order=1) + cvat_polygon("road", ROAD)
    (folder / "annotations.xml").write_text(cvat_xml(shapes, kind=kind, **about))
    return folder


def coco(
    folder: Path, json_name="annotations/instances_default.json", image_folder="images", first=1
) -> Path:
    """first: number of the first class: 0 in Label Studio's and Roboflow's files."""
    images(folder / image_folder)
    rle = {"counts": runs(mask_of(CAR).T), "size": [HEIGHT, WIDTH]}
    annotations = []
    for image in range(len(NAMES)):
        annotations += [  # numbers are not in the order of the file
            {"id": 90 - image, "image_id": image, "category_id": first, "segmentation": [ROAD], "iscrowd": 0},
            {"id": image, "image_id": image, "category_id": first + 1, "segmentation": rle, "iscrowd": 1},
        ]
    for entry in annotations:
        entry |= {"bbox": [0, 0, 2, 2], "area": 4}
    content = {
        "info": {},
        "licenses": [],
        "categories": [
            {"id": first, "name": "road", "supercategory": ""},
            {"id": first + 1, "name": "car", "supercategory": ""},
        ],
        "images": [
            {"id": number, "file_name": name, "width": WIDTH, "height": HEIGHT}
            for number, name in enumerate(NAMES)
        ],
        "annotations": annotations,
    }
    path = folder / json_name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
    return folder


def coco_panoptic(folder: Path) -> Path:
    coco(folder, "panoptic_val.json")
    content = json.loads((folder / "panoptic_val.json").read_text())
    (folder / "panoptic_val").mkdir()
    picture = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    picture[EXPECTED == 0] = (7, 1, 0)  # 7 + 256
    picture[EXPECTED == 1] = (0, 0, 2)  # 2 * 65536
    for name in NAMES:
        Image.fromarray(picture).save(folder / "panoptic_val" / name)
    content["annotations"] = [
        {
            "image_id": number,
            "file_name": name,
            "segments_info": [
                {"id": 7 + 256, "category_id": 1, "iscrowd": 0, "area": 1, "bbox": [0, 0, 1, 1]},
                {"id": 2 * 65536, "category_id": 2, "iscrowd": 0, "area": 1, "bbox": [0, 0, 1, 1]},
            ],
        }
        for number, name in enumerate(NAMES)
    ]
    (folder / "panoptic_val.json").write_text(json.dumps(content))
    return folder


def coloured(path: Path) -> None:
    picture = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    for number, colour in enumerate(COLOURS.values()):
        picture[number == EXPECTED] = colour
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture).save(path)


def voc(folder: Path) -> Path:
    """CVAT's `Segmentation mask 1.1`, with its images."""
    images(folder / "JPEGImages")
    (folder / "labelmap.txt").write_text(
        "# label:color_rgb:parts:actions\nbackground:0,0,0::\ncar:0,0,142::\nroad:128,64,128::\n"
    )
    (folder / "ImageSets" / "Segmentation").mkdir(parents=True)
    (folder / "ImageSets" / "Segmentation" / "default.txt").write_text("a_0001\nb_0001\n")
    for name in NAMES:
        coloured(folder / "SegmentationClass" / name)
        coloured(folder / "SegmentationObject" / name)
    return folder


def camvid(folder: Path) -> Path:
    images(folder / "default")
    (folder / "label_colors.txt").write_text("0 0 0 background\n128 64 128 road\n0 0 142 car\n")
    (folder / "default.txt").write_text("".join(f"/default/{n} /defaultannot/{n}\n" for n in NAMES))
    for name in NAMES:
        coloured(folder / "defaultannot" / name)
    return folder


def datumaro(folder: Path) -> Path:
    images(folder / "images" / "default")
    content = {
        "info": {},
        "categories": {
            "label": {
                "labels": [{"name": n, "parent": "", "attributes": []} for n in COLOURS],
                "attributes": [],
            },
            "mask": {
                "colormap": [
                    {"label_id": i, "r": c[0], "g": c[1], "b": c[2]} for i, c in enumerate(COLOURS.values())
                ]
            },
        },
        "items": [
            {
                "id": Path(name).stem,
                "image": {"path": name, "size": [HEIGHT, WIDTH]},
                "annotations": [
                    {"id": 0, "type": "polygon", "label_id": 1, "points": CAR, "z_order": 1, "group": 0},
                    {"id": 1, "type": "polygon", "label_id": 0, "points": ROAD, "z_order": 0, "group": 0},
                ],
            }
            for name in NAMES
        ],
    }
    (folder / "annotations").mkdir(parents=True)
    (folder / "annotations" / "default.json").write_text(json.dumps(content))
    return folder


def labelme(folder: Path, **changes) -> Path:
    images(folder)
    part = np.full((3, 4), 255, np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(part).convert("1").save(buffer, format="PNG")
    for name in NAMES:
        content = {
            "version": "5.5.0",
            "flags": {},
            "shapes": [
                {"label": "road", "points": np.reshape(ROAD, (4, 2)).tolist(), "shape_type": "polygon"},
                {
                    "label": "car",
                    "points": [[2, 3], [5, 5]],
                    "shape_type": "mask",
                    "mask": base64.b64encode(buffer.getvalue()).decode(),
                },
            ],
            "imagePath": name,
            "imageData": None,
            "imageHeight": HEIGHT,
            "imageWidth": WIDTH,
            **changes,
        }
        (folder / name).with_suffix(".json").write_text(json.dumps(content))
    return folder


def labelme_xml(folder: Path) -> Path:
    images(folder / "Images")
    (folder / "Annotations").mkdir()
    for name in NAMES:
        objects = ""
        for number, (label, corners) in enumerate((("road", ROAD), ("car", CAR))):
            points = "".join(
                f"<pt><x>{x:.2f}</x><y>{y:.2f}</y></pt>" for x, y in zip(corners[::2], corners[1::2])
            )
            objects += (
                f"<object><name>{label}</name><deleted>0</deleted><verified>0</verified><occluded>no</occluded>"
                f"<attributes></attributes><parts><hasparts></hasparts><ispartof></ispartof></parts>"
                f"<id>{number}</id><polygon>{points}<username></username></polygon></object>"
            )
        (folder / "Annotations" / name).with_suffix(".xml").write_text(
            f"<annotation><filename>{name}</filename><folder></folder><source></source><imagesize>"
            f"<nrows>{HEIGHT}</nrows><ncols>{WIDTH}</ncols></imagesize>{objects}</annotation>"
        )
    return folder


def brush(mask: np.ndarray) -> list[int]:
    """Pack a mask as Label Studio does: RGBA, runs and single values."""
    values = np.repeat(mask.ravel().astype(int) * 255, 4)
    bits = f"{len(values):032b}{7:05b}" + "".join(f"{width - 1:04b}" for width in (3, 4, 8, 16))
    place = 0
    while place < len(values):
        length = 1
        while place + length < len(values) and values[place + length] == values[place] and length < 256:
            length += 1
        if length > 8:
            bits += f"110{length - 1:08b}{values[place]:08b}"
        else:  # values one by one
            bits += f"000{length - 1:03b}" + f"{values[place]:08b}" * length
        place += length
    bits += "0" * (-len(bits) % 8)
    return [int(bits[i : i + 8], 2) for i in range(0, len(bits), 8)]


def label_studio_task(name: str, *results, **changes) -> dict:
    return {
        "id": 4,
        "data": {"image": f"/data/upload/1/0a1b2c3d-{name}"},
        "file_upload": f"0a1b2c3d-{name}",
        "annotations": [{"id": 1, "was_cancelled": False, "result": list(results)}],
        "predictions": [],
        **changes,
    }


def label_studio_result(kind: str, label: str, **value) -> dict:
    return {
        "id": "x",
        "type": kind,
        "from_name": "label",
        "to_name": "image",
        "original_width": WIDTH,
        "original_height": HEIGHT,
        "image_rotation": 0,
        "value": {**value, kind: [label]},
    }


def label_studio(folder: Path) -> Path:
    """Its JSON is one file, without images."""
    corners = np.reshape(ROAD, (4, 2)) / (WIDTH, HEIGHT) * 100
    road = label_studio_result("polygonlabels", "road", points=corners.tolist(), closed=True)
    car = label_studio_result("brushlabels", "car", rle=brush(mask_of(CAR)), format="rle")
    images(folder / "images")
    path = folder / "project-1-at-2026.json"
    path.write_text(json.dumps([label_studio_task(name, road, car) for name in NAMES]))
    return path


def png(folder: Path) -> Path:
    images(folder / "images")
    (folder / "labels").mkdir()
    (folder / "labels" / "classes.yaml").write_text(
        "classes:\n- {name: road, color: [128, 64, 128]}\n- {name: car, color: [0, 0, 142]}\n"
    )
    Image.fromarray(EXPECTED).save(folder / "labels" / NAMES[0])
    coloured(folder / "labels" / NAMES[1])
    # what has no class is 0, 0, 0 there
    text = (folder / "labels" / "classes.yaml").read_text()
    (folder / "labels" / "classes.yaml").write_text(text + "ignore: [[0, 0, 0]]\n")
    return folder


WITHOUT_DATUMARO = {"labelme": labelme, "label_studio": label_studio, "png": png}
WITH_DATUMARO = {
    "cvat": cvat,
    "coco": coco,
    "voc": voc,
    "camvid": camvid,
    "datumaro": datumaro,
    "labelme_xml": labelme_xml,
}
