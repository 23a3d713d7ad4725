# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Which model a report is of, and what ran it."""

from __future__ import annotations

from dcfm_ros.files import sha256_of
from dcfm_ros.model.config import ModelConfig
from dcfm_ros.model.model_yaml import WEIGHTS_FILE, find_model
from dcfm_ros.pipeline.backends.base import Backend


def model_description(name: str, config: ModelConfig, backend: Backend) -> dict:
    """Enough to have the same figures again. name: of a built-in model, or its folder."""
    return {
        "name": name,
        "architecture": config.architecture,
        "backbone": config.backbone,
        "input": [config.input_height, config.input_width],
        "weights_sha256": sha256_of(find_model(name) / WEIGHTS_FILE),
        "backend": backend.name,
        "device": backend.device,
        "precision": backend.precision,
    }
