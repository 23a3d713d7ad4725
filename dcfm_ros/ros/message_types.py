# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Message classes by the name of their type."""

from __future__ import annotations

from importlib import import_module
from typing import Any


def message_class(name: str) -> Any:
    """Return the class of a type such as sensor_msgs/msg/Image. Raises ImportError if its package is not
    installed."""
    package, _, message = name.split("/")
    return getattr(import_module(f"{package}.msg"), message)
