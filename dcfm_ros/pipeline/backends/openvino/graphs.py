# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A model's OpenVINO graphs for images of one size, and the networks that are cut from them. Without
PyTorch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import openvino
from openvino import opset13 as ops
from openvino.passes import ConstantFolding, Manager
from openvino.preprocess import PrePostProcessor

from dcfm_ros.pipeline.backends.decoder_weights import DecoderWeights
from dcfm_ros.plain_files import read_json

F32 = openvino.Type.f32

SHALLOW, DEEP, DECODER, BAND = "shallow", "deep", "decoder", "band"  # the graphs
STRUCTURE_FILE, DECODER_WEIGHTS = "structure.json", "decoder.npz"
SHALLOW_FEATURE, COMMON, LOGITS, VERTICAL = "shallow", "common", "logits", "vertical"  # inputs and outputs


def graph_file(folder: Path, name: str) -> Path:
    return folder / f"{name}.xml"


def step_name(stage: int, step: int) -> str:
    """Name of the output of a step of the deep path."""
    return f"stage{stage}step{step}"


class Structure(NamedTuple):
    """What is known of the graphs in a folder."""

    stages: list[int]  # number of steps of each stage of the deep path
    any_size: bool  # they hold for images of any size

    @classmethod
    def read(cls, folder: Path) -> Structure:
        return cls(**read_json(folder / STRUCTURE_FILE))


class Graphs:
    """The graphs for images of one size (H, W). Features are (1, C, h, w) in them, and (1, h, w, C) in the
    networks that are cut from them, in which the plugin computes: any other layout between two networks is
    transposed at both ends."""

    def __init__(self, core: openvino.Core, folder: Path, size: tuple[int, int]):
        structure, self._folder = Structure.read(folder), folder
        self.stages = [
            [step_name(stage, step) for step in range(count)] for stage, count in enumerate(structure.stages)
        ]
        self._shallow = core.read_model(graph_file(folder, SHALLOW))
        self._shallow.reshape([1, *size, 3])
        feature = _shape(self._shallow.output(0))
        self._deep = core.read_model(graph_file(folder, DEEP))
        self._deep.reshape(feature)
        _fold_shapes(self._deep)  # by which later steps would hang on earlier ones
        self.shallow_shape, self.common_shape = _channels_last(feature), _channels_last(self.shape_of(COMMON))
        self._decoder, self._band = (
            core.read_model(path) if (path := graph_file(folder, name)).is_file() else None
            for name in (DECODER, BAND)
        )
        if self._decoder is not None:
            self._decoder.reshape({SHALLOW_FEATURE: feature, COMMON: self.shape_of(COMMON)})

    def shape_of(self, name: str) -> list[int]:
        """Return the shape (1, C, h, w) of a feature of the deep path."""
        return _shape(self._deep.input(0) if name == SHALLOW_FEATURE else self._deep.output(name))

    @property
    def stage_outputs(self) -> list[str]:
        """Names of the stages' outputs; a stage without steps hands on what it gets."""
        outputs = [SHALLOW_FEATURE]
        for steps in self.stages:
            outputs.append(steps[-1] if steps else outputs[-1])
        return outputs[1:]

    @property
    def can_be_banded(self) -> bool:
        """Whether the conclusion can be computed in bands of rows."""
        return self._band is not None

    def shallow(self) -> openvino.Model:
        """Return the network from the image (1, H, W, 3) uint8 to S."""
        return _with_channels_last(self._shallow.clone(), inputs=False)

    def decoder(self) -> openvino.Model | None:
        """Return the network from S and the common contribution to logits; None for a per-frame model."""
        return None if self._decoder is None else _with_channels_last(self._decoder.clone())

    def decoder_weights(self) -> DecoderWeights | None:
        """Return the weights of the decoder, if it has no hidden layer and S is on the common contribution's
        grid."""
        path = self._folder / DECODER_WEIGHTS
        if self.shallow_shape[1:3] != self.common_shape[1:3] or not path.is_file():
            return None
        with np.load(path) as stored:
            return DecoderWeights(**stored)

    def part(self, inputs: Sequence[str], output: str, type: openvino.Type = F32) -> openvino.Model:
        """Return the network from features of the deep path to another one, which it writes as `type`."""
        graph = self._deep.clone()
        parameters = []
        for name in inputs:
            if name == SHALLOW_FEATURE:
                parameters.append(graph.get_parameters()[0])
                continue
            parameter = ops.parameter(self.shape_of(name), np.float32)
            for user in _value(graph, name).get_target_inputs():
                if user.get_node().get_type_name() != "Result":
                    user.replace_source_output(parameter.output(0))
            parameters.append(parameter)
        graph = openvino.Model([ops.result(_value(graph, output))], parameters)
        return _with_channels_last(graph, type=type)

    def band(self, rows: tuple[int, int], type: openvino.Type = F32) -> Band:
        """Return the network of a band of rows of the conclusion, which it writes as `type`."""
        assert self._band is not None
        shapes = [_channels_last(self.shape_of(name)) for name in self.stage_outputs]
        weights = [row_weights(shape[1], shapes[0][1])[slice(*rows)] for shape in shapes[1:]]
        spans = [_span(weight) for weight in weights]
        vertical = np.concatenate([weight[:, slice(*span)] for weight, span in zip(weights, spans)], axis=1)
        graph = self._band.clone()
        first, *features = graph.get_parameters()
        graph.reshape(
            {
                port: [1, end - begin, *shape[2:]]
                for port, (begin, end), shape in zip(graph.inputs[1:], (rows, *spans), shapes)
            }
            | {graph.inputs[0]: list(vertical.shape)}
        )
        first.output(0).replace(ops.constant(vertical).output(0))
        return Band(
            slice(*rows),
            [slice(*rows), *(slice(*span) for span in spans)],
            _written_as(openvino.Model(graph.get_results(), features), type),
        )

    def work(self) -> dict[str, float]:
        """Return the work of the steps of the deep path and of its conclusion, by the names of their outputs:
        what they compute beyond the steps before; and that of SHALLOW and DECODER."""
        seen: set[str] = set()
        names = [name for steps in self.stages for name in steps]
        work = {name: _work(_value(self._deep, name).get_node(), seen) for name in [*names, COMMON]}
        for name, graph in ((SHALLOW, self._shallow), (DECODER, self._decoder)):
            work[name] = 0.0 if graph is None else _work(graph.get_results()[0], set())
        return work


