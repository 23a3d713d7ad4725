# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Networks cut from a model's graphs: together they compute what the model computes, and none is long."""

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from helpers import one_thread, tiny_model  # noqa: F401

openvino = pytest.importorskip("openvino", reason="OpenVINO is not installed")

from dcfm_ros.model.cost import Cost, counted
from dcfm_ros.model.inference import fold
from dcfm_ros.pipeline.backends.openvino.conversion import convert_parts
from dcfm_ros.pipeline.backends.openvino.graphs import (
    COMMON,
    DECODER,
    SHALLOW,
    SHALLOW_FEATURE,
    Structure,
    row_weights,
)
from dcfm_ros.pipeline.backends.openvino.slices import SHARE, plan
from dcfm_ros.pipeline.backends.openvino.store import GraphStore

# Not ours: OpenVINO's converter traces, and PyTorch wants that no more.
pytestmark = [
    pytest.mark.usefixtures("one_thread"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:torch.jit"),
]


@pytest.fixture(scope="module")
def converted():
    """Parts and graphs of a small model, for an image size."""
    core = openvino.Core()

    def of(size, **changes):
        model = tiny_model(**changes)
        return fold(model), GraphStore(model).graphs(core, size)

    return of


def image(height=64, width=96):
    generator = torch.Generator().manual_seed(3)
    return torch.randint(0, 256, (1, height, width, 3), dtype=torch.uint8, generator=generator)


def run(network, *inputs):
    return openvino.Core().compile_model(network, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})(list(inputs))[0]


def in_slices(graphs, planned, feature):
    """The features of the deep path by name, and the common contribution, all channels last."""
    features = {SHALLOW_FEATURE: feature}
    for first, last in planned.slices:
        features[last] = run(graphs.part([first], last), features[first])
    return features, concluded(graphs, planned, [features[name] for name in planned.inputs])


def concluded(graphs, planned, inputs):
    """The common contribution, channels last, from the features that the plan's conclusion needs."""
    if not planned.bands:
        return run(graphs.part(planned.inputs, COMMON), *inputs)
    bands = map(graphs.band, planned.bands)
    return np.concatenate(
        [
            run(band.network, *(value[:, rows].copy() for value, rows in zip(inputs, band.input_rows)))
            for band in bands
        ],
        axis=1,
    )


def channels_last(tensor):
    return tensor.permute(0, 2, 3, 1).numpy()


def compare(common, wanted):
    wanted = channels_last(wanted)
    np.testing.assert_allclose(common, wanted, atol=1e-5 * max(1.0, np.abs(wanted).max()))


SIZES = [(64, 96), (90, 70)]
CONCLUSIONS = {  # after the same stages
    "bottleneck": {"common_width": 24},
    "per frame": {"architecture": "per_frame"},
    "activated": {"fusion": "relu"},
}


@pytest.mark.slow
@torch.no_grad()
@pytest.mark.parametrize("changes", [{}, {"backbone": "resnet18"}], ids=["plain", "resnet"])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("share", [0.02, 1.0])
def test_the_networks_together_are_the_deep_path(converted, changes, size, share):
    """Steps one by one and rows one by one, or some of them together; also where heights are no multiples of
    each other, and a band needs a single row of the coarsest feature."""
    parts, graphs = converted(size, **changes)
    shallow = parts.shallow(image(*size))
    planned = plan(graphs, share)
    steps = sum(map(len, graphs.stages))
    assert len(planned.slices) == steps if share < 1.0 else len(planned.slices) < steps
    assert all(first[1] == second[0] for first, second in pairwise(planned.bands))
    found, common = in_slices(graphs, planned, run(graphs.shallow(), image(*size).numpy()))
    for name, output in zip(planned.inputs, parts.deep.outputs(shallow)):
        if name != SHALLOW_FEATURE:
            np.testing.assert_allclose(found[name], channels_last(output), atol=1e-4)
    compare(common, parts.deep(shallow))


@pytest.mark.slow
@torch.no_grad()
@pytest.mark.parametrize("changes", CONCLUSIONS.values(), ids=CONCLUSIONS)
@pytest.mark.parametrize("size, share", [(SIZES[0], 1.0), (SIZES[1], 0.02)])
def test_the_bands_together_are_the_conclusion(converted, changes, size, share):
    """Of other heads; the slices before it are those of the plain model."""
    parts, graphs = converted(size, **changes)
    shallow = parts.shallow(image(*size))
    planned = plan(graphs, share)
    assert len(planned.bands) > 1
    assert all(first[1] == second[0] for first, second in pairwise(planned.bands))
    inputs = [channels_last(output) for output in parts.deep.outputs(shallow)]
    assert [value.shape[1:] for value in inputs] == [
        (*graphs.shape_of(name)[2:], graphs.shape_of(name)[1]) for name in planned.inputs
    ]
    compare(concluded(graphs, planned, inputs), parts.deep(shallow))


