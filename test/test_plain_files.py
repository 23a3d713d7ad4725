# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""YAML and JSON from anyone: small files that ask for much are refused at once, by what is wrong in them."""

import json
import time

import pytest
import yaml

from dcfm_ros.plain_files import (
    MAX_YAML_BYTES,
    PlainFileError,
    check_yaml,
    parse_json,
    parse_yaml,
    read_json,
    read_yaml,
)

TEN = ", ".join(["x"] * 10)
BOMB = f"a: &a [{TEN}]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 10)}]\n" for before, name in zip("abcdefgh", "bcdefghi")
)


def refused(text: str | bytes) -> str:
    """The refusal of a file; it comes within a second."""
    start = time.process_time()
    with pytest.raises(PlainFileError) as caught:
        parse_yaml(text)
    assert time.process_time() - start < 1 and "\n" not in str(caught.value)
    return str(caught.value)


def test_what_people_write_is_read_as_pyyaml_reads_it(tmp_path):
    text = (
        "# a comment\nname: straße\nsize: [360, 480]\nrate: 1.5e-3\non: {yes: no, 1: ~}\nlater: 2026-01-02\n"
        "base: &base {a: 1, b: [2, 3]}\nother: {<<: *base, b: 4}\nagain: *base\n"
    )
    (tmp_path / "a.yaml").write_text(text, encoding="utf-8")
    assert read_yaml(tmp_path / "a.yaml") == parse_yaml(text) == yaml.safe_load(text)
    assert parse_yaml("\ufeffa: 1".encode()) == {"a": 1}


def test_aliases_of_aliases():
    assert refused(BOMB) == "line 4: aliases of aliases become too many entries"
    assert "too many entries" in refused("".join(BOMB.replace("[", "{<<: [").replace("]", "]}")))
    assert len(parse_yaml(f"a: &a [{TEN}]\nb: [{', '.join(['*a'] * 900)}]")["b"]) == 900  # few are as written


def test_an_alias_of_what_it_lies_in():
    assert refused("a: &a [1, *a]") == "line 1: the alias *a has no anchor before it"


@pytest.mark.parametrize("sign", ["[", "{a: ", "- ", "? "])
@pytest.mark.parametrize("count", [101, 100_000])
def test_entries_within_entries(sign, count):
    assert refused(sign * count) == "line 1: its entries are nested too deep"


def test_only_what_would_become_too_much_is_checked_for_other_readers(tmp_path):
    file = tmp_path / "a.yaml"
    for text in (BOMB, "[" * 101, "x" * (MAX_YAML_BYTES + 1)):
        file.write_text(text)
        with pytest.raises(PlainFileError):
            check_yaml(file)
    for text in ("a:\n- [1,\n", "a: !mine 1", "a: 2024-13-45", f"a: {'9' * 30}", "a: \\u0000"):
        file.write_text(text)
        check_yaml(file)
    file.write_bytes(b"a: \xff")
    check_yaml(file)


@pytest.mark.parametrize(
    "text, what",
    [
        ("a:\n- [1,\n", "line 3, column 1: did not find expected node content"),
        ("a: b: c", "line 1, column 5: mapping values are not allowed in this context"),
        (b"a: \xff", "'utf-8' codec can't decode byte 0xff"),
        ("a: 2024-13-45", "month must be in 1..12"),
        ("a: !!bool maybe", "not of the type that its tag says"),
        ("a: !!timestamp x", "not of the type that its tag says"),
        ("a: !!python/object/apply:os.system [echo]", "could not determine a constructor for the tag"),
        ("a:\n- 0x" + "f" * 5000, "line 2: a whole number of more than 64 bits"),
        ("a: " + "9" * 5000, "Exceeds the limit"),
        ('a: "b\\0"', "it holds text with the sign U\\+0000"),
        ("a: 'x'\n" * (MAX_YAML_BYTES // 7 + 1), "it is longer than 16 MiB"),
    ],
)
def test_what_is_wrong_is_said(text, what):
    with pytest.raises(PlainFileError, match=what):
        parse_yaml(text)


def test_json_is_read_as_python_reads_it(tmp_path):
    plain = {"a": [1, -2.5, None, True, "😀"], "b": {"c": 2**63}}
    (tmp_path / "a.json").write_text(json.dumps(plain))
    assert read_json(tmp_path / "a.json") == plain
    assert parse_json(b"\xef\xbb\xbf{}") == {}


@pytest.mark.parametrize(
    "text, what",
    [
        (b"[1,", "Expecting value"),
        (b'"\xff"', "'utf-8' codec can't decode byte 0xff"),
        (b"[" * 100_000, "its entries are nested too deep"),
        (b"[" + b"9" * 25 + b"]", "it holds a whole number of more than 64 bits"),
        (b"[" + b"9" * 5000 + b"]", "it holds a whole number of more than 64 bits"),
        (b'["\\ud800"]', "it holds text with the sign U\\+D800"),
        (b'["\\u0000"]', "it holds text with the sign U\\+0000"),
    ],
)
def test_json_that_is_refused(text, what):
    with pytest.raises(PlainFileError, match=what):
        parse_json(text)
