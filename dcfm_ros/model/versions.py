# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What figures and weights depend on, for reports and training records: versions, processor."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

PACKAGES = ("dcfm_ros", "torch", "openvino", "numba", "numpy", "opencv-python-headless", "transformers")


def versions() -> dict[str, str]:
    """Of Python and of those PACKAGES that are installed by pip; the package itself is not where colcon builds it."""
    found = {"python": platform.python_version(), "torch": str(torch.__version__)}
    for package in PACKAGES:
        try:
            found.setdefault(package, version(package))
        except PackageNotFoundError:
            pass
    return found


def processor_name() -> str:
    """The processor as the system names it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):   # not Linux, or a processor whose kernel tells no name
        return platform.processor() or platform.machine()
