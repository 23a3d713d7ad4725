# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""For all tests."""

import gc


def pytest_collection_finish():
    """Libraries and collected tests stay: Python's collector need not look through them again and again."""
    gc.collect()
    gc.freeze()
