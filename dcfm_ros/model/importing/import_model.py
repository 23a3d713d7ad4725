# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Entry point for foreign checkpoints: files in, model folder out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from dcfm_ros.model.build import Model, build_model
from dcfm_ros.model.config import ClassSpec, ModelConfig
from dcfm_ros.model.folder import CONFIG_FILE, save_model, some
from dcfm_ros.model.importing import efficientnet_lite, hugging_face, nvlabs, published
from dcfm_ros.model.importing.checkpoint import Checkpoint, CheckpointError, read_checkpoint
from dcfm_ros.model.importing.class_names import numbered
from dcfm_ros.model.importing.foreign import Foreign
from dcfm_ros.model.importing.formats import EFFICIENTNET_LITE, HUGGING_FACE, NVLABS, PUBLISHED
from dcfm_ros.model.importing.layout import COUNTERS, fill
from dcfm_ros.model.importing.shards import INDEX, read_shards, refuse_single_shard

FORMATS = {
    PUBLISHED: published,
    NVLABS: nvlabs,
    HUGGING_FACE: hugging_face,
    EFFICIENTNET_LITE: efficientnet_lite,
}
MMSEGMENTATION = "backbone.layers.0.0.projection."
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
    size_from: str  # given, or the default

    def record(self) -> dict:
        """Return the entry for model.yaml."""
        return {
            "imported": {"format": self.format, "files": list(self.files), "untrained": list(self.untrained)}
        }

    def __str__(self) -> str:
        config = self.model.config
        count = "1 class" if len(config.classes) == 1 else f"{len(config.classes)} classes"
        lines = [
            f"{self.format}: {config.backbone}, {config.architecture}, {count} (named by "
            f"{self.class_names_from}), input {config.input_height}x{config.input_width} ({self.size_from})"
        ]
        if self.ignored:
            lines.append(f"ignored: {some(self.ignored)}")
        if self.untrained:
            lines.append(
                f"untrained: {', '.join(self.untrained)}. The files hold the encoder alone: start training "
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
) -> Imported:
    """Read the model in a foreign checkpoint.

    files: one file or folder, or the two files of a published DCFM model in any order
    format: auto, or one of FORMATS
    classes: the class table; by default the names in the checkpoint, or numbers
    input_size: height and width in pixels; by default those of ModelConfig, as checkpoints do not store them

    Raises CheckpointError for files that cannot be imported, ConfigError for invalid settings.
    """
    if format != "auto" and format not in FORMATS:
        raise CheckpointError(f"format is {format}; give one of auto, {', '.join(FORMATS)}")
    if not files:
        raise CheckpointError("no checkpoint is given; give a file or a folder")
    checkpoints = [_read(Path(file)) for file in files]
    if format == "auto":
        format = _recognised(checkpoints)
    foreign = FORMATS[format].understand(checkpoints)
    table, named_by = _class_table(foreign, classes)
    settings = dict(foreign.settings)
    if input_size:
        settings["input_height"], settings["input_width"] = input_size
    config = ModelConfig(classes=table, **settings)
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
        "--input-size" if input_size else "default: give --input-size, of its training",
    )


def _read(path: Path) -> Checkpoint:
    if (path / CONFIG_FILE).is_file():
        raise CheckpointError(f"{path} is a model folder of this package; use it as it is")
    if path.is_dir():
        path = hugging_face.weights_file(path)
    if path.name.endswith(INDEX) and path.is_file():
        return read_shards(path)
    refuse_single_shard(path)
    return read_checkpoint(path)


def _recognised(checkpoints: Sequence[Checkpoint]) -> str:
    """Return the format whose names the first file uses."""
    path, names = checkpoints[0].path, sorted(checkpoints[0].tensors)
    for format, module in FORMATS.items():
        if any(name.startswith(module.SIGNS) for name in names):
            return format
    hugging_face.refuse_other_architectures(path.with_name(hugging_face.CONFIG))
    if any(name.startswith(MMSEGMENTATION) for name in names):
        raise CheckpointError(
            f"{path} has the names that MMSegmentation gives SegFormer ({MMSEGMENTATION}weight), which "
            "cannot be imported; give NVlabs' or Hugging Face's checkpoint of that model, or rename its "
            "tensors as theirs"
        )
    wrapped = [
        (name.partition(f".{sign}")[0], format)
        for format, module in FORMATS.items()
        for sign in module.SIGNS
        for name in names
        if f".{sign}" in name
    ]
    if wrapped:
        prefix, format = min(wrapped, key=lambda found: len(found[0]))
        raise CheckpointError(
            f"{path}: the names of format {format} begin with a wrapper's prefix '{prefix}.'; save the "
            "state_dict() of the model inside the wrapper, without the prefix"
        )
    raise CheckpointError(
        f"{path} has none of the formats {', '.join(FORMATS)}: its tensors are called "
        f"{some(names)}; docs/importing.md lists what can be imported"
    )


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
