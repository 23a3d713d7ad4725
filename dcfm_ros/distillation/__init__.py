# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Distillation: a per-frame network teaches a DCFM model on video without labels."""
