# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""All kinds of files of the campaign."""

from __future__ import annotations

from dataclasses import replace

from campaign import (
    file_checkpoints,
    file_exports,
    file_models,
    file_pictures,
    file_recordings,
    file_settings,
)

KINDS = (
    *file_recordings.KINDS,
    *file_models.KINDS,
    *file_checkpoints.KINDS,
    *file_pictures.KINDS,
    *file_exports.KINDS,
    *file_settings.KINDS,
)
# The same with all about as often, for a short run.
EVEN = tuple(replace(kind, weight=min(max(kind.weight, 0.5), 1.0)) for kind in KINDS)
