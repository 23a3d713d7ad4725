#!/usr/bin/env python3
# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Locks the environment that `make setup` makes without a ROS distribution: writes requirements/lock/ from
requirements/, with every package that those bring along and the hashes of its files. `make lock` runs it.

    scripts/lock.py [--uv PATH]

Each file is for all Pythons that the package supports, by markers. What belongs to PyTorch is apart: where it
fits the machine better, scripts/install_torch.bash takes that from another index, whose files have other
hashes.
"""

from __future__ import annotations

import argparse
import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
REQUIREMENTS, LOCK = ROOT / "requirements", ROOT / "requirements" / "lock"
OLDEST_PYTHON = "3.10"
OF_PYTORCH = re.compile(r"(torch|nvidia-|cuda-)[a-z0-9-]*==")  # the build for GPUs brings CUDA along
HEADER = """\
# Made by `make lock`: change requirements/*.txt, and run it again.
"""


def compiled(uv: str, *names: str, complete: bool = True) -> str:
    """These files of requirements/ with all that they bring along (`complete`), pinned and with hashes."""
    return subprocess.run(
        [
            *(uv, "pip", "compile", "--quiet", "--universal", "--python-version", OLDEST_PYTHON),
            *("--generate-hashes", "--no-header", "--no-annotate", "--no-emit-index-url"),
            *(() if complete else ("--no-deps",)),
            *(str(REQUIREMENTS / name) for name in names),
        ],
        check=True,
        capture_output=True,
        text=True,
    ).stdout


def split(text: str) -> tuple[str, str]:
    """The entries of PyTorch, and the others; each is a line with others below that are indented."""
    entries = re.findall(r"^\S.*\n(?:[ \t]+.*\n)*", text, re.MULTILINE)
    of_pytorch = [entry for entry in entries if OF_PYTORCH.match(entry)]
    return "".join(of_pytorch), "".join(entry for entry in entries if entry not in of_pytorch)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n\n")[0])
    parser.add_argument("--uv", default="uv", help="the program uv (default: %(default)s)")
    uv = parser.parse_args().uv
    try:
        torch, wheels = split(compiled(uv, "core.txt", "ros.txt", "test.txt"))
        data = compiled(uv, "data.txt", complete=False)
    except subprocess.CalledProcessError as error:
        raise SystemExit(f"uv finds no set of packages, or no network:\n{error.stderr}") from None
    except FileNotFoundError:
        raise SystemExit(f"{uv} is not installed: run `make lock`, or pip install uv") from None
    LOCK.mkdir(exist_ok=True)
    for name, text in (("torch", torch), ("wheels", wheels), ("data", data)):
        (LOCK / f"{name}.txt").write_text(HEADER + text)


if __name__ == "__main__":
    main()
