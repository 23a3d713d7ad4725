# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`dcfm distil`: its arguments, and what it prints."""

from __future__ import annotations

from pathlib import Path

from dcfm_ros.distillation.options import DistilTraining, LabellingOptions

SETTINGS = (LabellingOptions, DistilTraining)


def run(labelling: LabellingOptions, training: DistilTraining) -> int:
    from dcfm_ros.distillation.agreement import agreement_table
    from dcfm_ros.distillation.distil import distil

    result = distil(labelling, training)
    if result.note:
        print(result.note)
    if result.agreement:
        print(agreement_table(result.agreement))
    if result.is_finished and training.labelled:
        _compare(str(result.model), result.teacher, training)
    return result.code


def _compare(student: str, teacher: Path | None, training: DistilTraining) -> None:
    """Print the mIoU on labelled data: as a keyframe, and as live; and that of the teacher, if it is a
    per-frame model."""
    from dcfm_ros.evaluation.evaluate import evaluate
    from dcfm_ros.evaluation.options import EvaluateOptions
    from dcfm_ros.evaluation.schedule import ASYNC, CAUSAL, FLOW
    from dcfm_ros.evaluation.table import evaluation_table
    from dcfm_ros.model.model_yaml import load_model_config

    is_per_frame = teacher is not None and load_model_config(teacher).architecture == "per_frame"
    options = EvaluateOptions(
        training.labelled,
        model=student,
        modes=(CAUSAL, ASYNC),
        intervals=(1, 4),
        alignments=(FLOW,),
        thresholds=(),
        delays=(2,),
        per_frame=str(teacher) if is_per_frame else None,
        device=training.device,
        out="",
    )
    print(evaluation_table(evaluate(options)))
