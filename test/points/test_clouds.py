# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Clouds as they come and as they go out: a depth camera's organised ones keep their points bit by bit."""

import array
from types import SimpleNamespace

import numpy as np
import pytest
from points_helpers import BOX, CAMERA, cloud, colours, labels, places, records, scene, xyz

from dcfm_ros.points.cloud import read_cloud
from dcfm_ros.points.errors import PointsError
from dcfm_ros.points.labelling import label_lidar, label_organised
from dcfm_ros.points.transform import parse_transform


@pytest.mark.parametrize("padding", [0, 5])
@pytest.mark.parametrize("order, kind", [("<", "f4"), (">", "f4"), ("<", "f8"), (">", "f8")])
def test_any_layout_is_read(order, kind, padding):
    depth, mask = scene()
    points = records(places(depth), order, kind, [("intensity", order + "u2")])
    found = label_organised(read_cloud(cloud(points, padding)), True, labels(mask))
    np.testing.assert_array_equal(xyz(found.records), places(depth))
    np.testing.assert_array_equal(found.records["label"], mask)
    np.testing.assert_array_equal(found.records["rgb"], colours(mask))
    np.testing.assert_array_equal(found.records["intensity"], points["intensity"])
    assert found.records.shape == mask.shape and found.is_dense


def test_fields_in_any_order_and_place():
    record = np.dtype(
        {
            "names": ["z", "a", "x", "y"],
            "formats": ["<f4", "<u2", "<f4", "<f4"],
            "offsets": [1, 5, 8, 14],
            "itemsize": 19,
        }
    )
    points = np.zeros((2, 3), record)
    points["x"], points["y"], points["z"] = np.arange(18).reshape(3, 2, 3)
    np.testing.assert_array_equal(
        xyz(read_cloud(cloud(points))), np.arange(18).reshape(3, 2, 3).transpose(1, 2, 0)
    )


def test_every_bit_is_kept():
    depth, mask = scene()
    points = records(places(depth), others=[("normal", "<f4", (3,))])
    # two NaN, -0, infinity, the least number
    bits = np.array([0x7FC12345, 0xFF812345, 0x80000000, 0x7F800000, 1], np.uint32)
    points["y"][0, :5] = bits.view(np.float32)
    found = label_organised(read_cloud(cloud(points, is_dense=False)), False, labels(mask))
    for name in ("x", "y", "z", "normal"):
        assert found.records[name].tobytes() == points[name].tobytes()
    assert not found.is_dense


def test_further_fields_follow_where_they_can_be_read_in_place():
    """But for colours and labels, in whose place ours are."""
    depth, mask = scene()
    points = records(
        places(depth),
        others=[
            ("rgba", "<u4"),
            ("label", "<u4"),
            ("ring", "u1"),
            ("time", "<f8"),
            ("normal", "<f4", (3,)),
            ("flag", "i1"),
        ],
    )
    found = label_organised(read_cloud(cloud(points)), True, labels(mask, mask))
    assert [(f.name, f.offset, f.datatype, f.count) for f in found.fields] == [
        ("x", 0, 7, 1),
        ("y", 4, 7, 1),
        ("z", 8, 7, 1),
        ("rgb", 12, 7, 1),
        ("label", 16, 2, 1),
        ("confidence", 17, 2, 1),
        ("ring", 20, 2, 1),
        ("time", 24, 8, 1),
        ("normal", 32, 7, 3),
        ("flag", 44, 1, 1),
    ]
    assert found.records.dtype.itemsize == 48
    for name in ("ring", "time", "normal", "flag"):
        assert found.records[name].tobytes() == points[name].tobytes()


def test_a_cloud_of_another_size_than_the_mask():
    depth, mask = scene()
    found = label_organised(read_cloud(cloud(records(places(depth)[::2, ::2]))), True, labels(mask)).records
    # a pixel lies between four of the mask: the later one
    np.testing.assert_array_equal(found["label"], mask[1::2, 1::2])


def test_only_wanted_classes_keep_their_places():
    depth, mask = scene()
    found = label_organised(read_cloud(cloud(records(places(depth)))), True, labels(mask, wanted=("box",)))
    np.testing.assert_array_equal(xyz(found.records)[mask == BOX], places(depth)[mask == BOX])
    assert np.isnan(xyz(found.records)[mask != BOX]).all() and not found.is_dense
    np.testing.assert_array_equal(found.records["label"], mask)


