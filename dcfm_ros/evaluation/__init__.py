# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Metrics and the pictures that show a run; the masks themselves come from the pipeline."""
