# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Ways to compute logits from S and a common contribution, on the CPU."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import openvino

from dcfm_ros.pipeline.backends.decoder_weights import DecoderWeights
from dcfm_ros.pipeline.backends.fused_decoder import fused_logits
from dcfm_ros.pipeline.backends.openvino.buffers import Buffers
from dcfm_ros.pipeline.backends.sampling import sampled


class Decoder(Protocol):
    def logits(self, shallow: np.ndarray, common: np.ndarray, motion: np.ndarray | None) -> np.ndarray:
        """Return logits (h, w, classes) float32, valid until the next call. S and the common contribution
        are (1, h, w, channels)."""


class GivenLogits:
    """Of a per-frame network, whose deep path gives the logits."""

    def logits(self, shallow: np.ndarray, common: np.ndarray, motion: np.ndarray | None) -> np.ndarray:
        return common[0]


class FusedDecoder:
    """One loop over the cells: for a classifier without hidden layer, few classes, and a common contribution
    on the grid of S."""

    MAX_CLASSES = 40  # from which matrix products win

    def __init__(self, weights: DecoderWeights):
        self._weights = weights

    def logits(self, shallow: np.ndarray, common: np.ndarray, motion: np.ndarray | None) -> np.ndarray:
        return fused_logits(self._weights, shallow[0], common[0], motion)


class NetworkDecoder:
    """A network, after the common contribution has been sampled."""

    def __init__(self, request: openvino.InferRequest, aligned: Buffers):
        self._request, self._aligned = request, aligned

    def logits(self, shallow: np.ndarray, common: np.ndarray, motion: np.ndarray | None) -> np.ndarray:
        if motion is not None:
            common = sampled(common, motion, self._aligned.take())
        return self._request.infer([shallow, common], share_inputs=True, share_outputs=True)[0][0]
