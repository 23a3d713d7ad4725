# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Which recordings an argument names, without opening any."""

import errno
import os
from pathlib import Path

import pytest

from dcfm_ros.bags.errors import BagError
from dcfm_ros.bags.finding import find_bags, output_names, single_bag


@pytest.fixture
def tree(tmp_path):
    """drives/: three recordings in two storages and depths, bare files, what is no recording, what is not
    finished."""

    def folder(name, *files):
        for file in files:
            path = tmp_path / "drives" / name / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()

    folder("drive2", "metadata.yaml", "drive2_0.mcap", "drive2_1.mcap")
    folder("drive10", "metadata.yaml", "drive10_0.db3", "drive10_0.db3-wal", "drive10_0.db3-shm")
    folder("night/rain/drive1", "metadata.yaml", "a.mcap")
    folder("dead", "dead_0.mcap", "dead_1.mcap")  # its recorder wrote no metadata.yaml
    # beside it what macOS leaves, and a folder
    folder("dead1", "dead1.mcap", "._dead1.mcap", "old.mcap/readme.md")
    folder("renamed", "drive_0.mcap.zstd", "notes.txt")  # alone
    folder("bare", "x.mcap", "y.db3", "y.db3-journal", "notes.txt")
    folder("masks.partial", "metadata.yaml", "masks_0.mcap", "parts/masks_1.mcap")
    folder("empty", "readme.md")
    return tmp_path / "drives"


def found(tree, *patterns, **options):
    return [
        str(bag.relative_to(tree)) for bag in find_bags([tree / pattern for pattern in patterns], **options)
    ]


ALL = ["bare/x.mcap", "bare/y.db3", "dead", "dead1", "drive2", "drive10", "night/rain/drive1", "renamed"]


def test_a_folder_is_searched_at_any_depth(tree):
    assert found(tree, "") == ALL


@pytest.mark.parametrize(
    "patterns, expected",
    [
        (("drive2",), ["drive2"]),
        (("bare/x.mcap",), ["bare/x.mcap"]),
        (("drive10", "drive2"), ["drive2", "drive10"]),
        (("drive*",), ["drive2", "drive10"]),
        (("drive*", "drive2", "drive2/../drive2"), ["drive2", "drive10"]),
        (("**/drive1",), ["night/rain/drive1"]),
        (("*",), ALL),
        (
            ("**/*.mcap",),
            ["bare/x.mcap", "dead", "dead1", "drive2", "night/rain/drive1"],
        ),  # a file stands for its recording
        (("drive2/drive2_1.mcap",), ["drive2"]),
        (("drive10/metadata.yaml",), ["drive10"]),
        (
            ("drive2/metadata.yaml", "drive2/drive2_0.mcap", "drive2/drive2_1.mcap"),
            ["drive2"],
        ),  # as the shell's drive2/*
        (("**/metadata.yaml",), ["drive2", "drive10", "night/rain/drive1"]),
        (("drive10/drive10_0.db3-wal", "drive10/drive10_0.db3-shm"), ["drive10"]),
        (("bare/y.db3-journal",), ["bare/y.db3"]),
        (("bare/notes.txt",), ["bare/notes.txt"]),  # opening it tells that it is none
        (("dead",), ["dead"]),
    ],
)
def test_patterns(tree, patterns, expected):
    assert found(tree, *patterns) == expected


@pytest.mark.parametrize(
    "pattern",
    [
        "missing",
        "miss*",
        "masks.partial/metadata.yaml",
        "empty",
        "bare/*.txt",
        "masks.partial",
        "masks.partial/masks_0.mcap",
        "masks.partial/parts",
    ],
)
def test_a_pattern_without_recordings_is_named(tree, pattern):
    with pytest.raises(BagError) as error:
        found(tree, "drive2", pattern)
    assert str(error.value).startswith(
        f"{tree / pattern}: no recording found; give a folder with metadata.yaml, "
    )


@pytest.mark.parametrize(
    "pattern, expected",
    [
        ("drive10", "drive10"),
        ("drive10/metadata.yaml", "drive10"),
        ("drive2/drive2_0.mcap", "drive2/drive2_0.mcap"),
        ("bare/y.db3-journal", "bare/y.db3"),
        ("bare", None),
        ("drive*", None),
        ("missing", "missing"),
    ],
)
def test_the_only_recording_that_is_meant(tree, monkeypatch, pattern, expected):
    monkeypatch.chdir(tree)
    assert single_bag(pattern) == expected
    monkeypatch.chdir(tree / "drive10")
    assert single_bag("metadata.yaml") == single_bag(".") == "."


