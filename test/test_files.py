# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Files and folders are complete or as before; places that cannot be written are named."""

import errno
import os
from pathlib import Path

import pytest

from dcfm_ros.files import atomic_directory, atomic_files, atomic_write, output_folder


def test_it_is_made_with_those_above_it(tmp_path):
    assert output_folder(tmp_path / "a" / "b") == tmp_path / "a" / "b"
    assert output_folder(tmp_path / "a" / "b").is_dir()  # one that is there is good, too


@pytest.mark.parametrize("below, why", [("", "File exists"), ("out", "Not a directory")])
def test_a_file_in_its_place_or_above_it(tmp_path, below, why):
    (tmp_path / "file").write_text("precious")
    with pytest.raises(OSError) as raised:
        output_folder(tmp_path / "file" / below)
    assert (
        str(raised.value)
        == f"cannot make the folder {tmp_path / 'file' / below} ({why}): give another one with --out"
    )
    assert (tmp_path / "file").read_text() == "precious"


def test_no_permission(tmp_path, monkeypatch):
    """Simulated, since root may write everywhere."""
    with monkeypatch.context() as patch:
        patch.setattr(os, "access", lambda path, mode: False)
        with pytest.raises(
            OSError,
            match=f"cannot write to the folder {tmp_path} .permission denied.: give another one with --out",
        ):
            output_folder(tmp_path)

    def refuse(self, **options):
        raise PermissionError(errno.EACCES, "Permission denied", str(self))

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(
        OSError, match="cannot make the folder /closed/out .Permission denied.: give another one with --out"
    ):
        output_folder(Path("/closed/out"))


def write(folder, text):
    with atomic_directory(folder) as part:
        (part / "file").write_text(text)
        assert not (folder / "file").exists() or (folder / "file").read_text() != text  # not yet


def test_a_directory_appears_at_the_end_and_takes_the_place_of_an_older_one(tmp_path):
    folder = tmp_path / "new" / "folder"
    write(folder, "one")
    (folder / "older").touch()
    write(folder, "two")
    assert [path.name for path in folder.iterdir()] == ["file"] and (folder / "file").read_text() == "two"
    assert list((tmp_path / "new").iterdir()) == [folder]
    assert folder.stat().st_mode == (tmp_path / "new").stat().st_mode  # as readable as any other


def test_an_error_leaves_the_directory_as_it_was(tmp_path):
    write(tmp_path / "folder", "one")
    for folder in (tmp_path / "folder", tmp_path / "other"):
        with pytest.raises(KeyError), atomic_directory(folder) as part:
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


def test_files_get_their_names_together(tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    with atomic_files(one, two) as parts:
        for part in parts:
            part.write_text("new")
        assert not one.exists() and not two.exists()
    assert sorted(tmp_path.iterdir()) == [one, two] and one.read_text() == two.read_text() == "new"


@pytest.mark.parametrize("fails", ["writing", "fsync", "replace"])
def test_after_an_error_files_are_as_before(tmp_path, monkeypatch, fails):
    one, two, replace = tmp_path / "one", tmp_path / "two", os.replace
    two.write_text("old")

    def fail(*arguments):
        if len(arguments) < 2 or arguments[1] == two:  # the second to be renamed
            raise OSError(errno.ENOSPC, "No space left on device")
        replace(*arguments)

    with pytest.raises(OSError, match="No space left"), monkeypatch.context() as patch:
        if fails != "writing":
            patch.setattr(os, fails, fail)
        with atomic_files(one, two) as parts:
            for part in parts:
                part.write_text("new")
            if fails == "writing":
                fail()
    assert list(tmp_path.iterdir()) == [two] and two.read_text() == "old"


def test_a_link_that_somebody_has_laid_is_not_followed(tmp_path):
    (other := tmp_path / "other").write_text("of somebody else")
    (tmp_path / "text.part").symlink_to(other)
    atomic_write(tmp_path / "text", "one")
    assert other.read_text() == "of somebody else" and not (tmp_path / "text").is_symlink()


def test_a_text_is_replaced_whatever_a_dead_process_left(tmp_path):
    (tmp_path / "text.part").write_text("half a")
    for text in ("one", "two"):
        atomic_write(tmp_path / "text", text)
        assert [path.name for path in tmp_path.iterdir()] == ["text"] and (
            tmp_path / "text"
        ).read_text() == text
