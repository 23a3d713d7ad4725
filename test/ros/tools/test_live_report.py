# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Figures and pictures from hand-made recordings."""

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from dcfm_ros.reports.contact_sheet import contact_sheet
from dcfm_ros.ros.tools import live_report as live_report_module
from dcfm_ros.ros.tools.live_report import (
    EVERY_FRAME,
    RunSettings,
    live_report,
    save_report,
    summary_lines,
    write_pictures,
)
from dcfm_ros.ros.tools.recording import SENT, RecordingWriter, read_recording
from dcfm_ros.sources.frame import VideoFrame

HEIGHT, WIDTH = 48, 64
FRAMES = 20
PERIOD_NS = 100_000_000
MS = 1_000_000
CUTS = (0, 8, 15)  # frame 0 begins a shot, but nothing is cut there
CLASSES = (("road", (128, 64, 128)), ("car", (0, 0, 142)), ("sky", (70, 130, 180)))
FACTS = RunSettings(
    "stripes",
    "tiny",
    "fake on cpu",
    "async",
    10.0,
    0.4,
    "front",
    tuple(n for n, _ in CLASSES),
    tuple(c for _, c in CLASSES),
)
KEYS = {
    "frames_sent",
    "masks_received",
    "header_mismatches",
    "out_of_order",
    "keyframes",
    "mean_keyframe_interval",
    "keyframe_reasons",
    "mask_hz",
    "latency_ms",
    "shallow_ms",
    "encode_ms",
    "feature_age_frames",
    "alignments",
    "motion_px",
    "motion_ms",
    "miou",
    "per_class_iou",
    "backend",
    "model",
    "mode",
    "size",
    "cpu",
}


class Stripes:
    """Road on the left, car on the right, moving; the last class never appears. `unlabelled` frames have no
    label."""

    width, height, rate_hz, length, class_table = WIDTH, HEIGHT, 10.0, FRAMES, CLASSES

    def __init__(self, unlabelled=()):
        self.unlabelled = unlabelled

    def label(self, index):
        label = np.zeros((HEIGHT, WIDTH), np.uint8)
        label[:, 16 + index :] = 1
        label[0] = 255
        return label

    def frame(self, index):
        image = np.full((HEIGHT, WIDTH, 3), 10 * index, np.uint8)
        label = None if index in self.unlabelled else self.label(index)
        return VideoFrame(index, index * PERIOD_NS, image, label, index in CUTS)


class Run:
    """A perfect run, which a test spoils before it is written."""

    def __init__(self, source):
        self.source = source
        self.sent, self.masks, self.info, self.keyframes = [], [], [], []
        for index in range(FRAMES):
            stamp = 5 * 10**18 + index * PERIOD_NS
            published = 1000 * MS + index * PERIOD_NS
            self.sent.append({"index": index, "stamp_ns": stamp, "published_ns": published})
            self.masks.append(
                (
                    {
                        "stamp_ns": stamp,
                        "received_ns": published + (20 + index) * MS,
                        "width": WIDTH,
                        "height": HEIGHT,
                        "step": WIDTH,
                        "encoding": "mono8",
                        "frame_id": "front",
                    },
                    source.label(index),
                )
            )
            is_keyframe = index % 5 == 0 or index in CUTS
            alignment = "still" if is_keyframe else "none" if index % 5 == 1 else "flow"
            self.info.append(
                {
                    "stamp_ns": stamp,
                    "is_keyframe": is_keyframe,
                    "feature_age_frames": index % 5,
                    "alignment": alignment,
                    "motion_px": 2.0 * (index % 5) if alignment == "flow" else 0.0,
                    "score": 0.1,
                    "motion_ms": 1.0 + index,
                    "shallow_ms": 10.0 + index,
                }
            )
        for index, reason, interval in (
            (0, "first", 0),
            (5, "interval", 5),
            (8, "deviation", 3),
            (15, "deviation", 7),
        ):
            self.keyframes.append(
                {
                    "stamp_ns": self.sent[index]["stamp_ns"],
                    "reason": reason,
                    "interval_frames": interval,
                    "encode_ms": 50.0,
                }
            )

    def write(self, folder: Path):
        writer = RecordingWriter(folder)
        for entry, pixels in self.masks:
            writer.mask(entry, pixels.tobytes())
        for entry in self.info:
            writer.info(entry)
        for event in self.keyframes:
            writer.keyframe(event)
        writer.close()
        (folder / SENT).write_text("".join(json.dumps(entry) + "\n" for entry in self.sent))
        return read_recording(folder)

    def report(self, folder):
        return live_report(self.write(folder), self.source, FACTS)


