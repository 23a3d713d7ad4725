# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Builds a network with random weights from a configuration."""

from __future__ import annotations

from dcfm_ros.model.config import ModelConfig
from dcfm_ros.model.dcfm import DCFM
from dcfm_ros.model.per_frame import PerFrame

Model = DCFM | PerFrame


def build_model(config: ModelConfig) -> Model:
    """Return the network for this configuration, with random weights."""
    return PerFrame(config) if config.architecture == "per_frame" else DCFM(config)
