# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The command `segmenter`, except that it reports ten times as often: tests wait for its diagnostics."""

from dcfm_ros.ros import health, segmenter_node


def main() -> int:
    health.REPORT_S /= 10
    health.RECENT_REPORTS *= 10  # the same time
    return segmenter_node.main()
