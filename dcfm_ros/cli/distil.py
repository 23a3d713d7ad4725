# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`dcfm distil`: its arguments, and what it prints."""

from __future__ import annotations

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
    if result.agreement and training.labelled:
        _compare(str(result.model), str(result.teacher or ""), training)
    return result.code


def _compare(student: str, teacher: str, training: DistilTraining) -> None:
    """Print the mIoU of both on labelled data: as a keyframe, and as live."""
    from dcfm_ros.evaluation.evaluate import evaluate
    from dcfm_ros.evaluation.options import EvaluateOptions
    from dcfm_ros.evaluation.schedule import ASYNC, CAUSAL, FLOW
    from dcfm_ros.evaluation.table import evaluation_table

    options = EvaluateOptions(
        training.labelled,
        model=student,
        modes=(CAUSAL, ASYNC),
        intervals=(1, 4),
        alignments=(FLOW,),
        thresholds=(),
        delays=(2,),
        per_frame=teacher or None,
        device=training.device,
        out="",
    )
    print(evaluation_table(evaluate(options)))