@pytest.mark.slow
@torch.no_grad()
@pytest.mark.parametrize(
    "changes", [{}, *CONCLUSIONS.values(), {"backbone": "resnet18"}], ids=["plain", *CONCLUSIONS, "resnet"]
)
@pytest.mark.parametrize("size", SIZES)
def test_the_uncut_network_is_the_deep_path(converted, changes, size):
    parts, graphs = converted(size, **changes)
    planned = plan(graphs, math.inf)
    _, common = in_slices(graphs, planned, run(graphs.shallow(), image(*size).numpy()))
    compare(common, parts.deep(parts.shallow(image(*size))))


@torch.no_grad()
def test_the_work_of_steps_is_what_pytorch_does(converted):
    parts, graphs = converted((64, 96))
    work, feature = graphs.work(), parts.shallow(image())
    outputs = parts.deep.outputs(feature)
    for names, steps in zip(graphs.stages, parts.deep.steps_of_stages()):
        for name, step in zip(names, steps):
            cost, feature = counted(step, feature)
            assert work[name] == pytest.approx(cost.layers + 3 * cost.attention)
    cost, common = counted(lambda: parts.deep.contribution(parts.deep.fusion(*outputs)))
    assert work[COMMON] == pytest.approx(cost.layers)
    frame = sum((counted(parts.shallow, image())[0], counted(parts.decoder, outputs[0], common)[0]), Cost())
    assert work[SHALLOW] + work[DECODER] == pytest.approx(frame.layers + 3 * frame.attention)


@pytest.mark.slow
@pytest.mark.parametrize("backbone", ["mit_b0", "mit_b1"])
def test_no_slice_has_more_work_than_a_frame(converted, backbone):
    _, graphs = converted((352, 480), backbone=backbone)
    work, planned = graphs.work(), plan(graphs)
    steps = [SHALLOW_FEATURE, *(name for stage in graphs.stages for name in stage)]
    counts = []
    for first, last in planned.slices:
        inside = steps[steps.index(first) + 1 : steps.index(last) + 1]
        counts.append(len(inside))
        most = SHARE * (work[SHALLOW] + work[DECODER])
        assert sum(work[name] for name in inside) <= most or len(inside) == 1
    assert max(counts) > 1  # as few as may be
    assert len(planned.bands) > 1


def test_without_a_bound_it_is_one_network(converted):
    _, graphs = converted((64, 96))
    planned = plan(graphs, math.inf)
    assert (planned.slices, planned.inputs, planned.bands) == ([], [SHALLOW_FEATURE], [])


def test_other_backbones_have_no_bands(converted):
    _, graphs = converted((64, 96), backbone="resnet18")
    planned = plan(graphs, 0.01)
    assert planned.bands == [] and len(planned.slices) == 6


def test_a_band_knows_the_rows_it_needs(converted):
    _, graphs = converted((64, 96))
    rows = [(part.start, part.stop) for part in graphs.band((4, 8)).input_rows]
    assert rows == [(4, 8), (1, 5), (0, 3), (0, 2)]


@pytest.mark.parametrize("height, wanted", [(1, 5), (4, 16), (6, 11), (9, 17), (8, 8)])
def test_rows_are_weighted_as_pytorch_interpolates(height, wanted):
    exact = F.interpolate(
        torch.eye(height)[None, None], size=(wanted, height), mode="bilinear", align_corners=False
    )
    np.testing.assert_allclose(row_weights(height, wanted), exact[0, 0].numpy(), atol=1e-6)


class SizeBound(torch.nn.Module):
    """Computes with the size of the image of its trace."""

    def __init__(self, shallow):
        super().__init__()
        self.shallow = shallow

    def forward(self, pixels):
        feature = self.shallow(pixels)
        return feature + float(int(feature.shape[2])) * 0.1


def test_a_network_that_depends_on_the_size_of_its_example_is_noticed(tmp_path):
    parts = fold(tiny_model())
    convert_parts(parts._replace(shallow=SizeBound(parts.shallow).eval()), tmp_path)
    assert not Structure.read(tmp_path).any_size
