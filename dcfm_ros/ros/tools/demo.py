# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`dcfm demo`: runs camera node and segmenter node as separate processes, and a recorder in this one, over
DDS."""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from pathlib import Path

import rclpy
from ament_index_python.packages import get_package_share_directory
from rclpy.executors import SingleThreadedExecutor

from dcfm_ros.model.model_yaml import load_model_config
from dcfm_ros.pipeline.settings import PipelineConfig
from dcfm_ros.result_folder import result_folder
from dcfm_ros.ros import process
from dcfm_ros.ros.tools.live_report import (
    EVERY_FRAME,
    REPORT,
    SHEET,
    VIDEO,
    RunSettings,
    live_report,
    save_report,
    summary_lines,
    write_pictures,
)
from dcfm_ros.ros.tools.node_process import (
    NodeProcess,
    NodeProcessError,
    ensure_only_segmenter,
    print_transport_warnings,
    ros_parameters,
    start_viewer,
    wait_until_active,
)
from dcfm_ros.ros.tools.options import DemoOptions
from dcfm_ros.ros.tools.recorder_node import RecorderNode
from dcfm_ros.ros.tools.recording import FILES, SENT, read_recording
from dcfm_ros.sources.frame import VideoFrame
from dcfm_ros.sources.open import VideoSource, in_classes, open_source

_FRAME_ID = "camera_optical_frame"
_LAST_MASKS_S = 1.0  # wait after the last image or mask
_FIRST_MASK_S = 60.0  # a network is compiled for the first image, which a short video may not outlast
_WRITTEN = (*FILES, REPORT, VIDEO, SHEET, "segmenter.log", "camera.log", "viewer.log")


def run_demo(options: DemoOptions) -> dict:
    """Play the source through the nodes and return the report, which is also written to `out`, in place of
    that of an earlier demo."""
    source = open_source(options.source, labels=options.labels, rate_hz=options.rate_hz)
    out = Path(options.out)
    with result_folder(out, _WRITTEN) as folder:
        report = _run(options, source, folder)
    print(f"written    {out / REPORT}, {out / VIDEO}, {out / SHEET}")
    return report


def _run(options: DemoOptions, source: VideoSource, out: Path) -> dict:
    """Run the nodes, and write everything into the empty folder `out`."""
    frames = source.length or round(options.seconds * options.rate_hz)
    share = Path(get_package_share_directory("dcfm_ros"))
    process.start([])
    recorder = RecorderNode(out)
    executor = SingleThreadedExecutor()
    executor.add_node(recorder)
    children: list[NodeProcess] = []
    try:
        ensure_only_segmenter(recorder, executor, "/dcfm/mask", "the demo")
        segmenter = NodeProcess(
            "segmenter",
            out,
            [
                "--params-file",
                str(share / "config" / "segmenter.yaml"),
                *ros_parameters(
                    {
                        "model": options.model,
                        "backend": options.backend,
                        "precision": options.precision,
                        "mode": options.mode,
                        "image_topic": "/camera/image_raw",
                    }
                ),
            ],
        )
        children.append(segmenter)
        wait_until_active(segmenter, executor, lambda: recorder.palette is not None)
        ensure_only_segmenter(recorder, executor, "/dcfm/mask", "the demo", ours=1)
        if options.viewer:
            viewer = start_viewer(options.viewer, out, executor)
            children.append(viewer)
        listeners = list(children)  # subscribers that the camera waits for
        camera = NodeProcess(
            "camera",
            out,
            ros_parameters(
                {
                    "source": options.source,
                    "rate": options.rate_hz,
                    "loop": False,
                    "frames": frames,
                    "preload": True,
                    "wait_for_subscribers": len(listeners),
                    "frame_id": _FRAME_ID,
                    "sent_log": out / SENT,
                }
            ),
        )
        children.append(camera)
        _watch(recorder, executor, camera, listeners, frames)
    finally:
        for child in reversed(children):
            child.stop()
        palette = recorder.palette
        executor.shutdown()
        recorder.destroy_node()
        rclpy.try_shutdown()
    if options.viewer:
        print(viewer.find_output("viewed: ") or f"the viewer did not end well:\n{viewer.tail()}", flush=True)
    print_transport_warnings(children)
    assert palette is not None  # it was waited for
    class_names = tuple(c.name for c in palette.classes)
    if (with_labels := in_classes(source, class_names)) is None:
        print(
            f"{options.source} is labelled with other classes than those of {options.model}: no IoU",
            flush=True,
        )
        with_labels = _Unlabelled(source)
    source = with_labels
    default = PipelineConfig()
    settings = RunSettings(
        source=options.source,
        model=options.model,
        backend=segmenter.backend(),
        mode=EVERY_FRAME if load_model_config(options.model).architecture == "per_frame" else options.mode,
        rate_hz=options.rate_hz,
        threshold=default.scheduler.resolved(default.alignment).threshold,
        frame_id=_FRAME_ID,
        class_names=class_names,
        class_colors=tuple((c.r, c.g, c.b) for c in palette.classes),
    )
    return _write_results(out, source, settings)


def _write_results(out: Path, source: VideoSource, settings: RunSettings) -> dict:
    recording = read_recording(out)
    report = live_report(recording, source, settings)
    save_report(report, out)
    title = (
        f"{settings.model} on {settings.source}: {report['masks_received']} of {report['frames_sent']} "
        f"masks, p99 {report['latency_ms']['p99']} ms"
    )
    write_pictures(recording, source, settings, out, title)
    print("\n".join(summary_lines(report)))
    return report


def _watch(
    recorder: RecorderNode, executor, camera: NodeProcess, listeners: list[NodeProcess], frames: int
) -> None:
    """Spin the recorder until the camera has ended and the last masks have arrived; prints a line once a
    second.

    listeners: the segmenter, and other nodes that the camera waits for before it starts
    """
    shown = ended = time.monotonic()
    since_masks, seen, line = 0, -1, ""
    while camera.running() or time.monotonic() - ended < (
        _LAST_MASKS_S if recorder.writer.masks else _FIRST_MASK_S
    ):
        executor.spin_once(timeout_sec=0.1)
        for child in (
            listeners if recorder.latest_info is None else listeners[:1]
        ):  # a viewer may be closed during the run
            child.check_running()
        if not camera.running():
            camera.check_result()  # of a camera that failed no more masks will come
        now, masks = time.monotonic(), recorder.writer.masks
        if camera.running() or masks != seen:
            ended, seen = now, masks
        if now - shown >= 1.0 and (not masks or (camera.running() and masks < frames)):
            before, line = line, _live_line(recorder, frames, (masks - since_masks) / (now - shown))
            _show(line, before)
            shown, since_masks = now, masks
    if not recorder.writer.masks:
        raise NodeProcessError(f"no mask was received for {frames} images:\n{listeners[0].tail()}")
    _show(_live_line(recorder, frames), line)
    print()


def _live_line(recorder: RecorderNode, frames: int, rate_hz: float | None = None) -> str:
    """rate_hz: of the last second; None after the last image"""
    info = recorder.latest_info
    if info is None:
        return "waiting for the first mask"
    return (
        f"{recorder.writer.masks:5d} of {frames} masks  {'' if rate_hz is None else f'{rate_hz:5.1f} Hz  '}"
        f"{info['latency_ms']:5.1f} ms in the node  {recorder.writer.keyframes:4d} keyframes  feature age "
        f"{info['feature_age_frames']:2d}  score {info['score']:.2f}"
    )


def _show(line: str, before: str) -> None:
    """Replace the last line on a terminal; a log file gets what has changed."""
    if sys.stdout.isatty():
        print(f"\r{line:<110}", end="", flush=True)
    elif line != before:
        print(line, flush=True)


class _Unlabelled:
    """A source with its labels removed, since their ids mean other classes than the model's."""

    def __init__(self, source: VideoSource):
        self._source = source

    def __getattr__(self, name: str):
        return getattr(self._source, name)

    def frame(self, index: int) -> VideoFrame:
        return replace(self._source.frame(index), label=None)
