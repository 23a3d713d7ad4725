# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Exports a model's inference form as ONNX files with fixed shapes.

| file | inputs | output |
|---|---|---|
| `shallow.onnx` | `image` (1, H, W, 3) uint8 RGB | `shallow`, the independent feature S |
| `deep.onnx` | `shallow` | `common`, the common contribution; for a per-frame model `logits` |
| `align.onnx` | `common`, `motion` (1, h, w, 2) float32 | `aligned`: the warped feature, replaces `common` |
| `decoder.onnx` | `shallow`, `common` | `logits` (1, classes, h, w) float32 |

A per-frame model has only the first two.

Features are float32, or float16 for that precision. Shapes are fixed because engines are fastest that way,
and because each image size needs its own engines anyway.
"""

from __future__ import annotations

import importlib.util
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from dcfm_ros.model.alignment import Alignment, aligned
from dcfm_ros.model.build import Model
from dcfm_ros.model.half import half_precision
from dcfm_ros.model.inference import InferenceModel, fold

PRECISIONS = ("f32", "f16")
OPSET = 20  # the first with GELU as a single operator; supported by TensorRT 10.0
# Opset 20 renamed bilinear sampling. TensorRT's parser does not know the new name and silently uses
# nearest sampling: seen from 10.1 to 11.1, https://github.com/NVIDIA/TensorRT/issues/4646.
OPSETS = {"align": 18}
_NEEDED = ("onnx", "onnxscript")


class ExportError(RuntimeError):
    """A model that cannot be exported; the message names the remedy."""


class Part(NamedTuple):
    """One network of a model: the module, and an example of its inputs and its output, by name."""

    name: str
    module: nn.Module
    inputs: dict[str, Tensor]
    output_name: str
    output: Tensor


def model_parts(model: Model, size: tuple[int, int], precision: str = "f32") -> list[Part]:
    """Return the parts for images of size (H, W), with examples computed from a fixed random image."""
    if precision not in PRECISIONS:
        raise ExportError(f"precision {precision!r} cannot be exported: use one of {', '.join(PRECISIONS)}")
    parts = fold(model.cpu())
    return example_parts(
        parts if precision == "f32" else half_precision(parts), size, decoder=not is_per_frame(model)
    )


def is_per_frame(model: Model) -> bool:
    return model.config.architecture == "per_frame"


def example_parts(parts: InferenceModel, size: tuple[int, int], decoder: bool) -> list[Part]:
    image = torch.randint(
        0, 256, (1, *size, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
    )
    with torch.inference_mode():
        shallow = parts.shallow(image)
        common = parts.deep(shallow)
        logits = parts.decoder(shallow, common)
        motion = 4.0 * torch.randn(1, *common.shape[2:], 2, generator=torch.Generator().manual_seed(1))
        moved = aligned(common, motion)
    image, shallow, common, logits, motion, moved = (  # no inference tensors
        tensor.clone() for tensor in (image, shallow, common, logits, motion, moved)
    )
    found = [
        Part("shallow", parts.shallow, {"image": image}, "shallow", shallow),
        Part("deep", parts.deep, {"shallow": shallow}, "common" if decoder else "logits", common),
    ]
    if decoder:
        found.append(
            Part("align", Alignment().eval(), {"common": common, "motion": motion}, "aligned", moved)
        )
        found.append(Part("decoder", parts.decoder, {"shallow": shallow, "common": common}, "logits", logits))
    return found


def write_onnx(part: Part, folder: Path) -> Path:
    """Write `<part>.onnx` with its weights into the folder; return the file."""
    missing = [package for package in _NEEDED if importlib.util.find_spec(package) is None]
    if missing:
        raise ExportError(f"ONNX files need {' and '.join(missing)}: pip install {' '.join(_NEEDED)}")
    file = folder / f"{part.name}.onnx"
    with _quiet():
        torch.onnx.export(
            part.module,
            tuple(part.inputs.values()),
            file,
            input_names=list(part.inputs),
            output_names=[part.output_name],
            opset_version=OPSETS.get(part.name, OPSET),
            dynamo=True,
            external_data=False,
            verbose=False,
        )
    return file


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence the exporter's notes on torchvision, which is not used here, and on its own deprecated
    calls."""
    log = logging.getLogger("torch.onnx._internal.exporter._registration")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            warnings.simplefilter("ignore", DeprecationWarning)
            yield
    finally:
        log.setLevel(level)
