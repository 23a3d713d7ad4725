# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`dcfm evaluate` on small data sets on disk."""

import json
from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
import yaml
from evaluation_helpers import make_clip
from helpers import CLASSES, tiny_model, write_tiny_model

from dcfm_ros.cli import main
from dcfm_ros.evaluation.evaluate import evaluate
from dcfm_ros.evaluation.options import AKS_SPREAD, EvaluateOptions, parse_thresholds
from dcfm_ros.evaluation.schedule import ALIGNMENTS
from dcfm_ros.evaluation.timing import PATHS
from dcfm_ros.metrics.confusion import ConfusionMatrix
from dcfm_ros.model.image import normalised
from dcfm_ros.pipeline.postprocess import upsampled_argmax
from dcfm_ros.pipeline.settings import THRESHOLDS, AksScore


def write_data(root, length=10, labelled=None, names=None):
    """A user's folder: one video."""
    clip = make_clip(length, labelled=labelled)
    (root / "images").mkdir(parents=True)
    (root / "labels").mkdir()
    for index, image in enumerate(clip.images):
        cv2.imwrite(str(root / "images" / f"{index}.png"), image)
    for index, label in clip.labels.items():
        cv2.imwrite(str(root / "labels" / f"{index}.png"), label)
    classes = [
        {"name": name or c.name, "color": list(c.color)} for c, name in zip(CLASSES, names or [None] * 4)
    ]
    (root / "classes.yaml").write_text(yaml.safe_dump({"classes": classes, "video": {"rate_hz": 15}}))
    return str(root)


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    return {
        "dcfm": str(write_tiny_model(folder / "dcfm")),
        "five": str(write_tiny_model(folder / "five", 5)),
        "per_frame": str(write_tiny_model(folder / "per_frame", architecture="per_frame")),
    }


@pytest.fixture
def options(tmp_path, models):
    return EvaluateOptions(
        write_data(tmp_path / "data"),
        models["dcfm"],
        backend="torch",
        intervals=(1, 2),
        thresholds=(0.3,),
        delays=(1,),
        max_age=3,
        out=str(tmp_path / "out"),
    )


@pytest.mark.slow
def test_the_report_has_every_row(options, models, tmp_path):
    report = evaluate(replace(options, per_frame=models["per_frame"], fps=True))
    rows = [
        (row["alignment"], row["mode"], row["delay"], row["interval"], row["threshold"])
        for row in report["rows"]
    ]
    assert rows == [("none", "per_frame", 0, 1, None)] + [
        (way, mode, delay, interval, threshold)
        for way in ("flow", "none", "logits")
        for mode, delay in (("two_sided", 0), ("causal", 0), ("async", 1))
        for interval, threshold in ((1, None), (2, None), (None, 0.3))
    ]
    found = dict(zip(rows, report["rows"]))
    for mode in ("two_sided", "causal"):
        assert len({found[way, mode, 0, 1, None]["miou"] for way in ALIGNMENTS}) == 1  # every frame of itself
        assert len({found[way, mode, 0, 2, None]["miou"] for way in ALIGNMENTS}) == 3
        assert (
            found["flow", mode, 0, None, 0.3]["keyframes"] == found["logits", mode, 0, None, 0.3]["keyframes"]
        )
    for row in report["rows"]:
        assert (
            0 < row["miou"] < 1 and 0 < row["wiou"] < 1 and row["fps_published"] > 0 and row["fps_user"] > 0
        )
        assert set(row["per_class_iou"]) == {c.name for c in CLASSES[:4]}
        assert 0 <= row["mvc8"] <= 1 and row["mvc16"] is None  # ten frames have no window of 16
    assert report["by_age"]["frames"] == 7 and list(report["by_age"]["miou"]) == list(ALIGNMENTS)
    assert {len(values) for values in report["by_age"]["miou"].values()} == {4}
    assert len({values[0] for values in report["by_age"]["miou"].values()}) == 1  # each frame of itself
    assert [set(model["times_ms"]) for model in report["models"]] == [set(PATHS), {"keyframe"}]
    assert report["data"]["labelled_frames"] == report["data"]["frames"] == 10
    assert [len(model["weights_sha256"]) for model in report["models"]] == [64, 64]
    assert report["versions"]["torch"] and report["machine"]["cpu"] and report["notes"] == []
    out = tmp_path / "out"
    assert json.loads((out / "report.json").read_text()) == json.loads(json.dumps(report))
    for name, width in (
        ("accuracy.png", 2028),
        ("consistency.png", 2028),
        ("age.png", 1170),
        ("per_class.png", 1170),
    ):
        assert cv2.imread(str(out / name)).shape[1] == width