@pytest.fixture
def run():
    return Run(Stripes())


def test_perfect_run(run, tmp_path):
    report = run.report(tmp_path)
    assert report.keys() >= KEYS
    assert report["frames_sent"] == report["masks_received"] == report["labelled_frames"] == FRAMES
    assert report["header_mismatches"] == report["out_of_order"] == 0
    assert report["miou"] == 1.0 and report["per_class_iou"] == {"road": 1.0, "car": 1.0, "sky": None}
    assert report["keyframes"] == 4 and report["mean_keyframe_interval"] == 5.0
    assert report["keyframe_reasons"] == {"first": 1, "interval": 1, "deviation": 2}
    assert report["hard_cuts"] == 2 and report["hard_cuts_requested"] == 2
    assert report["feature_age_frames"] == {"mean": 2.0, "max": 4}
    assert report["alignments"] == {"still": 5, "none": 4, "flow": 11}
    assert report["motion_px"] == (4 * 4 + 3 * 6 + 4 * 8) / 11
    assert report["encode_ms"] == {"p50": 50.0, "p99": 50.0}
    assert report["size"] == [WIDTH, HEIGHT] and report["cpu"]
    settings = (report["backend"], report["model"], report["mode"], report["source"])
    assert settings == ("fake on cpu", "tiny", "async", "stripes")


def test_latency_is_from_publishing_to_reception(run, tmp_path):
    report = run.report(tmp_path)
    values = [20.0 + index for index in range(FRAMES)]
    assert report["latency_ms"] == {
        f"p{share}": pytest.approx(np.percentile(values, share), abs=0.006) for share in (50, 95, 99)
    }
    assert report["shallow_ms"] == {
        f"p{share}": pytest.approx(np.percentile([v - 10 for v in values], share), abs=0.006)
        for share in (50, 99)
    }
    assert report["motion_ms"] == {
        f"p{share}": pytest.approx(np.percentile([v - 19 for v in values], share), abs=0.006)
        for share in (50, 99)
    }
    # 19 intervals of 100 ms, each of which is 1 ms longer as the latency grows
    assert report["mask_hz"] == pytest.approx(1000 / 101, abs=0.006)


def test_missing_mask_is_wrong_everywhere(run, tmp_path):
    del run.masks[4:9]
    report = run.report(tmp_path)
    assert report["masks_received"] == FRAMES - 5 and report["header_mismatches"] == 0
    labels = np.stack([run.source.label(index) for index in range(FRAMES)])
    there = np.array([not 4 <= index < 9 for index in range(FRAMES)])[:, None, None]
    for number, name in enumerate(("road", "car")):
        wanted = ((labels == number) & there).sum() / (labels == number).sum()
        assert report["per_class_iou"][name] == pytest.approx(wanted, abs=1e-4)
    assert report["miou"] == pytest.approx(
        np.mean([report["per_class_iou"][name] for name in ("road", "car")]), abs=1e-4
    )


def test_wrong_pixels_lower_the_iou(run, tmp_path):
    run.masks = [(entry, np.zeros_like(mask)) for entry, mask in run.masks]
    report = run.report(tmp_path)
    labels = np.stack([run.source.label(index) for index in range(FRAMES)])
    assert report["per_class_iou"]["road"] == pytest.approx(
        (labels == 0).sum() / (labels != 255).sum(), abs=1e-4
    )
    assert report["per_class_iou"]["car"] == 0.0


def test_class_ids_that_do_not_exist_are_wrong(run, tmp_path):
    run.masks = [(entry, np.full_like(mask, 200)) for entry, mask in run.masks]
    assert run.report(tmp_path)["miou"] == 0.0


