# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A per-frame network in the segmenter: every mask is its own frame's, whatever the settings say."""

import numpy as np
import pytest
import torch
from helpers import tiny_model
from pipeline_helpers import SIZE, FakeBackend, frame, paper

from dcfm_ros.model.fusion import resize
from dcfm_ros.model.image import normalised
from dcfm_ros.pipeline.segmenter import Segmenter
from dcfm_ros.pipeline.settings import Mode, PipelineConfig, SchedulerConfig


@pytest.fixture
def segmenter():
    made = []

    def make(kind=Segmenter.of, *arguments, **options):
        made.append(kind(*arguments, **options))
        return made[-1]

    yield make
    for one in made:
        one.stop()


@pytest.mark.slow
@pytest.mark.parametrize("mode", Mode)
def test_every_frame_is_segmented_as_the_network_alone_does_it(segmenter, mode):
    model, events = tiny_model(architecture="per_frame"), []
    config = PipelineConfig(mode, SchedulerConfig(3, 7))
    runner = segmenter(Segmenter.of, model, "torch", "cpu", config, on_keyframe=events.append)
    assert runner.per_frame
    for tag in range(5):
        image = frame(tag)
        (mask,) = runner.process(image)
        with torch.inference_mode():
            logits = resize(
                model.keyframe(normalised(torch.from_numpy(image.image)[None], model.config.normalisation)),
                SIZE,
            )[0]
        two = logits.topk(2, dim=0).values
        clear = (two[0] - two[1] > 1e-4).numpy()
        assert clear.mean() > 0.9 and np.array_equal(mask.mask[clear], logits.argmax(0).numpy()[clear])
        assert mask.is_keyframe and mask.feature_age_frames == 0
    assert len(events) == 5


def test_other_keyframe_settings_change_nothing(segmenter):
    backend = FakeBackend()
    backend.per_frame = True
    runner = segmenter(Segmenter, backend, SIZE)
    runner.reconfigure(SchedulerConfig(4, 9, 0.7, 0.8))
    assert [runner.process(frame(tag))[0].is_keyframe for tag in range(4)] == [True] * 4
    assert backend.encoded == [0, 1, 2, 3]
    assert runner.config.scheduler == paper(SchedulerConfig(1, 1, 0.7, 0.8))


def test_no_mask_where_the_network_failed(segmenter):
    backend, errors = FakeBackend(), []
    backend.per_frame = True
    runner = segmenter(Segmenter, backend, SIZE, on_error=lambda camera, error: errors.append(str(error)))
    assert len(runner.process(frame(0))) == 1
    backend.deep_error = RuntimeError("out of memory")
    assert runner.process(frame(1)) == [] and errors == ["keyframe encoder: out of memory"]
    backend.deep_error = None
    assert (runner.process(frame(2))[0].mask == 2).all()


def test_ablations_are_not_run(segmenter):
    with pytest.raises(ValueError, match="shallow_on is 'key': such an ablation can only be evaluated"):
        segmenter(Segmenter.of, tiny_model(shallow_on="key"))
