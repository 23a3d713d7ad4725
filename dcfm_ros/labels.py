# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Class ids of pixels and points, in labels and in masks."""

from __future__ import annotations

IGNORE_LABEL = 255  # no class: unlabelled in a mask, left out of training and evaluation in a label
