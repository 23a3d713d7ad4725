# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Lists the contents of folders without opening files."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from dcfm_ros.sources.errors import SourceError
from dcfm_ros.sources.names import natural_key
from dcfm_ros.sources.read import IMAGE_ENDINGS

# Pictures in unsupported formats, whose masks a user would miss.
_OTHER_PICTURES = (
    ".heic",
    ".heif",
    ".hif",
    ".avif",
    ".jxl",
    ".jp2",
    ".j2k",
    ".tga",
    ".exr",
    ".hdr",
    ".dng",
    ".cr2",
    ".cr3",
    ".nef",
    ".arw",
    ".raf",
    ".rw2",
    ".orf",
    ".pef",
    ".srw",
)


def files_in(folder: Path, endings: Sequence[str]) -> list[str]:
    """Return the names of the files in `folder` with one of the suffixes, in natural order; empty if the
    folder does not exist."""
    return sorted(
        (name for name in _listing(folder) if name.lower().endswith(tuple(endings))), key=natural_key
    )


def folders_in(folder: Path) -> list[str]:
    """Return the names of the folders in `folder`, in natural order; empty if the folder does not exist."""
    return sorted((name for name in _listing(folder) if (folder / name).is_dir()), key=natural_key)


def images_in(folder: Path) -> list[str]:
    """Return the names of the images in `folder`, in natural order.

    Raises SourceError if there are none, or if pictures in unsupported formats would be ignored. Raw files
    beside an image of the same stem, as cameras write them, are not reported.
    """
    names = files_in(folder, IMAGE_ENDINGS)
    if not names:
        raise SourceError(
            f"there are no images in {folder}; expected files ending in {', '.join(IMAGE_ENDINGS)}"
            f"{_what_it_holds(folder)}"
        )
    stems = {os.path.splitext(name)[0] for name in names}
    if missed := [
        name for name in files_in(folder, _OTHER_PICTURES) if os.path.splitext(name)[0] not in stems
    ]:
        raise SourceError(
            f"{folder} holds {len(missed)} picture(s) in an unsupported format, for example {missed[0]}; "
            "save them as JPEG or PNG, or remove them from the folder"
        )
    return names


def is_other_picture(path: Path) -> bool:
    """Return whether a file is a picture in an unsupported format, by its name."""
    return path.suffix.lower() in _OTHER_PICTURES


def _what_it_holds(folder):
    folders, names = folders_in(folder), _listing(folder)
    endings = Counter(
        os.path.splitext(name)[1].lower() or "no ending" for name in names if name not in folders
    )
    found = [f"{count} of {ending}" for ending, count in endings.most_common(3)]
    found += [f"the folder {name}" for name in folders[:1]]
    return f", but it holds {', '.join(found)}" if found else ", but it is empty"


def _listing(folder):
    try:
        return [name for name in os.listdir(folder) if not name.startswith(".")]
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise SourceError(f"{folder} cannot be listed: {error.strerror}; check its permissions") from error
