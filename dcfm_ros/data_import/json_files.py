# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""JSON files of annotation tools: which tool wrote one, by what is in it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from dcfm_ros.data_import.errors import DataImportError
from dcfm_ros.data_import.unpack import Opened
from dcfm_ros.plain_files import PlainFileError, read_json

MIN_JSON = "label_studio_min"  # Label Studio's short form, without what is needed


def load(opened: Opened, file: Path) -> Any:
    """Read a JSON file. Raises DataImportError if it is damaged."""
    try:
        return read_json(file)
    except PlainFileError as error:
        raise DataImportError(
            f"{opened.name_of(file)} is no whole JSON file ({error}): download or export it again"
        ) from error


def format_of(content: Any) -> str:
    """Return the format of a JSON file; empty if it is none that is known."""
    if isinstance(content, list):
        tasks = [entry for entry in content if isinstance(entry, dict)]
        if tasks and all("annotations" in task and "data" in task for task in tasks):
            return "label_studio"
        return MIN_JSON if tasks and all("annotation_id" in task for task in tasks) else ""
    if not isinstance(content, dict):
        return ""
    if {"images", "annotations", "categories"} <= content.keys():
        return "coco"
    if {"shapes", "imagePath"} <= content.keys():
        return "labelme"
    if {"annotations", "data"} <= content.keys():  # a file for each task, of its storage
        return "label_studio"
    return "datumaro" if {"categories", "items"} <= content.keys() else ""


def files_of(opened: Opened, format: str) -> list[tuple[Path, Any]]:
    """Return the JSON files of this format, with their contents."""
    files = [(file, load(opened, file)) for file in opened.ending_in(".json")]
    found = [(file, content) for file, content in files if format_of(content) == format]
    if not found:
        raise DataImportError(
            f"{opened.source} holds no JSON file of the format {format}: give another --format"
        )
    return found
