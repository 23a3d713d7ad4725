# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Errors of labelled points."""


class PointsError(ValueError):
    """A message that cannot be used; the text is one sentence that names the value and the remedy.

    `kind` is a stable word for counters: "encoding", "size" (width, height), "data" (step, length), "fields"
    (of a cloud), "camera" (its calibration), "frame" (frame_id), "transform" or "palette".
    """

    def __init__(self, kind: str, text: str):
        super().__init__(text)
        self.kind = kind
