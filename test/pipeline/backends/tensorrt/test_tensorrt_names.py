# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Every name of TensorRT that dcfm_ros uses is in the published bindings: TensorRT itself was never at hand.

test/data/tensorrt_names/ was written by scripts/tensorrt_names.py from the bindings of 10.0, of the last 10
and of 11.
"""

import ast
import importlib.util
import os
from pathlib import Path

import pytest
import tensorrt_helpers

from dcfm_ros.pipeline.backends.tensorrt import api as tensorrt_api

ROOT = Path(__file__).parents[4]
LISTS = sorted((ROOT / "test" / "data" / "tensorrt_names").glob("*.txt"))
VARIABLES = {
    "builder": "Builder",
    "network": "INetworkDefinition",
    "parser": "OnnxParser",
    "config": "IBuilderConfig",
    "runtime": "Runtime",
    "engine": "ICudaEngine",
    "context": "IExecutionContext",
    "_context": "IExecutionContext",
}
RESULTS = {"get_error": "ParserError"}


def chain(node: ast.AST, variables: dict[str, str]) -> str:
    """`trt.A.b` as A.b, `builder.b` as Builder.b, `parser.get_error(0).b` as ParserError.b; "" for all
    else."""
    if isinstance(node, ast.Attribute):
        if (isinstance(node.value, ast.Name) and node.value.id == "trt") or called(node.value) == "tensorrt":
            return node.attr
        owner = variables.get(getattr(node.value, "id", getattr(node.value, "attr", ""))) or RESULTS.get(
            called(node.value)
        )
        owner = owner or chain(node.value, variables)
        return f"{owner}.{node.attr}" if owner and owner != "__version__" else ""
    return ""


def called(node: ast.AST) -> str:
    """The last name of what a call calls."""
    return getattr(node.func, "id", getattr(node.func, "attr", "")) if isinstance(node, ast.Call) else ""


def used(source: str, variables: dict[str, str] = VARIABLES) -> set[str]:
    """Names of TensorRT in a module, those of methods which a class there overrides included."""
    tree, names = ast.parse(source), set()
    for node in ast.walk(tree):
        names.add(chain(node, variables))
        for base in node.bases if isinstance(node, ast.ClassDef) else []:
            if kind := chain(base, variables):
                names |= {
                    f"{kind}.{method.name}"
                    for method in node.body
                    if isinstance(method, ast.FunctionDef)
                    and not method.name.startswith("_")
                    and not method.decorator_list
                }
    return {name for name in names if name and not name.endswith(".__init__")}


def test_the_reader_of_names():
    assert used(
        "trt.A.B.c\nbuilder.x(parser.get_error(1).y())\nself._context.z\nother.d\ntensorrt().v\n"
        "class M(trt.N):\n    def m(self): pass\n    @property\n    def n(self): pass\n    def _o(self): "
        "pass\n"
    ) == {
        "A",
        "A.B",
        "A.B.c",
        "Builder.x",
        "OnnxParser.get_error",
        "ParserError.y",
        "IExecutionContext.z",
        "v",
        "N",
        "N.m",
    }


def test_the_code_uses_what_it_is_thought_to_use():
    names = used(Path(tensorrt_api.__file__).read_text())
    assert {
        "NetworkDefinitionCreationFlag.STRONGLY_TYPED",
        "Builder.build_serialized_network",
        "ParserError.desc",
        "IProgressMonitor.step_complete",
        "IExecutionContext.execute_async_v3",
        "DataType.HALF",
    } <= names


@pytest.mark.parametrize("path", LISTS, ids=lambda path: path.stem)
def test_names_are_in_the_bindings(path):
    assert used(Path(tensorrt_api.__file__).read_text()) <= set(path.read_text().split())


@pytest.mark.slow
def test_other_modules_use_the_version_alone():
    for module in (ROOT / "dcfm_ros").rglob("*.py"):
        if module.name != Path(tensorrt_api.__file__).name:  # elsewhere a parser may be another
            assert used(module.read_text(), {}) <= {"__version__"}, module


def test_both_versions_are_covered():
    assert {path.stem.split(".")[0] for path in LISTS} == set(tensorrt_api.MAJOR_VERSIONS)


@pytest.mark.parametrize("path", LISTS, ids=lambda path: path.stem)
def test_the_stand_in_has_no_names_of_its_own(path):
    known = set(path.read_text().split())
    for kind in tensorrt_helpers.CLASSES:
        own = [name for name in vars(kind) if not name.startswith("_") and name != "failing"]
        assert {kind.__name__, *(f"{kind.__name__}.{name}" for name in own)} <= known | {"ILogger.Severity"}


def test_the_lists_are_those_of_a_wheel():
    wheel = os.environ.get("DCFM_TENSORRT_WHEEL")
    if not wheel:
        pytest.skip("DCFM_TENSORRT_WHEEL names no wheel of TensorRT's bindings")
    specification = importlib.util.spec_from_file_location(
        "tensorrt_names", ROOT / "scripts" / "tensorrt_names.py"
    )
    specification.loader.exec_module(module := importlib.util.module_from_spec(specification))
    version, names = module.names_of(Path(wheel))
    assert set(names) == set(
        (ROOT / "test" / "data" / "tensorrt_names" / f"{version}.txt").read_text().split()
    )


def test_the_bindings_that_are_installed():
    if importlib.util.find_spec("tensorrt") is None:
        pytest.skip("TensorRT is not installed")
    trt = tensorrt_api.tensorrt()
    for name in used(Path(tensorrt_api.__file__).read_text()):
        found = trt
        for part in name.split("."):
            found = getattr(found, part)
