# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How Hugging Face's image processor prepares images and label files: `preprocessor_config.json`, or the
section `image_processor` of `processor_config.json`."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dcfm_ros.model.config import ClassSpec, ConfigError, ModelConfig
from dcfm_ros.model.importing.checkpoint import CheckpointError
from dcfm_ros.model.importing.json_file import read_json
from dcfm_ros.model.normalisation import IMAGENET, Colour

PREPROCESSOR, PROCESSOR, SECTION = "preprocessor_config.json", "processor_config.json", "image_processor"

# What this package never does to an image, and which would change the masks.
REFUSED = ("do_center_crop", "do_pad", "do_flip_channel_order", "do_grayscale", "offset", "do_thumbnail")
REDUCE = ("do_reduce_labels", "reduce_labels", "reduce_zero_label")  # by version of the library

ANY = (ClassSpec("any", (0, 0, 0)),)  # to ask ModelConfig what it takes
SHIFTED = (
    "label files of its data set count from 1, and 0 is no class (do_reduce_labels); the model's masks count "
    "from 0. In a classes.yaml for these files give each class its `values`, 1, 2, ..., and `ignore: 0`"
)


@dataclass(frozen=True)
class Preprocessor:
    """The settings of an image processor, and the file they are from; none if there is no file."""

    path: Path
    settings: dict

    @property
    def where(self) -> str:
        return self.path.name

    def normalisation(self) -> dict[str, Colour]:
        """Return image_mean and image_std of ModelConfig; empty if there are no settings.

        The processor's values are (rescale_factor * RGB - mean) / std, ours (RGB / 255 - mean) / std. Raises
        CheckpointError for values that the model cannot have.
        """
        for name in REFUSED:
            if self.settings.get(name):
                raise CheckpointError(
                    f"{self.path}: {name} is {self.settings[name]!r}, which this package does not do to "
                    "images; only a model that was trained without can be imported"
                )
        if not self.settings:
            return {}
        factor = 1 / 255
        if self._flag("do_rescale"):
            factor = self._number("rescale_factor", 1 / 255)
        else:
            factor = 1.0
        mean, std = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)
        if self._flag("do_normalize"):
            mean, std = self._colour("image_mean", IMAGENET.mean), self._colour("image_std", IMAGENET.std)
        scale = 1.0 if math.isclose(255 * factor, 1.0, rel_tol=1e-6) else 255 * factor
        ours = [(red / scale, green / scale, blue / scale) for red, green, blue in (mean, std)]
        try:
            ModelConfig("mit_b0", ANY, image_mean=ours[0], image_std=ours[1])
        except ConfigError as error:
            raise CheckpointError(
                f"{self.path}: with image_mean {list(mean)}, image_std {list(std)} and rescale_factor "
                f"{factor:g} the model would have {error}; correct the file where it is wrong"
            ) from error
        return {"image_mean": ours[0], "image_std": ours[1]}

    def size(self) -> tuple[tuple[int, int], str] | None:
        """Return height and width that images are resized to, and where they are from; None if they are
        not. Raises CheckpointError for a size that the network cannot have."""
        given = self.settings.get("size")
        if given is None or not self._flag("do_resize"):
            return None
        found, how = _height_and_width(given)
        if found is None:
            raise CheckpointError(
                f"{self.path}: size is {given!r}, not height and width, or the shortest edge; give "
                "--input-size"
            )
        try:
            ModelConfig("mit_b0", ANY, input_height=found[0], input_width=found[1])
        except ConfigError as error:
            raise CheckpointError(
                f"{self.path}: size is {given!r}, but {error}; give --input-size"
            ) from error
        return found, self.where + how

    @property
    def reduces_labels(self) -> bool:
        """Whether label files are shifted by one for training: 0 becomes no class, 1 class 0, and so on."""
        return any(bool(self.settings.get(name)) for name in REDUCE)

    def _flag(self, name: str) -> bool:
        value = self.settings.get(name)
        return True if value is None else bool(value)

    def _number(self, name: str, usual: float) -> float:
        value = self.settings.get(name)
        if value is None:
            return usual
        if not _is_number(value) or value <= 0:
            raise CheckpointError(f"{self.path}: {name} is {value!r}, expected a number above 0; correct it")
        return float(value)

    def _colour(self, name: str, usual: Colour) -> Colour:
        value = self.settings.get(name)
        if value is None:
            return usual
        values = [value] * 3 if _is_number(value) else value
        if not isinstance(values, list) or len(values) != 3 or not all(map(_is_number, values)):
            raise CheckpointError(f"{self.path}: {name} is {value!r}, expected three numbers; correct it")
        red, green, blue = map(float, values)
        return red, green, blue


def read_preprocessor(folder: Path) -> Preprocessor:
    """Read the settings beside weights; the section of the newer file comes first, as in the library."""
    section = read_json(folder / PROCESSOR).get(SECTION)
    if isinstance(section, dict):
        return Preprocessor(folder / PROCESSOR, section)
    return Preprocessor(folder / PREPROCESSOR, read_json(folder / PREPROCESSOR))


def _height_and_width(size: Any) -> tuple[tuple[int, int] | None, str]:
    """Return height and width, and how they follow from the setting where that is not plain."""
    if isinstance(size, dict):
        size = {name: value for name, value in size.items() if value is not None}
        if set(size) == {"shortest_edge"} and _is_side(size["shortest_edge"]):
            edge = size["shortest_edge"]
            return (edge, edge), f": shortest edge {edge}, as a square"
        size = [size[name] for name in ("height", "width")] if set(size) == {"height", "width"} else None
    elif _is_side(size):  # of SegFormer's processor, both sides
        size = [size, size]
    if isinstance(size, list) and len(size) == 2 and all(map(_is_side, size)):
        return (size[0], size[1]), ""
    return None, ""


def _is_side(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
