# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The bond with a lifecycle manager, here a stand-in that follows the rule of Nav2's: after activating a node
it wants a bond with it, under the node's name as it was told it, on the topic `bond` of its own namespace,
within half of bond_timeout (4 s)."""

import signal

import pytest
from rclpy.node import Node

from dcfm_ros.ros import bond
from dcfm_ros.ros.bond import ManagerBond

BOND_TIMEOUT_S = 4.0
needs_bondpy = pytest.mark.skipif(bond.Bond is None, reason="bondpy is not installed (it is not on PyPI)")


class Manager:
    """A manager's bond with one node. name: the node's, relative to the manager's namespace, as in Nav2's
    parameter node_names."""

    def __init__(self, probe, namespace: str, name: str):
        self.probe, self.name, self.broken = probe, name, False
        self._node = Node("lifecycle_manager", namespace=namespace, context=probe.context)
        self._full_name = f"{namespace.rstrip('/')}/{name}"
        self._bond = None
        probe.add(self._node)

    def bring_up(self) -> None:
        assert self.probe.change("configure", self._full_name) and self.probe.change(
            "activate", self._full_name
        )
        self.broken = False
        self._bond = bond.Bond(self._node, "bond", self.name, on_broken=lambda: setattr(self, "broken", True))
        self._bond.set_heartbeat_timeout(BOND_TIMEOUT_S)
        self._bond.start()
        self.probe.spin_until(lambda: self._bond.sm.getState().getName() != "SM.WaitingForSister", "the bond")
        # bondpy watches for heartbeats from the second on.
        self.probe.spin_until(lambda: self._bond.heartbeat_timer.timer.is_alive(), "a heartbeat")

    def die(self) -> None:
        """Disappear like a killed process, without notice."""
        self._bond.on_broken = None
        self._bond.is_shutdown = True
        self._bond.heartbeat_timer.cancel()
        self._release()

    def let_go(self) -> None:
        if self._bond is not None:
            self._bond.shutdown()
            self._release()

    def close(self) -> None:
        self.let_go()
        self._node.destroy_node()

    def _release(self) -> None:
        self._node.destroy_subscription(self._bond.sub)
        self._node.destroy_publisher(self._bond.pub)
        self._bond = None


@pytest.fixture
def managed(processes, probe, model):
    """`managed(namespace, name, *arguments)`: a segmenter of that namespace, and its manager."""
    managers = []

    def start(namespace="/", name="dcfm/segmenter", *arguments):
        node_namespace, _, node = f"{namespace.rstrip('/')}/{name}".rpartition("/")
        process = processes(
            "segmenter",
            "-r",
            f"__node:={node}",
            "-r",
            f"__ns:={node_namespace}",
            "-p",
            f"model:={model}",
            "-p",
            "backend:=torch",
            "-p",
            "autostart:=false",
            *arguments,
        )
        managers.append(Manager(probe, namespace, name))
        return process, managers[-1]

    yield start
    for manager in managers:
        manager.close()


@needs_bondpy
@pytest.mark.parametrize(
    "namespace, name", [("/", "dcfm/managed"), ("/robot1", "dcfm/segmenter"), ("/robot1", "segmenter")]
)
def test_a_manager_brings_it_up_and_hears_of_its_death(managed, probe, namespace, name):
    process, manager = managed(namespace, name)
    manager.bring_up()
    process.signal(signal.SIGKILL)
    process.wait()
    probe.spin_until(lambda: manager.broken, "the end of the bond")


@needs_bondpy
def test_the_bond_ends_with_deactivation_and_is_made_anew(managed, probe):
    process, manager = managed("/", "dcfm/managed")
    for _ in range(2):
        manager.bring_up()
        assert probe.change("deactivate", "/dcfm/managed")
        probe.spin_until(lambda: manager.broken, "the end of the bond")
        manager.let_go()
        assert probe.change("cleanup", "/dcfm/managed")
    assert process.stop() == 0 and "Traceback" not in process.text(), process.text()


@needs_bondpy
def test_masks_go_on_without_the_manager(managed, probe):
    """Also when it has come and gone twice, each time without a word, as one that is killed."""
    process, manager = managed("/", "dcfm/managed")
    for number in (1, 2):
        manager.bring_up()
        manager.die()
        probe.spin_until(
            lambda: process.text().count("its lifecycle manager is gone; masks continue") == number,
            "its words",
        )
        assert probe.change("deactivate", "/dcfm/managed") and probe.change("cleanup", "/dcfm/managed")
    assert process.stop() == 0 and "Traceback" not in process.text(), process.text()


@pytest.mark.slow
def test_no_bond_where_the_node_starts_itself_or_is_told_not_to(processes, model, probe):
    for name, arguments in (("alone", ()), ("told", ("-p", "autostart:=false", "-p", "bond:=false"))):
        processes(
            "segmenter", "-r", f"__node:={name}", "-p", f"model:={model}", "-p", "backend:=torch", *arguments
        )
        if arguments:
            assert probe.change("configure", f"/dcfm/{name}") and probe.change("activate", f"/dcfm/{name}")
        probe.spin_until(lambda: probe.state(f"/dcfm/{name}") == "active", "the active node")
        assert name not in [
            publisher.node_name for publisher in probe.node.get_publishers_info_by_topic("/bond")
        ]


def test_without_bondpy_it_says_what_to_set(probe, monkeypatch, capfd):
    monkeypatch.setattr(bond, "Bond", None)
    ended = ManagerBond(probe.node)
    ended.start()
    ended.stop()
    assert "bondpy is not installed; give Nav2's manager bond_timeout 0.0" in capfd.readouterr().err


@pytest.mark.parametrize(
    "namespace, identity",
    [
        ("/dcfm", "dcfm/segmenter"),
        ("/robot1/dcfm", "dcfm/segmenter"),
        ("/robot1", "segmenter"),
        ("/", "segmenter"),
    ],
)
def test_its_name_is_relative_to_the_robots_namespace(probe, namespace, identity):
    node = Node("segmenter", namespace=namespace, context=probe.context)
    assert ManagerBond(node).id == identity
    node.destroy_node()
