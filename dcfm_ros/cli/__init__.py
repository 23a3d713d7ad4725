# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The `dcfm` command: the table of its commands, and what becomes of their errors.

Each command has a module here, with its settings (`SETTINGS`, dataclasses) and what it does with them
(`run`). It is loaded when the command is asked for, and brings heavy libraries along only when it runs.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any, NamedTuple

from dcfm_ros import environment
from dcfm_ros.cli.arguments import Parser, add_settings, settings_from
from dcfm_ros.interrupts import Interrupts


class Command(NamedTuple):
    """A command: the module in this folder, and the line in the list of commands."""

    module: str
    help: str


COMMANDS = {
    "demo": Command("demo", "camera node, segmenter node and recorder over ROS topics"),
    "segment": Command("segment", "segment a video or a folder of images, without ROS"),
    "train": Command("train", "train a model from a configuration file"),
    "distil": Command("distil", "train a model on video without labels, taught by a per-frame network"),
    "evaluate": Command("evaluate", "accuracy and consistency of a model on labelled clips"),
    "bag evaluate": Command("bag_evaluate", "how good, how fast and how steady masks are on a recording"),
    "bag segment": Command(
        "bag_segment", "masks of a recording as a recording; goes on where it was stopped"
    ),
    "bag make": Command("bag_make", "a recording of a folder of images, with labels where there are some"),
    "bag frames": Command(
        "bag_frames", "the frames most worth labelling, with what CVAT and Label Studio import"
    ),
    "data import": Command("data_import", "a data folder of what annotation tools export"),
    "calibrate": Command("calibrate", "threshold of adaptive keyframes for a wanted keyframe rate"),
    "plan": Command("plan", "which model and keyframe rate this machine can hold, and the parameters for it"),
    "benchmark": Command("benchmark", "times of DCFM and of per-frame networks, image in to mask out"),
    "soak": Command("soak", "cameras and segmenter under load over ROS topics"),
    "import": Command("import_model", "make a model folder of a checkpoint of DCFM or SegFormer"),
    "export": Command("export", "the parts of a model as ONNX, for OpenVINO or for TensorRT"),
    "profile": Command("profile", "parameters of a model, and multiply-accumulates path by path"),
    "model labels": Command("model_labels", "label space for Hydra, and colours for Hydra and Kimera"),
}
GROUPS = {
    "bag": "recordings (rosbag2): evaluate, segment, make, frames to label",
    "data": "data folders: import",
    "model": "the classes of a model as files",
}
_INTERRUPTED = 128 + 2  # as shells report the end by SIGINT


def main(arguments: list[str] | None = None) -> int:
    """Run a command; returns the exit code. Errors are one line on stderr."""
    words = sys.argv[1:] if arguments is None else list(arguments)
    given = make_parser(words).parse_args(words)
    command = f"{vars(given).pop('command')} {vars(given).pop('of_group', '')}".strip()
    environment.prepare()
    try:
        with Interrupts():
            return _run(COMMANDS[command], given) or 0
    except KeyboardInterrupt:
        print(f"dcfm {command}: interrupted", file=sys.stderr)
        return _INTERRUPTED
    except ModuleNotFoundError as error:
        package = (error.name or "").split(".")[0]
        if package == "dcfm_ros":  # a mistake of ours
            raise
        text = (
            f"the Python package {package} is missing: install it, or run `make setup`" if package else error
        )
        print(f"dcfm {command}: {text}", file=sys.stderr)
        return 2
    except MemoryError as error:
        print(f"dcfm {command}: {str(error) or 'not enough memory'}", file=sys.stderr)
        return 2
    except (ValueError, RuntimeError, OSError) as error:
        print(f"dcfm {command}: {error}", file=sys.stderr)
        return 2


def make_parser(words: list[str] | None = None) -> Parser:
    """The parser; with the arguments of the command that these words name, or of all."""
    parser = Parser(prog="dcfm", description="Video segmentation by deep common feature mining.")
    groups = {"": parser.add_subparsers(dest="command", required=True, metavar="COMMAND")}
    named = None if words is None else [word for word in words if not word.startswith("-")]
    for name, command in COMMANDS.items():
        group, _, last = name.rpartition(" ")
        if group not in groups:
            made = groups[""].add_parser(group, help=GROUPS[group], description=GROUPS[group])
            groups[group] = made.add_subparsers(dest="of_group", required=True, metavar="COMMAND")
        parts = name.split()
        its_parser = groups[group].add_parser(last, help=command.help, description=command.help)
        if named is None or named[: len(parts)] == parts:
            add_settings(its_parser, _module(command).SETTINGS)
    return parser


def _run(command: Command, given: Any) -> int | None:
    module = _module(command)
    return module.run(*settings_from(given, module.SETTINGS, getattr(module, "FIXED", None)))


def _module(command: Command) -> Any:
    return import_module(f"dcfm_ros.cli.{command.module}")
