# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`dcfm demo`: its arguments."""

from __future__ import annotations

from dcfm_ros.ros.tools.options import DemoOptions

SETTINGS = (DemoOptions,)


def run(options: DemoOptions) -> None:
    try:
        from dcfm_ros.ros.tools.demo import run_demo
    except ModuleNotFoundError as error:
        raise RuntimeError(
            f"{error.name} is missing: the demo needs ROS 2; run `make demo`, or source a ROS distribution "
            "and this package"
        ) from error
    run_demo(options)
