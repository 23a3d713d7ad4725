# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`dcfm export`: files that give what PyTorch gives, and one line where there can be none."""

import importlib.util

import numpy as np
import pytest
import yaml
from helpers import one_thread, tiny_model, write_tiny_model  # noqa: F401
from onnx_helpers import keep_onnx

from dcfm_ros.cli import main
from dcfm_ros.model import onnx_export
from dcfm_ros.model.onnx_export import OPSET, OPSETS, ExportError, model_parts
from dcfm_ros.pipeline.export import export as export_module
from dcfm_ros.pipeline.export import options
from dcfm_ros.pipeline.export.export import export
from dcfm_ros.pipeline.export.options import ExportOptions

# Not ours: converters trace, and PyTorch wants that no more.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::torch.jit.TracerWarning")

SIZE = (66, 101)  # no stride divides it
EVEN = (64, 96)  # of most tests with engines, with which files are shared
# In onnx-tensorrt's docs/operators.md of TensorRT 10.1, which reads opsets 9 to 20, with UINT8 as input and
# from there into Cast.
READ_BY_TENSORRT = {
    "Add",
    "AveragePool",
    "Cast",
    "Clip",
    "Concat",
    "Conv",
    "Div",
    "Expand",
    "Gather",
    "GatherND",
    "Gelu",
    "GridSample",
    "LayerNormalization",
    "MatMul",
    "MaxPool",
    "Mul",
    "ReduceL2",
    "ReduceMean",
    "Relu",
    "Reshape",
    "Resize",
    "Slice",
    "Softmax",
    "Split",
    "Sub",
    "Transpose",
    "Unsqueeze",
    "Where",
}
find_spec = importlib.util.find_spec


@pytest.fixture
def onnx(monkeypatch):
    for package in ("onnxruntime", "onnxscript"):
        pytest.importorskip(package, reason=f"{package} is not installed")
    keep_onnx(monkeypatch, export_module)
    return pytest.importorskip("onnx", reason="onnx is not installed")


@pytest.fixture
def without(monkeypatch):
    """Hides packages."""

    def hide(*names):
        monkeypatch.setattr(
            importlib.util, "find_spec", lambda name, *rest: None if name in names else find_spec(name, *rest)
        )

    return hide


def read_by_tensorrt(graph):
    """Nothing that TensorRT's parser does not know or misreads; axes are constants; uint8 goes into a Cast
    alone."""
    assert {node.op_type for node in graph.node} <= READ_BY_TENSORRT
    constants = {tensor.name for tensor in graph.initializer}
    for node in graph.node:
        if node.op_type in ("ReduceL2", "ReduceMean", "Slice", "Unsqueeze"):
            assert set(node.input[1:]) <= constants
        if node.op_type == "GridSample":  # of any other name of the mode it makes "nearest"
            assert {attribute.s for attribute in node.attribute if attribute.name == "mode"} == {b"bilinear"}
        assert node.op_type == "Cast" or "image" not in node.input


def chained(parts, run, moves=False):
    """Logits of the parts one after the other, as a user of the files would have them; `run(part, inputs)`.
    moves: with what `align` gives in place of `common`."""
    tensors = {
        name: tensor for part in parts for name, tensor in part.inputs.items() if name in ("image", "motion")
    }
    for part in parts:
        if part.name != "align":
            tensors[part.output_name] = run(part, [tensors[name] for name in part.inputs])
        elif moves:
            tensors["common"] = run(part, [tensors[name] for name in part.inputs])
    return np.asarray(tensors["logits"])


def compare(parts, run, tolerance):
    """The same logits as PyTorch's, of a common feature as it is and, where there is one, of one that
    moves."""
    found = []
    for moves in (False, True)[: 1 + ("align" in [part.name for part in parts])]:
        wanted = chained(parts, lambda part, inputs: part.module(*inputs).detach(), moves)
        logits = chained(
            parts, lambda part, inputs: run(part.name, dict(zip(part.inputs, map(np.asarray, inputs)))), moves
        )
        assert logits.dtype == np.float32 and logits.shape == wanted.shape
        assert np.linalg.norm(logits - wanted) <= tolerance * np.linalg.norm(wanted)
        found.append(wanted)
    assert np.array_equal(found[0], parts[-1].output)
    # it moves something
    assert len(found) == 1 or np.linalg.norm(found[1] - found[0]) > 0.01 * np.linalg.norm(found[0])


@pytest.mark.slow
@pytest.mark.parametrize(
    "kind, precision, size",
    (
        ({}, "f32", EVEN),
        ({}, "f16", SIZE),
        ({"backbone": "pspnet18", "common_width": 24, "head_layers": 1}, "f32", SIZE),
        ({"architecture": "per_frame"}, "f16", SIZE),
    ),
    ids=str,
)
def test_onnx_gives_what_pytorch_gives(onnx, tmp_path, kind, precision, size):
    import onnxruntime

    model = write_tiny_model(tmp_path / "model", **kind)
    done = export(ExportOptions(str(model), "onnx", str(tmp_path / "onnx"), size, precision))
    exact = model_parts(tiny_model(**kind), size)
    names = [part.name for part in exact]
    assert names == ["shallow", "deep", "align", "decoder"][: 2 if "architecture" in kind else 4]
    assert not any(part.module.training for part in exact)
    assert sorted(path.name for path in done.folder.iterdir()) == sorted(
        ["export.yaml", *(f"{name}.onnx" for name in names)]
    )
    for name in names:
        network = onnx.load(done.folder / f"{name}.onnx")
        onnx.checker.check_model(network, full_check=True)
        assert network.opset_import[0].version == OPSETS.get(name, OPSET) == (18 if name == "align" else 20)
        assert ("GridSample" in {node.op_type for node in network.graph.node}) == (name == "align")
        read_by_tensorrt(network.graph)

    def run(name, inputs):
        session = onnxruntime.InferenceSession(
            done.folder / f"{name}.onnx", providers=["CPUExecutionProvider"]
        )
        return session.run(None, inputs)[0]

    bound = {"f32": 1e-5, "f16": 4e-3}[precision]
    compare(exact, run, bound)
    assert list(done.record.differences) == names
    assert all(difference <= bound for difference in done.record.differences.values())
    tensors = done.record.tensors
    assert tensors["image"] == {"shape": [1, *size, 3], "type": "uint8"}
    assert tensors["shallow"]["type"] == {"f32": "float32", "f16": "float16"}[precision]
    if "align" in names:
        assert tensors["aligned"] == tensors["common"]
        assert tensors["motion"] == {"shape": [1, *tensors["common"]["shape"][2:], 2], "type": "float32"}


