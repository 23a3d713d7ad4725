# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What `dcfm bag frames` prints: what was chosen of which recording, and what comes next."""

from __future__ import annotations

from typing import Any

from dcfm_ros.reports.text import aligned

_COLUMNS = ("images", "looked_at", "damaged", "dark", "candidates", "chosen")


def summary(report: dict[str, Any]) -> str:
    """Return the text for a terminal."""
    recordings, out = report["recordings"], report["out"]
    rows = [["recording", *(name.replace("_", " ") for name in _COLUMNS)]]
    rows += [[one["name"], *(str(one[name]) for name in _COLUMNS)] for one in recordings]
    lines = aligned(rows)
    lines += [f"left out: {one['name']}: {one['reason']}" for one in recordings if one["reason"]]
    lines += [f"note: {one['name']}: {note}" for one in recordings for note in one["notes"]]
    lines += [f"note: {note}" for note in report["notes"]]
    lines += [
        "",
        f"{report['frames']} frames to label are in {out}, with {report['neighbours']} of those around them",
        f"next: label {out}/images (CVAT: cvat_images.zip, cvat_labels.json and cvat_prelabels.zip; Label "
        "Studio: label_studio.xml and label_studio.json),",
        f"then: dcfm data import EXPORT --frames {out} --out my_data",
    ]
    return "\n".join(lines)
