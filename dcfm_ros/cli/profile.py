# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`dcfm profile`: its arguments, and what it prints."""

from __future__ import annotations

from dataclasses import dataclass

from dcfm_ros.cli.report_file import ReportFile
from dcfm_ros.setting_fields import check, setting


@dataclass(frozen=True)
class ProfileOptions:
    """Which model, and on what size of input."""

    model: str = setting(
        description="built-in model name, model folder, or training configuration (.yaml)", positional=True
    )
    data: tuple[str, ...] = setting(
        (),
        "as for `dcfm train`, of a configuration that takes its classes from its data",
        repeat=True,
        metavar="[NAME=]PATH",
    )
    size: str = setting("", "input size in pixels, as in 480x853, instead of the model's", metavar="HxW")

    def __post_init__(self):
        check(self)


SETTINGS = (ProfileOptions, ReportFile)


def run(options: ProfileOptions, file: ReportFile) -> None:
    from dcfm_ros.model.model_yaml import load_model_config
    from dcfm_ros.model.profile import profile, profile_table, sized

    if options.model.endswith((".yaml", ".yml")):
        from dcfm_ros.training.config import load_train_config

        config = load_train_config(options.model, roots=options.data).model
    elif options.data:
        raise ValueError(
            f"--data {options.data[0]}: {options.model} has its own classes; only a configuration takes data"
        )
    else:
        config = load_model_config(options.model)
    report = profile(sized(config, options.size) if options.size else config)
    print(profile_table(report))
    file.write(report)
