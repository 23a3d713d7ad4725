# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What scripts/gpu_run.py is made of. Everything runs from the sources, without ROS and without a build."""
