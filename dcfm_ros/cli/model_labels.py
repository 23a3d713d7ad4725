# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`dcfm model labels`: its arguments, and what it prints."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from dcfm_ros.pipeline.settings import NetworkSettings
from dcfm_ros.setting_fields import check, like, setting


@dataclass(frozen=True)
class LabelsOptions:
    """Of which classes, and where to."""

    model: str = like(NetworkSettings, "model")
    class_map: str = like(NetworkSettings, "class_map", metavar="MAP")
    dynamic: tuple[str, ...] | None = setting(
        None, "names of the classes that move; default: people, animals and vehicles"
    )
    out: str = setting("out/labels", "folder to write", metavar="FOLDER")

    def __post_init__(self):
        check(self)


SETTINGS = (LabelsOptions,)


def run(options: LabelsOptions) -> None:
    from dcfm_ros.model.label_files import write_labels

    for file in write_labels(options.model, Path(options.out), options.class_map, options.dynamic):
        print(file)
