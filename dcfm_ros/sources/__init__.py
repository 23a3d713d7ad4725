# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Sources of frames: recorded files, data sets and the procedural street video."""
