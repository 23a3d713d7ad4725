# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The command `dcfm`, from its own parser."""

import argparse

from dcfm_ros import cli
from reference_pages.markdown import code, sentence, table

_PAGES = {  # that tell more
    "dcfm demo": "demo.md",
    "dcfm segment": "demo.md#from-files-to-files",
    "dcfm train": "training.md",
    "dcfm evaluate": "evaluation.md",
    "dcfm bag evaluate": "bags.md",
    "dcfm bag segment": "bag_masks.md",
    "dcfm bag make": "bags.md",
    "dcfm calibrate": "evaluation.md#calibration",
    "dcfm benchmark": "performance.md",
    "dcfm soak": "soak.md",
    "dcfm import": "importing.md",
    "dcfm export": "export.md",
    "dcfm profile": "method.md#what-each-path-costs",
    "dcfm model labels": "consumers.md#others",
}


def page() -> str:
    return f"""# Command line

What `dcfm` does and which arguments its commands take. `dcfm --help` and `dcfm COMMAND --help` say the same.

After `source scripts/env.bash`, or `pip install .` where no ROS is needed ([installation](../installation.md)).

{"".join(_command(parser, about) for parser, about in _commands(cli.make_parser()))}"""


def _commands(parser: argparse.ArgumentParser) -> list[tuple[argparse.ArgumentParser, str]]:
    """The commands below a parser, at any depth, that have none below them, each with what it is for."""
    found = []
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            about = {choice.dest: choice.help for choice in action._choices_actions}
            for name, command in action.choices.items():
                found += _commands(command) or [(command, about.get(name) or "")]
    return found


def _command(parser: argparse.ArgumentParser, about: str) -> str:
    rows = [_row(action) for action in parser._actions if action.help is not argparse.SUPPRESS]
    rows = [row for row in rows if row[0] != "`-h`, `--help`"]
    more = f" More: [{page.partition('.')[0]}](../{page})." if (page := _PAGES.get(parser.prog)) else ""
    return f"## {parser.prog}\n\n{sentence(parser.description or about)}{more}\n\n" + (
        f"{table(('argument', 'meaning'), rows)}\n" if rows else ""
    )


def _row(action: argparse.Action) -> tuple[str, str]:
    """An argument, and its help text, which says choices and default."""
    value = "" if action.nargs == 0 else action.metavar or action.dest.upper()
    if action.option_strings:
        name = ", ".join(map(code, action.option_strings)) + (f" {code(value)}" if value else "")
    else:
        name = code(action.metavar or action.dest.upper())
    text = (
        (action.help or "") % {"default": action.default} if "%" in (action.help or "") else action.help or ""
    )
    return name, sentence(text + (". Needed" if action.option_strings and action.required else ""))
