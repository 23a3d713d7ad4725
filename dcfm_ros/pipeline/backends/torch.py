"""PyTorch backend, any device."""

from __future__ import annotations

from typing import Callable

import numpy as np
import torch
from torch import Tensor

from dcfm_ros.model.build import Model
from dcfm_ros.model.inference import fold
from dcfm_ros.pipeline.backends.base import MasksOnHost


class TorchBackend(MasksOnHost):
    """Eager PyTorch, float32 on a CPU, float16 autocast on a GPU."""

    name = "torch"

    def __init__(self, model: Model, device: str = "cpu"):
        self.device, self.per_frame = device, model.config.architecture == "per_frame"
        self._parts = fold(model.to(device))
        self._half = device.startswith("cuda")
        self.precision = "f16" if self._half else "f32"

    def prepare(self, size: tuple[int, int]) -> None:
        """Nothing to compile."""

    def shallow(self, image: np.ndarray) -> Tensor:
        with torch.inference_mode(), self._precision():
            return self._parts.shallow(torch.from_numpy(image)[None].to(self.device, non_blocking=True))

    def deep(self, shallow: Tensor, give_way: Callable[[], None] = lambda: None) -> Tensor:
        deep = self._parts.deep
        with torch.inference_mode(), self._precision():
            feature, outputs = shallow, []
            for stage in deep.stages:
                for part in stage:
                    give_way()
                    feature = part(feature)
                outputs.append(feature)
            give_way()
            fused = deep.fusion(*outputs)
            give_way()
            common = deep.contribution(fused)
            if self._half:
                torch.cuda.current_stream().synchronize()  # the encode time ends when the feature is there
            return common

    def decode(self, shallow: Tensor, commons: list[Tensor]) -> np.ndarray:
        with torch.inference_mode(), self._precision():
            logits = self._parts.decoder(shallow, commons[0])
            for common in commons[1:]:
                logits = logits + self._parts.decoder(shallow, common)
            return logits[0].float().contiguous().cpu().numpy()

    def _precision(self):
        return torch.autocast("cuda", torch.float16, enabled=self._half)
