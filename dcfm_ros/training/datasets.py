# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Opens the data sets of a training, all before anything slow starts, so that a single error lists all
problems."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import NamedTuple

from dcfm_ros.model.config import ConfigError
from dcfm_ros.model.folder import some
from dcfm_ros.sources.clips import Clip, ClipSet, open_clips
from dcfm_ros.sources.clips.classes_file import FILE
from dcfm_ros.sources.clips.file_clip import FileClip
from dcfm_ros.sources.data_sets import SYNTHETIC, class_table
from dcfm_ros.training.pairs import ClipPairs, DataError, PairSource
from dcfm_ros.training.settings import SourceConfig, TrainConfig, ValidationConfig
from dcfm_ros.training.synthetic_pairs import SyntheticPairs


class Data(NamedTuple):
    """The data sets of a training.

    pairs: the sources in the order of the configuration, None for those that no phase uses
    """

    pairs: tuple[PairSource | None, ...]
    validation: ClipSet | None


def open_data(config: TrainConfig, rank: int = 0, world: int = 1) -> Data:
    """Open everything that a training reads.

    Folders are listed; files are read only for `data.in_memory`. Missing files, empty splits and class lists
    that differ from the model's are reported in one DataError for all data sets. Validation on images that
    are also used for training is a ConfigError.
    """
    pairs: list[PairSource | None] = []
    validation, problems = None, []
    for number, source in enumerate(config.data.sources):
        pairs.append(None)
        if config.is_used(number):
            try:
                pairs[number] = _pairs(source, config, rank, world)
            except (ValueError, RuntimeError, OSError) as error:
                problems.append(str(error))
    if config.validation:
        try:
            validation = _clips(config.validation, config)
            if only := config.validation.only:
                validation = _kept(
                    validation, f"only {only!r}", lambda name: name.startswith(only), f"{only} alone"
                )
            if not any(len(clip.labelled) for clip in validation.clips):
                raise DataError(f"{validation.name} has no labelled frame: validation needs some")
        except (ValueError, RuntimeError, OSError) as error:
            problems.append(str(error))
    if problems:
        raise DataError("\n".join(dict.fromkeys(problems)))
    if config.validation and validation:
        _require_apart(
            config.validation, validation, [source for source in pairs if isinstance(source, ClipPairs)]
        )
    if config.data.in_memory:
        for drawn in pairs:
            if drawn is not None:
                drawn.load_into_memory()
    return Data(tuple(pairs), validation)


def _pairs(source: SourceConfig, config: TrainConfig, rank: int, world: int) -> PairSource:
    data, names = config.data, config.model.class_names
    if source.source == SYNTHETIC:
        _require_classes("synthetic scenes", tuple(name for name, _ in class_table(SYNTHETIC)), names)
        assert source.clips is not None  # its default for synthetic scenes
        return SyntheticPairs(source.clips, data.radius, rank, world, data.neighbour_labels)
    clips = _clips(source, config)
    if source.exclude:
        clips = _kept(
            clips,
            f"exclude {source.exclude!r}",
            lambda name: not name.startswith(source.exclude),
            f"without {source.exclude}",
        )
    return ClipPairs(clips, data.radius, [names.index(name) for name in data.movable], data.neighbour_labels)


def _kept(clips: ClipSet, setting: str, keeps: Callable[[str], bool], called: str) -> ClipSet:
    """Return the clips whose names are kept; it must be some, but not all."""
    kept = tuple(clip for clip in clips.clips if keeps(clip.name))
    if len(kept) in (0, len(clips.clips)):
        raise DataError(
            f"{setting} leaves {len(kept)} of {len(clips.clips)} clips of {clips.name}: "
            f"give a prefix of some clips' names, such as {clips.clips[0].name}"
        )
    return replace(clips, name=f"{clips.name} {called}", clips=kept)


def _clips(source: SourceConfig | ValidationConfig, config: TrainConfig) -> ClipSet:
    if not source.root:
        raise ConfigError(f"no folder of {source.source} is given: add --data {source.source}=PATH")
    clips = open_clips(source.root, source.split, source.source)
    file = os.path.join(source.root, FILE)
    _require_classes(
        clips.name,
        tuple(name for name, _ in clips.classes),
        config.model.class_names,
        file if os.path.isfile(file) else "",
    )
    return clips


def _require_apart(settings: ValidationConfig, validation: ClipSet, training: Iterable[ClipPairs]) -> None:
    """Raise ConfigError if validation and training share images: a score on training images says nothing, and
    would favour the model that overfits most."""
    for source in training:
        common = _images(validation.clips) & _images(source.clips)
        if common:
            remedy = f"name a split of its own for validation, or exclude those clips from {source.name}"
            if settings.source == "folder" and os.path.isdir(os.path.join(settings.root, "images")):
                remedy = (
                    f"{settings.root} has no splits, so every split is all of it: make some by moving images "
                    f"and labels to {os.path.join(settings.root, 'train')} and "
                    f"{os.path.join(settings.root, 'val')}, each with images/ and labels/, or train without "
                    "validation"
                )
            raise ConfigError(
                f"validation on {validation.name} would use {len(common)} images that are also used for "
                f"training: {remedy}"
            )


def _images(clips: Iterable[Clip]) -> set[tuple[str, str]]:
    """Return (folder, file) of all frames, labelled or not, of clips stored in files: all but synthetic
    ones."""
    return {
        (folder, name)
        for clip in clips
        if isinstance(clip, FileClip)
        for folder in [os.path.realpath(clip.image_folder)]
        for name in clip.images
    }


def _require_classes(what: str, found: tuple[str, ...], wanted: tuple[str, ...], file: str = "") -> None:
    """Raise DataError unless the class lists are equal: only then do ids mean the same in data and model.

    file: classes.yaml of the data, if that says its classes
    """
    if found == wanted:
        return
    lacking, unknown = [n for n in wanted if n not in found], [n for n in found if n not in wanted]
    if lacking or unknown:
        difference = f"only the model has {some(lacking)}, only the data {some(unknown)}"
    else:
        number = next(i for i, (a, b) in enumerate(zip(found, wanted)) if a != b)
        difference = (
            f"their order differs: class {number} is {wanted[number]} in the model and {found[number]} in "
            f"the data"
        )
    remedy = "Give the model the classes of its data (`classes: data`)"
    if file:
        remedy += (
            f", or write the model's into {file}, in this order and each with the label `values` that mean "
            f"it ([] for none; `ignore: rest` leaves out others): {', '.join(wanted)}"
        )
    raise DataError(f"{what} has {len(found)} classes, the model {len(wanted)}; {difference}. {remedy}")
