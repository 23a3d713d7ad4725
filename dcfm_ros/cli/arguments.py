# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Command lines made from settings dataclasses: each field is an argument, with its description, choices,
bounds and default in the help text."""

from __future__ import annotations

import argparse
import re
import sys
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import MISSING, Field, fields
from difflib import get_close_matches
from enum import Enum
from typing import Any, NoReturn

from dcfm_ros.setting_fields import Setting, SettingError, description_of, hint_of, is_size, metadata_of

# How argparse begins its messages on one argument, in all its versions; of an unknown command what is quoted.
_OF_ARGUMENT = re.compile(r"argument (?P<names>[^:]+): (?P<text>.*)", re.DOTALL)
_QUOTES = ("'", '"')
_UNKNOWN_COMMAND = re.compile(r"argument COMMAND: invalid choice: '(.*?)' \(")


class Parser(argparse.ArgumentParser):
    """Refuses empty text, most often a variable of a shell that is not set, and what is no text: names of
    files in another encoding, which neither ROS nor reports can hold.

    A value that cannot be used is one line; an unknown option has the usage of its own command, and the
    option that was probably meant.
    """

    def __init__(self, *arguments: Any, **options: Any):
        self._options: list[str] = []
        self._commands: Any = None  # of a parser whose arguments are those of its commands
        super().__init__(*arguments, **options)
        self.register("type", None, _text)  # of arguments without a type of their own

    def add_argument(self, *arguments: Any, **options: Any) -> argparse.Action:
        action = super().add_argument(*arguments, **options)
        self._options += action.option_strings
        return action

    def add_subparsers(self, **options: Any) -> Any:
        self.register("type", None, str)  # each command looks at its own arguments
        self._commands = super().add_subparsers(**options)
        return self._commands

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """As argparse has it, but an argument that is not known is an error of the command it was given
        to."""
        if self._commands is None and args is not None:
            # Before what is missing is missed: the value of a misspelt option may stand in its place.
            for word in _options_in(args):
                if not any(known.startswith(word) for known in self._options):
                    self.error(f"there is no option {word}{_meant(word, self._options)}")
        found, unknown = super().parse_known_args(args, namespace)
        if unknown:
            what = "there is no option" if unknown[0].startswith("-") else "unexpected argument"
            self.error(f"{what} {unknown[0]}")
        return found, unknown

    def error(self, message: str) -> NoReturn:
        if unknown := _UNKNOWN_COMMAND.match(message):
            message = f"there is no command {unknown[1]}{_meant(unknown[1], list(self._commands.choices))}"
        elif about := _OF_ARGUMENT.match(message):
            option, text = about["names"].split("/")[-1], about["text"]
            self.exit(2, f"{self.prog}: {option}{' ' if text.startswith(_QUOTES) else ': '}{text}\n")
        self.print_usage(sys.stderr)
        self.exit(2, f"{self.prog}: {message}\n")


def add_settings(parser: argparse.ArgumentParser, kinds: Iterable[type]) -> None:
    """An argument for each field of these dataclasses. Where several have a field of one name, the argument
    is made as the first says, and all get its value."""
    known: set[str] = set()
    for kind in kinds:
        for field in fields(kind):
            if field.name not in known and not metadata_of(field).hidden:
                known.add(field.name)
                _add(parser, kind, field)


def settings_from(
    namespace: argparse.Namespace, kinds: Iterable[type], others: Mapping[str, Any] | None = None
) -> list[Any]:
    """A dataclass of each kind, with the arguments that were given, and `others`. An argument that is a
    setting of none of them is a TypeError, a value that cannot be used a ValueError that names the option."""
    kinds, given = list(kinds), {**vars(namespace), **(others or {})}
    names = {kind: [field.name for field in fields(kind)] for kind in kinds}
    if unknown := sorted(given.keys() - {name for kind in kinds for name in names[kind]}):
        raise TypeError(f"no setting of {', '.join(kind.__name__ for kind in kinds)}: {', '.join(unknown)}")
    try:
        return [kind(**{name: given[name] for name in names[kind] if name in given}) for kind in kinds]
    except SettingError as error:
        raise ValueError(f"{_option_of(error.name, kinds)} {error.rest}") from None


def option_strings(field: Field) -> list[str]:
    """The options of a field that is no positional argument: `--its-name` unless it says another."""
    known = metadata_of(field)
    if known.option:
        return known.option.split()
    return [f"--{'no-' if field.default is True else ''}{field.name.replace('_', '-')}"]


def _add(parser: argparse.ArgumentParser, kind: type, field: Field) -> None:
    known, (hint, _) = metadata_of(field), hint_of(kind, field.name)
    has_default = field.default is not MISSING and not known.required
    about: dict[str, Any] = {"default": argparse.SUPPRESS, "help": help_text(kind, field)}
    if hint is bool:
        about["action"] = "store_false" if field.default is True else "store_true"
    elif known.repeat or known.several:
        about |= {"action": _AppendToTuple, "type": _one(hint, known)}
        if known.several:
            about["nargs"] = "+"
    else:
        about["type"] = _one(hint, known)
    if hint is not bool:
        about["metavar"] = known.metavar or None
    if known.positional:
        if typing.get_origin(hint) is tuple:
            about |= {"nargs": "+", "action": _StoreTuple}
        elif has_default:
            about["nargs"] = "?"
        parser.add_argument(field.name, **about)
        return
    options = option_strings(field)
    if hint is not bool and not known.metavar:
        about["metavar"] = _placeholder(hint, options[-1])
    parser.add_argument(*options, dest=field.name, required=not has_default, **about)


def help_text(kind: type, field: Field) -> str:
    """Description, choices, bounds and default, for argparse."""
    known, (hint, _) = metadata_of(field), hint_of(kind, field.name)
    text = description_of(kind, field.name)
    if hint is bool:
        return ("without " if field.default is True else "") + text.replace("%", "%%")
    details = [known.bounds.replace("a value ", "")]
    if field.default not in (MISSING, None, "", ()) and not known.required:
        details.append(f"default: {_shown(field.default, hint)}")
    said = "; ".join(detail for detail in details if detail)
    return (f"{text} ({said})" if said else text).replace("%", "%%")


def _placeholder(hint: Any, option: str) -> str:
    if is_size(hint):
        return "HxW"
    name = option.lstrip("-").upper().replace("-", "_")
    return f"{name},..." if typing.get_origin(hint) is tuple else name


def _shown(default: Any, hint: Any) -> str:
    if isinstance(default, Enum):
        return str(default.value)
    if isinstance(default, tuple):
        return ("x" if is_size(hint) else ",").join(map(str, default))
    return f"{default:g}" if isinstance(default, float) else str(default)


def _one(hint: Any, known: Setting) -> Callable[[str], Any] | None:
    """The parser of one argument of a setting."""
    if known.parse:
        return _named(known.parse)
    if is_size(hint):
        return height_and_width
    if typing.get_origin(hint) is tuple:
        entry = typing.get_args(hint)[0]
        if known.positional or known.repeat or known.several:
            return _plain(entry, known)
        return _several(_plain(entry, known) or entry)
    return _plain(hint, known)


def _plain(hint: type, known: Setting) -> Callable[[str], Any] | None:
    if hint in (int, float):
        return _number(hint, known)
    return str if known.may_be_empty else None  # None: `_text`


def _number(kind: type, known: Setting) -> Callable[[str], Any]:
    """Parser of a number."""

    def parse(text: str) -> Any:
        try:
            return kind(text)
        except ValueError:
            wanted = "a whole number" if kind is int else "a number"
            bounds = f", {known.bounds}".replace(", a value", "") if known.bounds else ""
            raise argparse.ArgumentTypeError(f"{text!r}: use {wanted}{bounds}") from None

    return parse


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


def height_and_width(text: str) -> tuple[int, int]:
    """A size, as in 480x853."""
    try:
        height, width = map(int, text.split("x"))
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is not height x width, as in 480x853") from error
    return height, width


def _several(parse_one: Callable[[str], Any]) -> Callable[[str], tuple]:
    """Parser of values with commas between them."""

    def parse(text: str) -> tuple:
        return tuple(parse_one(part) for part in text.split(",") if part)

    return parse


def _named(parse: Callable[[str], Any]) -> Callable[[str], Any]:
    """The same, but with the ValueError's own words in argparse's message."""

    def parse_argument(text: str) -> Any:
        try:
            return parse(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return parse_argument


def _options_in(words: Iterable[str]) -> Iterator[str]:
    """The long options that a command line names; argparse takes what has spaces for a value."""
    for word in words:
        if word == "--":
            return
        if word.startswith("--") and " " not in word:
            yield word.split("=")[0]


def _meant(word: str, known: list[str]) -> str:
    """What an unknown word is probably meant to be, as the end of a message."""
    close = get_close_matches(word, known)
    close.sort(key=lambda one: sorted(one) != sorted(word))  # letters that changed places are likeliest
    return f": did you mean {close[0]}?" if close else ""


class _StoreTuple(argparse.Action):
    def __call__(self, parser: Any, namespace: Any, values: Any, option_string: Any = None) -> None:
        setattr(namespace, self.dest, tuple(values))


class _AppendToTuple(argparse.Action):
    def __call__(self, parser: Any, namespace: Any, values: Any, option_string: Any = None) -> None:
        more = values if isinstance(values, list) else [values]
        setattr(namespace, self.dest, (*getattr(namespace, self.dest, ()), *more))


def _option_of(name: str, kinds: Iterable[type]) -> str:
    """How the command line calls a setting; its name where it has no option."""
    for kind in kinds:
        for field in fields(kind):
            known = metadata_of(field)
            if field.name == name and not known.hidden:
                return known.metavar or name if known.positional else option_strings(field)[-1]
    return name
