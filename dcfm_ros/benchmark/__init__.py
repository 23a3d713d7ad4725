# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`dcfm benchmark`: per-frame networks and DCFM from image in to mask out, interleaved."""
