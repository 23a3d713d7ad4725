# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Folders to write to, and what is said of those that cannot be used."""

import errno
import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from dcfm_ros.files import output_folder, write_png


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


@pytest.mark.parametrize(
    "name", [b"plain.png", "ü 🚗.png".encode(), b"dr\xe4ve.png", b"a: b %02d.png"], ids=ascii
)
def test_pictures_go_to_files_of_any_name(tmp_path, name):
    picture = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    path = tmp_path / os.fsdecode(name)
    write_png(path, picture)
    assert [file.name for file in tmp_path.iterdir()] == [path.name]
    assert np.array_equal(cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_COLOR), picture)
