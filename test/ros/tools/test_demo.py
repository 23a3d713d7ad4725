# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The demo: all nodes in processes of their own, with a random model. A short demo starts installed nodes."""

import json
from itertools import count
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import rclpy
from helpers import tiny_model
from sensor_msgs.msg import Image
from waiting_helpers import until

from dcfm_ros.model.folder import save_model
from dcfm_ros.result_folder import result_folder
from dcfm_ros.ros.tools import demo
from dcfm_ros.ros.tools.demo import run_demo
from dcfm_ros.ros.tools.node_process import NodeProcessError
from dcfm_ros.ros.tools.options import DemoOptions

KEYS = {
    "source",
    "model",
    "backend",
    "mode",
    "size",
    "rate_hz",
    "cpu",
    "frames_sent",
    "masks_received",
    "header_mismatches",
    "out_of_order",
    "mask_hz",
    "keyframes",
    "mean_keyframe_interval",
    "keyframe_reasons",
    "hard_cuts",
    "hard_cuts_requested",
    "latency_ms",
    "shallow_ms",
    "encode_ms",
    "feature_age_frames",
    "labelled_frames",
}


pytestmark = pytest.mark.usefixtures("other_domain")


@pytest.mark.slow
def test_a_short_demo(model, tmp_path, capfd):
    """The folder has results of an earlier demo, and a file of the user's."""
    out = tmp_path / "demo"
    out.mkdir()
    for name in ("thesis.txt", "viewer.log", "overlay.png"):
        (out / name).write_text("old")
    report = run_demo(DemoOptions(seconds=3.0, rate_hz=8.0, model=str(model), backend="torch", out=str(out)))
    assert set(report) >= KEYS
    printed = capfd.readouterr().out
    live = [line for line in printed.splitlines() if " of 24 masks  " in line]
    assert live and all(" ms in the node  " in line for line in live) and " 0.0 Hz" not in printed
    assert live[-1].split()[0] == str(report["masks_received"])
    assert report["frames_sent"] == 24
    assert 12 <= report["masks_received"] <= 24  # all, where the machine is not busy
    assert report["header_mismatches"] == report["out_of_order"] == 0
    assert (
        report["size"] == [480, 360]
        and report["backend"] == "torch on cpu (f32)"
        and report["mode"] == "async"
    )
    assert report["keyframes"] >= 2 and sum(report["keyframe_reasons"].values()) == report["keyframes"]
    assert report["keyframe_reasons"]["first"] == 1
    assert report["latency_ms"]["p50"] > report["shallow_ms"]["p50"] > 0
    assert json.loads((out / "report.json").read_text()) == report
    names = {path.name for path in out.iterdir() if path.stat().st_size > 0}
    assert (out / "thesis.txt").read_text() == "old"
    assert names == {
        "thesis.txt",
        "report.json",
        "overlay.mp4",
        "overlay.png",
        "segmenter.log",
        "camera.log",
        "sent.jsonl",
        "masks.jsonl",
        "masks.bin",
        "info.jsonl",
        "keyframes.jsonl",
    }
    for name in ("segmenter.log", "camera.log"):
        assert "Traceback" not in (out / name).read_text()
    assert report["labelled_frames"] == 0 and "miou" not in report  # its classes are not the model's
    assert "latency" in printed and "other classes" in printed and str(out / "report.json") in printed


@pytest.mark.slow
def test_of_a_video_that_is_over_before_the_network_is_compiled_there_are_masks(
    forked_nodes, model, tmp_path
):
    video = cv2.VideoWriter(str(tmp_path / "short.mp4"), cv2.VideoWriter_fourcc(*"mp4v"), 30, (160, 128))
    for number in range(3):
        video.write(np.full((128, 160, 3), 80 * number, np.uint8))
    video.release()
    report = run_demo(
        DemoOptions(
            source=str(tmp_path / "short.mp4"),
            model=str(model),
            backend="openvino",
            out=str(tmp_path / "demo"),
        )
    )
    assert report["frames_sent"] == 3 and report["masks_received"] >= 1


@pytest.mark.slow
def test_a_demo_that_is_viewed(forked_nodes, model, tmp_path, capfd):
    from viewer_helpers import Recorded  # skips where the viewer cannot be installed

    out, file = tmp_path / "demo", tmp_path / "it's a drive.rrd"
    report = run_demo(
        DemoOptions(
            seconds=1.5, rate_hz=8.0, model=str(model), backend="torch", out=str(out), viewer=str(file)
        )
    )
    masks = Recorded(file).masks("/camera/mask")
    # all, where the machine is not busy
    assert 0.5 * report["masks_received"] <= len(masks) <= report["frames_sent"]
    assert all(mask.shape == (360, 480) for mask in masks.values())
    assert "\nviewed: " in capfd.readouterr().out
    assert "Traceback" not in (out / "viewer.log").read_text()


@pytest.mark.slow
def test_a_viewer_that_does_not_start_is_explained(forked_nodes, model, tmp_path):
    pytest.importorskip("rerun", reason="rerun-sdk is not installed")
    (tmp_path / "file").write_text("precious")
    with pytest.raises(NodeProcessError, match=r"(?s)the viewer did not start:.*cannot write .*drive.rrd"):
        run_demo(
            DemoOptions(
                seconds=1.0,
                model=str(model),
                backend="torch",
                out=str(tmp_path / "demo"),
                viewer=str(tmp_path / "file" / "drive.rrd"),
            )
        )


