# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""docs/reference/ says what the code does: the pages are those that scripts/reference.py makes now."""

import pytest

pytest.importorskip("rclpy")

from reference import FOLDER, PAGES, text_of
from reference_pages import markdown, messages


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_up_to_date(name):
    assert (FOLDER / name).read_text() == text_of(name), "run scripts/reference.py"


def test_all_pages_are_made():
    assert {path.name for path in FOLDER.iterdir()} == {*PAGES}


def test_a_message_is_read():
    about, fields, constants = messages.read(
        "# One\n# thing.\n\n# More of it.\n\n# How long.\nfloat32 time_s\n"
        '# Best.\nstring KIND_A="a"\n# Which.\nstring kind\n'
    )
    assert about == "One thing. More of it."
    assert fields == [("`time_s`", "`float32`", "How long."), ("`kind`", "`string`", "Which.")]
    assert constants == [("`KIND_A`", "`a`", "Best.")]


def test_cells_hold_any_text():
    assert markdown.cell("a | b\nc <x> `<y>`") == "a \\| b c &lt;x> `<y>`"


@pytest.mark.parametrize("text", ["mono8, value", "a_name of", "8UC1", "`code` is"])
def test_names_keep_their_first_letter(text):
    assert markdown.sentence(text) == f"{text}."


def test_pages_that_are_named_are_links():
    assert markdown.sentence("as told (docs/method.md)") == "As told ([method](../method.md))."