def test_a_cloud_of_one_row_is_not_organised():
    _, mask = scene()
    with pytest.raises(
        PointsError, match="^cloud is 9×1 points, so it is not organised as an image: .* set source to lidar$"
    ):
        label_organised(read_cloud(cloud(records(np.zeros((1, 9, 3))))), True, labels(mask))


def test_rows_of_no_points_are_not_organised():
    nothing = read_cloud(cloud(records(np.zeros((2, 0, 3))), height=2**32 - 1))
    with pytest.raises(PointsError, match="^cloud is 0×4294967295 points, so it is not organised"):
        label_organised(nothing, True, labels(scene()[1]))


def test_colours_may_lie_over_one_another():
    """As drivers publish them for readers of either name."""
    record = np.dtype(
        {
            "names": [*"xyz", "rgb", "rgba"],
            "formats": ["<f4"] * 4 + ["<u4"],
            "offsets": [0, 4, 8, 12, 12],
            "itemsize": 16,
        }
    )
    assert read_cloud(cloud(np.zeros((2, 3), record))).dtype == record


def test_a_cloud_without_points():
    for shape in ((1, 0, 3), (0, 0, 3)):
        points = read_cloud(cloud(records(np.zeros(shape))))
        found = label_lidar(
            points, True, CAMERA, parse_transform("0 0 0 0 0 0 1"), labels(scene()[1]), drop_outside=True
        )
        assert points.shape == found.records.shape == shape[:2] and len(found.data) == 0


def field(name, offset=0, datatype=7, count=1):
    return SimpleNamespace(name=name, offset=offset, datatype=datatype, count=count)


def test_names_of_padding_and_counts_of_none_are_as_drivers_send_them():
    points = records(np.ones((2, 2, 3)))
    fields = [field(name, 4 * axis, count=0) for axis, name in enumerate("xyz")]
    found = read_cloud(
        cloud(points, fields=[*fields, field("_", 0, 2, 4), field("_", 4, 2, 4), field("", 0, 2)])
    )
    assert found.dtype.names == ("x", "y", "z") and (xyz(found) == 1).all()


XYZ = [field(name, 4 * axis) for axis, name in enumerate("xyz")]


@pytest.mark.parametrize(
    "changes, kind, what",
    [
        (dict(fields=[]), "fields", "cloud has no field x of one float32 or float64: its fields are none"),
        (
            dict(fields=XYZ[:2]),
            "fields",
            "cloud has no field z of one float32 or float64: its fields are x, y",
        ),
        (dict(fields=[*XYZ[:2], field("z", 8, 6)]), "fields", "cloud has no field z of one float32"),
        (dict(fields=[*XYZ[:2], field("z", 0, 7, 3)]), "fields", "cloud has no field z of one float32"),
        (
            dict(fields=[*XYZ, field("x")]),
            "fields",
            "cloud has a field 'x' of datatype 7 that is unknown or there twice",
        ),
        (
            dict(fields=[*XYZ, field("t", 0, 9)]),
            "fields",
            "cloud has a field 't' of datatype 9 that is unknown",
        ),
        (
            dict(fields=[*XYZ[:2], field("z", 8, 8)]),
            "fields",
            "cloud has a field 'z' at offset 8 that reaches beyond point_step 12",
        ),
        (
            dict(fields=[*XYZ, field("n", 0, 7, 2**32 - 1)]),
            "fields",
            "cloud has a field 'n' at offset 0 that reaches beyond",
        ),
        (dict(point_step=0), "fields", "cloud has a field 'x' at offset 0 that reaches beyond point_step 0"),
        (
            dict(point_step=2**32 - 1, width=0),
            "fields",
            "cloud has point_step 4294967295: its publisher must set",
        ),
        (
            dict(fields=[*XYZ, field("a", 0, 7), field("b", 8, 7)]),
            "fields",
            "cloud has fields that lie over one another: 20 bytes in a point_step of 12; its publisher",
        ),
        (dict(row_step=35), "data", "cloud has row_step 35, but 3 points of 12 bytes have 36"),
        (dict(width=2**32 - 1), "data", "cloud has row_step 36, but 4294967295 points"),
        (dict(height=3), "data", "cloud has 72 bytes of data, but height × row_step is 108"),
        (dict(data=array.array("B")), "data", "cloud has 0 bytes of data"),
    ],
)
def test_clouds_that_cannot_be_used(changes, kind, what):
    with pytest.raises(PointsError, match=f"^{what}") as caught:
        read_cloud(cloud(records(np.zeros((2, 3, 3))), **changes))
    assert caught.value.kind == kind