@pytest.mark.slow
def test_a_viewer_that_ends_before_the_first_image_is_not_waited_for(
    forked_nodes, model, tmp_path, monkeypatch
):
    pytest.importorskip("rerun", reason="rerun-sdk is not installed")

    def ended(*arguments, start=demo.start_viewer):
        viewer = start(*arguments)
        viewer.stop()
        return viewer

    monkeypatch.setattr(demo, "start_viewer", ended)
    with pytest.raises(NodeProcessError, match="viewer ended with 0"):
        run_demo(
            DemoOptions(
                seconds=1.0,
                model=str(model),
                backend="torch",
                out=str(tmp_path / "demo"),
                viewer=str(tmp_path / "drive.rrd"),
            )
        )


def test_a_wrong_viewer_is_refused_before_anything_starts():
    with pytest.raises(ValueError, match="viewer 'rviz': use rerun, rerun:web, or "):
        DemoOptions(viewer="rviz")


@pytest.mark.slow
def test_a_per_frame_model_has_no_keyframes(forked_nodes, tmp_path, capfd):
    model = save_model(tmp_path / "per_frame", tiny_model(4, seed=4, architecture="per_frame"))
    report = run_demo(
        DemoOptions(seconds=1.0, rate_hz=5.0, model=str(model), backend="torch", out=str(tmp_path / "demo"))
    )
    assert report["mode"] == "every frame" and report["masks_received"] > 0 and "keyframes" not in report
    assert "on every frame: a per-frame model" in capfd.readouterr().out


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("precious")
    for out in (tmp_path / "file", tmp_path / "file" / "demo"):
        with pytest.raises(OSError, match=f"cannot make the folder {out} .*: give another one with --out"):
            run_demo(DemoOptions(out=str(out)))
    assert (tmp_path / "file").read_text() == "precious"


@pytest.mark.slow
def test_a_wrong_model_is_named(forked_nodes, tmp_path):
    with pytest.raises(NodeProcessError, match="no_such_model"):
        run_demo(DemoOptions(model="no_such_model", seconds=1.0, out=str(tmp_path / "demo")))


@pytest.fixture
def earlier(tmp_path):
    """The folder of an earlier demo."""
    folder = tmp_path / "demo"
    folder.mkdir()
    for name in demo._WRITTEN:
        (folder / name).write_text("earlier")
    return folder


def is_untouched(folder):
    return all((folder / name).read_text() == "earlier" for name in demo._WRITTEN)


@pytest.mark.slow
def test_an_interrupted_demo_leaves_the_earlier_results(forked_nodes, earlier, model, monkeypatch):
    def interrupted(recorder, executor, camera, listeners, frames):
        until(lambda: recorder.writer.masks or executor.spin_once(timeout_sec=0.1), 60)
        raise KeyboardInterrupt

    monkeypatch.setattr(demo, "_watch", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run_demo(DemoOptions(seconds=1.0, model=str(model), backend="torch", out=str(earlier)))
    assert is_untouched(earlier)


def test_a_second_demo_into_the_same_folder_is_refused(earlier):
    with result_folder(earlier, demo._WRITTEN):
        with pytest.raises(OSError, match=f"another process is writing its results to {earlier}: .* --out"):
            run_demo(DemoOptions(seconds=1.0, out=str(earlier)))
        assert is_untouched(earlier)


def test_a_segmenter_that_runs_already_is_not_mixed_in(tmp_path, earlier):
    context = rclpy.Context()
    context.init()
    node = rclpy.create_node("other", context=context)
    try:
        node.create_publisher(Image, "/dcfm/mask", 1)
        with pytest.raises(NodeProcessError, match="another segmenter .* ROS_DOMAIN_ID"):
            run_demo(DemoOptions(seconds=1.0, out=str(earlier)))
        with pytest.raises(NodeProcessError):
            run_demo(DemoOptions(seconds=1.0, out=str(tmp_path / "new")))
    finally:
        node.destroy_node()
        context.shutdown()
    assert is_untouched(earlier) and not (tmp_path / "new").exists()


def test_a_wrong_source_is_named_before_anything_starts(tmp_path):
    with pytest.raises(ValueError, match="/no/such/video"):
        run_demo(DemoOptions(source="/no/such/video", out=str(tmp_path / "demo")))
    assert not (tmp_path / "demo").exists()


def test_no_rate_is_shown_while_a_camera_whose_masks_are_all_there_ends(monkeypatch, capsys):
    seconds, calls = count(step=0.5), count()
    monkeypatch.setattr(demo, "time", SimpleNamespace(monotonic=lambda: next(seconds)))
    camera = SimpleNamespace(running=lambda: next(calls) < 20, check_result=lambda: None)
    segmenter = SimpleNamespace(check_running=lambda: None)
    info = {"latency_ms": 7.4, "feature_age_frames": 4, "score": 0.25}
    recorder = SimpleNamespace(latest_info=info, writer=SimpleNamespace(masks=0, keyframes=7))

    def spin_once(timeout_sec):
        recorder.writer.masks = min(recorder.writer.masks + 12, 24)

    demo._watch(recorder, SimpleNamespace(spin_once=spin_once), camera, [segmenter], 24)
    shown = capsys.readouterr().out.splitlines()
    assert [line for line in shown if "24 of 24 masks" in line] == [shown[-2]] and " Hz" not in shown[-2]
