# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Links between pages: each file and each heading that a page links to is there. `make docs-links` asks for
external addresses, which needs a network."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = sorted(
    path
    for pattern in ("*.md", "docs/**/*.md", "config/**/*.md")
    for path in ROOT.glob(pattern)
    if path.is_file()
)
CODE = ["setup.py"] + [
    path.relative_to(ROOT).as_posix()
    for folder in ("dcfm_ros", "test", "scripts", "docs", "launch")
    for path in (ROOT / folder).rglob("*")
    if path.suffix in (".py", ".bash", ".sh")
]
LINK = re.compile(r"!?\[(?:[^\]\[]|\[[^\]]*\])*\]\(([^)\s]+)\)")


def prose(path: Path) -> str:
    """A page without its blocks of code."""
    return re.sub(r"^ *```.*?^ *```", "", path.read_text(), flags=re.DOTALL | re.MULTILINE)


def anchors(path: Path) -> set[str]:
    """The anchors that GitHub, and Sphinx with MyST, give a page's headings."""
    found: set[str] = set()
    for heading in re.findall(r"^#+ +(.+?) *$", prose(path), re.MULTILINE):
        text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        slug = re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-")
        number = 0
        while (name := f"{slug}-{number}" if number else slug) in found:
            number += 1
        found.add(name)
    return found


def broken(page: Path) -> list[str]:
    """Links of a page that lead nowhere."""
    wrong = []
    for link in LINK.findall(prose(page)):
        if re.match(r"\w+:", link):
            continue
        file, _, anchor = link.partition("#")
        target = (page.parent / file).resolve() if file else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            wrong.append(link)
    return wrong


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    assert broken(page) == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_files_of_code_that_are_named_are_there(page):
    named = set(re.findall(r"`([\w./-]+\.(?:py|bash|sh))(?::[^`]*)?`", prose(page)))
    assert [name for name in sorted(named) if not any(f"/{path}".endswith(f"/{name}") for path in CODE)] == []


def test_every_page_is_in_the_table_of_contents():
    index = ROOT / "docs" / "index.md"
    listed = {(index.parent / link).resolve() for link in LINK.findall(prose(index))}
    pages = {path for path in (ROOT / "docs").rglob("*") if path.suffix in (".md", ".rst")} - {index}
    assert pages <= listed


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_text().splitlines()) <= 130


def test_the_finder_of_broken_links(tmp_path):
    page = tmp_path / "a.md"
    (tmp_path / "b.md").write_text("# One `two`: three\n\n## Same\n\n## Same\n")
    page.write_text(
        "# A\n[x](b.md) [x](b.md#one-two-three) [x](b.md#same-1) [x](#a) [x](https://a.b/c) ![x](b.md)\n"
        "```\n[x](in_code.md)\n```\n[x](c.md) [x](b.md#other) [x](#b) [![x](b.md)](d.md)\n"
    )
    assert broken(page) == ["c.md", "b.md#other", "#b", "d.md"]
