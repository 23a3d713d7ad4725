# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Bond with Nav2's lifecycle manager, which expects a heartbeat (bondpy) from each node that it has
activated."""

from __future__ import annotations

from typing import Any

from rclpy.node import Node

from dcfm_ros.ros.names import in_robot, robot_namespace

try:
    from bond.msg import Constants
    from bondpy.bondpy import Bond
except ImportError:  # not on PyPI; part of the distributions (bond_core)
    Bond = None

_HEARTBEAT_S = 0.1  # same as Nav2's own nodes


class ManagerBond:
    """The node's end of the bond, while the node is active. For the executor's thread.

    The manager is in the robot's namespace and names its end of the bond after its entry for the node,
    relative to that namespace: `dcfm/segmenter`. If the manager disappears, masks continue, since other nodes
    may still need them.
    """

    def __init__(self, node: Node):
        self._node = node
        self._bond: Any = None  # a bondpy.Bond
        self.id = (
            node.get_fully_qualified_name().removeprefix(robot_namespace(node.get_namespace())).lstrip("/")
        )

    def start(self) -> None:
        log = self._node.get_logger()
        if Bond is None:
            log.info(
                "no bond with a lifecycle manager: bondpy is not installed; give Nav2's manager bond_timeout "
                "0.0"
            )
            return
        bond: Any = Bond(
            self._node,
            in_robot(self._node.get_namespace(), "bond"),
            self.id,
            on_broken=lambda: self._broken(bond),
        )
        bond.set_heartbeat_period(_HEARTBEAT_S)
        self._bond = bond
        bond.start()

    def stop(self) -> None:
        if self._bond is None:
            return
        bond, self._bond = self._bond, None
        bond.shutdown()  # tells the manager
        # bondpy destroys these but does not remove them from the node, whose executor would keep waiting for
        # them.
        self._node.destroy_subscription(bond.sub)
        self._node.destroy_publisher(bond.pub)
        self._forget_parameter()

    def _broken(self, bond) -> None:
        """Log a broken bond. Called on a thread of bondpy, or on the executor's."""
        self._forget_parameter()
        if self._bond is not bond:  # broken by our own `stop`
            return
        if bond.sister_instance_id is not None:  # there was a manager
            self._node.get_logger().warning(
                f"the bond {self.id} is broken: its lifecycle manager is gone; masks continue"
            )
        else:
            self._node.get_logger().info(
                f"no lifecycle manager has a bond {self.id}; masks continue without one"
            )

    def _forget_parameter(self) -> None:
        """Undeclare bondpy's parameter: bondpy declares it at each lost heartbeat, which fails the second
        time."""
        if self._node.has_parameter(Constants.DISABLE_HEARTBEAT_TIMEOUT_PARAM):
            self._node.undeclare_parameter(Constants.DISABLE_HEARTBEAT_TIMEOUT_PARAM)
