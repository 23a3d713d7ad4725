# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Folders into which other users can have put something are not trusted, and it is said why."""

import os
from pathlib import Path

import pytest
from environment_helpers import STRANGER

from dcfm_ros import trusted_folders
from dcfm_ros.trusted_folders import close, make_closed, why_untrusted


@pytest.fixture
def folder(tmp_path):
    """home/.cache/ours, all of them closed to others, with a file."""
    found = tmp_path / "home" / ".cache" / "ours"
    make_closed(found)
    (found / "file").touch(0o644)
    return found


def give_away(path: Path) -> None:
    try:
        os.chown(path, STRANGER, STRANGER)
    except PermissionError:
        pytest.skip("only root can give a folder away")


def test_a_folder_of_ones_own_is_trusted_and_so_is_one_that_is_not_there_yet(folder):
    assert why_untrusted(folder, files=True) == why_untrusted(folder / "not" / "yet") == ""
    assert [path.stat().st_mode & 0o777 for path in (folder, folder.parent)] == [0o700, 0o700]


@pytest.mark.parametrize("above", [0, 1, 2])
def test_what_everyone_can_write_to(folder, above):
    shared = (folder, *folder.parents)[above]
    shared.chmod(0o777)
    assert why_untrusted(folder) == f"every user can write to {shared}"
    shared.chmod(0o1777)  # as /tmp
    assert why_untrusted(folder) == ("" if above else f"every user can write to {folder}")


def test_what_a_group_can_write_to_unless_nobody_else_is_in_it(folder, monkeypatch):
    folder.chmod(0o770)
    monkeypatch.setattr(trusted_folders, "_is_private", lambda group: False)
    assert why_untrusted(folder) == f"the users of group {folder.stat().st_gid} can write to {folder}"
    monkeypatch.setattr(trusted_folders, "_is_private", lambda group: True)
    assert why_untrusted(folder) == ""


def test_the_group_of_ones_own_is_private_and_others_are_not():
    import grp

    assert trusted_folders._is_private(0)
    assert not any(trusted_folders._is_private(one.gr_gid) for one in grp.getgrall() if one.gr_mem)
    assert not trusted_folders._is_private(987_654)  # without a name


@pytest.mark.parametrize("above", [0, 1, 2])
def test_what_belongs_to_another_user(folder, above):
    other = (folder, *folder.parents)[above]
    give_away(other)
    assert why_untrusted(folder) == f"{other} belongs to user {STRANGER}"


def test_files_in_it(folder):
    (folder / "file").chmod(0o666)
    assert why_untrusted(folder) == ""
    assert why_untrusted(folder, files=True) == f"every user can write to {folder / 'file'}"
    close(folder)
    assert why_untrusted(folder, files=True) == ""
    give_away(folder / "file")
    assert why_untrusted(folder, files=True) == f"{folder / 'file'} belongs to user {STRANGER}"


def test_what_is_above_the_home_folder_does_not_matter(folder, monkeypatch):
    home = folder.parents[1]
    home.parent.chmod(0o777)
    assert why_untrusted(folder) == f"every user can write to {home.parent}"
    monkeypatch.setenv("HOME", str(home))
    assert why_untrusted(folder) == ""


def test_links_are_followed(folder, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    link = folder / "link"
    link.symlink_to(elsewhere)
    assert why_untrusted(link) == ""
    elsewhere.chmod(0o777)
    assert why_untrusted(link) == why_untrusted(link / "in") == f"every user can write to {elsewhere}"
    elsewhere.chmod(0o755)
    folder.chmod(0o777)
    assert why_untrusted(link) == f"every user can write to {folder}"
