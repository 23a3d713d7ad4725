# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Files by their names and by what is in them; whole files that are compressed."""

import resource
import tempfile

import pytest
import zstandard
from bags_helpers import contents, write_bag

from dcfm_ros.bags.errors import BagError
from dcfm_ros.bags.finding import find_bags
from dcfm_ros.bags.names import storage_stem
from dcfm_ros.bags.reading import open_bag
from dcfm_ros.bags.storage import storage_files


@pytest.fixture(params=["mcap", "sqlite3"])
def packed(request, tmp_path):
    """A recording whose only file is compressed."""
    return write_bag(tmp_path / "drive", 6, storage=request.param, compression="file")


def file_of(folder):
    return next(file for file in folder.iterdir() if file.name != "metadata.yaml")


@pytest.mark.parametrize(
    "name, stem",
    [
        ("a.mcap", "a"),
        ("A.MCAP", "A"),
        ("a.Db3", "a"),
        ("a.mcap.zstd", "a"),
        ("a.mcap.zst", "a"),
        ("a.DB3.ZSTD", "a"),
        ("a.b.mcap", "a.b"),
        ("a.zstd", ""),
        ("a.db3-wal", ""),
        ("a.bag", ""),
        ("metadata.yaml", ""),
        (".mcap", ""),
        ("._a.mcap", ""),
    ],
)
def test_names(name, stem):
    assert storage_stem(name) == stem


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_endings_in_capitals(tmp_path, storage):
    path = write_bag(tmp_path / "drive", 6, storage=storage)
    file = file_of(path).rename(path / file_of(path).name.upper())
    (path / "metadata.yaml").unlink()
    for given in (path, file):
        assert find_bags([given]) == [path]
    with open_bag(path) as bag, open_bag(file) as alone:
        assert len(contents(bag)) == len(contents(alone)) == 6


@pytest.mark.parametrize("storage, ending", [("mcap", ".db3"), ("sqlite3", ".mcap")])
def test_what_is_in_a_file_counts_and_not_its_name(tmp_path, storage, ending):
    path = write_bag(tmp_path / "drive", 6, storage=storage)
    file = file_of(path).rename(tmp_path / f"x{ending}")
    with open_bag(file) as bag:
        assert len(contents(bag)) == 6


@pytest.mark.parametrize("metadata", [True, False])
def test_a_compressed_file_is_read(packed, metadata):
    if not metadata:
        (packed / "metadata.yaml").unlink()
    for given in (packed, file_of(packed)):
        with open_bag(given) as bag:
            assert len(contents(bag)) == 6
            assert bag.notes == (
                []
                if metadata or given != packed
                else ["metadata.yaml is missing: the files of the folder are used"]
            )


@pytest.mark.parametrize("magic", [b"\x1f\x8b\x08", b"PK\3\4", b"\xfd7zXZ\0", b"BZh9"])
def test_other_compressions_are_named(tmp_path, magic):
    file = tmp_path / "drive.mcap"
    file.write_bytes(magic + bytes(100))
    with pytest.raises(
        BagError,
        match=f"{file} is compressed in an unsupported format: decompress it, or compress it with `zstd`",
    ):
        open_bag(file)


def test_nothing_unpacked_is_left(packed, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    with open_bag(packed) as bag:
        assert len(contents(bag)) == 6 and list((tmp_path / "temporary").iterdir())
    assert not list((tmp_path / "temporary").iterdir())


@pytest.mark.parametrize("keep", [True, False])
def test_a_file_that_was_decompressed_by_hand(packed, keep):
    """`zstd -d` keeps the compressed one beside it."""
    file = file_of(packed)
    file.with_suffix("").write_bytes(zstandard.ZstdDecompressor().stream_reader(file.read_bytes()).read())
    if not keep:
        file.unlink()
    assert storage_files(packed) == [file.with_suffix("")]
    for metadata in (True, False):
        if not metadata:
            (packed / "metadata.yaml").unlink()
        with open_bag(packed) as bag:
            assert len(contents(bag)) == 6
            assert bag.notes == (
                [] if metadata else ["metadata.yaml is missing: the files of the folder are used"]
            )


def test_no_room_to_decompress(packed, tmp_path, monkeypatch):
    file = file_of(packed)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "small"))
    (tmp_path / "small").mkdir()
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))  # Python ignores the signal
    try:
        with pytest.raises(
            BagError,
            match=f"{file} cannot be decompressed to {tmp_path / 'small'} .File too large.: free space "
            "there, or let TMPDIR name a folder on a larger disk",
        ):
            open_bag(packed)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not list((tmp_path / "small").iterdir())


def test_a_compressed_file_that_is_cut_off(packed):
    file = file_of(packed)
    file.write_bytes(file.read_bytes()[:-40])
    with pytest.raises(
        BagError, match=f"{file} is truncated or damaged .*: recover the intact part with `zstd -d`"
    ):
        open_bag(packed)


def test_a_file_that_was_cut_off_and_then_compressed(tmp_path):
    path = write_bag(tmp_path / "drive", 20, compression="file")
    file = path / "drive.mcap.zstd"
    file.write_bytes(zstandard.compress(zstandard.decompress(file.read_bytes(), 2**24)[:-40]))
    with open_bag(path) as bag:
        assert len(contents(bag)) == 20
        assert bag.notes == [
            "drive.mcap.zstd is truncated, or still being written: 20 messages in its intact part"
        ]
