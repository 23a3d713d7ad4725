# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What figures and weights depend on, for reports and training records: versions, processor."""

from __future__ import annotations

import contextlib
import platform
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PACKAGES = ("dcfm_ros", "openvino", "numba", "numpy", "opencv-python-headless", "transformers")


def versions() -> dict[str, str]:
    """Of Python, of PyTorch and of those PACKAGES that are installed by pip; the package itself is not where
    colcon builds it."""
    import torch  # a machine without it is described, too

    return {"python": platform.python_version(), "torch": str(torch.__version__), **installed(PACKAGES)}


def installed(packages: Iterable[str]) -> dict[str, str]:
    """Versions of those packages that pip has installed."""
    found = {}
    for package in packages:
        with contextlib.suppress(PackageNotFoundError):
            found[package] = version(package)
    return found


def processor_name() -> str:
    """The processor as the system names it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):  # not Linux, or a processor whose kernel tells no name
        return platform.processor() or platform.machine()