@pytest.mark.slow
@pytest.mark.parametrize("precision, tolerance", [("f32", 1e-5), ("f16", 4e-3)])
def test_openvino_gives_what_pytorch_gives(tmp_path, precision, tolerance):
    openvino = pytest.importorskip("openvino", reason="OpenVINO is not installed")
    model = write_tiny_model(tmp_path / "model")
    done = export(ExportOptions(str(model), "openvino", str(tmp_path / "out"), SIZE, precision))
    core = openvino.Core()

    def run(name, inputs):
        network = core.compile_model(done.folder / f"{name}.xml", "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
        return network(inputs)[next(iter(network.outputs))]  # inputs by their names

    compare(model_parts(tiny_model(), SIZE), run, tolerance)


@pytest.mark.slow
def test_the_command(onnx, tmp_path, capsys):
    pytest.importorskip("openvino", reason="OpenVINO is not installed")
    model, out = write_tiny_model(tmp_path / "model", architecture="per_frame"), tmp_path / "onnx"
    arguments = ["export", str(model), "--out", str(out), "--size", "66x101", "--precision", "f16"]
    assert main(arguments) == 0
    output = capsys.readouterr().out.splitlines()
    assert output[0] == f"{model} (mit_b0) for images of 101x66 in f16, as onnx:"
    assert output[1].startswith("  shallow.onnx: differs from PyTorch in f32 by ")
    assert output[-1] == f"written to {out}"
    record = yaml.safe_load((out / "export.yaml").read_text())
    assert (
        record["classes"] == ["sky", "road", "tree", "car"]
        and record["size"] == [*SIZE]
        and len(record["model_sha256"]) == 64
    )
    assert main([*arguments, "--format", "openvino"]) == 0  # an older export is replaced
    assert {path.suffix for path in out.iterdir()} == {".xml", ".bin", ".yaml"}


def test_the_size_is_by_default_that_of_a_camera_of_the_models_shape(tmp_path, monkeypatch):
    sizes = []
    monkeypatch.setattr(export_module, "write_export", lambda *arguments: sizes.append(arguments[5]))
    export(ExportOptions("street11_b0", "onnx", str(tmp_path / "out")))
    assert sizes == [(352, 480)]


def test_without_onnx_runtime_it_says_that_nothing_was_compared(without, tmp_path, monkeypatch, capsys):
    def write_onnx(part, folder):
        (folder / f"{part.name}.onnx").touch()
        return folder / f"{part.name}.onnx"

    model = write_tiny_model(tmp_path / "model", architecture="per_frame")
    monkeypatch.setattr(export_module, "write_onnx", write_onnx)
    without("onnxruntime")
    assert main(["export", str(model), "--out", str(tmp_path / "onnx"), "--size", "64x96"]) == 0
    output = capsys.readouterr().out.splitlines()
    assert "  deep.onnx: not compared with PyTorch: pip install onnxruntime" in output


@pytest.mark.parametrize(
    "missing, message",
    [
        (("onnx",), "ONNX files need onnx: pip install onnx onnxscript"),
        (("onnx", "onnxscript"), "ONNX files need onnx and onnxscript: pip install onnx onnxscript"),
    ],
)
def test_without_onnx_it_is_one_line(without, tmp_path, capsys, missing, message):
    model = write_tiny_model(tmp_path / "model")
    without(*missing)
    assert main(["export", str(model), "--out", str(tmp_path / "onnx")]) == 2
    assert capsys.readouterr().err == f"dcfm export: {message}\n" and not (tmp_path / "onnx").exists()


def test_without_openvino(without, tmp_path):
    model = write_tiny_model(tmp_path / "model")
    without("openvino")
    with pytest.raises(ExportError, match="format openvino needs OpenVINO: pip install openvino"):
        export(ExportOptions(str(model), "openvino", str(tmp_path / "out")))


def test_a_folder_to_write_to_is_needed_but_for_engines():
    with pytest.raises(ValueError, match="format onnx needs a folder to write to: give --out FOLDER"):
        ExportOptions("street11")
    assert ExportOptions("street11", "tensorrt").out == ""


def test_the_precisions_of_the_options_are_those_of_onnx():
    assert options.PRECISIONS == onnx_export.PRECISIONS


def test_a_folder_with_something_else_is_left_alone(tmp_path):
    model = write_tiny_model(tmp_path / "model")
    for name in ("model", "model/model.yaml"):
        with pytest.raises(ExportError, match="give another folder"):
            export(ExportOptions(str(model), "onnx", str(tmp_path / name)))


def test_tensorrt_without_a_gpu_is_one_line(tmp_path, capsys):
    import torch

    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    model = write_tiny_model(tmp_path / "model")
    assert main(["export", str(model), "--format", "tensorrt"]) == 2
    assert capsys.readouterr().err.startswith("dcfm export: TensorRT needs an NVIDIA GPU")
