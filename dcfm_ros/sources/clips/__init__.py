# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Labelled clips of data sets for training and evaluation. Entry point: `open_clips`."""

from dcfm_ros.sources.clips.clip import Clip, ClipSet
from dcfm_ros.sources.clips.open import open_clips

__all__ = ["Clip", "ClipSet", "open_clips"]
