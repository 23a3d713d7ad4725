# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Files with bytes that are wrong: read, or refused by name, and never anything else."""

import random

import pytest
from bags_helpers import cut_file, write_bag

from dcfm_ros.bags.errors import BagError
from dcfm_ros.bags.reading import open_bag
from dcfm_ros.bags.replay import images
from dcfm_ros.bags.topics import choose_cameras
from dcfm_ros.pipeline.frames import Frame

FORMS = [
    ("mcap", ""),
    ("mcap", "storage"),
    ("mcap", "message"),
    ("mcap", "file"),
    ("sqlite3", ""),
    ("sqlite3", "message"),
]
_EDGE = 500  # bytes at both ends, where the structure is


def damage(data: bytes, seed: int) -> bytes:
    """Some bytes flipped, wiped, set to the largest number, put in, or the end cut off."""
    chance, data = random.Random(seed), bytearray(data)
    kind = ("flip", "wipe", "set", "put in", "cut")[seed % 5]
    for _ in range(chance.choice((1, 2, 8))):
        at = chance.choice(
            (chance.randrange(len(data)), chance.randrange(_EDGE), len(data) - 1 - chance.randrange(_EDGE))
        )
        if kind == "flip":
            data[at] ^= 1 << chance.randrange(8)
        elif kind == "put in":
            data[at:at] = chance.randbytes(5)
        elif kind in ("wipe", "set"):
            data[at : at + 8] = (b"\0" if kind == "wipe" else b"\xff") * len(data[at : at + 8])
    return bytes(data[: chance.randrange(1, len(data))]) if kind == "cut" else bytes(data)


@pytest.mark.slow
@pytest.mark.parametrize("storage, compression", FORMS)
def test_damaged_files(tmp_path, storage, compression):
    path = write_bag(tmp_path / "drive", 6, storage=storage, compression=compression, sizes={0: (8, 12)})
    file = next(file for file in path.iterdir() if file.name != "metadata.yaml")
    whole, read = file.read_bytes(), 0
    for seed in range(60):
        file.write_bytes(damage(whole, seed))
        try:
            with open_bag(path) as bag:
                read += len(list(images(bag, choose_cameras(bag), {})))
        except BagError as error:
            assert str(path) in str(error), seed
    assert read > 0


@pytest.mark.parametrize(
    "storage, compression, cut, metadata",
    [
        *[
            ("mcap", compression, *left)
            for compression in ("", "storage", "message")
            for left in ((True, True), (True, False), (False, False))
        ],
        ("sqlite3", "", False, False),
        ("sqlite3", "message", False, False),  # its journal keeps it whole
    ],
)
def test_images_come_out_of_what_a_dead_recorder_left(tmp_path, storage, compression, cut, metadata):
    path = write_bag(tmp_path / "drive", 200, storage=storage, compression=compression)
    if cut:
        cut_file(path / "drive.mcap", 0.9)
    if not metadata:
        (path / "metadata.yaml").unlink()
    with open_bag(path) as bag:
        found = list(images(bag, choose_cameras(bag), {}))
    assert all(isinstance(image, Frame) for image in found) and len(found) > (100 if cut else 199)
