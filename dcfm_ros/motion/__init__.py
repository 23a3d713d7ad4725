# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Estimates how a camera's scene moves from frame to frame."""
