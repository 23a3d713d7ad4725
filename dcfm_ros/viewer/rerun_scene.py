# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Scene in the Rerun viewer: entities that are logged, and their layout.

API of rerun-sdk 0.41: https://ref.rerun.io/docs/python/0.41.0
"""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote
from uuid import uuid4

import numpy as np
import rerun as rr
import rerun.blueprint as rrb

from dcfm_ros.labels import IGNORE_LABEL
from dcfm_ros.viewer.piped_file import PipedFile
from dcfm_ros.viewer.rerun_program import ADDRESS, is_our_own, open_window, serve_page

_TIMELINE = "stamp"
_LEGEND = "classes/legend"  # does not collide with the entities of a camera named `classes`
_JPEG_QUALITY = 85
_OVERLAY_OPACITY = 0.5
_LIVE_MEMORY = "1GB"  # limit of a live viewer, beyond which the oldest data is dropped
_DATA_PORT, _WEB_PORT = 9876, 9090  # Rerun's defaults, so that a tunnel can be set up in advance
_FLUSH_S = 20.0
_SCORE, _THRESHOLD, _DUE, _KEYFRAME = (80, 160, 240), (150, 150, 150), (80, 160, 240), (240, 90, 60)

_web_port: int | None = None  # the page is served until the process ends


class RerunScene:
    """One recording in the Rerun viewer. target: see `open_viewer`. For one thread at a time."""

    def __init__(self, target: str):
        rr.set_strict_mode(True)  # otherwise the library only logs a warning on invalid data
        # the default is global to the process
        self._recording = rr.RecordingStream("dcfm", recording_id=uuid4())
        # Stamps are the only timeline; the library's additional ones would only clutter the selection.
        self._recording.set_log_time_enabled(False)
        self._recording.set_log_tick_enabled(False)
        self._cameras: dict[str, bool] = {}  # whether a camera has per-frame masks
        self._classes = 0
        self._file: PipedFile | None = None
        if target.endswith(".rrd"):
            self._file = PipedFile(Path(target))
            self._recording.set_sinks(rr.FileSink(self._file.pipe))
            self._file.connected()
        elif target == "rerun" and (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
            self._open_window()
        else:
            self._serve()

    def classes(self, classes: Sequence[tuple[int, str, tuple[int, int, int]]]) -> None:
        infos = [rr.AnnotationInfo(number, name, color) for number, name, color in classes]
        infos.append(rr.AnnotationInfo(IGNORE_LABEL, "unlabelled", (0, 0, 0, 0)))
        self._recording.log("/", rr.AnnotationContext(infos), static=True)
        self._classes = len(classes)
        self._recording.log(
            _LEGEND,
            rr.Points2D(
                [(0.0, float(row)) for row in range(self._classes)],
                radii=0.3,
                class_ids=[number for number, _, _ in classes],
                labels=[name for _, name, _ in classes],
                show_labels=True,
            ),
            static=True,
        )
        self._lay_out()

    def frame(
        self,
        camera: str,
        stamp_ns: int,
        image: np.ndarray | None,
        mask: np.ndarray,
        score: float | None,
        threshold: float | None,
        is_keyframe: bool,
        age_frames: int | None,
        reference: np.ndarray | None,
    ) -> None:
        self._check_file()
        path = self._camera(camera, reference is not None)
        self._set_time(stamp_ns)
        log = self._recording.log
        if image is not None:
            log(f"{path}/image", rr.Image(image).compress(jpeg_quality=_JPEG_QUALITY))
        log(f"{path}/mask", rr.SegmentationImage(mask, opacity=_OVERLAY_OPACITY))
        if reference is not None:
            log(f"{path}/per_frame", rr.SegmentationImage(reference, opacity=_OVERLAY_OPACITY))
        if score is not None:
            log(f"{path}/scheduling/score", rr.Scalars(score))
            if is_keyframe:
                log(f"{path}/scheduling/due", rr.Scalars(score))
        if threshold is not None:
            log(f"{path}/scheduling/threshold", rr.Scalars(threshold))
        if age_frames is not None:
            log(f"{path}/feature_age", rr.Scalars(age_frames))

    def keyframe(self, camera: str, stamp_ns: int, reason: str, score: float) -> None:
        path = self._camera(camera)
        self._set_time(stamp_ns)
        self._recording.log(f"{path}/scheduling/keyframe", rr.Scalars(score))
        name = f"{camera}: " if camera else ""
        self._recording.log(f"{path}/keyframes", rr.TextLog(f"{name}{reason} {score:.2f}", level="INFO"))

    def close(self) -> None:
        try:
            self._recording.flush(timeout_sec=_FLUSH_S)
        finally:
            self._recording.disconnect()
        if self._file is not None:
            self._file.join()
            self._check_file()

    def _check_file(self) -> None:
        if self._file is not None and self._file.error is not None:
            raise self._file.error

    # Targets

    def _open_window(self) -> None:
        """Open a window, which stays open when this process ends, until the user closes it. One that is open
        already shows this run as well."""
        port = _DATA_PORT
        try:
            if not is_our_own(port):
                port = _free_port(port)
                open_window(port, _LIVE_MEMORY)
            self._recording.connect_grpc(f"rerun+http://{ADDRESS}:{port}/proxy")
        except (OSError, RuntimeError) as error:
            raise OSError(
                f"the viewer's window does not open ({error}): use rerun:web or FILE.rrd"
            ) from error

    def _serve(self) -> None:
        """Serve the data on threads of this process, and the viewer's page, both to this machine only."""
        global _web_port
        port = _free_port(_DATA_PORT)
        self._recording.set_sinks(rr.GrpcServerSink(ADDRESS, port, server_memory_limit=_LIVE_MEMORY))
        if _web_port is None:
            web_port = _free_port(_WEB_PORT)
            try:
                serve_page(web_port)
            except OSError as error:
                raise OSError(f"the viewer's page cannot be served ({error}): use FILE.rrd") from error
            _web_port = web_port
        url = quote(f"rerun+http://{ADDRESS}:{port}/proxy", safe="")
        print(f"viewer: http://{ADDRESS}:{_web_port}/?url={url}", flush=True)

    # Layout

    def _set_time(self, stamp_ns: int) -> None:
        self._recording.set_time(_TIMELINE, timestamp=np.datetime64(stamp_ns, "ns"))

    def _camera(self, camera: str, has_reference: bool = False) -> str:
        """Return the root entity of a camera. Updates the layout for a new camera, or new contents."""
        path = camera or "camera"
        known = self._cameras.get(path)
        if known is None:
            self._name_series(path)
        if known is None or (has_reference and not known):
            self._cameras[path] = has_reference
            self._lay_out()
        return path

    def _lay_out(self) -> None:
        if self._cameras:
            self._recording.send_blueprint(_layout(self._cameras, self._classes))

    def _name_series(self, path: str) -> None:
        log = self._recording.log
        log(f"{path}/scheduling/score", rr.SeriesLines(names="score", colors=_SCORE, widths=1.5), static=True)
        log(
            f"{path}/scheduling/threshold",
            rr.SeriesLines(names="threshold", colors=_THRESHOLD, widths=1.0),
            static=True,
        )
        log(
            f"{path}/scheduling/due",
            rr.SeriesPoints(names="due", colors=_DUE, markers="circle", marker_sizes=2.5),
            static=True,
        )
        log(
            f"{path}/scheduling/keyframe",
            rr.SeriesPoints(names="keyframe", colors=_KEYFRAME, markers="diamond", marker_sizes=5.0),
            static=True,
        )
        log(
            f"{path}/feature_age",
            rr.SeriesLines(
                names="age of the common feature", colors=_SCORE, widths=1.5, interpolation_mode="StepAfter"
            ),
            static=True,
        )


