# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Versions for records."""

import platform

import numpy as np

from dcfm_ros.model import versions as versions_module
from dcfm_ros.model.versions import versions


def test_what_is_installed_is_there_and_nothing_else(monkeypatch):
    monkeypatch.setattr(versions_module, "PACKAGES", ("numpy", "no-such-package-of-ours"))
    assert versions() == {"python": platform.python_version(), "numpy": np.__version__}
