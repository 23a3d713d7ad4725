# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Frames of recordings that are worth labelling, and what annotation tools import: `dcfm bag frames`."""
