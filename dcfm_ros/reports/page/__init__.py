# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The page people look at after a recording was evaluated: figures, timeline, worst moments and video in one
file."""
