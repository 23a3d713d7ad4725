# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`dcfm plan`: which model, at which keyframe rate, this machine can hold."""
