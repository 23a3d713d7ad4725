# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Evaluation of a model on labelled clips, calibration of AKS, and offline segmentation; masks come from the
pipeline."""
