# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Names that come with a recording or a model stay text in pages, whatever is in them: the same elements and
attributes as with harmless names, and no script but the page's own."""

import base64
import hashlib
import json
import re
from html.parser import HTMLParser

import pytest
from injection_helpers import HARMLESS, NAMES, index_of, page_of


class Structure(HTMLParser):
    """Elements with the names of their attributes, and what could run or lead somewhere."""

    def __init__(self, html):
        super().__init__(convert_charrefs=True)
        self.elements, self.scripts, self.addresses, self.text, self.others = [], [], [], [], []
        self._inside = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, tuple(name for name, _ in attributes)))
        self._inside = tag
        if tag == "script":
            self.scripts.append([dict(attributes).get("type"), ""])
        self.addresses += [value for name, value in attributes if name in ("href", "src")]

    def handle_endtag(self, tag):
        self.elements.append((f"/{tag}", ()))
        self._inside = ""

    def handle_data(self, data):
        if self._inside == "script":
            self.scripts[-1][1] += data
        elif self._inside != "style":
            self.text.append(data)

    def handle_comment(self, data):
        self.others.append(data)

    handle_pi = unknown_decl = handle_comment


@pytest.mark.parametrize("make", [page_of, index_of])
def test_names_make_no_elements_and_no_attributes(tmp_path, make):
    usual = Structure(make(tmp_path, HARMLESS))
    assert "".join(usual.text).count(HARMLESS) >= 6
    for name in NAMES:
        html = make(tmp_path, name)
        found = Structure(html)
        assert found.elements == usual.elements, name
        assert found.others == usual.others, name
        # The data beside the page's own script is JSON, and what that script was before it is again.
        assert [kind for kind, _ in found.scripts] == [kind for kind, _ in usual.scripts]
        for (kind, text), (_, before) in zip(found.scripts, usual.scripts):
            assert json.loads(text) is not None if kind == "application/json" else text == before
        # No control characters but ends of lines: none to hide in, none that turn the direction.
        assert not re.search(
            "[\\x00-\\x08\\x0b-\\x1f\\x7f-\\x9f\\u200e\\u200f\\u202a-\\u202e\\u2066-\\u2069\\ufeff]", html
        ), name


def test_links_lead_to_files_beside_the_page(tmp_path):
    for name in NAMES:
        for address in Structure(index_of(tmp_path, name)).addresses:
            assert address == "data:," or re.fullmatch(r"\./[\w.%/~-]+/report\.html", address, re.ASCII), name


def test_no_script_may_run_but_the_pages_own(tmp_path):
    """The policy names its digest, so that a browser runs nothing else, even if something got in."""
    html = page_of(tmp_path, HARMLESS)
    (policy,) = re.findall(r'<meta http-equiv="Content-Security-Policy" content="(.*?)">', html)
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    (script,) = [text for kind, text in Structure(html).scripts if kind is None]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert rules["script-src"] == f"'sha256-{digest}'" and rules["default-src"] == "'none'"
    assert rules["base-uri"] == rules["form-action"] == "'none'"
    assert html.index(policy) < html.index("<title>")  # it holds for what comes after it
    index = index_of(tmp_path, HARMLESS)
    assert "script-src" not in index and "default-src 'none'" in index and "<script" not in index
