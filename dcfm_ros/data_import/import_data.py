# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`dcfm data import`: exports of annotation tools become one data folder."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from dcfm_ros.data_import.classes import Classes, given_classes, united
from dcfm_ros.data_import.data_folder import Summary, write_data_folder
from dcfm_ros.data_import.errors import DataImportError
from dcfm_ros.data_import.export import Export, sources_of
from dcfm_ros.data_import.formats import read_export
from dcfm_ros.data_import.options import DataImportOptions
from dcfm_ros.data_import.placing import Placed, placed, with_splits
from dcfm_ros.data_import.unpack import open_export
from dcfm_ros.sources.classes import ClassTable
from dcfm_ros.sources.data_sets import CLASS_TABLES
from dcfm_ros.sources.errors import SourceError
from dcfm_ros.sources.to_label import ToLabel, read_to_label


def import_data(options: DataImportOptions) -> Summary:
    """Write the data folder, whole or not at all. Raises DataImportError or SourceError."""
    out = Path(options.out)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise DataImportError(f"{out} is there already: give another --out, or remove it")
    frames = read_to_label(options.frames) if options.frames else None
    target = given_classes(options.classes) if options.classes else None
    with ExitStack() as stack, _names_in_zips() as zips:

        def scratch() -> Path:
            return Path(stack.enter_context(TemporaryDirectory(prefix="dcfm_import_")))

        exports = _read(options, scratch, zips, target or (frames.classes if frames else None))
        classes = _classes(exports, options, target, frames)
        images = placed(exports, options, frames)
        images, how = with_splits(images, options.val)
        notes = _notes(exports, options, how)
        summary = write_data_folder(out, images, classes, _rate_hz(images, frames), options.link, notes)
    return replace(summary, model=_model(options, frames))


@contextmanager
def _names_in_zips() -> Iterator[dict[str, str]]:
    """Raise errors in the block with the names of files in zips, in place of those that were unpacked.

    The block gets a dict to fill: zips by the folders in which they were unpacked.
    """
    zips: dict[str, str] = {}
    try:
        yield zips
    except (DataImportError, SourceError) as error:
        text = str(error)
        for folder, source in zips.items():
            text = text.replace(f"{folder}/", f"{source}:")
        if text == str(error):
            raise
        raise type(error)(text) from error


def _read(
    options: DataImportOptions, scratch: Callable[[], Path], zips: dict[str, str], known: ClassTable | None
) -> list[Export]:
    exports = []
    for file in options.files:
        opened = open_export(file, scratch)
        if opened.kind == "zip":
            zips[str(opened.root)] = opened.source
        exports.append(read_export(opened, options.format, known))
    if not any(export.drawn(image) for export in exports for image in export.images):
        raise DataImportError(
            f"{sources_of(exports)} has no polygons and no masks, only {_counted(_left_out(exports))}: draw "
            "the outlines of regions, or export in a format that keeps them"
        )
    return exports


def _classes(
    exports: list[Export], options: DataImportOptions, target: ClassTable | None, frames: ToLabel | None
) -> Classes:
    """Where frames were chosen with a model, its class list stays if it has all classes."""
    how = options.map, options.class_map, options.background
    if target is None and frames is not None:
        try:
            return united(exports, frames.classes, *how)
        except DataImportError:  # classes of the user's own
            pass
    return united(exports, target, *how)


def _model(options: DataImportOptions, frames: ToLabel | None) -> str:
    """Return the model to start training from: that whose classes they are, or that chose the frames."""
    if options.classes and options.classes not in CLASS_TABLES and not Path(options.classes).is_file():
        return options.classes
    options_of_frames = frames.about.get("options") if frames else None
    found = options_of_frames.get("model") if isinstance(options_of_frames, dict) else None
    return str(found or Summary.model)


def _rate_hz(images: list[Placed], frames: ToLabel | None) -> float | None:
    return frames.rate_hz if frames and any(len(image.clip) > 1 for image in images) else None


def _left_out(exports: Sequence[Export]) -> Counter[str]:
    return +sum((export.left_out for export in exports), start=Counter())


def _notes(exports: Sequence[Export], options: DataImportOptions, how: str) -> list[str]:
    formats = dict.fromkeys(export.format for export in exports)
    notes = [f"read as {', '.join(formats)}"]
    if left_out := _left_out(exports):
        notes.append(f"left out, as they are no regions: {_counted(left_out)}")
    if not options.background and (bare := sum(not e.drawn(image) for e in exports for image in e.images)):
        notes.append(f"left out, as nothing is drawn in them: {bare} image(s)")
    if how:
        notes.append(f"for validation: {how}")
    return notes


def _counted(left_out: Counter[str]) -> str:
    return ", ".join(f"{count} of {kind}" for kind, count in sorted(left_out.items())) or "names"
