# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The bond that Nav2's lifecycle manager wants from each node that it has activated: a heartbeat, by
bondpy."""

from __future__ import annotations

from rclpy.node import Node

from dcfm_ros.ros.names import in_robot, robot_namespace

try:
    from bond.msg import Constants
    from bondpy.bondpy import Bond
except ImportError:  # not on PyPI; part of the distributions (bond_core)
    Bond = None

_HEARTBEAT_S = 0.1  # as Nav2's own nodes


class ManagerBond:
    """Kept while the node is active. For the executor's thread.

    The manager, which lives in the robot's namespace, names its end of the bond after its entry for the node,
    relative to that
    namespace: `dcfm/segmenter`. If it goes, masks go on: nobody else could tell whether they are still
        wanted.
    """

    def __init__(self, node: Node):
        self._node = node
        self._bond = None
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
        bond = Bond(
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
        # bondpy destroys them, but leaves them to the node, whose executor would go on to wait for them.
        self._node.destroy_subscription(bond.sub)
        self._node.destroy_publisher(bond.pub)
        self._forget_parameter()

    def _broken(self, bond) -> None:
        """On a thread of bondpy, or on the executor's."""
        self._forget_parameter()
        if self._bond is not bond:  # by our own stop
            return
        if bond.sister_instance_id is not None:  # a manager has been there
            self._node.get_logger().warning(
                f"the bond {self.id} is broken: its lifecycle manager is gone; masks go on"
            )
        else:
            self._node.get_logger().info(f"no lifecycle manager keeps a bond {self.id}; masks go on without")

    def _forget_parameter(self) -> None:
        """bondpy declares it at each lost heartbeat, which fails the second time."""
        if self._node.has_parameter(Constants.DISABLE_HEARTBEAT_TIMEOUT_PARAM):
            self._node.undeclare_parameter(Constants.DISABLE_HEARTBEAT_TIMEOUT_PARAM)
