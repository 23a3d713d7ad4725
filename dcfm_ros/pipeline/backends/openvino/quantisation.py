# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Post-training quantisation of a model's graphs to int8 by NNCF, under control of the masks.

What costs more accuracy than time stays as it is: the first convolution, which sees the image; depthwise
convolutions and attention of transformers; the decoder; and a conclusion of the deep path that can be
computed in bands, of which there are two forms that must agree. If masks then differ too much, the steps
whose outputs differ most stay as well.
"""

from __future__ import annotations

import logging
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import redirect_stdout
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import nncf
import numpy as np
import openvino
from tqdm import tqdm

from dcfm_ros.pipeline.backends.openvino.graphs import (
    BAND,
    COMMON,
    DEEP,
    SHALLOW,
    SHALLOW_FEATURE,
    Graphs,
    graph_file,
    new_nodes,
)
from dcfm_ros.pipeline.backends.openvino.signal_stack import kept_signal_stack

_QUANTISABLE = ("Convolution", "GroupConvolution", "MatMul")
# Quantised as well, they changed MiT-B0's common contribution by 16 to 110 % of its length, without them 1 %.
_LEFT_IN_TRANSFORMERS = ("GroupConvolution", "ScaledDotProductAttention")
_RANKING_FRAMES = 3
_F32 = {"INFERENCE_PRECISION_HINT": "f32"}

Network = Callable[..., np.ndarray]


class Quantised(NamedTuple):
    """What came of it."""

    difference: float  # share of pixels with another class than in f32
    layers: dict[str, int]  # number of quantised ones of each graph
    left_out: list[str]  # SHALLOW or steps that stayed in f32 because of the difference


class TooDifferent(RuntimeError):
    """Masks differ too much, however many steps stay in f32."""


def quantise(
    folder: Path,
    out: Path,
    size: tuple[int, int],
    calibration: Sequence[np.ndarray],
    held_back: Sequence[np.ndarray],
    most: float,
) -> Quantised:
    """Write quantised graphs into the folder `out`, which is there; the others are copied.

    folder: of the graphs in float32
    size: (H, W) of the images, which are (H, W, 3) uint8
    held_back: images by which masks are compared
    most: greatest share of pixels that may have another class than in float32
    """
    job = _Job(folder, out, size, calibration)
    wanted = [job.mask(job.exact, image) for image in held_back]
    left_out: list[str] = []
    ranking: list[str] | None = None
    while True:
        layers = job.write(left_out)
        found = job.networks(out)
        differing = [
            float((job.mask(found, image) != mask).mean())
            for image, mask in zip(tqdm(held_back, "comparing masks", unit="frame", disable=None), wanted)
        ]
        difference = float(np.mean(differing))
        if difference <= most:
            return Quantised(difference, layers, left_out)
        ranking = job.ranking(held_back[:_RANKING_FRAMES]) if ranking is None else ranking
        tried = len(left_out)
        left_out = ranking[: min(max(1, 2 * tried), len(ranking) - 1)]
        if len(left_out) == tried:
            raise TooDifferent(
                f"{difference:.2%} of pixels get another class than in f32, although only the least harmful "
                f"step is quantised; at most {most:.2%} were allowed"
            )
        print(
            f"{difference:.2%} of pixels get another class: leaving {', '.join(left_out)} in f32",
            file=sys.stderr,
        )


class _Networks(NamedTuple):
    graphs: Graphs
    shallow: Network
    deep: Network
    decoder: Network | None


class _Job:
    """Quantisation of one model."""

    def __init__(self, folder: Path, out: Path, size: tuple[int, int], images: Sequence[np.ndarray]):
        self._folder, self._out, self._size, self._images = folder, out, size, images
        self._core = openvino.Core()
        shutil.copytree(folder, out, dirs_exist_ok=True)
        self.exact = self.networks(folder)
        self._is_banded = graph_file(folder, BAND).is_file()
        self._stages = self.exact.graphs.stages
        self._written: dict[str, tuple[set[str], int]] = {}  # by graph: layers left out, number of others

    def networks(self, folder: Path) -> _Networks:
        """Compile the networks of a folder, the deep path uncut."""
        graphs = Graphs(self._core, folder, self._size)
        decoder = graphs.decoder()
        return _Networks(
            graphs,
            self._compiled(graphs.shallow()),
            self._compiled(graphs.part([SHALLOW_FEATURE], COMMON)),
            None if decoder is None else self._compiled(decoder),
        )

    def mask(self, networks: _Networks, image: np.ndarray) -> np.ndarray:
        """Return the mask of an image as a keyframe, on the grid of the logits."""
        shallow = networks.shallow(image[None])
        common = networks.deep(shallow)
        logits = common if networks.decoder is None else networks.decoder(shallow, common)
        return logits[0].argmax(-1)

    def write(self, left_out: Sequence[str]) -> dict[str, int]:
        """Write the quantised graphs; returns the number of quantised layers of each. `left_out` stays in
        f32."""
        shallow, deep = (self._core.read_model(graph_file(self._folder, name)) for name in (SHALLOW, DEEP))
        steps = _layers_of_steps(deep, [name for stage in self._stages for name in stage])
        kept = {name for step in left_out for name in steps.get(step, ())}
        if self._is_banded:
            kept |= set(steps[COMMON])
        first, *others = _layers(shallow)
        return {
            SHALLOW: self._quantise(SHALLOW, shallow, {first, *(others if SHALLOW in left_out else ())}),
            DEEP: self._quantise(DEEP, deep, kept),
        }

    def ranking(self, images: Sequence[np.ndarray]) -> list[str]:
        """Return SHALLOW and the steps, the one first whose output differs most for the right input."""
        found = Graphs(self._core, self._out, self._size)
        exact, features = self.exact.graphs, [self.exact.shallow(image[None]) for image in images]
        quantised = self._compiled(found.shallow())
        errors = {SHALLOW: _difference([quantised(image[None]) for image in images], features)}
        stage_outputs = {SHALLOW_FEATURE: features}
        names = [SHALLOW_FEATURE, *(name for stage in self._stages for name in stage)]
        for first, last in pairwise(names):
            wanted, other = (self._compiled(graphs.part([first], last)) for graphs in (exact, found))
            outputs = [wanted(feature) for feature in features]
            errors[last] = _difference([other(feature) for feature in features], outputs)
            features = stage_outputs[last] = outputs
        if not self._is_banded:
            inputs = [stage_outputs[name] for name in exact.stage_outputs]
            wanted, other = (
                self._compiled(graphs.part(exact.stage_outputs, COMMON)) for graphs in (exact, found)
            )
            errors[COMMON] = _difference(
                [other(*each) for each in zip(*inputs)], [wanted(*each) for each in zip(*inputs)]
            )
        return sorted(errors, key=lambda name: -errors[name])

    def _quantise(self, name: str, graph: openvino.Model, kept: set[str]) -> int:
        """Quantise and write a graph but for some layers; return the number of quantised ones. A graph that
        was written with the same layers stays."""
        if name not in self._written or self._written[name][0] != kept:
            self._written[name] = kept, self._write(name, graph, kept)
        return self._written[name][1]

    def _write(self, name: str, graph: openvino.Model, kept: set[str]) -> int:
        is_transformer = any(node.get_type_name() == "ScaledDotProductAttention" for node in graph.get_ops())
        kinds = _LEFT_IN_TRANSFORMERS if is_transformer else ()
        if set(_layers(graph, without=kinds)) <= kept:
            openvino.save_model(graph, graph_file(self._out, name), compress_to_fp16=False)
            return 0
        logging.getLogger("nncf").setLevel(logging.ERROR)  # its own function changes other handlers as well
        with redirect_stdout(sys.stderr):  # NNCF's progress bars
            print(f"quantising the {name} path", flush=True)
            graph = nncf.quantize(
                graph,
                nncf.Dataset(_Data(lambda: self._inputs(name), len(self._images))),
                subset_size=len(self._images),
                preset=nncf.QuantizationPreset.MIXED,
                model_type=nncf.ModelType.TRANSFORMER if is_transformer else None,
                ignored_scope=nncf.IgnoredScope(names=sorted(kept), types=list(kinds), validate=False),
            )
        openvino.save_model(graph, graph_file(self._out, name), compress_to_fp16=False)
        return sum(map(_has_int8_weights, graph.get_ops()))

    def _inputs(self, name: str) -> Iterator[np.ndarray]:
        """The inputs of a graph for each image, as in f32."""
        for image in self._images:
            if name == SHALLOW:
                yield image[None]
            else:
                yield np.ascontiguousarray(self.exact.shallow(image[None]).transpose(0, 3, 1, 2))

    def _compiled(self, network: openvino.Model) -> Network:
        with kept_signal_stack():  # the first call loads the CPU plugin
            compiled = self._core.compile_model(network, "CPU", _F32)
        return lambda *inputs: compiled(list(inputs))[0].copy()


class _Data:
    """The inputs of a graph, through which NNCF goes several times."""

    def __init__(self, inputs: Callable[[], Iterator[np.ndarray]], length: int):
        self._inputs, self._length = inputs, length

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[np.ndarray]:
        return self._inputs()


def _difference(found: Sequence[np.ndarray], wanted: Sequence[np.ndarray]) -> float:
    """Return the length of the difference over the length."""
    exact = np.stack(wanted)
    return float(np.linalg.norm(np.stack(found) - exact)) / max(float(np.linalg.norm(exact)), 1e-12)


def _layers(graph: openvino.Model, without: Sequence[str] = ()) -> list[str]:
    """Return the names of what can be quantised, in order of computation."""
    kinds = set(_QUANTISABLE) - set(without)
    return [node.get_friendly_name() for node in graph.get_ordered_ops() if node.get_type_name() in kinds]


def _has_int8_weights(node: openvino.Node) -> bool:
    if node.get_type_name() not in _QUANTISABLE:
        return False
    weights = node.input_value(1).get_node()
    while weights.get_type_name() != "Constant" and weights.inputs():
        weights = weights.input_value(0).get_node()
    return weights.get_output_element_type(0) == openvino.Type.i8


def _layers_of_steps(graph: openvino.Model, steps: Sequence[str]) -> dict[str, list[str]]:
    """Return the layers of each step of the deep path and of its conclusion, which are not of steps
    before."""
    seen: set[str] = set()
    return {
        step: [
            node.get_friendly_name()
            for node in new_nodes(graph.output(step).get_node(), seen)
            if node.get_type_name() in _QUANTISABLE
        ]
        for step in [*steps, COMMON]
    }
