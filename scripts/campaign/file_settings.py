# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Kinds of files: settings and small files of state that commands and nodes read."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import numpy as np
import yaml
from rclpy.context import Context

from campaign.file_changes import json_tree, yaml_text, yaml_tree, zip_entries
from campaign.file_kind import Kind
from campaign.mutations import mutated
from dcfm_ros.bags.progress import CameraProgress, Progress, UnfinishedOutput
from dcfm_ros.bags.to_label.candidate import Candidate, Looked
from dcfm_ros.bags.to_label.kept_looks import KeptLooks
from dcfm_ros.bags.to_label.looking import Look
from dcfm_ros.model.class_map import read_class_map
from dcfm_ros.model.config import ClassSpec
from dcfm_ros.ros.calibration import read_calibration
from dcfm_ros.ros.given_parameters import files_of_others
from dcfm_ros.ros.process import initialise
from dcfm_ros.ros.yaml_text import as_yaml
from dcfm_ros.training.checkpoint import plain_config
from dcfm_ros.training.config import load_train_config

_ROOT = Path(__file__).resolve().parents[2]
_TABLE = (
    ClassSpec("sky", (128, 128, 128)),
    ClassSpec("road", (128, 64, 128)),
    ClassSpec("car", (64, 0, 128)),
)
_MAP = """\
skip_unknown: true
classes:
  free: {id: 0, color: [128, 64, 128], of: [road]}
  other: [sky, car]
ignore: []
"""


def _training(folder: Path, name: str) -> None:
    text = (_ROOT / "config" / "train" / name).read_text()
    (folder / name).write_text(
        "\n".join(line for line in text.splitlines() if not line.startswith("#")) + "\n"
    )


def _read_training(folder: Path, out: Path) -> None:
    (path,) = folder.iterdir()
    plain_config(load_train_config(path, ("seed=1",)))


def _map(folder: Path) -> None:
    (folder / "map.yaml").write_text(_MAP)


def _read_map(folder: Path, out: Path) -> None:
    found = read_class_map(str(folder / "map.yaml"), _TABLE)
    found.table, found.groups, found.changes_ids, found.merges  # noqa: B018 (computed)


def _calibration(folder: Path) -> None:
    def matrix(rows: int, columns: int) -> dict:
        return {"rows": rows, "cols": columns, "data": [1.0] * (rows * columns)}

    plain = {
        "image_width": 640,
        "image_height": 480,
        "camera_name": "camera",
        "camera_matrix": matrix(3, 3),
        "distortion_model": "plumb_bob",
        "distortion_coefficients": matrix(1, 5),
        "rectification_matrix": matrix(3, 3),
        "projection_matrix": matrix(3, 4),
    }
    (folder / "camera.yaml").write_text(yaml.safe_dump(plain))


def _read_calibration(folder: Path, out: Path) -> None:
    read_calibration(str(folder / "camera.yaml"))
    read_calibration(f"file://{folder / 'camera.yaml'}")


def _progress(folder: Path) -> None:
    place = folder / "out.partial"
    place.mkdir()
    camera = vars(CameraProgress())
    (place / "state.json").write_text(json.dumps(Progress({"bag": "drive"}, {"front": camera}), default=vars))  # type: ignore[dict-item]


def _read_progress(folder: Path, out: Path) -> None:
    output = UnfinishedOutput(folder / "out")
    found = output.load()
    if found is not None:
        output.check(found, {"bag": "drive"})
        found.images  # noqa: B018 (computed)


def _looks(folder: Path) -> None:
    thumbnail = np.zeros((2, 3), np.uint8)
    candidates = [
        Candidate(
            "front",
            index,
            index,
            index,
            1.0,
            9.0,
            0.5,
            np.zeros(4, np.float16),
            np.zeros(3, np.float16),
            thumbnail,
        )
        for index in range(2)
    ]
    known = {(one.camera, one.index): one for one in candidates}
    KeptLooks(folder / "out").save("drive", {"bag": "drive"}, Look(Looked(), known))


def _read_looks(folder: Path, out: Path) -> None:
    KeptLooks(folder / "out").load("drive", {"bag": "drive"})


def _parameters(folder: Path) -> None:
    (folder / "values.json").write_text(
        json.dumps(
            {"/dcfm/segmenter": {"ros__parameters": {"image": "/a", "on": True, "cameras": ["front", "1e5"]}}}
        )
    )


def _read_parameters(folder: Path, out: Path) -> None:
    """What the launch file writes for a node is read back unchanged."""
    try:
        value = json.loads((folder / "values.json").read_bytes())
    except RecursionError as error:
        raise ValueError("nested too deep") from error
    text = as_yaml(value)
    try:
        same = _plain(yaml.load(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader))) == _plain(value)
    except RecursionError:
        return
    if not same:
        raise TypeError(f"{text[:200]} is read as something else")


def _plain(value: object) -> object:
    """Return values with which JSON and PyYAML agree: it reads some numbers with exponents as text."""
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    try:
        return "a number" if isinstance(value, (float, str)) and str(float(value)) else value
    except ValueError:
        return value


def _parameters_file(folder: Path) -> None:
    values = {
        "/dcfm/segmenter": {
            "ros__parameters": {"model": "street11", "cameras": ["front"], "max_interval": 30}
        },
        "/**": {
            "ros__parameters": {"front": {"image_topic": "/front/image"}, "threshold": 0.3, "lazy": True}
        },
    }
    (folder / "parameters.yaml").write_text(yaml.safe_dump(values))


def _read_parameters_file(folder: Path, out: Path) -> None:
    """As a node's process does: ROS reads it, in C, before a node is there, which says what is in vain."""
    arguments = ["segmenter", "--ros-args", "--disable-external-lib-logs"]
    arguments += ["--params-file", str(folder / "parameters.yaml")]
    context = Context()
    try:
        initialise(arguments, context)
    except SystemExit as end:
        raise ValueError(end.code) from None
    try:
        files_of_others("/dcfm/segmenter", arguments)
    finally:
        context.shutdown()


_YAML = (mutated, yaml_tree, yaml_tree, yaml_text, yaml_text)
_JSON = (mutated, json_tree, json_tree)
KINDS = (
    Kind(
        "training configuration",
        partial(_training, name="street11.yaml"),
        {"street11.yaml": _YAML},
        _read_training,
        weight=3,
    ),
    Kind("class map", _map, {"map.yaml": _YAML}, _read_map, weight=2),
    Kind("calibration", _calibration, {"camera.yaml": _YAML}, _read_calibration),
    Kind("progress of bag segment", _progress, {"out.partial/state.json": _JSON}, _read_progress),
    Kind(
        "looks of bag frames",
        _looks,
        {"out.partial/drive.npz": (mutated, zip_entries)},
        _read_looks,
        weight=0.5,
    ),
    Kind(
        "parameters file",
        _parameters_file,
        {"parameters.yaml": _YAML},
        _read_parameters_file,
        weight=2,
        refusals=(ValueError,),
    ),
    Kind(
        "ROS parameters",
        _parameters,
        {"values.json": (json_tree,)},
        _read_parameters,
        weight=0.5,
        refusals=(ValueError,),
    ),
)
