# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Training: clips, augmentation, losses and the loop. Does not import ROS."""
