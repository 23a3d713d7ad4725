# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Writes a data folder: images, labels and classes.yaml (docs/datasets.md)."""

from __future__ import annotations

import os
import shlex
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from dcfm_ros.data_import.classes import Classes
from dcfm_ros.data_import.errors import DataImportError
from dcfm_ros.data_import.painting import paint
from dcfm_ros.data_import.placing import Placed
from dcfm_ros.files import atomic_directory
from dcfm_ros.labels import IGNORE_LABEL
from dcfm_ros.sources.classes import ClassTable, voc_colour
from dcfm_ros.sources.clips.classes_file import FILE, classes_text


@dataclass(frozen=True)
class Summary:
    """What was written.

    splits: number of labelled images by split; "" where there are none
    pixels: of each class, and of none last
    images_of: number of images in which each class is
    model: to start training from
    """

    out: str
    splits: dict[str, int]
    unlabelled: int  # images that are neighbours
    classes: ClassTable
    pixels: tuple[int, ...]
    images_of: tuple[int, ...]
    notes: tuple[str, ...]
    model: str = "street11"

    def __str__(self) -> str:
        count, total = sum(self.splits.values()), max(1, sum(self.pixels))
        splits = ", ".join(f"{count} {name}" for name, count in self.splits.items() if name)
        text = [
            f"{self.out}: {count} labelled image(s)"
            + (f" ({splits})" if splits else "")
            + (f", {self.unlabelled} neighbours" if self.unlabelled else "")
        ]
        width = max(len("ignored"), *(len(name) for name, _ in self.classes))
        text.append(f"{'class':{width}}  pixels  images")
        for (name, _), pixels, images in zip(self.classes, self.pixels, self.images_of):
            text.append(f"{name:{width}} {100 * pixels / total:6.1f}% {images:7}")
        text.append(f"{'ignored':{width}} {100 * self.pixels[-1] / total:6.1f}%")
        text += [f"note: {note}" for note in self.notes]
        if empty := [name for (name, _), pixels in zip(self.classes, self.pixels) if not pixels]:
            text.append(f"warning: without a pixel: {', '.join(empty)}; training cannot learn them")
        out, model = shlex.quote(self.out), shlex.quote(self.model)
        text.append(
            f"next: dcfm train config/train/my_data.yaml --data {out} --init {model} --out runs/mine\n"
            f"then: dcfm evaluate {out} --model runs/mine/last --out out/mine"
        )
        return "\n".join(text)


def write_data_folder(
    out: Path,
    images: Sequence[Placed],
    classes: Classes,
    rate_hz: float | None,
    link: bool,
    notes: Sequence[str] = (),
) -> Summary:
    """Write the folder, whole or not at all.

    rate_hz: of clips: each labelled image becomes one, with its neighbours; None: images are stills
    link: make hard links to the images
    """
    pixels = np.zeros(len(classes.table) + 1, np.int64)
    images_of = np.zeros(len(classes.table), np.int64)
    splits: dict[str, int] = {}
    unlabelled = 0
    with atomic_directory(out) as folder:
        for one in tqdm(images, unit="image", disable=None):
            label = paint(one.image, one.size, classes.ids, classes.fill)
            counts = np.bincount(label.ravel(), minlength=256)
            pixels += [*counts[: len(classes.table)], counts[IGNORE_LABEL]]
            images_of += counts[: len(classes.table)] > 0
            splits[one.split] = splits.get(one.split, 0) + 1
            part = one.name if rate_hz else ""
            files = one.clip if rate_hz else {}
            files = files or {f"{one.name}{one.file.suffix}": one.file}
            unlabelled += len(files) - 1
            for name, file in files.items():
                _put(file, folder / one.split / "images" / part / name, link)
            label_name = one.label_name if part and one.clip else f"{one.name}.png"
            target = folder / one.split / "labels" / part / label_name
            target.parent.mkdir(parents=True, exist_ok=True)
            _save(label, target, classes.table)
        _write_classes(folder / FILE, classes.table, rate_hz)
    order = sorted(splits, key=("train", "val", "test", "").index)
    return Summary(
        str(out),
        {name: splits[name] for name in order},
        unlabelled,
        classes.table,
        tuple(map(int, pixels)),
        tuple(map(int, images_of)),
        (*notes, *classes.notes),
    )


def _put(file: Path, target: Path, link: bool) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if not link:
        shutil.copyfile(file, target)
        return
    try:
        os.link(file.resolve(), target)
    except OSError as error:
        raise DataImportError(
            f"{file} cannot be linked to ({error.strerror}): leave --link out, or write to the same disk"
        ) from error


def _save(label: np.ndarray, path: Path, table: ClassTable) -> None:
    """Save class ids, with a palette of the classes' colours for those who look at them."""
    colours = {colour for _, colour in table}
    ignored = next(c for c in ((0, 0, 0), *map(voc_colour, range(255, 0, -1))) if c not in colours)
    palette = np.full((256, 3), ignored, np.uint8)
    palette[: len(table)] = [colour for _, colour in table]
    picture = Image.fromarray(label)
    picture.putpalette(palette.tobytes())
    picture.save(path, format="PNG")


def _write_classes(path: Path, table: ClassTable, rate_hz: float | None) -> None:
    video = {"video": {"rate_hz": rate_hz}} if rate_hz else {}
    path.write_text(classes_text(table, **video), "utf-8")
