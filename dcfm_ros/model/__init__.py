# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The DCFM networks: backbones, fusion, heads, configuration and checkpoints. Imports neither ROS nor the
pipeline."""
