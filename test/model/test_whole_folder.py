# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A folder is there whole or as before, whatever happens while it is written."""

import os

import pytest

from dcfm_ros.model.whole_folder import whole_folder


def write(folder, text):
    with whole_folder(folder) as part:
        (part / "file").write_text(text)
        assert not (folder / "file").exists() or (folder / "file").read_text() != text  # not yet


def test_it_appears_at_the_end_and_takes_the_place_of_an_older_one(tmp_path):
    folder = tmp_path / "new" / "folder"
    write(folder, "one")
    (folder / "older").touch()
    write(folder, "two")
    assert [path.name for path in folder.iterdir()] == ["file"] and (folder / "file").read_text() == "two"
    assert list((tmp_path / "new").iterdir()) == [folder]
    assert folder.stat().st_mode == (tmp_path / "new").stat().st_mode  # as readable as any other


def test_an_error_leaves_all_as_it_was(tmp_path):
    write(tmp_path / "folder", "one")
    for folder in (tmp_path / "folder", tmp_path / "other"):
        with pytest.raises(KeyError), whole_folder(folder) as part:
            (part / "file").write_text("two")
            raise KeyError("on the way")
    assert [path.name for path in tmp_path.iterdir()] == ["folder"] and (
        tmp_path / "folder" / "file"
    ).read_text() == "one"


def test_a_rename_that_fails_puts_the_older_one_back(tmp_path, monkeypatch):
    write(tmp_path / "folder", "one")
    rename = os.rename

    def fail_for_new(source, target):
        if str(source).endswith("new"):
            raise OSError(28, "No space left on device")
        rename(source, target)

    monkeypatch.setattr(os, "rename", fail_for_new)
    with pytest.raises(
        OSError,
        match="folder could not be written .*No space left.*: free space there or give another folder",
    ):
        write(tmp_path / "folder", "two")
    assert [path.name for path in tmp_path.iterdir()] == ["folder"] and (
        tmp_path / "folder" / "file"
    ).read_text() == "one"


def test_a_place_that_is_none(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file/folder could not be written"):
        write(tmp_path / "file" / "folder", "one")
