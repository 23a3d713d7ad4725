# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Folder of ROS's log files: rcl does not start without one, so another or none is used if the default is not
writable."""

from __future__ import annotations

import os
from pathlib import Path

from dcfm_ros import environment

_WITHOUT_FILES = ["--ros-args", "--disable-external-lib-logs"]


def prepare_log_folder() -> list[str]:
    """Set ROS_LOG_DIR so that rcl starts. Returns arguments for ROS that disable log files if there is no
    folder."""
    usual = _usual_folder()
    if usual is not None and environment.is_writable(usual):
        os.environ["ROS_LOG_DIR"] = str(usual)  # rcl itself only uses HOME, not the account's home folder
        return []
    why = f"{usual} cannot be written" if usual else "there is no home folder"
    place = environment.temporary_folder()
    if place is None:
        environment.say_once(f"{why}: ROS writes no log files; set ROS_LOG_DIR to a folder of yours")
        return _WITHOUT_FILES
    environment.say_once(
        f"{why}: ROS's log files go to {place / 'log'}; set ROS_LOG_DIR to a folder of yours to keep them "
        "elsewhere"
    )
    os.environ["ROS_LOG_DIR"] = str(place / "log")
    return []


def _usual_folder() -> Path | None:
    """Return the folder in which rcl writes log files."""
    home = environment.home()
    if folder := os.environ.get("ROS_LOG_DIR"):
        return Path(folder).expanduser() if home else Path(folder)
    if folder := os.environ.get("ROS_HOME"):
        return (Path(folder).expanduser() if home else Path(folder)) / "log"
    return home / ".ros" / "log" if home else None