@pytest.mark.slow
@pytest.mark.parametrize(
    "alignments, modes, paths",
    [
        (("none",), ("causal",), {"keyframe", "nonkey"}),
        (
            ("logits", "flow", "logits"),
            ("two_sided",),
            {"keyframe", "moved_logits_two_sided", "nonkey_aligned_two_sided"},
        ),
    ],
)
def test_alignments_have_their_rows_and_times_alone(options, alignments, modes, paths):
    """In the order in which they are given, each once."""
    report = evaluate(replace(options, alignments=alignments, modes=modes, thresholds=(), fps=True))
    ways = list(dict.fromkeys(alignments))
    assert [row["alignment"] for row in report["rows"]] == [way for way in ways for _ in (1, 2)]
    assert list(report["by_age"]["miou"]) == ways and set(report["models"][0]["times_ms"]) == paths


@pytest.mark.slow
def test_a_per_frame_model_has_one_row(options, models):
    report = evaluate(replace(options, model=models["per_frame"]))
    assert [(row["mode"], row["interval"]) for row in report["rows"]] == [("per_frame", 1)]
    assert report["by_age"] is None and report["models"][0]["architecture"] == "per_frame"
    assert report["rows"][0]["alignment"] == "none"


@pytest.mark.slow
def test_published_sizes_are_run_as_they_are(options, tmp_path):
    """No stride divides 53x85, and the masks are of the labels' size all the same. Backends:
    test_architectures.py."""
    odd = str(write_tiny_model(tmp_path / "odd", input_height=53, input_width=85))
    report = evaluate(
        replace(
            options,
            model=odd,
            modes=("two_sided",),
            intervals=(3,),
            thresholds=(),
            max_age=0,
            exact_size=True,
            fps=True,
        )
    )
    assert (
        report["models"][0]["exact_size"] is True
        and [row["frames"] for row in report["rows"]] == [3 * 10] * 3
    )
    assert (
        len({row["miou"] for row in report["rows"]}) == 3
        and len({row["miou_keyframes"] for row in report["rows"]}) == 1
    )
    model, matrix = tiny_model(input_height=53, input_width=85), ConfusionMatrix(4)
    clip = make_clip(10)
    with torch.inference_mode():
        for image, label in zip(clip.images, clip.labels.values()):  # every frame at age 0: a keyframe
            # cv2 wrote it as BGR
            small = cv2.resize(image, (85, 53), interpolation=cv2.INTER_AREA)[..., ::-1]
            logits = model.keyframe(
                normalised(torch.from_numpy(small.copy())[None], model.config.normalisation)
            )
            matrix.add(upsampled_argmax(logits[0].numpy(), label.shape), label)
    assert report["by_age"]["miou"] == {way: [pytest.approx(matrix.miou, abs=1e-3)] for way in ALIGNMENTS}


@pytest.mark.slow
def test_sparse_labels_say_that_there_is_no_consistency(models, tmp_path):
    source = write_data(tmp_path / "data", labelled=[4, 7])
    report = evaluate(
        EvaluateOptions(
            source,
            models["dcfm"],
            backend="torch",
            modes=("causal",),
            intervals=(2,),
            thresholds=(),
            out=str(tmp_path / "out"),
        )
    )
    assert report["rows"][0]["mvc8"] is None and report["data"]["labelled_frames"] == 2
    assert report["notes"] == ["no mVC: no clip is labelled in every frame and long enough"]
    assert (
        not (tmp_path / "out" / "consistency.png").exists() and (tmp_path / "out" / "accuracy.png").exists()
    )


def test_data_without_labels_is_refused(models, tmp_path):
    source = write_data(tmp_path / "data", labelled=[])
    with pytest.raises(ValueError, match="label"):
        evaluate(EvaluateOptions(source, models["dcfm"], backend="torch"))


def test_another_number_of_classes_is_refused(options, models):
    with pytest.raises(
        ValueError, match="five has 5 classes but .* has 4: evaluate a model on data with its own classes"
    ):
        evaluate(replace(options, model=models["five"]))


@pytest.mark.slow
def test_another_order_of_classes_is_refused_and_other_names_are_noted(options, models, tmp_path):
    swapped = write_data(tmp_path / "swapped", names=["road", "sky", None, None])
    with pytest.raises(ValueError, match="the same classes in different orders .sky, road"):
        evaluate(replace(options, source=swapped))
    renamed = write_data(tmp_path / "renamed", names=["heaven", None, None, None])
    report = evaluate(replace(options, source=renamed, modes=("causal",)))
    assert len(report["notes"]) == 1 and "class 0 is 'sky' and 'heaven'" in report["notes"][0]


def test_the_reference_must_be_a_per_frame_model(options, models):
    with pytest.raises(
        ValueError, match="--per-frame .*dcfm is a model of architecture dcfm; give one of .* per_frame"
    ):
        evaluate(replace(options, per_frame=models["dcfm"]))


