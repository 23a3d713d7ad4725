# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A model of this package as the teacher."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from dcfm_ros.distillation.teacher import softmax
from dcfm_ros.files import sha256_of
from dcfm_ros.model.folder import load_model
from dcfm_ros.model.geometry import input_size
from dcfm_ros.model.image import resized
from dcfm_ros.model.model_yaml import WEIGHTS_FILE
from dcfm_ros.pipeline.backends import make_backend
from dcfm_ros.pipeline.backends.base import stop_backend


class ModelTeacher:
    """A model of this package; of DCFM every frame is a keyframe."""

    def __init__(self, folder: Path, device: str = "auto"):
        model = load_model(folder)
        self.folder: Path | None = folder
        self.name, self.classes = folder.resolve().name, model.config.classes
        self.identity = sha256_of(folder / WEIGHTS_FILE)
        self._size = model.config.input_height, model.config.input_width
        self._backend = make_backend("auto", model, device)

    def probabilities(self, picture: np.ndarray) -> np.ndarray:
        image = resized(picture, input_size(picture.shape[:2], self._size))
        shallow = self._backend.shallow(image)
        return softmax(self._backend.decode(shallow, [self._backend.deep(shallow)]))

    def stop(self) -> None:
        stop_backend(self._backend)
