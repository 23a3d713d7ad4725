# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Masks joined with geometry: labelled point clouds of depth images, of depth cameras' clouds and of lidars.
Without ROS."""
