#!/usr/bin/env python3
# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Writes the pages of docs/reference/ from the code: source scripts/env.bash && scripts/reference.py

test/test_reference.py holds that they are up to date. Needs the built package; nothing is started.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from reference_pages import command_line, diagnostics, messages, parameters, topics

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "reference"
PAGES = {
    "command_line.md": command_line.page,
    "diagnostics.md": diagnostics.page,
    "messages.md": messages.page,
    "parameters.md": parameters.page,
    "topics.md": topics.page,
}
NOTE = "<!-- Made by scripts/reference.py from the code: change that, and run it again. -->"


def text_of(name: str) -> str:
    """A page as it should be."""
    return f"{NOTE}\n\n{PAGES[name]().strip()}\n"


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    for name in PAGES:
        (FOLDER / name).write_text(text_of(name))
        print(f"docs/reference/{name}")


if __name__ == "__main__":
    main()
