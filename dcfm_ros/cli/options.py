# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the commands' arguments and outputs have in common."""

from __future__ import annotations

import argparse
import json
from dataclasses import fields
from pathlib import Path


class Parser(argparse.ArgumentParser):
    """Refuses empty text, most often a variable of a shell that is not set, and what is no text: names of
    files in another encoding, which neither ROS nor reports can hold."""

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.register("type", None, _text)  # of arguments without a type of their own

    def add_subparsers(self, **options):
        self.register("type", None, str)  # each command looks at its own arguments
        return super().add_subparsers(**options)


def _text(value: str) -> str:
    if not value.strip():
        raise argparse.ArgumentTypeError(f"{value!r} is empty: give a value, or leave the argument out")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise argparse.ArgumentTypeError(
            f"{value!r} is not UTF-8: rename the file, or give a link to it"
        ) from None
    return value


def add_with_options(commands, name: str, **about) -> argparse.ArgumentParser:
    """A command whose arguments are fields of a dataclass, which has the defaults: what is not given is not
    there."""
    return commands.add_parser(name, argument_default=argparse.SUPPRESS, **about)


def add_model_options(parser: argparse.ArgumentParser) -> None:
    """Which model, and what runs it."""
    parser.add_argument("--model", help="built-in model name or model folder")
    parser.add_argument("--backend", help="auto, torch, openvino or tensorrt")
    parser.add_argument("--precision", help="auto, f32, bf16 or f16, of the networks' arithmetic")


def given(kind, options, **others):
    """The dataclass `kind` of the arguments that are fields of it, lists as tuples, and `others`."""
    names = {field.name for field in fields(kind)}
    values = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in vars(options).items()
        if name in names
    }
    return kind(**values, **others)


def print_json(report: dict, file: str | None) -> None:
    """Print a report, and write it to a file where one is given."""
    print(json.dumps(report, indent=2))
    write_json(report, file)


def write_json(report: dict, file: str | None) -> None:
    if file:
        Path(file).parent.mkdir(parents=True, exist_ok=True)
        Path(file).write_text(json.dumps(report, indent=2) + "\n")


def height_and_width(text: str) -> tuple[int, int]:
    try:
        height, width = map(int, text.split("x"))
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is not height x width, as in 480x853") from error
    return height, width


def several(kind):
    """Parser of values with commas between them."""

    def parse(text: str) -> tuple:
        return tuple(kind(part) for part in text.split(",") if part)

    parse.__name__ = f"list of {kind.__name__}"
    return parse
