# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Accuracy, consistency and steadiness of masks: NumPy arrays in, figures out."""
