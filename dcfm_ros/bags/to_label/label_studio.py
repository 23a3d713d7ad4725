# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Files that Label Studio imports: tasks with the model's masks as predictions, and a labelling interface."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from urllib.parse import quote
from xml.sax.saxutils import quoteattr

import numpy as np

from dcfm_ros.bags.to_label.brush_rle import encode_brush
from dcfm_ros.sources.classes import ClassTable
from dcfm_ros.sources.read import read_label
from dcfm_ros.sources.to_label import LabelFrame

TASKS, INTERFACE = "label_studio.json", "label_studio.xml"
_FROM, _TO = "class", "image"  # names of the controls


def write_label_studio(
    folder: Path, name: str, frames: Iterable[LabelFrame], table: ClassTable, model: str
) -> None:
    """Write both files. Tasks come in the order of choice, the most worth labelling first.

    name: that the folder will have, in the folder that Label Studio serves local files from
    """
    (folder / INTERFACE).write_text(_interface(table), encoding="utf-8")
    ordered = sorted(frames, key=lambda frame: frame.why["rank"])
    with (folder / TASKS).open("w", encoding="utf-8") as file:
        for number, frame in enumerate(ordered):  # one at a time: hundreds of large masks
            file.write("[\n" if number == 0 else ",\n")
            mask = read_label(folder / frame.prelabel, (frame.height, frame.width))
            file.write(json.dumps(_task(name, frame, mask, table, model), separators=(",", ":")))
        file.write("\n]\n")


def _task(name: str, frame: LabelFrame, mask: np.ndarray, table: ClassTable, model: str) -> dict[str, Any]:
    regions = [
        {
            "id": f"{frame.name}_{value}",
            "type": "brushlabels",
            "from_name": _FROM,
            "to_name": _TO,
            "original_width": frame.width,
            "original_height": frame.height,
            "image_rotation": 0,
            "value": {"format": "rle", "rle": encode_brush(mask == value), "brushlabels": [table[value][0]]},
        }
        for value in np.unique(mask).tolist()
        if value < len(table)
    ]
    return {
        "data": {
            "image": f"/data/local-files/?d={quote(f'{name}/{frame.image}')}",
            "recording": frame.recording,
            "rank": frame.why["rank"],
        },
        "predictions": [
            {"model_version": model, "score": round(1 - frame.why["uncertainty"], 3), "result": regions}
        ],
    }


def _interface(table: ClassTable) -> str:
    labels = "\n".join(
        f'    <Label value={quoteattr(name)} background="#{"".join(f"{value:02x}" for value in color)}"/>'
        for name, color in table
    )
    return (
        "<View>\n"
        f'  <Image name="{_TO}" value="$image" zoom="true" zoomControl="true"/>\n'
        f'  <BrushLabels name="{_FROM}" toName="{_TO}">\n{labels}\n  </BrushLabels>\n'
        "</View>\n"
    )
