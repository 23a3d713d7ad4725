# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Opens exports: archives, folders and single files. What is in them is not trusted."""

from __future__ import annotations

import errno
import os
import shutil
import stat
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from dcfm_ros.data_import.errors import DataImportError
from dcfm_ros.files import unwritable
from dcfm_ros.sources.read import IMAGE_ENDINGS

MAX_FILES = 500_000
# An archive that grows more than so, beyond SMALL, is a bomb. Label pictures shrink to a hundredth.
MAX_GROWTH = 500
SMALL = 1 << 30  # bytes
_CHUNK = 1 << 20
_OF_THE_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EIO)
_OTHER_ARCHIVES = (".tar", ".gz", ".tgz", ".bz2", ".xz", ".7z", ".rar", ".zst")


@dataclass(frozen=True)
class Opened:
    """An export on the disk.

    source: the path that was given, for messages
    kind: zip, folder or file
    root: its folder; that which a file lies in
    files: its files, in the order of their paths
    scratch: makes an empty folder that is removed after the import
    """

    source: str
    kind: str
    root: Path
    files: tuple[Path, ...]
    scratch: Callable[[], Path]

    def ending_in(self, *endings: str) -> list[Path]:
        return [file for file in self.files if file.suffix.lower() in endings]

    def name_of(self, file: Path) -> str:
        """Return a file's name for messages."""
        if self.kind == "file":
            return self.source
        return f"{self.source}{':' if self.kind == 'zip' else '/'}{file.relative_to(self.root).as_posix()}"

    def places(self) -> tuple[Path, ...]:
        """Return the folders in which its images may lie, and image files. A single file may lie among
        anything: of its folder only the images themselves are looked at, and those in images/."""
        if self.kind != "file":
            return (self.root,)
        images = (path for path in sorted(self.root.iterdir()) if path.suffix.lower() in IMAGE_ENDINGS)
        return (*images, self.root / "images")


def open_export(source: str, scratch: Callable[[], Path]) -> Opened:
    """Open a zip, a folder or a file. Raises DataImportError for what cannot be read, and for what would
    leave its folder."""
    path = Path(source)
    if path.is_dir():
        return Opened(source, "folder", path, _files_in(path), scratch)
    if not path.is_file():
        raise DataImportError(f"there is no {source}: give a zip, a folder, or a JSON or XML file")
    if zipfile.is_zipfile(path) or path.suffix.lower() == ".zip":
        root = scratch()
        _extract(path, root)
        return Opened(source, "zip", root, _files_in(root), scratch)
    if path.suffix.lower() in _OTHER_ARCHIVES:
        raise DataImportError(
            f"{source} is an archive of another kind than zip: unpack it, and give the folder"
        )
    return Opened(source, "file", path.parent, (path,), scratch)


def safe_name(name: object, source: object) -> str:
    """Return the name of a file inside an export, with forward slashes. Raises DataImportError if it leaves
    the export's folder."""
    if not isinstance(name, str) or not name.strip() or "\0" in name:
        raise DataImportError(f"{source} names a file {name!r}: export it again")
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or (path.parts and path.parts[0].endswith(":")):
        raise DataImportError(f"{source} names the file {name}, outside of its folder: it was tampered with")
    return str(path)


def _files_in(root: Path) -> tuple[Path, ...]:
    """Return the files in a folder at any depth, but hidden ones. Links that leave it are refused."""
    found, inside = [], root.resolve()
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(name for name in folders if not _is_hidden(name))
        for name in sorted(name for name in (*names, *folders) if not _is_hidden(name)):
            path = Path(folder) / name
            if path.is_symlink() and not path.resolve().is_relative_to(inside):
                raise DataImportError(
                    f"{path} is a link out of {root}: put the file itself there, or give images that lie "
                    "elsewhere by --images FOLDER"
                )
            if path.is_file():
                found.append(path)
        if len(found) > MAX_FILES:
            raise DataImportError(f"{root} holds more than {MAX_FILES} files: give the folder of the export")
    if not found:
        raise DataImportError(f"{root} is empty: give a zip or a folder that an annotation tool exported")
    return tuple(found)


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or name in ("__MACOSX", "Thumbs.db")


def _extract(path: Path, root: Path) -> None:
    try:
        with zipfile.ZipFile(path) as archive:
            entries = [entry for entry in archive.infolist() if not entry.is_dir()]
            _check(path, entries, root)
            for entry in entries:
                target = root / safe_name(entry.filename, path)
                target.parent.mkdir(parents=True, exist_ok=True)
                with archive.open(entry) as packed, open(target, "xb") as file:
                    left = entry.file_size
                    while data := packed.read(_CHUNK):
                        left -= len(data)
                        if left < 0:
                            raise DataImportError(f"{path} holds more than it says: it was tampered with")
                        file.write(data)
    except FileExistsError as error:
        raise DataImportError(
            f"{path} holds two files called {Path(error.filename).relative_to(root)}: export it again"
        ) from error
    except NotImplementedError as error:
        raise DataImportError(
            f"{path} cannot be unpacked ({error}): unpack it, and give the folder"
        ) from error
    except DataImportError:
        raise
    except Exception as error:  # damaged tables make zipfile raise anything
        if isinstance(error, OSError) and error.errno in _OF_THE_DISK:
            raise unwritable(root, error.strerror) from error
        raise DataImportError(f"{path} is a damaged zip ({error}): download or export it again") from error


def _check(path: Path, entries: list[zipfile.ZipInfo], root: Path) -> None:
    """Look at an archive's table before anything is written."""
    for entry in entries:
        if entry.flag_bits & 1:
            raise DataImportError(f"{path} is encrypted: unpack it, and give the folder")
        if stat.S_ISLNK(entry.external_attr >> 16):
            raise DataImportError(f"{path} holds the link {entry.filename}: it was tampered with")
    size = sum(entry.file_size for entry in entries)
    if len(entries) > MAX_FILES or size > max(SMALL, MAX_GROWTH * path.stat().st_size):
        raise DataImportError(
            f"{path} would become {len(entries)} files of {size / 1e9:.1f} GB, more than an export can: if "
            "they are meant, unpack it, and give the folder"
        )
    if (free := shutil.disk_usage(root).free) < size:
        raise DataImportError(
            f"{path} needs {size / 1e9:.1f} GB to be unpacked, and {root.parent} has {free / 1e9:.1f} GB: "
            "free space, or name another folder in TMPDIR"
        )
    if not entries:
        raise DataImportError(f"{path} is empty: export it again")