def test_an_unreadable_file_is_named(options, tmp_path):
    (tmp_path / "data" / "images" / "6.png").write_bytes(b"no picture")
    with pytest.raises(ValueError, match="6.png"):
        evaluate(options)


@pytest.mark.parametrize(
    "changes, message",
    [
        (dict(modes=()), "no mode: give at least one of"),
        (dict(alignments=()), "no alignment: give at least one of flow, none, logits"),
        (dict(intervals=(), thresholds=()), "neither intervals nor AKS thresholds"),
        (dict(intervals=(2, 0)), "interval 0: use 1 to 1000 frames"),
        (dict(delays=()), "mode async without delays"),
        (dict(min_interval=5, max_interval=3), "max_interval 3: use min_interval"),
    ],
)
def test_bad_options_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        EvaluateOptions("somewhere", **changes)


def test_thresholds_of_the_command_line():
    assert parse_thresholds("0.2,0.5") == (0.2, 0.5) and parse_thresholds("none") == ()
    assert parse_thresholds("default") is None
    with pytest.raises(ValueError, match="'0.2;0.5': give numbers with commas between them, default or none"):
        parse_thresholds("0.2;0.5")


def test_by_default_thresholds_are_around_the_shipped_one_of_each_score():
    schedules = EvaluateOptions("somewhere", modes=("causal",), intervals=()).schedules()
    found = {
        way: [schedule.threshold for schedule in schedules if schedule.alignment == way] for way in ALIGNMENTS
    }
    assert found["flow"] == found["logits"] and 1.0 in AKS_SPREAD
    for way, score in (("flow", AksScore.RESIDUAL), ("none", AksScore.PAPER)):
        assert found[way] == [pytest.approx(factor * THRESHOLDS[score], abs=1e-3) for factor in AKS_SPREAD]


@pytest.mark.slow
def test_the_command_prints_a_table(options, capsys, tmp_path):
    arguments = [
        "evaluate",
        options.source,
        "--model",
        options.model,
        "--backend",
        "torch",
        "--modes",
        "causal,async",
        "--alignments",
        "none,flow",
        "--intervals",
        "2",
        "--delays",
        "1",
        "--aks",
        "none",
        "--max-age",
        "2",
        "--limit-clips",
        "1",
        "--min-interval",
        "1",
        "--out",
        options.out,
        "--json",
        str(tmp_path / "copy.json"),
    ]
    assert main(arguments) == 0
    lines = capsys.readouterr().out.splitlines()
    table = [line for line in lines if line.startswith(("causal", "async"))]
    assert len(table) == 4 and "K = 2" in table[0] and table[1].startswith("async, delay 1")
    assert all("as published" in line for line in table[:2]) and all("aligned" in line for line in table[2:])
    report = json.loads((tmp_path / "copy.json").read_text())
    assert report["scheduler"]["min_interval"] == 1 and report["options"]["intervals"] == [2]
    assert report["options"]["alignments"] == ["none", "flow"] and list(report["by_age"]["miou"]) == [
        "none",
        "flow",
    ]
    assert f"{100 * report['rows'][0]['miou']:.2f}" in table[0]


def test_the_command_names_what_is_wrong(options, capsys):
    assert main(["evaluate", options.source, "--model", options.model, "--modes", "sideways"]) == 2
    assert (
        capsys.readouterr().err == "dcfm evaluate: --modes 'sideways': use some of two_sided, causal, async\n"
    )
    assert main(["evaluate", "/no/such/place"]) == 2
    assert "/no/such/place" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["evaluate", options.source, "--intervals", "1,two"])
    assert capsys.readouterr().err == "dcfm evaluate: --intervals 'two': use a whole number\n"


@pytest.mark.slow
def test_memory_changes_nothing(options):
    options = replace(options, modes=("two_sided",), intervals=(3,), max_age=1)
    first, second = evaluate(options), evaluate(replace(options, memory_gb=1e-6))
    assert first["rows"] == second["rows"] and first["by_age"] == second["by_age"]
    assert np.isfinite([row["miou"] for row in first["rows"]]).all()


@pytest.mark.slow
def test_merged_classes_are_merged_before_they_are_compared(options, models, tmp_path):
    (tmp_path / "map.yaml").write_text("{classes: {a: [sky, tree], b: [road]}, ignore: car}")
    kept = replace(options, intervals=(1,), thresholds=(), modes=("causal",), alignments=("none",), max_age=0)
    plain, merged = (
        evaluate(kept)["rows"][0],
        evaluate(replace(kept, class_map=str(tmp_path / "map.yaml")))["rows"][0],
    )
    assert set(merged["per_class_iou"]) == {"a", "b"} and set(plain["per_class_iou"]) == {
        c.name for c in CLASSES[:4]
    }
    assert (
        main(["evaluate", kept.source, "--model", models["dcfm"], "--class-map", "nowhere", "--out", ""]) == 2
    )
