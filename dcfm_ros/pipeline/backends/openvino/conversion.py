# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Conversion of a model's parts to OpenVINO graphs: once per model, for images of any size.

Only this needs PyTorch. What a size needs is cut from the graphs: see `graphs.py`.
"""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
import openvino
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dcfm_ros.model.build import Model
from dcfm_ros.model.folder import load_model
from dcfm_ros.model.fusion import FoldedFusion
from dcfm_ros.model.inference import (
    Classification,
    Contribution,
    Decoder,
    DeepPath,
    InferenceModel,
    fold,
    unit_length,
)
from dcfm_ros.pipeline.backends.openvino.graphs import (
    BAND,
    COMMON,
    DECODER,
    DECODER_WEIGHTS,
    DEEP,
    LOGITS,
    SHALLOW,
    SHALLOW_FEATURE,
    STRUCTURE_FILE,
    VERTICAL,
    graph_file,
    step_name,
)

# An image, in which no two sides of features are equal by chance: what a trace decides by equality holds for
# other sizes.
_EXAMPLE = (160, 224)
_OTHER = (96, 128)  # at which a converted graph is compared with PyTorch
_TOLERANCE = 1e-3  # of the length of a feature; differences are 1e-6

Shape = Sequence[int]


def convert_model(model: Model, folder: Path, size: tuple[int, int] | None = None) -> None:
    """Write the graphs of a model into a folder, as `convert_parts` does."""
    own = not model.config.is_timm  # tests compare these at several sizes
    convert_parts(fold(model.cpu()), folder, size, trusted=own)


def convert_parts(
    parts: InferenceModel, folder: Path, size: tuple[int, int] | None = None, trusted: bool = False
) -> None:
    """Write the graphs of the parts into a folder.

    size: of the only image (H, W) that they are for; None: any. If a network computes with the size of its
        example, the graphs for any size are wrong, and `structure.json` says so
    trusted: it is known not to do so; the comparison takes a second
    """
    height, width = size or _EXAMPLE
    image = torch.zeros(1, height, width, 3, dtype=torch.uint8)
    with torch.no_grad():
        shallow = parts.shallow(image)
        common = parts.deep(shallow)
    any_size = size is None
    steps = _DeepSteps(parts.deep)
    _save(folder, SHALLOW, parts.shallow, {"image": image}, [SHALLOW_FEATURE], any_size, channels=3)
    _save(folder, DEEP, steps, {SHALLOW_FEATURE: shallow}, [*steps.names, COMMON], any_size)
    if isinstance(parts.decoder, Decoder):
        if parts.decoder.hidden is None:
            np.savez(
                folder / DECODER_WEIGHTS,
                shallow=np.ascontiguousarray(parts.decoder.weight[:, :, 0, 0].numpy().T),
                classes=parts.decoder.classifier[:, :, 0, 0].numpy(),
            )
        _save(folder, DECODER, parts.decoder, {SHALLOW_FEATURE: shallow, COMMON: common}, [LOGITS], any_size)
    if isinstance(parts.deep.fusion, FoldedFusion):
        _save_band(folder, parts, shallow, any_size)
    structure = {
        "stages": [len(stage) for stage in parts.deep.steps_of_stages()],
        "any_size": any_size and (trusted or _is_right(parts, folder)),
    }
    (folder / STRUCTURE_FILE).write_text(json.dumps(structure))


def converted(part: nn.Module, *example: Tensor, shapes: Sequence[Shape] = ()) -> openvino.Model:
    """Convert a module to an OpenVINO model for inputs of exactly the example's shapes, or of `shapes`, where
    -1 is any."""
    with warnings.catch_warnings(), torch.no_grad():
        # about values that depend on the shapes, and that tracing is deprecated
        warnings.simplefilter("ignore", torch.jit.TracerWarning)
        warnings.simplefilter("ignore", DeprecationWarning)
        # traced here: OpenVINO would let PyTorch trace twice and compare, which takes as long as all the rest
        traced = torch.jit.trace(part.eval(), example, check_trace=False, strict=False)
        graph = openvino.convert_model(traced, example_input=example)
    shapes = shapes or [tuple(tensor.shape) for tensor in example]
    graph.reshape({port: list(shape) for port, shape in zip(graph.inputs, shapes, strict=True)})
    return graph


def _save(
    folder: Path,
    name: str,
    part: nn.Module,
    inputs: dict[str, Tensor],
    outputs: list[str],
    any_size: bool,
    channels: int = 1,
) -> None:
    """Convert and write one graph. channels: dimension of the inputs' channels; all others are of any size,
    if `any_size`, but that of the batch"""
    shapes = [
        tuple(side if not any_size or at in (0, channels) else -1 for at, side in enumerate(tensor.shape))
        for tensor in inputs.values()
    ]
    graph = converted(part, *inputs.values(), shapes=shapes)
    for port, port_name in zip([*graph.inputs, *graph.outputs], [*inputs, *outputs], strict=True):
        port.get_tensor().set_names({port_name})
    openvino.save_model(graph, graph_file(folder, name), compress_to_fp16=False)


def _save_band(folder: Path, parts: InferenceModel, shallow: Tensor, any_size: bool) -> None:
    band = _Band(parts.deep)
    with torch.no_grad():
        outputs = [output.permute(0, 2, 3, 1) for output in parts.deep.outputs(shallow)]
    vertical = torch.zeros(outputs[0].shape[1], sum(output.shape[1] for output in outputs[1:]))
    graph = converted(
        band,
        vertical,
        *outputs,
        shapes=[
            (-1, -1),
            *((1, -1, -1 if any_size else output.shape[2], output.shape[3]) for output in outputs),
        ],
    )
    names = [VERTICAL, *(f"rows{number}" for number in range(len(outputs)))]
    for port, name in zip([*graph.inputs, *graph.outputs], [*names, COMMON], strict=True):
        port.get_tensor().set_names({name})
    openvino.save_model(graph, graph_file(folder, BAND), compress_to_fp16=False)


def _is_right(parts: InferenceModel, folder: Path) -> bool:
    """Whether the graphs give what PyTorch gives for an image of another size than the example's."""
    image = torch.randint(
        0, 256, (1, *_OTHER, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
    )
    core, settings = openvino.Core(), {"INFERENCE_PRECISION_HINT": "f32"}

    def run(name: str, *inputs: np.ndarray) -> np.ndarray:
        return core.compile_model(graph_file(folder, name), "CPU", settings)(list(inputs))[-1]

    with torch.no_grad():
        shallow = parts.shallow(image)
        pairs = [(run(SHALLOW, image.numpy()), shallow), (run(DEEP, shallow.numpy()), parts.deep(shallow))]
    return all(
        found.shape == tuple(exact.shape)
        and float(np.linalg.norm(found - exact.numpy())) <= _TOLERANCE * float(exact.norm())
        for found, exact in pairs
    )


class _DeepSteps(nn.Module):
    """The deep path, with the output of each of its steps."""

    def __init__(self, deep: DeepPath):
        super().__init__()
        self.deep = deep
        self.names = [
            step_name(stage, step)
            for stage, steps in enumerate(deep.steps_of_stages())
            for step in range(len(steps))
        ]

    def forward(self, shallow: Tensor) -> tuple[Tensor, ...]:
        feature, found, outputs = shallow, [], []
        for stage in self.deep.steps_of_stages():
            for step in stage:
                feature = step(feature)
                found.append(feature)
            outputs.append(feature)
        return (*found, self.deep.contribution(self.deep.fusion(*outputs)))


class _Band(nn.Module):
    """A band of rows of the conclusion (SegFormer's fusion and the contribution), which needs a few rows of
    each stage's output.

    Coarse features are interpolated horizontally. One matrix product with the weights of bilinear
    interpolation then computes and sums the band's rows of all of them; cutting out rows after interpolation
    takes twice as long. Channels are last: convolutions would transpose features back and forth.
    """

    def __init__(self, deep: DeepPath):
        super().__init__()
        assert isinstance(deep.fusion, FoldedFusion)
        self.first = nn.ModuleList(_channels_last_layer(layer) for layer in deep.fusion.first)
        self.weights = nn.ParameterList(weight[:, :, 0, 0].clone() for weight in deep.fusion.weights)
        self.bias, self.contribution = deep.fusion.bias, _channels_last_form(deep.contribution)

    def forward(self, vertical: Tensor, *features: Tensor) -> Tensor:
        """Compute (1, rows, W, common) from the needed rows of each stage's output, (1, rows, w, C).

        vertical: the weights (rows, rows of all coarse features) of vertical interpolation
        """
        width, widened = features[0].shape[2], []
        features = tuple(layer(feature) for layer, feature in zip(self.first, features))
        for feature, weight in zip(features[1:], list(self.weights)[1:]):
            small = F.linear(feature, weight).permute(0, 3, 1, 2)
            wide = F.interpolate(small, size=(feature.shape[1], width), mode="bilinear", align_corners=False)
            widened.append(wide.permute(0, 2, 3, 1)[0].flatten(1))
        mixed = (vertical @ torch.cat(widened)).unflatten(1, (width, -1))
        deep = F.relu(F.linear(features[0], self.weights[0], self.bias) + mixed)
        return self.contribution(deep)


class _UnitLength(nn.Module):
    """Normalises a feature (..., C) to unit length."""

    def forward(self, feature: Tensor) -> Tensor:
        return unit_length(feature, dim=-1)


def _channels_last_form(contribution: Contribution | Classification) -> nn.Module:
    """Return the contribution as a module for (..., C)."""
    if isinstance(contribution, Classification):
        return _linear(contribution.classifier.weight, contribution.classifier.bias)
    bottleneck = contribution.bottleneck
    first = [_linear(bottleneck.weight, None)] if isinstance(bottleneck, nn.Conv2d) else []
    return nn.Sequential(*first, _UnitLength(), _linear(contribution.weight, contribution.bias))


def _channels_last_layer(layer: nn.Module) -> nn.Module:
    """Return what a stage passes first in the fusion, nothing or a convolution with ReLU, for (..., C)."""
    if not isinstance(layer, nn.Sequential):
        return layer
    conv = layer[0]
    assert isinstance(conv, nn.Conv2d)
    return nn.Sequential(_linear(conv.weight, conv.bias), nn.ReLU())


def _linear(weight: Tensor, bias: Tensor | None) -> nn.Linear:
    """Return a 1x1 convolution as a linear layer."""
    layer = nn.Linear(weight.shape[1], weight.shape[0], bias=False, device="meta")  # no random initialisation
    layer.weight = nn.Parameter(weight[:, :, 0, 0].clone())
    layer.register_parameter("bias", None if bias is None else nn.Parameter(bias, requires_grad=False))
    return layer


def main(arguments: Sequence[str]) -> None:
    """Convert the model of a folder into another folder; an image size (H, W) may follow."""
    model, out, *size = arguments
    with suppress(OSError):  # where memory is short, the kernel ends this process, not the node
        Path("/proc/self/oom_score_adj").write_text("1000")
    convert_model(load_model(model), Path(out), (int(size[0]), int(size[1])) if size else None)


if __name__ == "__main__":
    main(sys.argv[1:])
