# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""For all tests."""

import gc
import os
import sys
import tempfile

# Tests report to nobody, either: many load OpenVINO before the package, which sees to it (dcfm_ros/pipeline).
sys.modules.setdefault("openvino_telemetry", None)

# The user's caches are left alone. All processes of `make test` share those of its run: each network is
# converted once.
_caches = os.environ.get("DCFM_ROS_TEST_CACHES")
if not _caches:
    _temporary = tempfile.TemporaryDirectory(prefix="dcfm_ros_tests_")  # goes with this process
    _caches = _temporary.name
os.environ["XDG_CACHE_HOME"] = _caches


def pytest_collection_finish():
    """Libraries and collected tests stay: Python's collector need not look through them again and again."""
    gc.collect()
    gc.freeze()
