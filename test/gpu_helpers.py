# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Steps of a run on a GPU machine, made up; and an environment that holds what it may count on, and nothing
else."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from gpu.steps import REPORT, Step

PACKAGES = (
    "torch",
    "triton",
    "numba",
    "opencv-python-headless",
    "pillow",
    "safetensors",
    "PyYAML",
    "tqdm",
    "setuptools",
)


def python(*lines, **how):
    """A step that runs these lines; REPORT is `report` there."""
    text = "import json, os, signal, sys, time; report = sys.argv[1]\n" + "\n".join(lines)
    return Step("a step", (sys.executable, "-c", text, REPORT), **how)


def empty_environment(folder: Path) -> Path:
    """A virtual environment with PACKAGES and what they require, as links; returns its interpreter."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    site = next((folder / "lib").glob("python*")) / "site-packages"
    for package in sorted(_with_requirements(PACKAGES)):
        found = distribution(package)
        tops = {
            file.parts[0] for file in found.files or () if not file.parts[0].startswith((".", "__pycache__"))
        }
        for top in tops:
            origin, link = Path(found.locate_file(top)), site / top
            if origin.exists() and not link.exists():
                link.symlink_to(origin)
    return folder / "bin" / "python"


def _with_requirements(packages) -> set[str]:
    """All that is installed of them; what they need for extras or other systems is not asked for."""
    found, open_ = set(), list(packages)
    while open_:
        name = re.sub(r"[-_.]+", "-", open_.pop()).lower()
        if name in found:
            continue
        try:
            needs = distribution(name).requires or []
        except PackageNotFoundError:
            continue
        found.add(name)
        open_ += [re.match(r"[A-Za-z0-9._-]+", need)[0] for need in needs if "extra ==" not in need]
    return found
