# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Configuration of Sphinx: `make docs`, and rosdoc2 (rosdoc2.yaml), which runs a copy of this folder.

The pages are plain Markdown with relative links, as GitHub shows them. Two things are made of them here: the
table of contents, from the lists in index.md; and, of links to files outside this folder, addresses.
"""

import inspect
import re
import sys
from dataclasses import fields, is_dataclass
from importlib.util import find_spec
from pathlib import Path, PurePosixPath
from xml.etree import ElementTree

HERE = Path.cwd() if "__file__" not in globals() else Path(__file__).parent
_MANIFEST = next(
    (folder / "package.xml" for folder in HERE.parents if (folder / "package.xml").is_file()), None
)
_PACKAGE = ElementTree.parse(_MANIFEST).getroot() if _MANIFEST else None
if _MANIFEST:
    sys.path.append(str(_MANIFEST.parent))  # where nothing is installed

project = "dcfm_ros"
author = "The dcfm_ros authors"
copyright = f"2026 {author}"
version = release = _PACKAGE.findtext("version") if _PACKAGE is not None else ""
_REPOSITORY = _PACKAGE.findtext("url[@type='repository']") if _PACKAGE is not None else ""

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.viewcode"]
if find_spec("sphinxcontrib") and find_spec("sphinxcontrib.mermaid"):
    extensions.append("sphinxcontrib.mermaid")
rosdoc2_settings = {"allow_other_extensions": True}
exclude_patterns = ["_build", "Thumbs.db", ".DS_Store"]
html_theme = "furo" if find_spec("furo") else "alabaster"
html_title = "dcfm_ros"

myst_heading_anchors = 4
myst_fence_as_directive = ["mermaid"] if "sphinxcontrib.mermaid" in extensions else []
myst_enable_extensions = []
suppress_warnings = ["misc.highlighting_failure"]  # console output in blocks of Python's or YAML's colours

# The API reference imports the package. A server has what package.xml names, but not what pip brings.
_FROM_PIP = ("av", "numba", "openvino", "safetensors", "torch")
autodoc_mock_imports = [name for name in _FROM_PIP if find_spec(name) is None]
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_preserve_defaults = True
autodoc_class_signature = "mixed"
default_role = "code"  # docstrings are Markdown in their use of `code`

linkcheck_ignore = [r".*example\.com.*", r"http://localhost.*"]  # placeholders of package.xml
linkcheck_anchors = False


def _contents(index: str) -> str:
    """Tables of contents of the lists in index.md: one for each heading, with the pages it lists."""
    tables = []
    for section in re.split(r"^## ", index, flags=re.MULTILINE)[1:]:
        caption = section.partition("\n")[0]
        pages = re.findall(r"^- \[[^\]]*\]\(((?!\.\.)[^)#:]+)\.(?:md|rst)\)", section, re.MULTILINE)
        if pages:
            listed = "\n".join(pages)
            tables.append(f"```{{toctree}}\n:caption: {caption}\n:hidden:\n\n{listed}\n```\n")
    return "\n".join(tables)


def _outside(page: PurePosixPath, text: str) -> str:
    """A page whose links to files outside this folder are addresses in the repository, or, where that is not
    known, no links."""

    def address(match: re.Match) -> str:
        words, link = match.groups()
        parts: list[str] = ["docs", *page.parent.parts]
        for part in link.split("/"):
            if part == "..":
                parts.pop()
            else:
                parts.append(part)
        if parts[0] == "docs":
            return match[0]
        return f"[{words}]({_REPOSITORY}/blob/main/{'/'.join(parts)})" if _REPOSITORY else words

    return re.sub(r"(?<!!)\[([^\]\n]*)\]\((\.\./[^)\s]*)\)", address, text)


def _read(app, name: str, source: list[str]) -> None:
    """Called by Sphinx with the text of each page before it is parsed."""
    if Path(app.env.doc2path(name)).suffix != ".md":
        return
    page = PurePosixPath(name.removeprefix("docs/"))  # rosdoc2 has this folder below its own pages
    source[0] = _outside(page, source[0])
    if name == "index":
        source[0] += "\n" + _contents(source[0])


def _described(kind: type) -> list[tuple[str, str]]:
    """The fields of a dataclass with what its settings, or the comments behind or above them, say."""
    source, found = inspect.getsource(kind).splitlines(), []
    for field in fields(kind):
        if "dcfm_ros" in field.metadata:
            text = field.metadata["dcfm_ros"].description
        else:
            number = next(i for i, line in enumerate(source) if re.match(rf"    {field.name}: ", line))
            above = []
            while (line := source[number - 1 - len(above)].strip()).startswith("# "):
                above.insert(0, line[2:])
            text = " ".join(above) or (source[number].partition("  # ")[2])
        found.append((field.name, text))
    return found


def _docstring(app, what: str, name: str, thing: object, options: object, lines: list[str]) -> None:
    """Called by Sphinx with each docstring: lines such as `name: meaning` become a list, as do the fields of
    dataclasses."""
    text = "\n".join(lines)
    text = re.sub(r"^(\w+(?:, \w+)*): (?=\S)", r"\n* ``\1``: ", text, flags=re.MULTILINE)
    text = re.sub(r"^ {4}(?=\S)", "  ", text, flags=re.MULTILINE)
    if what == "class" and is_dataclass(thing):
        text += "\n" + "".join(
            f"\n* ``{field}``: {text}" if text else f"\n* ``{field}``" for field, text in _described(thing)
        )
    lines[:] = [*text.splitlines(), ""]


def setup(app) -> None:
    app.connect("source-read", _read)
    app.connect("autodoc-process-docstring", _docstring)
