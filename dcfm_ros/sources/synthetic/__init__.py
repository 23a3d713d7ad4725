# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Procedural street video with exact labels, a pure function of a seed."""
