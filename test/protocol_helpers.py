# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What tests of the offline protocol share."""

import pytest
from evaluation_helpers import CLASSES, SIZE, NotingBackend, logits_of
from helpers import tiny_model

from dcfm_ros.evaluation.protocol import Network, Protocol
from dcfm_ros.metrics.confusion import ConfusionMatrix
from dcfm_ros.model.class_map import ClassMap
from dcfm_ros.model.config import ClassSpec
from dcfm_ros.pipeline.backends.torch_cpu import TorchBackend
from dcfm_ros.pipeline.postprocess import upsampled_argmax
from dcfm_ros.pipeline.settings import SchedulerConfig

SCHEDULER = SchedulerConfig(min_interval=2, max_interval=6, cut_threshold=5.0)
THRESHOLDS = (0.2, 0.45)  # of the published score
RESIDUALS = (0.1, 0.3)  # of the other


def own_classes(number: int) -> ClassMap:
    return ClassMap.of_model([ClassSpec(f"class {index}", (index, 0, 0)) for index in range(number)])


def run(clips, *schedules, backend=None, **settings):
    """(results, backend)"""
    network = {key: settings.pop(key) for key in ("shallow_on", "exact_size") if key in settings}
    backend, class_map = backend or NotingBackend(), settings.pop("class_map", own_classes(CLASSES))
    protocol = Protocol(schedules, **{"scheduler": SCHEDULER, **settings})
    return protocol.run(Network(backend, SIZE, class_map, **network), clips), backend


def counts_of(masks, labels):
    matrix = ConfusionMatrix(CLASSES)
    for mask, label in zip(masks, labels):
        matrix.add(mask, label)
    return matrix.counts


def noted_mask(frame, keyframes):
    return upsampled_argmax(logits_of(frame, keyframes), SIZE)


@pytest.fixture(scope="module")
def model():
    return tiny_model(CLASSES)


@pytest.fixture
def backend(model):
    return TorchBackend(model)
