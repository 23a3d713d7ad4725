# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`dcfm soak`: endurance test with cameras, segmenter and a listener over DDS; reports losses, latency and
memory."""

from __future__ import annotations

import json
import sys
import tempfile
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import psutil
import rclpy
from ament_index_python.packages import get_package_share_directory
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from sensor_msgs.msg import Image

from dcfm_ros import stamps
from dcfm_ros.model.versions import versions
from dcfm_ros.msg import ClassPalette, KeyframeEvent, MaskInfo
from dcfm_ros.pipeline.message_fields import read_keyframe, read_mask_info
from dcfm_ros.pipeline.topics import prefix_of
from dcfm_ros.reports.machine import cpu_name
from dcfm_ros.ros import process
from dcfm_ros.ros.diagnostics import REPORTS_THAT_COUNT
from dcfm_ros.ros.output_topics import subscribe
from dcfm_ros.ros.tools.node_process import (
    NodeProcess,
    NodeProcessError,
    ensure_only_segmenter,
    print_transport_warnings,
    ros_parameters,
    wait_until_active,
)
from dcfm_ros.ros.tools.options import SoakOptions
from dcfm_ros.ros.tools.soak_report import CameraRecord, ProcessRecord, camera_report, process_report

_FRAMES_TIMEOUT_S = 120.0  # until cameras have created their frames and the first masks have arrived
_MOST_BYTES = 200 * 2**20  # maximum size of the frames that a camera creates in advance
_LOOP = 60  # number of these frames, if the size allows
_SETTLE_S = 20.0  # timeout until cameras have ended and diagnostics count their last frames


class Listener(Node):
    """Records the segmenter's messages without their images. records: by camera name"""

    def __init__(self, cameras: list[str]):
        super().__init__("soak", namespace="dcfm")
        self.records = {name: CameraRecord() for name in cameras}
        self.active = False
        for name, record in self.records.items():
            for topic, take in (("mask", _mask), ("mask_info", _info), ("keyframe", _keyframe)):
                subscribe(self, name, topic, partial(take, record))
        subscribe(self, cameras[0], "palette", self._activated)
        self.create_subscription(DiagnosticArray, "/diagnostics", self._diagnosed, 10)

    def _activated(self, message: ClassPalette) -> None:
        self.active = True

    def _diagnosed(self, message: DiagnosticArray) -> None:
        for status in message.status:
            node, _, name = status.name.partition(": ")
            record = self.records.get("" if name == "camera" else name)
            if record is not None and node == "/dcfm/segmenter":
                record.status = {value.key: value.value for value in status.values}
                record.reports += 1


def _mask(record: CameraRecord, message: Image) -> None:
    record.mask(stamps.stamp_ns(message.header.stamp), time.monotonic_ns())


def _info(record: CameraRecord, message: MaskInfo) -> None:
    record.info(read_mask_info(message))


def _keyframe(record: CameraRecord, message: KeyframeEvent) -> None:
    record.encode_ms.append(read_keyframe(message)["encode_ms"])


def soak(options: SoakOptions) -> dict:
    """Run the test and return the report. Raises NodeProcessError if a node does not start or ends too
    early."""
    share = Path(get_package_share_directory("dcfm_ros"))
    process.start([])
    names = [f"camera{number}" for number in range(options.cameras)] if options.cameras > 1 else [""]
    listener, executor, children = Listener(names), SingleThreadedExecutor(), []
    executor.add_node(listener)
    try:
        topic = listener.resolve_topic_name(f"{prefix_of(names[0])}mask")
        ensure_only_segmenter(listener, executor, topic, "soak")
        with tempfile.TemporaryDirectory(prefix="dcfm_soak_") as folder:
            logs = Path(folder)
            segmenter = NodeProcess("segmenter", logs, _segmenter_arguments(options, names, share))
            children.append(segmenter)
            wait_until_active(segmenter, executor, lambda: listener.active)
            ensure_only_segmenter(listener, executor, topic, "soak", ours=1)
            for name in names:
                children.append(
                    NodeProcess("camera", logs, _camera_arguments(options, name, logs), name or "camera")
                )
            watched = _watch(listener, executor, children, options)
            for camera in children[1:]:
                camera.interrupt()
            _settle(listener, executor, children[1:])
            for camera in children[1:]:
                camera.stop()
                camera.check_result()
            sent = {name: _sent(logs / f"{name or 'camera'}.jsonl") for name in names}
            backend = segmenter.backend()
            segmenter.stop()
            segmenter.check_result()
            print_transport_warnings(children)
    finally:
        for child in reversed(children):
            child.stop()
        executor.shutdown()
        listener.destroy_node()
        rclpy.try_shutdown()
    frames = {
        name: sum(watched.began_ns <= at < watched.ended_ns for at in times.values())
        for name, times in sent.items()
    }
    of_all = sum(frames.values())
    return {
        "model": options.model,
        "backend": backend,
        "mode": options.mode,
        "source": options.source,
        "camera": f"{options.camera[0]}x{options.camera[1]}",
        "encoding": options.encoding,
        "rate_hz": options.rate_hz,
        "seconds": options.seconds,
        "parameters": list(options.parameters),
        "cpu": cpu_name(),
        "versions": versions(),
        "cameras": {name: camera_report(record, sent[name]) for name, record in listener.records.items()},
        "processes": {
            child.name: process_report(watched.samples[child.name], count)
            for child, count in zip(children, [of_all, *frames.values()])
        },
        "receive_ms_per_frame": round(1e3 * watched.receiving_s / of_all, 2) if of_all else None,
    }


