# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Where frames come from: recorded files, cameras and the procedural street video."""
