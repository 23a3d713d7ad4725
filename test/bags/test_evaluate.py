# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`dcfm bag evaluate`: figures of recordings, with labels and without, what is wrong with them, and what is
written."""

import errno
import json
from collections import Counter
from functools import partial

import numpy as np
import pytest
from bags_helpers import CAMERA, PERIOD_NS, START_NS, drive, labels_of, write_bag
from helpers import write_tiny_model

from dcfm_ros.bags.errors import BagError
from dcfm_ros.bags.evaluate import evaluate_bag
from dcfm_ros.bags.options import BagEvaluateOptions
from dcfm_ros.pipeline.backends.torch_cpu import TorchBackend
from dcfm_ros.pipeline.segmenter import Segmenter
from dcfm_ros.reports.replay_table import replay_table

TIMES = ("times_ms", "frames_per_s", "bag", "options", "machine", "versions")


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return str(write_tiny_model(tmp_path_factory.mktemp("model") / "tiny"))


@pytest.fixture
def evaluated(tmp_path, model):
    def evaluate(path, **options):
        options = {
            "page": False,
            "backend": "torch",
            "precision": "f32",
            "model": model,
            "out": str(tmp_path / "out"),
            **options,
        }
        return evaluate_bag(BagEvaluateOptions(str(path), **options))

    return evaluate


@pytest.mark.slow
def test_without_labels(tmp_path, evaluated):
    report = evaluated(write_bag(tmp_path / "drive", 30)).report
    dcfm, per_frame = report["rows"]
    assert (dcfm["name"], per_frame["name"]) == ("DCFM", "per frame")
    assert (
        dcfm["frames"] == per_frame["frames"] == per_frame["keyframes"] == 30 and 3 <= dcfm["keyframes"] < 30
    )
    assert (
        sum(dcfm["keyframe_reasons"].values()) == dcfm["keyframes"] and dcfm["keyframe_reasons"]["first"] == 1
    )
    assert 0 < dcfm["agreement"] < 1 and dcfm["flicker"] > 0 and dcfm["miou"] is None
    assert (
        per_frame["feature_age_frames"] == {"mean": 0.0, "max": 0} and dcfm["feature_age_frames"]["max"] > 0
    )
    assert report["cameras"][0]["topic"] == CAMERA and report["cameras"][0]["sizes"] == [[96, 64]]
    assert report["notes"] == [] and report["mode"] == "sync"
    assert report["scheduler"] == {
        "alignment": "flow",
        "aks_score": "residual",
        "min_interval": 2,
        "max_interval": 10,
        "threshold": 0.18,
        "cut_threshold": 0.6,
    }
    assert json.loads((tmp_path / "out" / "report.json").read_text()) == json.loads(json.dumps(report))


@pytest.mark.slow
@pytest.mark.parametrize("alignment, mode", [("flow", "sync"), ("flow", "two_sided"), ("none", "sync")])
def test_motion_of_common_features_is_told(tmp_path, evaluated, alignment, mode):
    """Where they do not move, keyframes are those of the published score."""
    result = evaluated(write_bag(tmp_path / "drive", 20), alignment=alignment, mode=mode)
    dcfm, per_frame = result.rows
    assert sum(dcfm["alignments"].values()) == 20 and (dcfm["alignment"], per_frame["alignment"]) == (
        alignment,
        "none",
    )
    assert per_frame["alignments"] == {} and per_frame["motion_px"] is None
    scheduler, times = result.report["scheduler"], result.report["times_ms"]
    assert scheduler["alignment"] == alignment and dcfm["threshold"] == scheduler["threshold"]
    if alignment == "none":
        assert (
            dcfm["alignments"] == {"none": 20}
            and dcfm["motion_px"] is None
            and scheduler["aks_score"] == "paper"
        )
    else:
        assert dcfm["alignments"]["flow"] >= 5 and dcfm["motion_px"] > 1 and times["motion"]["p50"] > 0
        assert f"motion p50 {times['motion']['p50']:.1f} ms; shallow" in replay_table(result.report)


@pytest.mark.slow
def test_the_same_recording_gives_the_same_figures(tmp_path, evaluated):
    reports = [
        evaluated(
            write_bag(tmp_path / name, 25, labels="/labels", storage=storage), labels=("/labels",)
        ).report
        for name, storage in (("a", "mcap"), ("b", "sqlite3"))
    ]
    first, second = (
        {name: value for name, value in report.items() if name not in TIMES} for report in reports
    )
    assert first == second


@pytest.mark.slow
def test_accuracy_is_that_of_the_labels(tmp_path, evaluated):
    result = evaluated(
        write_bag(tmp_path / "drive", 20, labels="/labels"), labels=("/labels",), per_frame=False
    )
    (tally,) = result.tallies
    labelled = sum(np.count_nonzero(label != 255) for label in labels_of(drive(20)))
    assert tally.score.matrix.counts.sum() == labelled and tally.labelled == 20
    assert result.report["rows"][0]["miou"] == pytest.approx(tally.score.matrix.miou, abs=1e-6)
    assert result.report["rows"][0]["agreement"] is None
    assert result.report["rows"][0]["windows8"] == 20 - 8 and result.report["cameras"][0]["labelled"] == 20


@pytest.mark.slow
def test_labels_for_some_frames_only(tmp_path, evaluated):
    report = evaluated(
        write_bag(tmp_path / "drive", 20, labels="/labels", labelled=(0, 4, 9)),
        labels=("/labels",),
        per_frame=False,
    ).report
    assert report["rows"][0]["labelled_frames"] == 3 and report["rows"][0]["mvc8"] is None
    assert report["notes"] == [f"{CAMERA}: 3 of 20 masks have a label; accuracy is computed from these"]


@pytest.mark.slow
def test_labels_without_their_images(tmp_path, evaluated):
    report = evaluated(
        write_bag(tmp_path / "drive", 10, labels="/labels", encoding="jpeg", corrupt=(4,)),
        labels=("/labels",),
        per_frame=False,
    ).report
    assert report["cameras"][0]["skipped"] == {"decode": 1} and report["rows"][0]["labelled_frames"] == 9
    skipped, unused = report["notes"]
    assert skipped.startswith(f"{CAMERA}: 1 of 10 images skipped (1 decode); the first at ")
    assert unused == f"{CAMERA}: 1 labels match no image"


def test_labels_of_another_size_are_left_out(tmp_path, evaluated):
    report = evaluated(
        write_bag(tmp_path / "drive", 10, labels="/labels", sizes={5: (48, 64)}),
        labels=("/labels",),
        per_frame=False,
    ).report
    refused = [note for note in report["notes"] if "cannot be used" in note]
    assert refused == [
        f"{CAMERA}: 5 labels cannot be used, first error: a label on /labels is 96x64 but its image 64x48: "
        "make both the same size"
    ]
    assert (
        f"{CAMERA}: images of several sizes (96x64, 64x48); the segmenter was reset at each change, as it is "
        "live" in report["notes"]
    )


def test_a_class_that_the_model_does_not_have(tmp_path, evaluated, model):
    path = write_bag(tmp_path / "drive", 5, labels="/labels")
    few = str(write_tiny_model(tmp_path / "few", classes=2))
    stamp = f"{START_NS // 10**9}.{START_NS % 10**9:09d}"
    with pytest.raises(
        BagError, match=f"drive: label at {stamp}: label holds the id [23], but there are 2 classes"
    ):
        evaluated(path, labels=("/labels",), model=few)


@pytest.mark.slow
def test_faults_of_a_recording_are_noted(tmp_path, evaluated):
    path = write_bag(tmp_path / "drive", 20, stamps={9: 0})
    (path / "metadata.yaml").unlink()
    report = evaluated(path, per_frame=False).report
    assert report["notes"] == [
        "metadata.yaml is missing: the files of the folder are used",
        f"{CAMERA}: 1 stamps older than the previous one; the segmenter was reset there, as it is live",
    ]
    assert report["rows"][0]["keyframe_reasons"]["reset"] == 1


def test_a_camera_of_which_nothing_can_be_used_leaves_the_others(tmp_path, evaluated):
    """Half a JPEG each, on a topic of its own."""
    path = write_bag(tmp_path / "drive", 6, topics=("/front/image",))
    broken = write_bag(
        tmp_path / "broken", 6, topics=("/rear/image/compressed",), encoding="jpeg", corrupt=range(6)
    )
    for name in (path, broken):
        (name / "metadata.yaml").unlink()
    (broken / "broken.mcap").rename(path / "drive_1.mcap")  # two files, one after the other
    report = evaluated(path, per_frame=False).report
    assert {camera["camera"]: (camera["images"], camera["masks"]) for camera in report["cameras"]} == {
        "front": (6, 6),
        "rear": (6, 0),
    }
    assert report["rows"][0]["frames"] == 6
    assert any(
        note.startswith("/rear/image/compressed: 6 of 6 images skipped (6 decode)")
        for note in report["notes"]
    )


@pytest.mark.slow
def test_several_cameras_count_together(tmp_path, evaluated):
    both = evaluated(write_bag(tmp_path / "both", 15, topics=("/front/image", "/rear/image")))
    alone = [
        evaluated(write_bag(tmp_path / name, 15, topics=(f"/{name}/image",), seed=seed))
        for seed, name in enumerate(("front", "rear"))
    ]
    assert [camera["camera"] for camera in both.report["cameras"]] == ["front", "rear"]
    alone[0].merge(alone[1])
    assert alone[0].rows == both.report["rows"]


@pytest.mark.slow
def test_the_merged_figures_of_two_recordings_are_those_of_one_that_holds_both(tmp_path, evaluated):
    """The second half begins anew, for its stamps jump back."""
    pictures = [drive(20, seed) for seed in (0, 1)]
    stamps = {20 + index: index * PERIOD_NS for index in range(20)}
    joined = evaluated(
        write_bag(tmp_path / "joined", 40, pictures=sum(pictures, []), labels="/labels", stamps=stamps),
        labels=("/labels",),
    )
    # A label of the joined recording has a stamp twice; each image takes the first that is left.
    halves = [
        evaluated(
            write_bag(tmp_path / f"half{number}", 20, pictures=half, labels="/labels"), labels=("/labels",)
        )
        for number, half in enumerate(pictures)
    ]
    halves[0].merge(halves[1])
    ignored = "keyframe_reasons"
    for one, other in zip(halves[0].rows, joined.report["rows"]):
        assert {k: v for k, v in one.items() if k != ignored} == {
            k: v for k, v in other.items() if k != ignored
        }
    assert joined.report["rows"][0]["keyframe_reasons"]["reset"] == 1


def test_results_of_other_rows_are_not_added_up(tmp_path, evaluated):
    path = write_bag(tmp_path / "drive", 5)
    with pytest.raises(ValueError, match="evaluated with different models or rows cannot be merged"):
        evaluated(path).merge(evaluated(path, per_frame=False))


@pytest.mark.slow
def test_two_sided_masks_are_counted_once(tmp_path, evaluated):
    report = evaluated(
        write_bag(tmp_path / "drive", 25, labels="/labels"),
        labels=("/labels",),
        mode="two_sided",
        per_frame=False,
    ).report
    assert (
        report["rows"][0]["frames"] == report["rows"][0]["labelled_frames"] == 25
        and report["rows"][0]["mode"] == "two_sided"
    )


def test_a_per_frame_model_has_one_row(tmp_path, evaluated):
    per_frame = str(write_tiny_model(tmp_path / "per_frame", architecture="per_frame"))
    report = evaluated(write_bag(tmp_path / "drive", 6), model=per_frame, page=True).report
    (row,) = report["rows"]
    assert row["name"] == "per frame" and row["keyframe_rate"] == 1.0
    assert row["alignments"] == {} and row["motion_px"] is None and report["scheduler"]["alignment"] == "none"
    assert report["times_ms"]["motion"] == {"p50": None, "p99": None} and "motion" not in replay_table(report)
    assert "Motion of common features" not in (tmp_path / "out" / "report.html").read_text()


@pytest.mark.slow
def test_the_page_its_video_and_progress(tmp_path, evaluated):
    ticks, starts, out = Counter(), [], tmp_path / "out"
    options = BagEvaluateOptions(
        str(write_bag(tmp_path / "drive", 12, labels="/labels")),
        labels=("/labels",),
        backend="torch",
        precision="f32",
        model=str(write_tiny_model(tmp_path / "model")),
        video_s=0.4,
        out=str(out),
    )
    evaluate_bag(options, lambda: ticks.update("x"), starts.append)
    assert starts == [12] and ticks["x"] == 12
    page = (out / "report.html").read_text()
    assert "drive" in page and "data:video/mp4;base64," in page and "lowest IoU" in page
    assert "Motion of common features" in page and "Mean motion, pixels" in page
    assert (out / "side_by_side.mp4").stat().st_size > 0


def test_a_folder_that_cannot_be_made(tmp_path, model):
    with pytest.raises(OSError, match="cannot make the folder /dev/full/out"):
        evaluate_bag(
            BagEvaluateOptions(str(write_bag(tmp_path / "drive", 2)), model=model, out="/dev/full/out")
        )


@pytest.mark.slow
@pytest.mark.parametrize(
    "write",
    [
        "dcfm_ros.bags.evaluate.atomic_write",
        "dcfm_ros.bags.replay_report.write_page",
        "dcfm_ros.bags.replay_report.VideoWriter.add",
    ],
)
def test_a_disk_that_fills_up(tmp_path, model, monkeypatch, write):
    def full(*arguments):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(write, full)
    out = tmp_path / "out"
    with pytest.raises(
        BagError,
        match=f"no space left for {out}, on the disk at .* \\(No space left on device\\): free space there, "
        "or give another folder with --out",
    ):
        evaluate_bag(
            BagEvaluateOptions(
                str(write_bag(tmp_path / "drive", 8)), model=model, backend="torch", out=str(out)
            )
        )


@pytest.mark.slow
def test_without_a_video_there_is_none_and_nothing_of_an_evaluation_before(tmp_path, evaluated):
    path, out = write_bag(tmp_path / "drive", 8), tmp_path / "out"
    evaluated(path, page=True)
    assert (out / "side_by_side.mp4").exists() and "<video" in (out / "report.html").read_text()
    evaluated(path, page=True, video_s=0)
    assert not (out / "side_by_side.mp4").exists() and "<video" not in (out / "report.html").read_text()
    evaluated(path)
    assert [file.name for file in out.iterdir()] == ["report.json"]


@pytest.mark.slow
def test_a_per_frame_run_that_fails_is_an_error(tmp_path, evaluated, monkeypatch):
    """A mask from an older feature would pass for one of its own."""
    calls, deep = [], TorchBackend.deep

    def fails_later(self, *arguments):
        calls.append(1)
        if len(calls) > 6:
            raise RuntimeError("out of memory")
        return deep(self, *arguments)

    segmenters = []
    build = Segmenter.of.__func__

    def watched(kind, *arguments, **options):
        segmenters.append(build(kind, *arguments, **options))
        if len(segmenters) == 2:
            monkeypatch.setattr(segmenters[1].backend, "deep", partial(fails_later, segmenters[1].backend))
        return segmenters[-1]

    monkeypatch.setattr(Segmenter, "of", classmethod(watched))
    with pytest.raises(
        RuntimeError, match="no mask in the per-frame run of .*drive: keyframe encoder: out of memory"
    ):
        evaluated(write_bag(tmp_path / "drive", 12))