def _segmenter_arguments(options: SoakOptions, names: list[str], share: Path) -> list[str]:
    settings: dict[str, str | list[str]] = {
        "model": options.model,
        "backend": options.backend,
        "precision": options.precision,
        "mode": options.mode,
    }
    if options.cameras > 1:
        settings |= {"cameras": names, **{f"{name}.image_topic": f"/{name}/image_raw" for name in names}}
    # later values override earlier ones
    return [
        "--params-file",
        str(share / "config" / "segmenter.yaml"),
        *ros_parameters(settings),
        *(part for setting in options.parameters for part in ("-p", setting)),
    ]


def _camera_arguments(options: SoakOptions, name: str, logs: Path) -> list[str]:
    height, width = options.camera
    loop = max(2, min(_LOOP, _MOST_BYTES // (3 * height * width)))
    settings = {
        "source": options.source,
        "height": height,
        "width": width,
        "rate": options.rate_hz,
        "encoding": options.encoding,
        "frames": loop,
        "loop": True,
        "to_and_fro": True,
        "preload": True,
        "wait_for_subscribers": 1,
        "image_topic": f"/{name or 'camera'}/image_raw",
        "sent_log": logs / f"{name or 'camera'}.jsonl",
    }
    names = ["-r", f"__node:={name}"] if name else []
    return [*names, *ros_parameters(settings)]


@dataclass
class _Watched:
    """Samples of the processes and CPU time of the receiving thread, both from `began_ns` to `ended_ns`. The
    cost per frame is that CPU time divided by the frames sent in this interval."""

    samples: dict[str, ProcessRecord]
    began_ns: int
    ended_ns: int = 0
    receiving_s: float = 0.0


def _watch(listener: Listener, executor, children: list[NodeProcess], options: SoakOptions) -> _Watched:
    """Spin the listener for the duration of the run, which starts when all cameras have masks."""
    deadline = time.monotonic() + _FRAMES_TIMEOUT_S
    while not all(record.stamps for record in listener.records.values()):  # cameras create their frames first
        executor.spin_once(timeout_sec=0.1)
        for child in children:
            child.check_running()
        if time.monotonic() > deadline:
            raise NodeProcessError("no mask was received:\n" + "\n".join(child.tail(5) for child in children))
    processes = {child.name: psutil.Process(child.pid) for child in children}
    watched = _Watched({name: ProcessRecord() for name in processes}, time.monotonic_ns())
    began = sampled = shown = time.monotonic()
    receiving_s = _main_thread_s(processes["segmenter"])
    _sample(processes, watched.samples, 0.0)
    every_s = 1.0 if sys.stdout.isatty() else 10.0
    while (now := time.monotonic()) - began < options.seconds:
        executor.spin_once(timeout_sec=0.1)
        for child in children:
            child.check_running()
        if now - sampled >= 1.0:
            sampled = now
            _sample(processes, watched.samples, now - began)
        if now - shown >= every_s:
            shown = now
            _live_line(listener, now - began, options.seconds)
    _sample(processes, watched.samples, now - began)
    watched.receiving_s = _main_thread_s(processes["segmenter"]) - receiving_s
    watched.ended_ns = time.monotonic_ns()
    print()
    return watched


def _sample(processes: dict[str, psutil.Process], samples: dict[str, ProcessRecord], seconds: float) -> None:
    for name, running in processes.items():
        times = running.cpu_times()
        samples[name].add(seconds, running.memory_info().rss, times.user + times.system)


def _main_thread_s(running: psutil.Process) -> float:
    """Return the CPU seconds of the thread that spins the executor."""
    thread = next(thread for thread in running.threads() if thread.id == running.pid)
    return thread.user_time + thread.system_time


def _live_line(listener: Listener, elapsed_s: float, seconds: float) -> None:
    records = listener.records.values()
    masks, dropped = (
        sum(len(r.stamps) for r in records),
        sum(int(r.status.get("dropped", 0)) for r in records),
    )
    p99 = max((float(r.status.get("latency_p99_ms", 0.0)) for r in records), default=0.0)
    text = (
        f"{elapsed_s:6.0f} of {seconds:g} s  {masks} masks, {dropped} dropped, p99 in the segmenter "
        f"{p99:.0f} ms"
    )
    print(
        f"\r{text:<100}" if sys.stdout.isatty() else text, end="" if sys.stdout.isatty() else "\n", flush=True
    )


def _settle(listener: Listener, executor, cameras: list[NodeProcess]) -> None:
    """Spin the listener without a pause, which would count as latency, until diagnostics count the last
    frames."""
    deadline = time.monotonic() + _SETTLE_S
    before: dict[str, int] = {}  # reports of each camera when all had ended
    while time.monotonic() < deadline:
        executor.spin_once(timeout_sec=0.1)
        if not before and not any(camera.running() for camera in cameras):
            before = {name: record.reports for name, record in listener.records.items()}
        if before and all(
            record.reports >= before[name] + REPORTS_THAT_COUNT for name, record in listener.records.items()
        ):
            return


def _sent(log: Path) -> dict[int, int]:
    """Read publishing times by stamp, both in ns. Skips a line that a stopped camera has left incomplete."""
    sent = {}
    for line in log.read_text().splitlines():
        try:
            entry = json.loads(line)
        except json.JSONDecodeError:
            continue
        sent[entry["stamp_ns"]] = entry["published_ns"]
    return sent
