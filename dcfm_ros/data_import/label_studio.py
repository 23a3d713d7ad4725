# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Label Studio's JSON, with brushes and polygons. datumaro has no reader of it, and of Label Studio's other
exports of brushes PNG leaves out the names of the images."""

from __future__ import annotations

from collections import Counter
from pathlib import PurePosixPath
from urllib.parse import parse_qs, unquote, urlsplit

import numpy as np

from dcfm_ros.data_import.errors import DataImportError
from dcfm_ros.data_import.export import Export, LabelledImage, Shape
from dcfm_ros.data_import.json_files import files_of
from dcfm_ros.data_import.unpack import Opened
from dcfm_ros.sources.read import IMAGE_ENDINGS, MAX_PIXELS


def read(opened: Opened) -> Export:
    """Read the annotations of all tasks; of several of a task the last that was not cancelled."""
    classes: dict[str, None] = {}
    images = []
    left_out: Counter[str] = Counter()
    for file, content in files_of(opened, "label_studio"):
        name = opened.name_of(file)
        for task in content if isinstance(content, list) else [content]:
            if not isinstance(task, dict):
                raise DataImportError(
                    f"{name} lists {str(task)[:100]!r} among its tasks: export it again as JSON"
                )
            try:
                image = _image(task, left_out)
            except (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError) as error:
                raise DataImportError(
                    f"task {task.get('id')} of {name} is not as Label Studio exports it ({error}): export it "
                    "again as JSON"
                ) from error
            classes |= dict.fromkeys(shape.label for shape in image.shapes)
            images.append(image)
    return Export(
        opened.source,
        "label_studio",
        tuple(classes.items()),
        tuple(images),
        left_out=left_out,
        places=opened.places(),
    )


def _image(task: dict, left_out: Counter[str]) -> LabelledImage:
    done = [entry for entry in task["annotations"] if not entry.get("was_cancelled")]
    if len(done) > 1:
        left_out["older annotation of an image"] += len(done) - 1
    size, shapes = None, []
    for entry in done[-1]["result"] if done else ():
        value = entry.get("value", {})
        labels = next((value[key] for key in value if key.endswith("labels")), None)
        if labels and not (isinstance(labels, list) and isinstance(labels[0], str)):
            raise ValueError(f"a shape's class is {str(labels)[:100]}")
        if "rle" not in value and "points" not in value:
            left_out["box" if "width" in value else str(entry.get("type"))] += 1
            continue
        if not labels:
            left_out["shape without a class"] += 1
            continue
        if entry.get("image_rotation"):
            raise ValueError("the image was turned in Label Studio; turn the file itself")
        size = int(entry["original_height"]), int(entry["original_width"])
        shapes.append(
            _brush(labels[0], value["rle"], size) if "rle" in value else _polygon(labels[0], value, size)
        )
    return LabelledImage(_name(task), size, tuple(shapes))


def _name(task: dict) -> str:
    """Name of the image: of the address in the task, which may be one of Label Studio's local files."""
    data = task["data"]
    addresses = [value for key, value in sorted(data.items(), key=lambda item: item[0] != "image")]
    for address in (value for value in addresses if isinstance(value, str)):
        parts = urlsplit(address)
        path = parse_qs(parts.query).get("d", [parts.path])[0]
        name = PurePosixPath(unquote(path).replace("\\", "/")).name
        if name.lower().endswith(IMAGE_ENDINGS):
            return name
    raise ValueError(f"no image in its data {', '.join(data)}")


def _polygon(label: str, value: dict, size: tuple[int, int]) -> Shape:
    """Points are percentages of width and height."""
    points = np.array(value["points"], float).reshape(-1, 2) / 100 * (size[1], size[0])
    return Shape(label, (points,))


def _brush(label: str, packed: list[int], size: tuple[int, int]) -> Shape:
    return Shape(label, mask=lambda: unpacked(packed, size[0] * size[1] * 4).reshape(*size, 4)[:, :, 3] > 0)


def unpacked(packed: list[int], length: int) -> np.ndarray:
    """Decode a brush: RGBA values, packed by runs (rle-pack of thi.ng/umbrella).

    A head of bits: 32 for the number of values, 5 for the width of a value less 1, 4 times 4 for the widths,
    less 1, in which lengths of runs are given. Then runs: a bit that says whether one value is repeated, 2
    for the width of the length, the length less 1, and the value or values.
    """
    bits = "".join(map(str, np.unpackbits(np.array(packed, np.uint8))))
    place = 0

    def take(count: int) -> int:
        nonlocal place
        place += count
        if place > len(bits):
            raise DataImportError("a brush of Label Studio is cut off: export it again")
        return int(bits[place - count : place], 2)

    count, width = take(32), take(5) + 1
    widths = [take(4) + 1 for _ in range(4)]
    if count != length or length > 4 * MAX_PIXELS:
        raise DataImportError(
            f"a brush of Label Studio holds {count} values, but its image {length}: export it again"
        )
    values, done = np.zeros(count, np.uint8), 0
    while done < count:
        repeated = take(1)
        end = done + 1 + take(widths[take(2)])
        if repeated:
            values[done:end] = take(width)
        else:
            values[done:end] = [take(width) for _ in range(done, min(end, count))]
        done = end
    return values
