# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""TensorRT, on an NVIDIA GPU."""
