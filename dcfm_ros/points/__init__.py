# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Labelled point clouds from masks and depth images, depth cameras' clouds or lidars. Without ROS."""
