# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Writes soft labels, a frame at a time, so that labelling can be interrupted; the index comes last."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from dcfm_ros.files import atomic_files, output_folder, unwritable
from dcfm_ros.model.config import ClassSpec, ConfigError
from dcfm_ros.plain_files import read_json
from dcfm_ros.sources.clips.classes_file import FILE as CLASSES_FILE
from dcfm_ros.sources.clips.classes_file import classes_text
from dcfm_ros.sources.clips.soft_labels import FRAMES, INDEX_FILE, PLAN_FILE

_JPEG_QUALITY = 95


class SoftLabelStore:
    """The folder of soft labels that is being written.

    A frame is there when its labels are, which are written after its image.
    """

    def __init__(self, folder: Path, identity: dict[str, Any], classes: Sequence[ClassSpec], resume: bool):
        """identity: everything that the labels depend on; with `resume` it must be that of what is there.
        Raises ConfigError."""
        self.folder, self._identity, self._frames = folder, identity, folder / FRAMES
        plan = folder / PLAN_FILE
        if plan.is_file():
            self._check(plan, resume)
        output_folder(self._frames)
        table = tuple((one.name, one.color) for one in classes)
        self._write(folder / CLASSES_FILE, classes_text(table, terms=identity["terms"]))
        self._write(plan, json.dumps(identity, indent=1))

    @property
    def is_whole(self) -> bool:
        return (self.folder / INDEX_FILE).is_file()

    def has(self, key: str) -> bool:
        return (self._frames / f"{key}.npz").is_file()

    def add(self, key: str, picture: np.ndarray, soft: np.ndarray) -> None:
        """Write a frame: its picture (H, W, 3) uint8 RGB, and its soft labels."""
        image, labels = self._frames / f"{key}.jpg", self._frames / f"{key}.npz"
        coded = cv2.imencode(
            ".jpg", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY]
        )[1]
        try:
            with atomic_files(image, labels) as (image_part, labels_part):
                image_part.write_bytes(coded.tobytes())
                with labels_part.open("wb") as file:
                    np.savez_compressed(file, soft=soft)
        except OSError as error:
            raise unwritable(image, error) from error

    def finish(self, clips: dict[str, list[dict[str, Any]]]) -> None:
        """Write the index: the folder is whole."""
        self._write(self.folder / INDEX_FILE, json.dumps({**self._identity, "clips": clips}, indent=1))

    def _check(self, plan: Path, resume: bool) -> None:
        if not resume:
            raise ConfigError(
                f"{self.folder} already contains soft labels: give --resume to go on, or another --out"
            )
        try:
            before = read_json(plan)
            if not isinstance(before, dict):
                raise ValueError("it holds no settings by name")
        except ValueError as error:
            raise ConfigError(f"{plan} is damaged ({error}): start in another --out") from error
        now = json.loads(json.dumps(self._identity))
        changed = [
            f"{key} was {_short(before.get(key))} and is {_short(value)}"
            for key, value in now.items()
            if before.get(key) != value
        ]
        if changed:
            raise ConfigError(
                f"{self.folder} was made with other options: {'; '.join(changed)}. Use the same, or start in "
                "another --out"
            )

    def _write(self, path: Path, text: str) -> None:
        try:
            with atomic_files(path) as (part,):
                part.write_text(text, encoding="utf-8")
        except OSError as error:
            raise unwritable(path, error) from error


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
