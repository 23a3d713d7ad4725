# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Which layer and module may import which; read from the sources, so that it holds for branches no test runs
through, too."""

import ast
import sys
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from dcfm_ros.pipeline.backend_table import TABLE

ROOT = Path(__file__).parents[1] / "dcfm_ros"
MODULES = sorted(ROOT.rglob("*.py"))
COMMANDS = [*sorted((ROOT / "cli").glob("*.py")), ROOT / "__main__.py"]
# usable without ROS
LIBRARIES = (
    "model",
    "motion",
    "points",
    "training",
    "metrics",
    "benchmark",
    "evaluation",
    "reports",
    "viewer",
    "pipeline",
    "sources",
    "bags",
    "data_import",
    "distillation",
)


def imports(path: Path, at_module_level: bool = False) -> frozenset[str]:
    """Names of what a module imports, `from a import b` as a.b, of relative imports with their dots; also by
    `import_module("a")`."""
    return imported(path.read_text(), at_module_level)


@cache  # every module is asked for many times
def imported(source: str, at_module_level: bool) -> frozenset[str]:
    names, nodes = set(), [ast.parse(source)]
    while nodes:
        node = nodes.pop()
        if not (at_module_level and isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))):
            nodes += ast.iter_child_nodes(node)
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (f"{node.module}." if node.module else "")
            names |= {f"{module}{alias.name}" for alias in node.names}
        elif (
            isinstance(node, ast.Call)
            and getattr(node.func, "attr", getattr(node.func, "id", None)) in ("import_module", "__import__")
            and node.args
            and isinstance(node.args[0], ast.Constant)
        ):
            names.add(node.args[0].value)
    return frozenset(names)


def under(name: str, package: str) -> bool:
    return name == package or name.startswith(f"{package}.")


def offences(paths, *packages, **options) -> list[str]:
    return [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in paths
        for name in sorted(imports(path, **options))
        if any(under(name, package) for package in packages)
    ]


def modules_of(*layers):
    paths = [path for path in MODULES if path.relative_to(ROOT).parts[0] in layers]
    assert {path.relative_to(ROOT).parts[0] for path in paths} == set(layers)
    return paths


@cache
def module_graph(root: Path) -> dict[str, list[str]]:
    """What each module of a package imports of the package. A folder's `__init__` is a module of the folder's
    name; to import a name from it is to import it, to import a module beside it is not."""

    def name_of(path):
        return ".".join(
            part for part in path.relative_to(root.parent).with_suffix("").parts if part != "__init__"
        )

    paths = {name_of(path): path for path in sorted(root.rglob("*.py"))}
    found = {
        module: {name if name in paths else name.rpartition(".")[0] for name in imports(path)}
        for module, path in paths.items()
    }
    return {module: sorted(names & paths.keys() - {module}) for module, names in found.items()}


def beyond_the_standard_library(module: str) -> set[str]:
    """What a module of the package needs of other packages, itself or by what it imports of this one."""
    graph, seen, found = module_graph(ROOT), set(), [module]
    while found:
        parts = found.pop().split(".")
        names = {".".join(parts[:count]) for count in range(1, len(parts) + 1)} - seen  # folders as well
        seen |= names
        found += [other for name in names for other in graph[name]]
    paths = [ROOT.joinpath(*name.split(".")[1:]) for name in seen]
    files = [path / "__init__.py" if path.is_dir() else path.with_suffix(".py") for path in paths]
    packages = {name.split(".")[0] for file in files for name in imports(file)}
    return packages - set(sys.stdlib_module_names) - {"dcfm_ros"}


def circle(graph: dict[str, list[str]]) -> str:
    """One circle of imports, in words; empty where there is none."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return " imports ".join(reversed(error.args[1]))
    return ""


