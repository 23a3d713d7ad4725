# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Startup and shutdown of the package's ROS processes."""

from __future__ import annotations

import os
import re
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import rclpy
from ament_index_python.packages import get_package_share_directory
from rclpy._rclpy_pybind11 import RCLError, UnknownROSArgsError
from rclpy.context import Context
from rclpy.exceptions import ParameterException
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions
from rclpy.utilities import remove_ros_args

from dcfm_ros.interrupts import set_stop_handlers
from dcfm_ros.pipeline.memory import tune_malloc
from dcfm_ros.ros import shared_memory
from dcfm_ros.ros.discovery import why_not_found
from dcfm_ros.ros.given_parameters import warn_of_unused, why_too_much, why_unreadable
from dcfm_ros.ros.guarded_executor import GuardedExecutor
from dcfm_ros.ros.log_folder import prepare_log_folder

_USER_CHECK_S = 5.0  # period of the check for other users' processes


def start(arguments: list[str] | None) -> None:
    """Initialise ROS without its signal handlers, so that a mask in progress is finished before shutdown."""
    tune_malloc()
    arguments = sys.argv if arguments is None else arguments
    os.environ.update(
        shared_memory.dds_environment(
            Path(get_package_share_directory("dcfm_ros")) / "config" / "fastdds.xml"
        )
    )
    initialise([*arguments, *prepare_log_folder()])
    if lack := shared_memory.lack_of_room():
        rclpy.logging.get_logger("dcfm_ros").warning(lack)


def initialise(arguments: list[str], context: Context | None = None) -> None:
    """Let ROS read the arguments of a process, and the files that they name. SystemExit says what is wrong
    with them."""
    name, unreadable = Path(sys.argv[0]).name, "the parameters file cannot be read"
    if wrong := why_too_much(arguments):
        raise SystemExit(f"{name}: {unreadable}: {wrong}")
    try:
        _check_arguments(arguments)
        rclpy.init(args=arguments, context=context, signal_handler_options=SignalHandlerOptions.NO)
    except (
        RCLError,
        UnknownROSArgsError,
        UnicodeError,
    ) as error:  # for example a parameters file that is missing or not YAML
        if wrong := why_unreadable(arguments):
            raise SystemExit(f"{name}: {unreadable}: {wrong}") from None
        reason = re.sub(r", at \S+:\d+", "", str(error).removeprefix("failed to initialize rcl: "))
        raise SystemExit(
            f"{name}: {reason}: give a file that exists and is YAML of ROS, -p name:=value, -r from:=to"
        ) from None


def _check_arguments(arguments: list[str]) -> None:
    """Exit with the usage if there are arguments other than ROS's."""
    name, *others = remove_ros_args(arguments) or [""]
    usage = (
        f"usage: {Path(name).name} --ros-args -p NAME:=VALUE --params-file FILE -r __ns:=/NAMESPACE; while "
        "it runs, `ros2 param describe NODE NAME` describes its parameters"
    )
    if {"-h", "--help"} & set(others):
        print(usage)
        raise SystemExit(0)
    if others:
        raise SystemExit(f"{Path(name).name}: unknown arguments {' '.join(others)}; {usage}")


def stop_on_signal() -> threading.Event:
    """Return an event that SIGINT and SIGTERM set from now on, for an orderly exit even while a model is
    being loaded."""
    stop = threading.Event()

    def end(*_) -> None:
        # A second signal while the event is being set would wait for its lock, which this thread holds.
        set_stop_handlers(signal.SIG_IGN)
        stop.set()

    set_stop_handlers(end)
    return stop


SomeNode = TypeVar("SomeNode", bound=Node)


def create(kind: Callable[[], SomeNode]) -> SomeNode:
    """Create a node of this class. Invalid parameters, or a missing library, end the process with a message
    instead of a traceback."""
    try:
        return kind()
    except (ValueError, OSError, ParameterException, ModuleNotFoundError) as error:
        rclpy.logging.get_logger(_name_of(kind)).fatal(str(error))
        rclpy.try_shutdown()
        raise SystemExit(1) from None


def _name_of(kind: Callable[[], Node]) -> str:
    """Return the default name of a node of this class, which is not there yet."""
    return kind.__name__.removesuffix("Node").lower()


def spin_until(node: Node, *stops: threading.Event) -> None:
    """Spin the node until one of the events is set."""
    executor = GuardedExecutor()
    executor.add_node(node)
    users, next_check_s = shared_memory.ForeignUsers(), 0.0
    try:
        while not any(stop.is_set() for stop in stops):
            executor.spin_once(timeout_sec=0.1)  # short, to react to the events
            if time.monotonic() >= next_check_s:
                next_check_s = time.monotonic() + _USER_CHECK_S
                if warning := users.new_warning():
                    node.get_logger().warning(warning)
    finally:
        # A repeated signal (a shell and `ros2 launch` both send it) must not interrupt the orderly shutdown.
        set_stop_handlers(signal.SIG_IGN)
        executor.remove_node(node)
        executor.shutdown()


def run(
    kind: Callable[[], SomeNode],
    arguments: list[str] | None,
    begin: Callable[[SomeNode, threading.Event], object] = lambda node, stop: None,
    ends: Callable[[SomeNode], Sequence[threading.Event]] = lambda node: (),
) -> SomeNode:
    """Run a node as the only one of its process, until a signal or one of its own events. Returns the node.

    begin: called first, with the node and an event that a signal sets; may take long
    ends: returns the node's own events
    """
    stop = stop_on_signal()
    start(arguments)
    node = create(kind)
    warn_of_unused(node, sys.argv if arguments is None else arguments)
    if why := why_not_found():
        node.get_logger().warning(why)
    failures = []
    try:
        begin(node, stop)
        spin_until(node, stop, *ends(node))
    except OSError as error:  # for example a full disk
        failures.append(error)
    finally:
        try:
            node.destroy_node()
        except OSError as error:
            failures.append(error)
        rclpy.try_shutdown()
    if failures:
        raise SystemExit(f"{node.get_name()}: {failures[0]}")
    return node
