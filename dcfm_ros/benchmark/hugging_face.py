# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""SegFormer as most people run it: by `transformers` of Hugging Face, where that is installed."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from dcfm_ros.model.backbone_specs import MIT_SPECS
from dcfm_ros.model.fusion import resize
from dcfm_ros.model.image import normalised
from dcfm_ros.model.importing.hugging_face import WEIGHTS, exported
from dcfm_ros.model.per_frame import PerFrame


class TransformersNetwork(nn.Module):
    """`transformers`' SegFormer with the weights of a per-frame network of ours, all logits upsampled to
    camera size, argmax."""

    def __init__(self, model: PerFrame, camera: tuple[int, int]):
        """model: with a MiT backbone. Raises ImportError where `transformers` is missing."""
        # optional, and slow to import
        from transformers import SegformerConfig, SegformerForSemanticSegmentation, logging

        super().__init__()
        logging.disable_progress_bar()
        spec = MIT_SPECS[model.config.backbone]
        config = SegformerConfig(
            depths=list(spec.depths),
            hidden_sizes=list(spec.widths),
            decoder_hidden_size=model.config.embed,
            num_labels=len(model.config.classes),  # type: ignore[call-arg]  # of its base class
        )
        with (
            TemporaryDirectory() as folder
        ):  # reading a folder is what works with every version, whatever it calls its modules
            config.save_pretrained(folder)
            save_file(exported(model), Path(folder) / WEIGHTS[0], metadata={"format": "pt"})
            self.model = SegformerForSemanticSegmentation.from_pretrained(folder)  # no hub  # nosec B615
        self.camera, self.normalisation = camera, model.config.normalisation

    def forward(self, image: Tensor) -> Tensor:
        """(1, h, w, 3) uint8 to (1, H, W) uint8."""
        pixels = normalised(image, self.normalisation).to(self.model.dtype)
        return resize(self.model(pixels).logits, self.camera).argmax(1).to(torch.uint8)