# What each layer may import of the package, beside itself and the modules at its top.
ALLOWED = {
    "metrics": (),
    "motion": (),
    "points": (),
    "sources": (),
    "data_import": ("model", "sources"),
    "model": ("motion",),
    "training": ("model", "motion", "sources"),
    "pipeline": ("model", "motion"),
    "reports": ("model", "pipeline"),
    "viewer": ("model", "pipeline"),
    "benchmark": ("model", "motion", "pipeline", "sources", "reports"),
    "evaluation": ("model", "motion", "pipeline", "sources", "reports", "metrics", "benchmark"),
    "distillation": ("model", "motion", "pipeline", "sources", "training", "bags"),
    "bags": ("model", "motion", "pipeline", "sources", "reports", "metrics", "evaluation", "viewer"),
    "ros": (
        "model",
        "motion",
        "pipeline",
        "sources",
        "reports",
        "metrics",
        "evaluation",
        "viewer",
        "bags",
        "points",
        "msg",
    ),
}


@pytest.mark.parametrize("layer", ALLOWED)
def test_layers_import_only_what_lies_below(layer):
    folders = {path.name for path in ROOT.iterdir() if path.is_dir()} | {"msg"}
    others = folders - {layer, *ALLOWED[layer]}
    assert offences(modules_of(layer), *(f"dcfm_ros.{name}" for name in others)) == []


def test_each_folder_is_a_layer():
    assert {path.name for path in ROOT.iterdir() if path.is_dir() and list(path.glob("*.py"))} == {
        *ALLOWED,
        "cli",
    }


def test_imports_are_absolute():
    """The reader of imports knows no others."""
    assert [f"{path}: {name}" for path in MODULES for name in imports(path) if name.startswith(".")] == []


def test_no_modules_import_each_other_in_a_circle():
    assert circle(module_graph(ROOT)) == ""


def test_nothing_but_the_ros_layer_knows_ros():
    paths = [*modules_of(*LIBRARIES), *COMMANDS]
    assert offences(paths, "dcfm_ros.msg", "rclpy") == []
    assert [
        f"{path}: {name}" for path in paths for name in imports(path) if name.split(".")[0].endswith("_msgs")
    ] == []


def test_only_the_command_reaches_for_ros_and_only_when_asked():
    found = offences(COMMANDS, "dcfm_ros.ros", at_module_level=True)
    assert [text for text in found if "dcfm_ros.ros.tools.options" not in text] == []


def test_sources_are_free_of_inference_and_training_libraries():
    assert offences(modules_of("sources"), "torch", "openvino") == []


def test_only_what_deals_with_recordings_imports_their_library():
    others = [path for path in MODULES if ROOT / "bags" not in path.parents]
    assert offences(others, "rosbags", "mcap", "ray") == []


def test_the_cluster_and_the_viewer_are_loaded_only_where_they_are_used():
    assert offences(MODULES, "ray", at_module_level=True) == []
    others = [path for path in MODULES if path.name not in ("rerun_scene.py", "piped_file.py")]
    assert offences(others, "rerun") == []
    assert offences(others, "dcfm_ros.viewer.rerun_scene", at_module_level=True) == []


def test_datumaro_is_imported_in_one_module_and_late():
    others = [path for path in MODULES if path.name != "datumaro_reader.py"]
    assert offences(others, "datumaro") == []
    assert offences(MODULES, "datumaro", "defusedxml", at_module_level=True) == []


def test_only_backends_import_inference_engines():
    own = ROOT / "pipeline" / "backends", ROOT / "pipeline" / "export"
    others = [path for path in MODULES if not {*own} & {*path.parents}]
    engines = {entry.module for entry in TABLE.values()} - {"torch"}
    assert offences(others, *engines, "triton") == []


