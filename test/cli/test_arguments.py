# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Command lines made from dataclasses: arguments, help texts, refusals."""

from __future__ import annotations

import subprocess
import sys
from argparse import Namespace
from dataclasses import dataclass, fields

import pytest

from dcfm_ros.cli import COMMANDS, _module, make_parser
from dcfm_ros.cli.arguments import Parser, add_settings, settings_from
from dcfm_ros.pipeline.settings import BACKENDS, PRECISIONS, Mode
from dcfm_ros.setting_fields import check, metadata_of, setting


@dataclass
class Options:
    file: str = setting(description="a file", positional=True)
    rate_hz: float = setting(15.0, "images per second", above=0, unit="Hz", option="--rate")
    size: tuple[int, int] = setting((4, 6), "size", low=1, high=9, unit="pixels")
    kinds: tuple[str, ...] = setting(("a", "b"), "kinds, 100 %", choices=("a", "b", "c"))
    topics: tuple[str, ...] = setting((), "a topic", option="--topic", repeat=True)
    count: int | None = setting(None, "how many", low=1)
    page: bool = setting(True, "the page")
    fast: bool = setting(False, "be fast")
    inner: str = setting("x", hidden=True)

    def __post_init__(self):
        check(self)


@dataclass
class Others:
    count: int | None = setting(None, "the same")


def parsed(*words):
    parser = Parser(prog="test")
    add_settings(parser, (Options, Others))
    return parser.parse_args(words)


def test_what_is_not_given_is_as_the_dataclasses_have_it():
    assert settings_from(parsed("f"), (Options, Others)) == [Options("f"), Others()]


def test_what_is_given_is_of_the_fields_types():
    given = parsed(
        *("f", "--rate", "2", "--size", "3x5", "--kinds", "c,a", "--topic", "/a", "--topic", "/b"),
        *("--count", "2", "--no-page", "--fast"),
    )
    options, others = settings_from(given, (Options, Others), {"inner": "y"})
    assert options == Options("f", 2.0, (3, 5), ("c", "a"), ("/a", "/b"), 2, False, True, "y")
    assert others.count == 2  # a name that several have goes to all


def test_the_help_text_has_choices_bounds_units_and_defaults(capsys):
    with pytest.raises(SystemExit):
        parsed("--help")
    text = " ".join(capsys.readouterr().out.split())
    for part in (
        "--rate RATE images per second (above 0 Hz; default: 15)",
        "--size HxW size (1 to 9 pixels; default: 4x6)",
        "--kinds KINDS,... kinds, 100 % (a, b, c) (default: a,b)",
        "--count COUNT how many (1 or more)",
        "--no-page without the page",
        "--fast be fast",
    ):
        assert part in text, part
    assert "inner" not in text


def test_a_refusal_names_the_option():
    with pytest.raises(ValueError, match="^--rate 0.0: use a value above 0 Hz$"):
        settings_from(parsed("f", "--rate", "0"), (Options, Others))
    with pytest.raises(ValueError, match="^--kinds 'd': use some of a, b, c$"):
        settings_from(parsed("f", "--kinds", "d"), (Options, Others))


def test_an_argument_that_is_no_setting_is_an_error():
    with pytest.raises(TypeError, match="no setting of Others: speed"):
        settings_from(Namespace(count=1, speed=3), (Others,))


@pytest.mark.parametrize(
    "words, said",
    [
        (("f", "--size", "3"), "--size '3' is not height x width, as in 480x853"),
        (("f", "--count", "x"), "--count 'x': use a whole number, 1 or more"),
        (("f", "--rate", "fast"), "--rate 'fast': use a number above 0 Hz"),
        (("f", "--topic", ""), "--topic '' is empty: give a value, or leave the argument out"),
        (("f", "--rate"), "--rate: expected one argument"),
    ],
)
def test_a_value_that_cannot_be_used_is_one_line(words, said, capsys):
    with pytest.raises(SystemExit) as end:
        parsed(*words)
    assert (end.value.code, capsys.readouterr().err) == (2, f"test: {said}\n")


@pytest.mark.parametrize(
    "words, said",
    [
        ((), "the following arguments are required: file"),
        (("f", "--raet", "3"), "there is no option --raet: did you mean --rate?"),
        (("--raet", "3"), "there is no option --raet: did you mean --rate?"),  # 3 is not taken for the file
        (("f", "--raet=3"), "there is no option --raet: did you mean --rate?"),
        (("f", "--quite-another"), "there is no option --quite-another"),
        (("f", "-q"), "there is no option -q"),
        (("f", "g"), "unexpected argument g"),
    ],
)
def test_wrong_usage_has_the_usage_and_what_was_meant(words, said, capsys):
    with pytest.raises(SystemExit) as end:
        parsed(*words)
    errors = capsys.readouterr().err
    assert end.value.code == 2 and errors.startswith("usage: test [-h] [--rate RATE]")
    assert errors.splitlines()[-1] == f"test: {said}"


def test_words_that_only_look_like_options_are_values():
    assert parsed("--no such file").file == "--no such file"
    assert parsed("--", "--raet").file == "--raet"
    assert parsed("f", "--ra", "2").rate_hz == 2  # the beginning of an option is enough


@pytest.mark.parametrize(
    "words, usage, said",
    [
        (
            "segment pics --modle street11",
            "dcfm segment ",
            "there is no option --modle: did you mean --model?",
        ),
        ("bag make a b --frmaes 3", "dcfm bag make ", "there is no option --frmaes: did you mean --frames?"),
        ("segmnt pics", "dcfm ", "there is no command segmnt: did you mean segment?"),
        ("bag mak pics", "dcfm bag ", "there is no command mak: did you mean make?"),
        ("fly", "dcfm ", "there is no command fly"),
    ],
)
def test_the_usage_is_that_of_the_command(words, usage, said, capsys):
    with pytest.raises(SystemExit):
        make_parser(words.split()).parse_args(words.split())
    errors = capsys.readouterr().err
    assert errors.startswith(f"usage: {usage}") and errors.endswith(f"{usage.strip()}: {said}\n")


@pytest.mark.parametrize("command", COMMANDS)
def test_every_argument_is_described(command):
    for kind in _module(COMMANDS[command]).SETTINGS:
        for field in fields(kind):
            assert metadata_of(field).description, f"{kind.__name__}.{field.name}"


@pytest.mark.parametrize(
    "command, texts",
    [
        ("demo", (", ".join(BACKENDS), ", ".join(PRECISIONS), ", ".join(mode.value for mode in Mode))),
        ("bag evaluate", ("--labels", "--topic", "--workers", "--ray", "--viewer", "--no-page", "BAG")),
        ("train", ("config", "--out", "--data", "--device", "--resume", "--minutes")),
    ],
)
def test_help_of_commands(command, texts, capsys):
    with pytest.raises(SystemExit):
        make_parser([*command.split(), "--help"]).parse_args([*command.split(), "--help"])
    output = " ".join(capsys.readouterr().out.split())
    assert all(text in output for text in texts)


def test_help_needs_no_heavy_libraries():
    """They take seconds to load."""
    code = f"""
import contextlib, io, sys
from dcfm_ros.cli import COMMANDS, main
with contextlib.redirect_stdout(io.StringIO()):
    for command in ("", "bag", "model", *COMMANDS):
        try:
            main([*command.split(), "--help"])
        except SystemExit as end:
            assert end.code == 0, command
print([name for name in {HEAVY!r} if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.stdout == "[]\n", done.stdout + done.stderr


HEAVY = ("torch", "cv2", "numpy", "matplotlib", "rosbags", "rclpy", "openvino", "yaml", "tqdm")
