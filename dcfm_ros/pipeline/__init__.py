# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The real-time pipeline: from frames to masks. Imports neither ROS nor a particular backend."""

import sys

# Before OpenVINO and NNCF are imported anywhere below: they then take stubs of their own instead, report to
# nobody, and fork no process to do so.
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]  # None is "not found"