def _layout(cameras: dict[str, bool], classes: int) -> rrb.Blueprint:
    """Create the blueprint. One camera: pictures with plots below. Several: one row each, with its plot at
    the end. Keyframes and classes are at the side."""

    def pictures(path: str) -> list[rrb.Spatial2DView]:
        name = "" if len(cameras) == 1 else f"{path}: "
        views = [
            rrb.Spatial2DView(origin=path, contents=[f"{path}/image", f"{path}/mask"], name=f"{name}DCFM")
        ]
        if cameras[path]:
            views.append(
                rrb.Spatial2DView(
                    origin=path, contents=[f"{path}/image", f"{path}/per_frame"], name=f"{name}per frame"
                )
            )
        return views

    def score(path: str) -> rrb.TimeSeriesView:
        name = "" if len(cameras) == 1 else f"{path}: "
        return rrb.TimeSeriesView(
            origin=f"{path}/scheduling", name=f"{name}score of adaptive keyframe scheduling"
        )

    events = rrb.TextLogView(
        contents=[f"{path}/keyframes" for path in cameras],
        name="keyframes",
        columns=rrb.TextLogColumns(text_log_columns=[rrb.encodings.TextLogColumn("Body")]),
    )
    legend = rrb.Spatial2DView(
        contents=_LEGEND,
        name="classes",
        visual_bounds=rrb.VisualBounds2D(x_range=(-2.0, 2.0), y_range=(-1.0, max(classes, 1.0))),
    )
    if len(cameras) == 1:
        (path,) = cameras
        age = rrb.TimeSeriesView(
            contents=f"{path}/feature_age",
            name="age of the common feature, frames",
            plot_legend=rrb.PlotLegend(visible=False),
        )
        left = rrb.Vertical(rrb.Horizontal(*pictures(path)), score(path), age, row_shares=[5, 3, 2])
    else:
        left = rrb.Vertical(*[rrb.Horizontal(*pictures(path), score(path)) for path in cameras])
    return rrb.Blueprint(
        rrb.Horizontal(left, rrb.Vertical(legend, events), column_shares=[7, 2]),
        rrb.BlueprintPanel(state="collapsed"),
        rrb.SelectionPanel(state="collapsed"),
        rrb.TimePanel(state="collapsed", timeline=_TIMELINE),
    )


def _free_port(usual: int) -> int:
    """Return the usual port, or any free one if it is taken. The library would only log that it cannot
    listen."""
    for port in (usual, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((ADDRESS, port))
            except OSError:
                continue
            return probe.getsockname()[1]
    raise OSError("no free port for the viewer")
