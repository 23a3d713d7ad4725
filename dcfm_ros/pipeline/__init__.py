# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The real-time pipeline: from frames to masks. Imports neither ROS nor a particular backend."""
