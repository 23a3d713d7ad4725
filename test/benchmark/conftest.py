# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""All these tests run networks on tiny images."""

from helpers import one_thread  # noqa: F401