def test_optional_engines_are_not_imported_on_loading():
    """TensorRT is loaded where it is used; the modules of OpenVINO and Triton only when a backend is made
    that needs them."""
    assert offences(MODULES, "tensorrt", at_module_level=True) == []
    others = [path for path in MODULES if not {"openvino", "openvino.py"} & {path.name, path.parent.name}]
    modules = (
        "pipeline.backends.openvino.backend",
        "pipeline.backends.openvino.conversion",
        "pipeline.backends.openvino.int8",
        "pipeline.backends.openvino.quantisation",
        "pipeline.export.openvino",
    )
    assert (
        offences(others, "openvino", *(f"dcfm_ros.{module}" for module in modules), at_module_level=True)
        == []
    )
    others = [path for path in MODULES if path.name != "triton_kernels.py"]
    assert (
        offences(others, "triton", "dcfm_ros.pipeline.backends.cuda.triton_kernels", at_module_level=True)
        == []
    )


def test_what_launch_files_read_needs_the_standard_library_alone():
    """They run in the Python of `ros2`, which has no PyTorch, and often no NumPy."""
    known = [f"dcfm_ros.{module}" for module in ("pipeline.settings", "ros.yaml_text", "setting_fields")]
    for module in known:
        assert beyond_the_standard_library(module) == set()
    of_launch = {"ament_index_python", "launch", "launch_ros", "yaml"}
    for path in sorted((ROOT.parent / "launch").glob("*.py")):
        names = {
            name for name in imports(path) if name.split(".")[0] not in sys.stdlib_module_names | of_launch
        }
        assert all(any(under(name, module) for module in known) for name in names), (path, names)


def test_options_need_the_standard_library_alone():
    """Help texts are made from them; heavy libraries take seconds to load."""
    found = [path for path in MODULES if path.name == "options.py"]
    assert len(found) == 8
    for path in found:
        module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        assert beyond_the_standard_library(f"dcfm_ros.{module}") == set()


@pytest.mark.parametrize(
    "table", ["pipeline.backend_table", "pipeline.topics", "sources.data_sets", "sources.source_kinds"]
)
def test_tables_need_the_standard_library_alone(table):
    """They name modules, and import these when they are used."""
    assert beyond_the_standard_library(f"dcfm_ros.{table}") == set()


def test_the_package_itself_is_empty():
    """Importing dcfm_ros.msg must not load PyTorch."""
    assert (ROOT / "__init__.py").read_text() == ""


def test_the_reader_of_imports(tmp_path):
    path = tmp_path / "c.py"
    path.write_text(
        "import x.y\nfrom . import d\nfrom ..e import f\nfrom g import h\nif TYPE_CHECKING:\n    from l "
        "import m\n"
        "def late():\n    import i\n    importlib.import_module('j.k')\n"
    )
    assert imports(path) == {"x.y", ".d", "..e.f", "g.h", "l.m", "i", "j.k"}
    assert imports(path, at_module_level=True) == {"x.y", ".d", "..e.f", "g.h", "l.m"}


@pytest.mark.parametrize(
    "changes, found",
    [
        ({}, ""),  # b takes the module c from the folder, whose __init__ takes a name from b
        ({"a/c.py": "def late():\n    from p.a import b"}, "p.a.b imports p.a.c imports p.a.b"),
        (
            {"d.py": "if TYPE_CHECKING:\n    from p.a import name"},
            "p.a imports p.a.b imports p.a.c imports p.d imports p.a",
        ),
        ({"a/c.py": "import p.a.c, p.d"}, ""),  # itself
        ({"d.py": "import p.a.e"}, ""),
    ],
)
def test_the_finder_of_circles(tmp_path, changes, found):
    for name, text in {
        "a/__init__.py": "from p.a.b import name",
        "a/b.py": "import numpy\nfrom p.a import c",
        "a/e.py": "",
        "a/c.py": "from p.d import *",
        "d.py": "",
        **changes,
    }.items():
        path = tmp_path / "p" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    assert circle(module_graph(tmp_path / "p")) == found


def test_names_of_recordings_need_the_standard_library_alone():
    """The camera node looks at names before it loads what reads recordings, which not every machine has."""
    assert {name.split(".")[0] for name in imports(ROOT / "bags" / "names.py")} <= sys.stdlib_module_names
