# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Point clouds as structured arrays: input clouds and labelled output clouds.

Clouds are accessed by the fields of `sensor_msgs/PointCloud2`, whichever library created them.
"""

from __future__ import annotations

import array
from dataclasses import dataclass
from typing import Any

import numpy as np

from dcfm_ros.points.errors import PointsError
from dcfm_ros.points.rows import rows_of

# of sensor_msgs/PointField
_DATATYPES = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 8: "f8"}
_NUMBERS = {kind: number for number, kind in _DATATYPES.items()}
_FLOAT32 = 7
_MOST_BYTES = 1 << 16  # per point; larger values are forged, and exceed numpy's records
_PADDING = ("", "_")  # names of padding in clouds of PCL
# offset, type
_OWN = {"x": (0, "<f4"), "y": (4, "<f4"), "z": (8, "<f4"), "rgb": (12, "<u4"), "label": (16, "u1")}
_CONFIDENCE = {"confidence": (17, "u1")}
_OWN_BYTES = 20
_REPLACED = frozenset({*_OWN, *_CONFIDENCE, "rgba"})


@dataclass(frozen=True)
class Field:
    """Field of an output cloud, same as a `sensor_msgs/PointField`."""

    name: str
    offset: int
    datatype: int
    count: int


@dataclass
class LabelledCloud:
    """Output cloud. records: (height, width), little-endian, with `data` as their memory.

    x, y, z are float32 in metres; rgb is 0x00RRGGBB in the bits of a float32, as read by RViz and PCL; label
    and confidence are uint8.
    """

    records: np.ndarray
    data: array.array
    is_dense: bool

    @property
    def fields(self) -> list[Field]:
        described = self.records.dtype.fields
        assert described is not None  # it is a record
        return [self._field(name, *kind_and_offset[:2]) for name, kind_and_offset in described.items()]

    @staticmethod
    def _field(name: str, kind: np.dtype, offset: int) -> Field:
        datatype = _FLOAT32 if name == "rgb" else _NUMBERS[kind.base.str[1:]]
        return Field(name, offset, datatype, int(np.prod(kind.shape)))


def read_cloud(message: Any) -> np.ndarray:
    """Return a cloud's points as records, (height, width), a view of the message's data. x, y, z are float32
    or float64.

    Raises PointsError.
    """
    if message.point_step > _MOST_BYTES:
        raise PointsError(
            "fields",
            f"cloud has point_step {message.point_step}: its publisher must set the bytes of a point, "
            f"which are at most {_MOST_BYTES}",
        )
    order = ">" if message.is_bigendian else "<"
    fields = {}
    for field in message.fields:
        if field.name in _PADDING:
            continue
        if field.datatype not in _DATATYPES or field.name in fields:
            raise PointsError(
                "fields",
                f"cloud has a field {field.name[:40]!r} of datatype {field.datatype} that is unknown or "
                "there twice: its publisher must describe each field once, as PointField says",
            )
        # some publishers leave the count at 0
        kind, count = (np.dtype(order + _DATATYPES[field.datatype]), max(1, field.count))
        if field.offset + count * kind.itemsize > message.point_step:
            raise PointsError(
                "fields",
                f"cloud has a field {field.name[:40]!r} at offset {field.offset} that reaches beyond "
                f"point_step {message.point_step}: its publisher must set offset, count and point_step",
            )
        fields[field.name] = (kind if count == 1 else (kind, (count,)), field.offset)
    for name in "xyz":
        if name not in fields or fields[name][0] not in (np.dtype(order + "f4"), np.dtype(order + "f8")):
            raise PointsError(
                "fields",
                f"cloud has no field {name} of one float32 or float64: its fields are "
                f"{', '.join(fields)[:80] or 'none'}; subscribe to a cloud with x, y and z",
            )
    kinds, offsets = zip(*fields.values())
    record = np.dtype(
        {"names": [*fields], "formats": kinds, "offsets": offsets, "itemsize": message.point_step}
    )
    copied = sum(record[name].itemsize for name in ("x", "y", "z", *_others(record)))
    if copied > message.point_step:  # side by side in the output, they could take gigabytes
        raise PointsError(
            "fields",
            f"cloud has fields that lie over one another: {copied} bytes in a point_step of "
            f"{message.point_step}; its publisher must describe each byte once",
        )
    return rows_of(
        message,
        record,
        message.row_step,
        "cloud",
        "row_step",
        f"{message.width} points of {message.point_step} bytes have",
    )


def new_cloud(shape: tuple[int, int], has_confidence: bool, others: np.dtype | None = None) -> LabelledCloud:
    """Return a cloud with all bytes 0. others: record type whose further fields are appended"""
    record, size = _record(has_confidence, others)
    data = array.array("B", b"\0") * (shape[0] * shape[1] * size)
    return LabelledCloud(np.ndarray(shape, record, data), data, is_dense=False)


def copy_others(to: np.ndarray, source: np.ndarray) -> None:
    """Copy the fields of a cloud that are not replaced by ours, bit by bit."""
    for name in _others(source.dtype):
        to[name] = source[name]


def _others(record: np.dtype) -> list[str]:
    return [name for name in record.names or () if name not in _REPLACED]


def _record(has_confidence: bool, others: np.dtype | None) -> tuple[np.dtype, int]:
    """Return the layout of a point and its size in bytes. Fields are aligned to their items, so that C++ can
    read them in place."""
    fields: dict[str, tuple[int, str | np.dtype]] = {**_OWN, **(_CONFIDENCE if has_confidence else {})}
    end = _OWN_BYTES
    for name in () if others is None else _others(others):
        assert others is not None
        kind = others[name].newbyteorder("<")
        start = -(-end // kind.base.itemsize) * kind.base.itemsize
        fields[name] = (start, kind)
        end = start + kind.itemsize
    size = -(-end // 4) * 4
    offsets, kinds = zip(*fields.values())
    return np.dtype({"names": [*fields], "formats": kinds, "offsets": offsets, "itemsize": size}), size