class Band(NamedTuple):
    """A band of rows of the common contribution."""

    rows: slice
    input_rows: list[slice]  # rows of each stage's output
    network: openvino.Model


def row_weights(height: int, wanted: int) -> np.ndarray:
    """Return the weights (wanted, height) float32 of bilinear interpolation from `height` rows to `wanted`,
    align_corners false."""
    places = np.maximum((np.arange(wanted) + 0.5) * height / wanted - 0.5, 0.0)
    above = np.minimum(places.astype(int), height - 1)
    weights = np.zeros((wanted, height), np.float32)
    np.add.at(weights, (np.arange(wanted), above), 1.0 - (places - above))
    np.add.at(weights, (np.arange(wanted), np.minimum(above + 1, height - 1)), places - above)
    return weights


def _span(weights: np.ndarray) -> tuple[int, int]:
    """Return the first column that is not all zero, and the one after the last."""
    used = np.flatnonzero(weights.any(0))
    return int(used[0]), int(used[-1]) + 1


def _fold_shapes(graph: openvino.Model) -> None:
    """Fold what depends on constants alone, but for weights in int8, which would be float32 then. They are
    inputs of the graph meanwhile."""
    weights = [
        node
        for node in graph.get_ops()
        if node.get_type_name() == "Constant" and node.get_element_type() == openvino.Type.i8
    ]
    inputs = [ops.parameter(list(node.get_output_shape(0)), np.int8) for node in weights]
    for node, stand_in in zip(weights, inputs):
        node.output(0).replace(stand_in.output(0))
    graph.add_parameters(inputs)
    folding = Manager()
    folding.register_pass(ConstantFolding())
    folding.run_passes(graph)
    for node, stand_in in zip(weights, inputs):
        stand_in.output(0).replace(node.output(0))
        graph.remove_parameter(stand_in)


def _value(graph: openvino.Model, name: str) -> openvino.Output:
    """Return what is computed for an output."""
    return graph.output(name).get_node().input_value(0)


def _shape(port: openvino.Output) -> list[int]:
    return list(port.get_shape())


def _channels_last(shape: Sequence[int]) -> list[int]:
    return [shape[0], *shape[2:], shape[1]]


def _written_as(graph: openvino.Model, type: openvino.Type) -> openvino.Model:
    steps = PrePostProcessor(graph)
    steps.output().tensor().set_element_type(type)
    return steps.build()


def _with_channels_last(
    graph: openvino.Model, inputs: bool = True, type: openvino.Type = F32
) -> openvino.Model:
    """Turn features over: (1, C, h, w) in the graph, (1, h, w, C) outside, where the output is of `type`."""
    steps = PrePostProcessor(graph)
    ports = [steps.output()] + [steps.input(at) for at in range(len(graph.inputs)) if inputs]
    for port in ports:
        port.tensor().set_layout(openvino.Layout("NHWC"))
        port.model().set_layout(openvino.Layout("NCHW"))
    steps.output().tensor().set_element_type(type)
    return steps.build()


# Time per multiply-accumulate relative to other layers, measured: because of the softmax.
_ATTENTION = 3.0


def _work(node: openvino.Node, seen: set[str]) -> float:
    """Return the multiply-accumulates of what `node` is computed from, and has not been seen."""
    return sum(map(_work_of, new_nodes(node, seen)), 0.0)


def new_nodes(node: openvino.Node, seen: set[str]) -> Iterator[openvino.Node]:
    """Yield what `node` is computed from, itself included, and has not been seen; from then on it has."""
    waiting = [node]
    while waiting:
        node = waiting.pop()
        if node.get_friendly_name() not in seen:
            seen.add(node.get_friendly_name())
            waiting += [port.get_node() for port in node.input_values()]
            yield node


def _work_of(node: openvino.Node) -> float:
    kind = node.get_type_name()
    if kind in ("Convolution", "GroupConvolution"):
        weights = node.input(1).get_shape()  # (out, in, ...), or (groups, out, in, ...)
        return _size(node.output(0)) * float(np.prod(weights[1 if kind == "Convolution" else 2 :]))
    if kind == "MatMul":
        inner = node.input(0).get_shape()[-2 if node.get_attributes()["transpose_a"] else -1]
        layer = any(_is_constant(port.get_node()) for port in node.input_values())
        return (1.0 if layer else _ATTENTION) * _size(node.output(0)) * inner
    if kind == "ScaledDotProductAttention":
        query, key = node.input(0), node.input(1)
        return _ATTENTION * (float(np.prod(query.get_shape())) + _size(node.output(0))) * key.get_shape()[-2]
    return 0.0


# What stands between the weights of a quantised layer and the layer.
_OF_WEIGHTS = ("Convert", "FakeQuantize", "Multiply", "Reshape", "Subtract")


def _is_constant(node: openvino.Node) -> bool:
    if node.get_type_name() in _OF_WEIGHTS:
        return all(_is_constant(port.get_node()) for port in node.input_values())
    return node.get_type_name() == "Constant"


def _size(port: openvino.Output) -> float:
    return float(np.prod(port.get_shape()))
