"""Versions of what figures and weights depend on, for reports and training records."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version

import torch

PACKAGES = ("dcfm_ros", "torch", "openvino", "numpy", "opencv-python-headless")


def versions() -> dict[str, str]:
    """Of Python and of those PACKAGES that are installed by pip; the package itself is not where colcon builds it."""
    found = {"python": platform.python_version(), "torch": str(torch.__version__)}
    for package in PACKAGES:
        try:
            found.setdefault(package, version(package))
        except PackageNotFoundError:
            pass
    return found