@pytest.mark.parametrize(
    "changes, size",
    [
        (dict(frame_id="rear"), (HEIGHT, WIDTH)),
        (dict(frame_id=""), (HEIGHT, WIDTH)),
        (dict(encoding="8UC1"), (HEIGHT, WIDTH)),
        (dict(step=WIDTH + 4), (HEIGHT, WIDTH + 4)),
        (dict(height=HEIGHT // 2, width=WIDTH // 2, step=WIDTH // 2), (HEIGHT // 2, WIDTH // 2)),
        (dict(height=WIDTH, width=HEIGHT, step=HEIGHT), (WIDTH, HEIGHT)),
        (dict(), (HEIGHT, WIDTH - 1)),
    ],
    ids=["frame_id", "no frame_id", "encoding", "step", "size", "sides swapped", "too little data"],
)
def test_mask_with_a_wrong_header_counts_as_mismatch_and_as_missing(run, tmp_path, changes, size):
    entry, _ = run.masks[3]
    run.masks[3] = ({**entry, **changes}, np.zeros(size, np.uint8))
    report = run.report(tmp_path / "bad")
    assert report["header_mismatches"] == 1 and report["masks_received"] == FRAMES
    del run.masks[3]
    missing = run.report(tmp_path / "missing")
    assert missing["header_mismatches"] == 0 and report["miou"] == missing["miou"] < 1.0


def test_mask_of_an_image_that_was_never_sent(run, tmp_path):
    entry, mask = run.masks[-1]
    run.masks.append(({**entry, "stamp_ns": entry["stamp_ns"] + 1}, mask))
    report = run.report(tmp_path)
    assert (
        report["header_mismatches"] == 1 and report["masks_received"] == FRAMES + 1 and report["miou"] == 1.0
    )


def test_second_mask_of_an_image_is_a_mismatch_and_the_first_counts(run, tmp_path):
    entry, mask = run.masks[5]
    run.masks.insert(6, (entry, np.full_like(mask, 2)))
    report = run.report(tmp_path)
    assert report["header_mismatches"] == 1 and report["miou"] == 1.0 and report["out_of_order"] == 0


def test_masks_out_of_order_are_counted_and_still_right(run, tmp_path):
    run.masks[3], run.masks[4] = run.masks[4], run.masks[3]
    report = run.report(tmp_path)
    assert report["out_of_order"] == 1 and report["header_mismatches"] == 0 and report["miou"] == 1.0


def test_hard_cut_without_a_keyframe_request(run, tmp_path):
    run.info[8]["is_keyframe"] = False
    del run.info[15]
    report = run.report(tmp_path)
    assert report["hard_cuts"] == 2 and report["hard_cuts_requested"] == 0


def test_images_the_camera_dropped_are_not_counted(run, tmp_path):
    del run.sent[10:], run.masks[10:], run.info[10:]
    report = run.report(tmp_path)
    assert report["frames_sent"] == 10 and report["miou"] == 1.0 and report["hard_cuts"] == 1


def test_only_labelled_frames_count_in_the_iou(tmp_path):
    run = Run(Stripes(unlabelled=range(0, FRAMES, 2)))
    run.masks[4] = (run.masks[4][0], np.full((HEIGHT, WIDTH), 2, np.uint8))
    report = run.report(tmp_path)
    assert report["labelled_frames"] == FRAMES // 2 and report["miou"] == 1.0


def test_without_labels_there_is_no_iou(tmp_path):
    run = Run(Stripes(unlabelled=range(FRAMES)))
    report = run.report(tmp_path)
    assert KEYS - report.keys() == {"miou", "per_class_iou"} and report["labelled_frames"] == 0
    assert not any("mIoU" in line for line in summary_lines(report))


@pytest.mark.parametrize("lost", ["masks", "sent", "everything"])
def test_empty_recordings_give_a_report(run, tmp_path, lost):
    if lost != "sent":
        run.masks.clear(), run.info.clear(), run.keyframes.clear()
    if lost != "masks":
        run.sent.clear()
    report = run.report(tmp_path)
    assert report["frames_sent"] == len(run.sent) and report["masks_received"] == len(run.masks)
    assert report["latency_ms"] == {"p50": None, "p95": None, "p99": None}
    if lost == "masks":
        assert report["miou"] == 0.0 and report["header_mismatches"] == 0
    else:
        assert "miou" not in report and report["header_mismatches"] == len(run.masks)
    assert report["mask_hz"] == (0.0 if lost != "sent" else pytest.approx(9.9, abs=0.1))
    save_report(report, tmp_path)
    assert summary_lines(report)


def test_of_a_single_picture_there_is_neither_rate_nor_interval(run, tmp_path):
    del run.sent[1:], run.masks[1:], run.info[1:], run.keyframes[1:]
    lines = summary_lines(run.report(tmp_path))
    assert lines[0] == "masks      1 of 1 frames, 0 header mismatches, 0 out of order"
    assert "keyframes  1, 1 first; feature age mean 0.0, max 0 frames" in lines
    assert not any("None" in line or "0.0 Hz" in line for line in lines)


def test_report_is_plain_json(run, tmp_path):
    report = run.report(tmp_path)
    save_report(report, tmp_path)
    text = (tmp_path / "report.json").read_text()
    assert json.loads(text, parse_constant=lambda name: pytest.fail(name)) == report


def test_summary_names_the_figures(run, tmp_path):
    del run.masks[3]
    text = "\n".join(summary_lines(run.report(tmp_path)))
    for part in (
        "19 of 20 frames",
        "0 header mismatches",
        "p99",
        "keyframes  4",
        "alignment  11 masks with a common feature that moved along, 6.0 pixels in the mean; motion p50 10.5 "
        "ms",
        "2 deviation",
        "a keyframe requested on 2 of them",
        "over 20 labelled frames",
        "not in the labels",
    ):
        assert part in text


def test_a_per_frame_model_has_no_keyframe_figures(run, tmp_path):
    settings = replace(FACTS, mode=EVERY_FRAME)
    recording = run.write(tmp_path)
    report = live_report(recording, run.source, settings)
    assert KEYS - report.keys() == {
        "keyframes",
        "mean_keyframe_interval",
        "keyframe_reasons",
        "feature_age_frames",
        "alignments",
        "motion_px",
        "motion_ms",
    }
    assert report["mode"] == "every frame" and "hard_cuts_requested" not in report
    text = "\n".join(summary_lines(report))
    assert "network    p50 50.0 ms, p99 50.0 ms, on every frame: a per-frame model" in text
    for absent in ("keyframe", "deep", "feature age", "alignment", "motion"):
        assert absent not in text


def test_where_nothing_has_moved_there_is_no_mean_motion(run, tmp_path):
    """Case of alignment none."""
    for entry in run.info:
        entry |= {"alignment": "none", "motion_px": 0.0, "motion_ms": 0.0}
    report = run.report(tmp_path)
    assert report["alignments"] == {"none": FRAMES} and report["motion_px"] is None
    assert "alignment  0 masks with a common feature that moved along, 0 pixels" in "\n".join(
        summary_lines(report)
    )


def read_video(path):
    av = pytest.importorskip("av")
    with av.open(str(path)) as container:
        return [picture.to_ndarray(format="rgb24") for picture in container.decode(video=0)]


def test_the_sheet_tells_how_far_features_have_moved(run, tmp_path, monkeypatch):
    pytest.importorskip("av", reason="PyAV is not installed")
    seen = []
    monkeypatch.setattr(
        live_report_module,
        "contact_sheet",
        lambda tiles, *rest: seen.extend(tiles) or contact_sheet(tiles, *rest),
    )
    del run.info[7]
    write_pictures(run.write(tmp_path), run.source, FACTS, tmp_path, "a run")
    moved = {entry["stamp_ns"]: entry["motion_px"] for entry in run.info if entry["alignment"] == "flow"}
    assert [tile.motion_px for tile in seen] == [moved.get(run.sent[tile.frame]["stamp_ns"]) for tile in seen]
    assert len(seen) == 12 and {tile.motion_px for tile in seen} == {None, 4.0, 6.0, 8.0}


def test_pictures_show_the_masks(run, tmp_path):
    pytest.importorskip("av", reason="PyAV is not installed")
    del run.masks[4]
    write_pictures(run.write(tmp_path), run.source, FACTS, tmp_path, "a run")
    sheet = cv2.imread(str(tmp_path / "overlay.png"))
    assert sheet is not None and sheet.shape[1] == 1600
    pictures = read_video(tmp_path / "overlay.mp4")
    assert len(pictures) == FRAMES and pictures[0].shape == (HEIGHT, WIDTH, 3)
    for index, inked in ((3, True), (4, False), (5, True)):  # grey without a mask, in colours with one
        spread = np.ptp(pictures[index][HEIGHT // 2, 4].astype(int))
        assert (spread > 15) == inked


@pytest.mark.parametrize("frames", [1, 3])
def test_pictures_of_a_short_run(run, tmp_path, frames):
    pytest.importorskip("av", reason="PyAV is not installed")
    del run.sent[frames:]
    write_pictures(run.write(tmp_path), run.source, FACTS, tmp_path, "a short run")
    assert (tmp_path / "overlay.png").stat().st_size and (tmp_path / "overlay.mp4").stat().st_size


def test_pictures_of_a_run_without_masks(run, tmp_path):
    pytest.importorskip("av", reason="PyAV is not installed")
    run.masks.clear(), run.info.clear(), run.keyframes.clear()
    write_pictures(run.write(tmp_path), run.source, FACTS, tmp_path, "nothing came")
    assert len(read_video(tmp_path / "overlay.mp4")) == FRAMES
