# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Export of a model folder with quantised networks, which the OpenVINO backend runs with precision int8."""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from dcfm_ros.files import atomic_directory
from dcfm_ros.model.folder import loaded, tensors_sha256
from dcfm_ros.model.geometry import input_size
from dcfm_ros.model.model_yaml import CONFIG_FILE, WEIGHTS_FILE
from dcfm_ros.model.onnx_export import ExportError
from dcfm_ros.model.stored import INT8_FOLDER, StoredModel
from dcfm_ros.model.versions import installed, versions
from dcfm_ros.pipeline.export.folder import check_is_free
from dcfm_ros.pipeline.export.options import ExportOptions
from dcfm_ros.pipeline.frames import Frame
from dcfm_ros.pipeline.preprocess import network_input

_CHECKED = 6  # one frame in so many is held back, to compare masks


class Int8Exported(NamedTuple):
    folder: Path
    size: tuple[int, int]
    calibration_frames: int
    checked_frames: int
    difference: float
    layers: dict[str, int]
    left_out: list[str]

    def __str__(self) -> str:
        """Summary for the terminal."""
        layers = " and ".join(f"{count} of the {name} path" for name, count in self.layers.items())
        lines = [
            f"int8 layers: {layers}; calibrated with {self.calibration_frames} frames of "
            f"{self.size[1]}x{self.size[0]}",
            f"{self.difference:.2%} of pixels get another class than in f32, in {self.checked_frames} other "
            "frames",
        ]
        if self.left_out:
            lines.append(f"left in f32 for that: {', '.join(self.left_out)}")
        run = f"ros2 launch dcfm_ros segment.launch.py model:={self.folder} precision:=int8"
        return "\n".join([*lines, f"written to {self.folder}: {run}"])


def needed_frames(options: ExportOptions) -> int:
    """Return how many frames are wanted in all."""
    return options.calibration_frames + -(-options.calibration_frames // (_CHECKED - 1))


def export_int8(options: ExportOptions, images: Sequence[np.ndarray]) -> Int8Exported:
    """Write a model folder with quantised networks, or those alone into the model's own folder.

    images: (H, W, 3) uint8 RGB, of any size, in order of time
    """
    missing = [name for name in ("openvino", "nncf") if importlib.util.find_spec(name) is None]
    if missing:
        raise ExportError(f"int8 needs {' and '.join(missing)}: pip install {' '.join(missing)}")
    if len(images) < 2:
        raise ExportError(
            f"{options.calibrate} has a single frame: give a source with some, better some hundreds, of what "
            "the camera will see"
        )
    model = StoredModel(options.model)
    out, own = Path(options.out), Path(options.out).resolve() == model.folder.resolve()
    if not own:
        check_is_free(out, _is_export)
    size = options.size or input_size(*2 * ((model.config.input_height, model.config.input_width),))
    inputs = [network_input(Frame("", 0, image), size) for image in images]
    held_back = inputs[_CHECKED // 2 :: _CHECKED] or inputs[-1:]
    rest = [image for image in inputs if not any(image is other for other in held_back)]
    if own:
        with atomic_directory(out / INT8_FOLDER) as part:
            return _write(part, model, options, size, rest, held_back)
    with atomic_directory(out) as part:
        for name in (CONFIG_FILE, WEIGHTS_FILE):
            shutil.copy(model.folder / name, part / name)
        (part / INT8_FOLDER).mkdir()
        return _write(part / INT8_FOLDER, model, options, size, rest, held_back)


def _write(
    folder: Path,
    model: StoredModel,
    options: ExportOptions,
    size: tuple[int, int],
    calibration: Sequence[np.ndarray],
    held_back: Sequence[np.ndarray],
) -> Int8Exported:
    from dcfm_ros.pipeline.backends.network_cache import DIGESTS_FILE, write_digests
    from dcfm_ros.pipeline.backends.openvino.int8 import FORMAT, Int8Record
    from dcfm_ros.pipeline.backends.openvino.quantisation import TooDifferent, quantise
    from dcfm_ros.pipeline.backends.openvino.store import GraphStore

    graphs, structure = GraphStore(model).folder(size)
    try:
        found = quantise(graphs, folder, size, calibration, held_back, options.max_difference / 100)
    except TooDifferent as error:
        raise ExportError(
            f"{error}: give more and other frames with --calibrate, or a larger --max-difference"
        ) from error
    (folder / DIGESTS_FILE).unlink(missing_ok=True)  # of the graphs in f32, copied along
    write_digests(folder)
    record = Int8Record(
        FORMAT,
        model.sha256,
        tensors_sha256(loaded(model)),
        list(size),
        structure.any_size,
        options.calibrate,
        len(calibration),
        len(held_back),
        round(found.difference, 5),
        found.layers,
        found.left_out,
        {**versions(), **installed(["nncf"])},
    )
    record.write(folder)
    return Int8Exported(Path(options.out), size, len(calibration), len(held_back), *found)


def _is_export(folder: Path) -> bool:
    return {path.name for path in folder.iterdir()} == {CONFIG_FILE, WEIGHTS_FILE, INT8_FOLDER}