@pytest.fixture
def locked(tree, monkeypatch):
    """night/rain is another user's, for any user who runs this."""

    def refusing(real):
        def look(path, *arguments):
            if path.is_relative_to(tree / "night" / "rain") and (
                real is Path.iterdir or path != tree / "night" / "rain"
            ):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
            return real(path, *arguments)

        return look

    for name in ("iterdir", "stat"):
        monkeypatch.setattr(Path, name, refusing(getattr(Path, name)))
    return tree / "night" / "rain"


def test_a_folder_that_cannot_be_read_is_passed_over(tree, locked, capsys):
    assert found(tree, "") == [bag for bag in ALL if "night" not in bag]
    assert capsys.readouterr().err == f"{locked} cannot be read (Permission denied): skipped\n"
    assert found(tree, "*") == [bag for bag in ALL if "night" not in bag]


def test_a_folder_that_is_given_and_cannot_be_read(locked):
    for path in (locked, locked / "drive1"):
        for find in (lambda: find_bags([path]), lambda: single_bag(str(path))):
            with pytest.raises(BagError) as error:
                find()
            assert (
                str(error.value)
                == f"{path} cannot be read: Permission denied; change its permissions, or give another"
            )


def test_what_lies_where_results_go_is_left_out(tree):
    assert found(tree, "", leave_out=tree / "night") == [bag for bag in ALL if "night" not in bag]


def test_links(tree):
    """Others than into what is searched are followed; none is counted or followed twice."""
    (tree.parent / "elsewhere" / "far").mkdir(parents=True)
    (tree.parent / "elsewhere" / "far" / "metadata.yaml").touch()
    (tree / "linked").symlink_to(tree.parent / "elsewhere")
    (tree / "night" / "back").symlink_to(tree)
    (tree / "again").symlink_to(tree / "drive2")
    bags = {bag.resolve() for bag in find_bags([tree])}
    assert bags == {(tree / bag).resolve() for bag in [*ALL, "linked/far"]} and len(find_bags([tree])) == len(
        bags
    )


def test_relative_paths_stay_relative(tree, monkeypatch):
    monkeypatch.chdir(tree)
    assert find_bags(["drive2", "bare"]) == [Path("bare/x.mcap"), Path("bare/y.db3"), Path("drive2")]
    monkeypatch.chdir(tree / "dead")
    assert find_bags(["."]) == [Path(".")] and output_names([Path(".")]) == ["dead"]


@pytest.mark.parametrize(
    "bags, names",
    [
        (["a/drive", "b/drive2"], ["drive", "drive2"]),
        (["a/drive", "b/drive", "c/other"], ["a_drive", "b_drive", "other"]),
        (["x/a/drive", "y/a/drive", "y/b/drive"], ["x_a_drive", "y_a_drive", "b_drive"]),
        (["a/drive", "b/drive", "c/a_drive"], ["x_a_drive", "b_drive", "c_a_drive"]),
        (["drive.mcap", "drive.db3"], ["mcap_drive", "db3_drive"]),
        (["drive.mcap", "drive"], ["mcap_drive", "x_drive"]),
        (["drive1.bin", "drive2.bin"], ["drive1.bin", "drive2.bin"]),
    ],
)
def test_names_of_results(tmp_path, bags, names):
    """What is called x here is the folder around."""
    top = tmp_path / "x"
    for bag in bags:
        path = top / bag
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch() if path.suffix else path.mkdir()
    assert output_names([top / bag for bag in bags]) == names


def test_names_differ_even_where_joined_paths_are_equal(tmp_path, monkeypatch):
    os.makedirs(tmp_path / "a_b" / "c"), os.makedirs(tmp_path / "a" / "b_c")
    monkeypatch.setattr("dcfm_ros.bags.finding._name_parts", lambda bag: bag.relative_to(tmp_path).parts)
    assert output_names([tmp_path / "a_b" / "c", tmp_path / "a" / "b_c"]) == ["c", "b_c"]
    assert output_names(
        [tmp_path / "a_b" / "c", tmp_path / "a" / "b_c", tmp_path / "q" / "c", tmp_path / "q" / "b_c"]
    ) == ["a_b_c", "a_b_c_2", "q_c", "q_b_c"]
