# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What `dcfm segment` prints of its report."""

from __future__ import annotations

from dcfm_ros.reports.text import aligned, counted, percent


def segment_table(report: dict) -> str:
    """Lines of text; IoUs where there are labels."""
    lines = [f"{counted(report['frames'], 'mask')}, {counted(report['keyframes'], 'keyframe')}"]
    if "no_iou" in report:
        lines.append(f"no IoU: {report['no_iou']}")
    if "miou" in report:
        lines += [
            f"IoU over {counted(report['labelled_frames'], 'labelled frame')}, in per cent:",
            *aligned(
                [
                    ["mIoU", percent(report["miou"])],
                    *([name, percent(value)] for name, value in report["per_class_iou"].items()),
                ]
            ),
        ]
    return "\n".join(lines)
