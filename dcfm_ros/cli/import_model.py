# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`dcfm import`: its arguments, and what it prints."""

from __future__ import annotations

from dataclasses import dataclass

from dcfm_ros.model.importing.formats import FORMAT_NAMES
from dcfm_ros.setting_fields import check, setting
from dcfm_ros.sources.data_sets import CLASS_TABLES


@dataclass(frozen=True)
class ImportOptions:
    """Which checkpoint, and what it does not say itself."""

    checkpoint: tuple[str, ...] = setting(
        description="file or folder; of published DCFM both files, encoder and decoder", positional=True
    )
    out: str = setting(description="model folder to write", metavar="FOLDER")
    format: str = setting("auto", "format of the checkpoint", choices=("auto", *FORMAT_NAMES))
    classes: str = setting(
        "",
        f"{', '.join(CLASS_TABLES)}, or a file like classes.yaml of a data set; default: names from the "
        "checkpoint, else numbers",
        metavar="TABLE",
    )
    input_size: tuple[int, int] | None = setting(
        None,
        "size of the network's input, as in 480x853; default: that of preprocessor_config.json, else 360x480",
    )
    prefix: str = setting(
        "",
        "what the names of the model's tensors begin with, where a file holds several models, as in "
        "ema_model; none: nothing",
        metavar="PREFIX",
    )

    def __post_init__(self):
        check(self)


SETTINGS = (ImportOptions,)


def run(options: ImportOptions) -> None:
    from dcfm_ros.model.config import ClassSpec
    from dcfm_ros.model.importing.import_model import import_model
    from dcfm_ros.sources.clips.classes_file import named_classes

    table = None
    if options.classes:
        table = [ClassSpec(name, color) for name, color in named_classes(options.classes)]
    imported = import_model(
        options.checkpoint,
        options.out,
        format=options.format,
        classes=table,
        input_size=options.input_size,
        prefix=options.prefix,
    )
    print(imported)
    print(f"written to {options.out}")
