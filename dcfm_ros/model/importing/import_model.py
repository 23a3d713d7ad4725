# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Entry point for foreign checkpoints: files in, model folder out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from dcfm_ros.model.build import Model, build_model
from dcfm_ros.model.config import ClassSpec, ModelConfig
from dcfm_ros.model.folder import save_model, some
from dcfm_ros.model.importing import hugging_face
from dcfm_ros.model.importing.checkpoint import Checkpoint, CheckpointError, read_checkpoint
from dcfm_ros.model.importing.class_names import numbered
from dcfm_ros.model.importing.foreign import Foreign
from dcfm_ros.model.importing.layout import COUNTERS, fill
from dcfm_ros.model.importing.prefixes import told
from dcfm_ros.model.importing.recognition import FORMATS, recognised
from dcfm_ros.model.importing.shards import INDEX, read_shards, refuse_single_shard
from dcfm_ros.model.model_yaml import CONFIG_FILE

NO_CLASSES = (ClassSpec("untrained", (128, 128, 128)),)  # for a backbone alone, if no classes are given


@dataclass(frozen=True)
class Imported:
    """A model with the weights of the files, in evaluation mode, and what is known about it."""

    model: Model
    format: str
    files: tuple[str, ...]
    ignored: tuple[
        str, ...
    ]  # names in the files that were left out on purpose, counters of batch norms apart
    untrained: tuple[str, ...]  # parts of the model that the files do not have: their weights are random
    class_names_from: str  # given, the checkpoint, or nobody
    size_from: str  # given, the checkpoint's settings, or the default
    prefix_notes: tuple[str, ...] = ()  # which prefix is removed, and what is left out without it
    notes: tuple[str, ...] = ()  # what else the user should know, a line each
    known: dict = field(default_factory=dict)  # of the data that the files' model was trained on

    def record(self) -> dict:
        """Return the entry for model.yaml."""
        return {
            "imported": {
                "format": self.format,
                "files": list(self.files),
                "untrained": list(self.untrained),
                **self.known,
            }
        }

    def __str__(self) -> str:
        config = self.model.config
        count = "1 class" if len(config.classes) == 1 else f"{len(config.classes)} classes"
        lines = [
            f"{self.format}: {config.backbone}, {config.architecture}, {count} (named by "
            f"{self.class_names_from}), input {config.input_height}x{config.input_width} ({self.size_from})"
        ]
        lines += (*self.prefix_notes, *self.notes)
        if self.ignored:
            lines.append(f"ignored: {some(self.ignored)}")
        if self.untrained:
            lines.append(
                f"untrained: {', '.join(self.untrained)}. Only the encoder is from the files: start training "
                "from this model; its masks are meaningless"
            )
        return "\n".join(lines)


def import_model(files: Sequence[str | Path], out: str | Path, **options: Any) -> Imported:
    """Write the model folder `out`; options are those of `read_model`. Nothing is written after an error."""
    if (Path(out) / CONFIG_FILE).exists():
        raise CheckpointError(f"{out} already holds a model; give another folder, or remove it")
    imported = read_model(files, **options)
    save_model(out, imported.model, imported.record())
    return imported


def read_model(
    files: Sequence[str | Path],
    format: str = "auto",
    classes: Sequence[ClassSpec] | None = None,
    input_size: tuple[int, int] | None = None,
    prefix: str = "",
) -> Imported:
    """Read the model in a foreign checkpoint.

    files: one file or folder, or the two files of a published DCFM model in any order
    format: auto, or one of FORMATS
    classes: the class table; by default the names in the checkpoint, or numbers
    input_size: height and width in pixels; by default those in settings beside the weights, else those of
        ModelConfig, as weights do not tell
    prefix: what the names of the model's tensors begin with, where a file holds several models; "none":
        nothing

    Raises CheckpointError for files that cannot be imported, ConfigError for invalid settings.
    """
    if format != "auto" and format not in FORMATS:
        raise CheckpointError(f"format is {format}; give one of auto, {', '.join(FORMATS)}")
    if not files:
        raise CheckpointError("no checkpoint is given; give a file or a folder")
    checkpoints = [read_file(Path(file)) for file in files]
    format, checkpoints = recognised(checkpoints, format, prefix)
    foreign = FORMATS[format].understand(checkpoints)
    table, named_by = _class_table(foreign, classes)
    size, size_from = _size(foreign, input_size)
    config = ModelConfig(classes=table, **foreign.settings, **size)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)  # reproducible weights for parts that the files lack
        model = build_model(config)
    fill(model, foreign.tensors, foreign.layout, foreign.where)
    ignored = sorted(
        name for name in foreign.tensors if foreign.layout.ignores(name) and not COUNTERS.search(name)
    )
    names = tuple(checkpoint.path.name for checkpoint in checkpoints)
    return Imported(
        model.eval(),
        format,
        names,
        tuple(ignored),
        foreign.layout.absent,
        named_by,
        size_from,
        told(checkpoints),
        foreign.notes,
        foreign.record,
    )


def read_file(path: Path) -> Checkpoint:
    """Read a file, or the weights in a folder. Raises CheckpointError for a model folder of this package."""
    if (path / CONFIG_FILE).is_file():
        raise CheckpointError(f"{path} is a model folder of this package; use it as it is")
    if path.is_dir():
        path = hugging_face.weights_file(path)
    if path.name.endswith(INDEX) and path.is_file():
        return read_shards(path)
    refuse_single_shard(path)
    return read_checkpoint(path)


def _size(foreign: Foreign, given: tuple[int, int] | None) -> tuple[dict[str, Any], str]:
    """Return the settings of the input's size, and the origin of its values."""
    if given:
        size, where = given, "--input-size"
    elif found := foreign.size():
        size, where = found
    else:
        return {}, "default: give --input-size, of its training"
    return {"input_height": size[0], "input_width": size[1]}, where


def _class_table(foreign: Foreign, given: Sequence[ClassSpec] | None) -> tuple[tuple[ClassSpec, ...], str]:
    """Return the class table, and the origin of its names."""
    if foreign.class_count > 255:
        raise CheckpointError(
            f"{foreign.where} has {foreign.class_count} classes; a mask tells at most 255 apart, so train "
            "one with fewer"
        )
    if given is not None:
        table, named_by = tuple(given), "--classes"
    elif not foreign.class_count:
        return NO_CLASSES, "nobody: there is no classifier"
    elif (named := foreign.classes()) is not None:
        table, named_by = named, "the checkpoint"
    else:
        return numbered(foreign.class_count), "nobody: give --classes"
    if foreign.class_count and len(table) != foreign.class_count:
        raise CheckpointError(
            f"{foreign.where} has {foreign.class_count} classes, but {named_by} names {len(table)}; "
            "give --classes with as many"
        )
    return table, named_by
