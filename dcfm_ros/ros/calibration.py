# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Camera calibration, read from the YAML files of camera_calibration and camera_calibration_parsers."""

from __future__ import annotations

import math
from pathlib import Path

from ament_index_python.packages import PackageNotFoundError, get_package_share_directory
from sensor_msgs.msg import CameraInfo

from dcfm_ros.plain_files import PlainFileError, read_yaml
from dcfm_ros.ros.transports import transport_of

_DEFAULT_MODEL = "plumb_bob"  # of old files without the entry, same as in camera_calibration_parsers
_COEFFICIENTS = {"plumb_bob": 5, "rational_polynomial": 8, "equidistant": 4}  # by distortion model
# Fields of CameraInfo by their names in the file, and their shapes.
_MATRICES = {
    "k": ("camera_matrix", (3, 3)),
    "r": ("rectification_matrix", (3, 3)),
    "p": ("projection_matrix", (3, 4)),
}


def read_calibration(url: str) -> CameraInfo:
    """Read a calibration as a message without header. url: a path, file:// and an absolute path, or
    package://NAME/PATH.

    Lengths are in pixels. Raises ValueError if the file does not hold a calibration, OSError if it cannot be
    read.
    """
    path = _path(url)
    try:
        return _calibration(read_yaml(path))
    except OSError as error:
        raise OSError(f"camera_info_url {url}: cannot read {path} ({error.strerror})") from error
    except PlainFileError as error:
        raise ValueError(
            f"camera_info_url {url}: {path} is not a YAML file of camera_calibration ({error})"
        ) from error
    except ValueError as error:
        raise ValueError(f"camera_info_url {url}: {path} holds no calibration: {error}") from error


def _path(url: str) -> Path:
    if url.startswith("package://"):
        package, _, rest = url.removeprefix("package://").partition("/")
        try:
            return Path(get_package_share_directory(package)) / rest
        except (PackageNotFoundError, ValueError) as error:
            raise ValueError(f"camera_info_url {url}: there is no package {package!r}") from error
    if "://" in url and not url.startswith("file://"):
        raise ValueError(
            f"camera_info_url {url}: give a path, file:// and an absolute path, or package://NAME/PATH"
        )
    return Path(url.removeprefix("file://"))


def uncalibrated(width: int, height: int) -> CameraInfo:
    """Return the camera_info of an uncalibrated camera: the size in pixels, and a camera matrix of zeros."""
    return CameraInfo(width=width, height=height)


def info_topic(image_topic: str) -> str:
    """Return the camera_info topic of a resolved image topic of any transport, by image_transport's
    naming."""
    raw = (
        image_topic
        if (transport := transport_of(image_topic)) == "raw"
        else image_topic.removesuffix(f"/{transport}")
    )
    return f"{raw.rpartition('/')[0]}/camera_info"


def _calibration(document) -> CameraInfo:
    if not isinstance(document, dict):
        raise ValueError("it is not a mapping with entries such as image_width and camera_matrix")
    model = document.get("distortion_model", _DEFAULT_MODEL)
    if model not in [*_COEFFICIENTS]:  # a list, as YAML may yield an unhashable value
        raise ValueError(f"distortion_model {model!r} is unknown: it can be {', '.join(_COEFFICIENTS)}")
    info = CameraInfo(
        width=_side(document, "image_width"), height=_side(document, "image_height"), distortion_model=model
    )
    for field, (name, shape) in _MATRICES.items():
        setattr(info, field, _matrix(document, name, shape))
    rows, columns = _shape(document, "distortion_coefficients")
    if rows * columns != _COEFFICIENTS[model]:
        raise ValueError(
            f"distortion_coefficients is {rows}x{columns}, and {model} has {_COEFFICIENTS[model]} of them"
        )
    info.d = _matrix(document, "distortion_coefficients", (rows, columns))
    if not (info.k[0] > 0 and info.k[4] > 0):
        raise ValueError(
            f"camera_matrix has focal lengths {info.k[0]:g} and {info.k[4]:g}, which must be above 0"
        )
    return info


def _side(document: dict, name: str) -> int:
    value = document.get(name)
    if type(value) is not int or not 0 < value < 2**31:
        raise ValueError(
            f"{name} is {'missing' if value is None else repr(value)}: it is a whole number of pixels above 0"
        )
    return value


def _shape(document: dict, name: str) -> tuple[int, int]:
    """Return (rows, columns) as stated in the file."""
    matrix = document.get(name)
    if not isinstance(matrix, dict) or not {"rows", "cols", "data"} <= matrix.keys():
        raise ValueError(
            f"{name} is {'no matrix' if name in document else 'missing'}: it has rows, cols and data"
        )
    shape = matrix["rows"], matrix["cols"]
    if any(type(side) is not int or side < 1 for side in shape):
        raise ValueError(
            f"{name} has rows {shape[0]!r} and cols {shape[1]!r}: both are whole numbers above 0"
        )
    return shape


def _matrix(document: dict, name: str, shape: tuple[int, int]) -> list[float]:
    """Return the matrix's numbers row by row."""
    found, data = _shape(document, name), document[name]["data"]
    if found != shape:
        raise ValueError(f"{name} is {found[0]}x{found[1]}: it must be {shape[0]}x{shape[1]}")
    if not isinstance(data, list) or len(data) != shape[0] * shape[1]:
        count = len(data) if isinstance(data, list) else "no"
        raise ValueError(
            f"{name} of {shape[0]}x{shape[1]} has {count} numbers: it must have {shape[0] * shape[1]}"
        )
    return [_number(name, value) for value in data]


def _number(name: str, value) -> float:
    try:
        # In YAML 1.1 (PyYAML) 1e-05 is text; the C++ parsers write it as a number.
        number = float(value) if type(value) in (int, float, str) else math.nan
    except (ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise ValueError(f"{name} holds {value!r}, which is not a finite number")
    return number
