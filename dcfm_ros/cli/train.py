# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`dcfm train`: its arguments, and what it prints."""

from __future__ import annotations

from dataclasses import dataclass

from dcfm_ros.pipeline.settings import NetworkSettings
from dcfm_ros.setting_fields import check, like, setting


@dataclass(frozen=True)
class TrainOptions:
    """Which configuration, and what belongs to this machine and this run alone."""

    config: str = setting(description="YAML file, for example config/train/street11.yaml", positional=True)
    out: str = setting(description="folder for checkpoints and log", metavar="FOLDER")
    data: tuple[str, ...] = setting(
        (),
        "folder of the configuration's data set NAME, as in camvid=data/camvid; may be repeated",
        repeat=True,
        metavar="[NAME=]PATH",
    )
    changes: tuple[str, ...] = setting(
        (),
        "another value than the configuration's, as in seed=1 or data.radius=1; may be repeated",
        option="--set",
        repeat=True,
        metavar="SETTING=VALUE",
    )
    init: str = setting(
        "", "start from this model (built-in name or folder), also with another class list", metavar="MODEL"
    )
    init_encoder: str = setting(
        "", "start from a pretrained encoder: a file that `dcfm import` reads", metavar="FILE"
    )
    resume: bool = setting(False, "go on from the last checkpoint in --out, if there is one")
    minutes: float | None = setting(None, "save and stop after so long, to go on with --resume", metavar="N")
    fit: bool = setting(False, "with --minutes: make the phases as long as fits into them")
    device: str = like(NetworkSettings, "device", description="auto, cpu, cuda or cuda:N")
    workers: int | None = setting(
        None, "processes that prepare batches, by default one per core, 8 at most; 0: none", metavar="N"
    )
    tensorboard: bool = setting(False, "write curves for TensorBoard into --out, too")

    def __post_init__(self):
        check(self)


SETTINGS = (TrainOptions,)


def run(options: TrainOptions) -> int:
    from dcfm_ros.training.config import load_train_config
    from dcfm_ros.training.loop import train

    config = load_train_config(
        options.config, options.changes, options.data, options.init, options.init_encoder
    )
    outcome = train(
        config,
        options.out,
        device=options.device,
        resume=options.resume,
        workers=options.workers,
        minutes=options.minutes,
        fit=options.fit,
        tensorboard=options.tensorboard,
    )
    if outcome.note:
        print(outcome.note)
    return outcome.code
