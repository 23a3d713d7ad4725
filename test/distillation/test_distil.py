# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Distillation from beginning to end, on a recording without labels."""

import json

import cv2
import numpy as np
import pytest
import torch
import yaml
from bags_helpers import write_bag
from helpers import CLASSES, tiny_model, write_tiny_model

from dcfm_ros.cli import main
from dcfm_ros.distillation.agreement import agreement_by_age, agreement_table
from dcfm_ros.distillation.distil import distil
from dcfm_ros.distillation.labelling import Labelling
from dcfm_ros.distillation.options import DistilTraining
from dcfm_ros.model.config import ConfigError
from dcfm_ros.model.folder import load_model
from dcfm_ros.sources.clips import open_clips

SHORT = (
    "phases.0.iterations=4",
    "phases.0.batch=2",
    "phases.0.height=64",
    "phases.0.width=96",
    "validation.every=4",
    "save_every=2",
    "warmup=1",
    "amp=false",
)


@pytest.fixture
def recording(tmp_path):
    return str(write_bag(tmp_path / "drive", 60, cut=1000, motion=1.0))


@pytest.fixture
def per_frame(tmp_path):
    return write_tiny_model(tmp_path / "teacher", architecture="per_frame")


def trained(**changes):
    return DistilTraining(changes=SHORT, device="cpu", workers=0, **changes)


@pytest.mark.slow
def test_a_student_starts_with_its_teachers_encoder_and_learns_its_classes(
    options, recording, per_frame, tmp_path
):
    chosen = options(teacher=str(per_frame), data=(recording,))
    result = distil(chosen, trained())
    student, teacher = load_model(result.model), load_model(per_frame)
    assert (student.config.architecture, student.config.backbone) == ("dcfm", "mit_b0")
    assert student.config.classes == teacher.config.classes
    assert (student.config.input_height, student.config.input_width) == (64, 96)
    for name, tensor in teacher.encoder.state_dict().items():  # four short steps do not lead far
        torch.testing.assert_close(student.encoder.state_dict()[name], tensor, atol=0.02, rtol=0.1)
    assert [row.age for row in result.agreement] == [0, 1, 2, 4, 8]
    assert all(0 < row.pixels <= 1 and row.frames == 1 for row in result.agreement)
    report = json.loads((tmp_path / "run" / "distil.json").read_text())
    assert report["agreement"][0]["age"] == 0 and str(tmp_path) not in json.dumps(report)
    assert "soft labels train" in json.dumps((tmp_path / "run" / "last" / "model.yaml").read_text())

    again = distil(chosen, trained(resume=True))  # nothing is left to do
    assert again.agreement == result.agreement
    with pytest.raises(ConfigError, match="already contains soft labels: give --resume"):
        distil(chosen, trained())


@pytest.mark.slow
def test_a_student_of_another_model_keeps_what_classes_have_in_common(
    options, recording, per_frame, tmp_path
):
    start = write_tiny_model(tmp_path / "start", classes=5, seed=7)
    result = distil(
        options(teacher=str(per_frame), data=(recording,), student=str(start), held_out=0.0), trained()
    )
    student = load_model(result.model)
    assert len(student.config.classes) == 4 and result.agreement == []  # nothing was held out
    found = student.head.classifier.weight
    torch.testing.assert_close(found, load_model(start).head.classifier.weight[:4], atol=0.05, rtol=0.1)


@pytest.mark.slow
def test_labelled_data_is_used_whatever_the_teacher_is_and_was_held_out(recording, tmp_path, capsys):
    """A teacher that is DCFM itself is no per-frame model to compare with; the student is measured."""
    teacher = write_tiny_model(tmp_path / "teacher")
    frames = tmp_path / "labelled" / "val"
    for number in range(3):
        for part in ("images", "labels"):
            (frames / part).mkdir(parents=True, exist_ok=True)
        image = np.full((64, 96, 3), 60 * number, np.uint8)
        cv2.imwrite(str(frames / "images" / f"{number}.png"), image)
        cv2.imwrite(str(frames / "labels" / f"{number}.png"), image[..., 0] // 60)
    classes = [{"name": c.name, "color": list(c.color)} for c in CLASSES[:4]]
    table = {"classes": classes, "video": {"rate_hz": 15}}
    (frames.parent / "classes.yaml").write_text(yaml.safe_dump(table))
    changes = [word for change in SHORT for word in ("--set", change)]
    words = ["--teacher", str(teacher), "--data", recording, "--out", str(tmp_path / "run"), "--frames", "30"]
    more = ["--held-out", "0", "--labelled", str(frames.parent), "--device", "cpu", "--workers", "0"]
    assert main(["distil", *words, *more, *changes]) == 0
    shown = capsys.readouterr().out
    assert "K = 4" in shown and "delay 2" in shown and "per-frame" not in shown


def test_an_onnx_teacher_needs_a_student_and_says_so_before_work_starts(options, recording, tmp_path):
    pytest.importorskip("onnxruntime")
    network = torch.nn.Conv2d(3, 4, 1)
    torch.onnx.export(
        network, (torch.zeros(1, 3, 64, 96),), str(tmp_path / "net.onnx"), dynamo=False, input_names=["image"]
    )
    with pytest.raises(ConfigError, match="name a model by --student"):
        distil(options(teacher=str(tmp_path / "net.onnx"), data=(recording,)), trained())
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_time_that_labelling_alone_uses_up(options, recording, per_frame):
    chosen = options(teacher=str(per_frame), data=(recording,))
    with pytest.raises(ConfigError, match="labelling took all of the 1e-06 minutes: it is done"):
        distil(chosen, trained(minutes=1e-6))


def test_agreement_is_that_with_the_teachers_masks(teacher, pictures, options, tmp_path):
    Labelling(teacher, [pictures("drive", 60)], options(), (64, 96), tmp_path / "soft", False).run()
    data, model = open_clips(str(tmp_path / "soft"), "val"), tiny_model()
    rows = agreement_by_age(model, data, align=True)
    assert [row.age for row in rows] == [0, 1, 2, 4, 8]
    text = agreement_table(rows)
    assert len(text.splitlines()) == 6 and f"{100 * rows[0].pixels:.1f} %" in text
