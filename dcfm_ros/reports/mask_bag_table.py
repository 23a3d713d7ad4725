# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What `dcfm bag segment` and `dcfm bag make` print of their reports."""

from __future__ import annotations

from dcfm_ros.reports.text import aligned, counted


def mask_bag_table(report: dict) -> str:
    """Lines of text; the whole report has counts, options and hashes as well."""
    model, resumed = report["model"], report["resumed_at_image"]
    rows = [["camera", "images", "skipped", "masks", "keyframes", "topic of the masks"]]
    for camera in report["cameras"]:
        counts = camera["images"], sum(camera["skipped"].values()), camera["masks"], camera["keyframes"]
        rows.append([camera["topic"], *map(str, counts), camera["mask_topic"]])
    lines = [
        f"{report['bag']['path']}: {model['name']} ({model['backend']} on {model['device']}, "
        f"{model['precision']}), mode {report['mode']}",
        "",
        *aligned(rows),
    ]
    if resumed:
        lines.append(f"gone on from image {resumed}")
    lines += [f"left out: {topic}: {reason}" for topic, reason in report["left_out"].items()]
    lines += [f"note: {note}" for note in report["notes"]]
    return "\n".join(lines)


def made_bag_text(report: dict) -> str:
    """What `dcfm bag make` prints."""
    text = f"{counted(report['images'], 'image')} on {report['image_topic']}"
    if report["labels"]:
        text += f", {counted(report['labels'], 'label')} on {report['label_topic']}"
    return text


def next_lines(bag: str) -> str:
    """What can be done with a recording of ours."""
    return f"next: open it in Foxglove, or `ros2 bag play {bag}`"
