# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""An executor that an error does not end: whoever is in the DDS domain may send a node what rclpy raises an
error for, such as a parameter of a type that does not exist."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable
from typing import Any, TypeVar

import rclpy
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor

_GIVE_UP_S = 10.0  # of nothing but errors: then the fault is not what was sent

Taken = TypeVar("Taken")


class GuardedExecutor(SingleThreadedExecutor):
    """Executor that logs and counts an error of a callback, a service or a malformed message, and goes on.

    Errors of files (OSError), such as a full disk, still end it: nodes that write have no use without. So
    does a time of _GIVE_UP_S in which nothing but errors came.
    """

    def __init__(self, **options: Any):
        super().__init__(**options)
        self.failures = 0  # errors since the start
        self.last_failure = ""
        self._failing_since_s: float | None = None
        self._log = rclpy.logging.get_logger("dcfm_ros")

    def spin_once(self, timeout_sec: float | None = None) -> None:
        try:
            super().spin_once(timeout_sec)
        except (OSError, ExternalShutdownException):
            raise
        except Exception as error:
            if not self.context.ok() or self._has_given_up():
                raise
            self._note(error)
        else:
            self._failing_since_s = None

    def _has_given_up(self) -> bool:
        if self._failing_since_s is None:
            self._failing_since_s = time.monotonic()
        return time.monotonic() - self._failing_since_s > _GIVE_UP_S

    def _note(self, error: Exception) -> None:
        self.failures += 1
        self.last_failure = f"{type(error).__name__}: {error}"
        where = traceback.extract_tb(error.__traceback__)[-1]
        self._log.error(
            f"a message or a request could not be handled, the node goes on: {self.last_failure} "
            f"({where.name}, line {where.lineno})",
            throttle_duration_sec=5.0,
        )

    # A message or request that cannot be read: rclpy would raise while the callback's group is marked as at
    # work, and never serve it again. These methods are private in rclpy; where they have other names,
    # `spin_once` still keeps the node alive.

    def _take_subscription(self, subscription):
        return self._guarded(super()._take_subscription, subscription)

    def _take_service(self, service):
        return self._guarded(super()._take_service, service)

    def _take_client(self, client):
        return self._guarded(super()._take_client, client)

    def _guarded(self, take: Callable[[Any], Taken], entity: Any) -> Taken | None:
        try:
            return take(entity)
        except Exception as error:
            self._note(error)
            return None
