"""What every process of the package does at its start and end."""

from __future__ import annotations

import ctypes
import os
import signal
import threading
from pathlib import Path

import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.signals import SignalHandlerOptions

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3


def keep_freed_memory() -> None:
    """Let glibc keep the memory of messages: returning and faulting in megabytes per frame costs more than a mask."""
    try:
        libc = ctypes.CDLL("libc.so.6")
        libc.mallopt(_M_TRIM_THRESHOLD, 256 * 2**20)
        libc.mallopt(_M_MMAP_THRESHOLD, 32 * 2**20)
    except (OSError, AttributeError):  # another C library: slower, not wrong
        pass


def start(arguments: list[str] | None) -> None:
    """Initialise ROS. Signals are ours: a mask in work is finished before the context goes."""
    keep_freed_memory()
    rclpy.init(args=arguments, signal_handler_options=SignalHandlerOptions.NO)


def spin_until_signal(node, stop: threading.Event | None = None) -> None:
    """Serve the node until SIGINT or SIGTERM, or until `stop` is set."""
    stop = stop or threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    try:
        while not stop.is_set():
            executor.spin_once(timeout_sec=0.1)  # bounds the wait for a signal
    finally:
        executor.remove_node(node)
        executor.shutdown()


def dds_environment(profile: Path) -> dict[str, str]:
    """Environment that makes Fast DDS carry large images over shared memory; empty where the user has a profile."""
    names = ("FASTRTPS_DEFAULT_PROFILES_FILE", "FASTDDS_DEFAULT_PROFILES_FILE")
    if any(os.environ.get(name) for name in names) or not profile.is_file():
        return {}
    return {"FASTRTPS_DEFAULT_PROFILES_FILE": str(profile)}
