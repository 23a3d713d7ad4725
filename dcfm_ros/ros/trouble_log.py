# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Writes lasting trouble of the diagnostics into the log, for those who watch that alone."""

from __future__ import annotations

from collections import Counter

from rclpy.node import Node


class TroubleLog:
    """Logs trouble once after it has lasted for some reports, and its end."""

    def __init__(self, node: Node, reports: int):
        """reports: one after the other, after which trouble is logged"""
        self._node, self._reports = node, reports
        self._wrong: Counter[str] = Counter()  # reports of trouble so far, by what they are about

    def note(self, about: str, is_trouble: bool, text: str) -> None:
        """Take note of a report. about: name of a camera, "" if there is only one thing to report about"""
        log, before = self._node.get_logger(), self._wrong[about]
        self._wrong[about] = before + 1 if is_trouble else 0
        line = f"{about}: {text}" if about else text
        if before + 1 == self._reports and is_trouble:
            log.warning(line)
        elif before >= self._reports and not is_trouble:
            log.info(line)
