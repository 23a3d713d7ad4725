# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A model folder whose weights nobody has read yet. Without PyTorch, which takes seconds to import: networks
that an earlier start has converted need only a digest of the weights."""

from __future__ import annotations

import logging
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Union

import yaml

from dcfm_ros.files import sha256_of
from dcfm_ros.model.model_yaml import WEIGHTS_FILE, ModelError, find_model, load_model_config, untrained_parts

if TYPE_CHECKING:
    from dcfm_ros.model.build import Model

AnyModel = Union["Model", "StoredModel"]  # a network, or where it is stored
INT8_FOLDER = "openvino_int8"  # of quantised networks, in a model's folder
log = logging.getLogger(__name__)


class StoredModel:
    """The model of a folder, or a built-in model by name. `model.folder.loaded` returns its network.

    Logs a warning if parts of it are untrained.
    """

    def __init__(self, name: str | Path):
        self.folder = find_model(name)
        self.config = load_model_config(self.folder)
        self.weights = self.folder / WEIGHTS_FILE
        if not self.weights.is_file():
            raise ModelError(
                f"{self.folder} has no {WEIGHTS_FILE}: a model folder contains model.yaml and {WEIGHTS_FILE}"
            )
        if untrained := untrained_parts(self.folder):
            log.warning(
                "%s is untrained in %s: its masks are meaningless; use it only to start training from",
                self.folder,
                " and ".join(untrained),
            )

    @cached_property
    def sha256(self) -> str:
        """The digest of the network's settings and of the file with its weights."""
        return sha256_of(self.weights, before=yaml.safe_dump(self.config.to_dict()).encode())
