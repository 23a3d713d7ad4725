# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What every process of the package does at its start and end."""

from __future__ import annotations

import os
import re
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import rclpy
from ament_index_python.packages import get_package_share_directory
from rclpy._rclpy_pybind11 import RCLError, UnknownROSArgsError
from rclpy.exceptions import ParameterException
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions
from rclpy.utilities import remove_ros_args

from dcfm_ros.pipeline.memory import keep_freed_memory
from dcfm_ros.ros import shared_memory
from dcfm_ros.ros.log_folder import prepare_log_folder

_NEIGHBOURS_S = 5.0  # between two looks for other users' processes


def start(arguments: list[str] | None) -> None:
    """Initialise ROS. Signals are ours: a mask in progress is finished before the context goes."""
    keep_freed_memory()
    arguments = sys.argv if arguments is None else arguments
    os.environ.update(
        shared_memory.dds_environment(
            Path(get_package_share_directory("dcfm_ros")) / "config" / "fastdds.xml"
        )
    )
    try:
        _check_arguments(arguments)
        rclpy.init(args=[*arguments, *prepare_log_folder()], signal_handler_options=SignalHandlerOptions.NO)
    except (
        RCLError,
        UnknownROSArgsError,
        UnicodeError,
    ) as error:  # a parameters file that is missing or no YAML, say
        said = re.sub(r", at \S+:\d+", "", str(error).removeprefix("failed to initialize rcl: "))
        raise SystemExit(
            f"{Path(sys.argv[0]).name}: {said}: give a file that exists and is YAML of ROS, -p name:=value, "
            "-r from:=to"
        ) from None
    if lack := shared_memory.lack_of_room():
        rclpy.logging.get_logger("dcfm_ros").warning(lack)


def _check_arguments(arguments: list[str]) -> None:
    """What is not for ROS is for nobody: say so, and what there is."""
    name, *others = remove_ros_args(arguments) or [""]
    usage = (
        f"usage: {Path(name).name} --ros-args -p NAME:=VALUE --params-file FILE -r __ns:=/NAMESPACE; while "
        f"it runs, "
        "`ros2 param describe NODE NAME` tells of its parameters"
    )
    if {"-h", "--help"} & set(others):
        print(usage)
        raise SystemExit(0)
    if others:
        raise SystemExit(f"{Path(name).name}: unknown arguments {' '.join(others)}; {usage}")


def stop_on_signal() -> threading.Event:
    """An event which SIGINT and SIGTERM set from now on, so that they end a process in order even while it
    loads a model."""
    stop = threading.Event()

    def end(*_) -> None:
        # one that came while the event is set would wait for its lock, which this thread holds
        _ignore_signals()
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end)
    return stop


def _ignore_signals() -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)


def create(kind: Callable[[], Node]) -> Node:
    """A node of this class. Parameters that cannot be used, or a library that is missing, end the process
    with a message instead of a traceback."""
    try:
        return kind()
    except (ValueError, OSError, ParameterException, ModuleNotFoundError) as error:
        rclpy.logging.get_logger(kind.__name__).fatal(str(error))
        rclpy.try_shutdown()
        raise SystemExit(1) from None


def spin_until(node: Node, *stops: threading.Event) -> None:
    """Serve the node until one of the events is set."""
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    users, look_at_s = shared_memory.ForeignUsers(), 0.0
    try:
        while not any(stop.is_set() for stop in stops):
            executor.spin_once(timeout_sec=0.1)  # bounds the wait for an event
            if time.monotonic() >= look_at_s:
                look_at_s = time.monotonic() + _NEIGHBOURS_S
                if news := users.news():
                    node.get_logger().warning(news)
    finally:
        # Whoever repeats the signal (a shell and `ros2 launch` both send it) must not kill the orderly end.
        _ignore_signals()
        executor.remove_node(node)
        executor.shutdown()


def run(
    kind: Callable[[], Node],
    arguments: list[str] | None,
    begin: Callable[[Node, threading.Event], object] = lambda node, stop: None,
    ends: Callable[[Node], Sequence[threading.Event]] = lambda node: (),
) -> Node:
    """The whole life of a node that has the process to itself: until a signal, or one of its own events.
    Returns the node.

    begin: what it does first, which may take its time, and an event that a signal sets.
    """
    start(arguments)
    stop = stop_on_signal()
    node = create(kind)
    failures = []
    try:
        begin(node, stop)
        spin_until(node, stop, *ends(node))
    except OSError as error:  # a disk that is full
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
