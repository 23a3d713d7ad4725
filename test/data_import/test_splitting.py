# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Images are split by recordings, always in the same way."""

from pathlib import Path

import pytest

from dcfm_ros.data_import.finding import ImageFinder, own_name, short_names
from dcfm_ros.data_import.splitting import by_subsets, recording_of, split


def drives(**counts):
    return {f"{drive}_{number:03d}": drive for drive, count in counts.items() for number in range(count)}


def test_whole_recordings_are_for_validation():
    recordings = drives(a=10, b=10, c=10, d=10, e=10)
    val, how = split(list(recordings), recordings, 0.2)
    assert len(val) == 10 and len({recordings[name] for name in val}) == 1
    assert how == "1 of 5 recordings"
    assert split(list(reversed(recordings)), recordings, 0.2)[0] == val


def test_of_one_recording_the_end_is_for_validation():
    recordings = drives(a=10)
    val, how = split(list(recordings), recordings, 0.2)
    assert val == {"a_008", "a_009"} and "too few recordings" in how


def test_of_few_large_recordings_the_end_is_for_validation():
    recordings = drives(a=10, b=10)
    assert split(list(recordings), recordings, 0.25)[0] == {f"b_{n:03d}" for n in range(5, 10)}


@pytest.mark.parametrize(
    "name, recording", [("drive_0012", "drive"), ("drive2-17", "drive2"), ("000012", ""), ("hall", "hall")]
)
def test_recordings_by_names(name, recording):
    assert recording_of(name) == recording


def test_subsets_of_exports():
    assert by_subsets(["train", "valid", "Test"]) == ["train", "val", "test"]
    assert by_subsets(["train", "train"]) is None and by_subsets(["train", "val", ""]) is None


def test_names_of_files():
    assert short_names(["x/a/1.png", "x/a/2.v2"]) == ["1", "2.v2"]
    assert short_names(["x/a/1.png", "x/b/1.png", "x/1.jpg"]) == ["a_1", "b_1", "1"]
    assert short_names(["x/a.png"]) == ["a"] and short_names([]) == []
    assert own_name("0a1b2c3d-x", Path("x.png")) == "x"
    assert own_name("0a1b2c3d-x", Path("0a1b2c3d-x.png")) == "0a1b2c3d-x"


def test_images_are_found_by_name(tmp_path):
    names = ["one/a.png", "two/a.png", "labels/b.png", "two/b.jpg", "two/c.v1.JPG", ".cache/d.png"]
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    finder = ImageFinder([tmp_path], ["labels"])
    for name, subset, found in [
        ("two/a.png", "", "two/a.png"),
        ("a", "one", "one/a.png"),
        ("b", "", "two/b.jpg"),
        ("b.png", "", "two/b.jpg"),  # saved in another format since
        ("0a1b2c3d-c.v1.JPG", "", "two/c.v1.JPG"),
        ("c.v1", "", "two/c.v1.JPG"),
    ]:
        assert finder.find(name, subset) == tmp_path / found, name
    assert finder.find("d.png") is None
