# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""package.xml names what is imported, no more and no less; setup.py and the changelog agree with it."""

import ast
import re
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ElementTree.parse(ROOT / "package.xml").getroot()

ROSDEP_KEYS = {
    "PIL": "python3-pil",
    "catkin_pkg": "python3-catkin-pkg-modules",
    "cv2": "python3-opencv",
    "hypothesis": "python3-hypothesis",
    "jinja2": "python3-jinja2",
    "matplotlib": "python3-matplotlib",
    "numpy": "python3-numpy",
    "psutil": "python3-psutil",
    "pytest": "python3-pytest",
    "setuptools": "python3-setuptools",
    "tf2_ros": "tf2_ros_py",
    "tqdm": "python3-tqdm",
    "yaml": "python3-yaml",
}
FROM_PIP = {  # requirements/; package.xml says why
    "av",
    "datumaro",
    "mcap",
    "nncf",
    "numba",
    "onnx",
    "onnxruntime",
    "openvino",
    "playwright",
    "ray",
    "rerun",
    "rosbags",
    "safetensors",
    "tensorboard",
    "torch",
    "transformers",
    "triton",
}
# by rosbags, jinja2, mcap, ray, rerun, datumaro and Python 3.14; TensorRT and timm by the user
BROUGHT_BY_OTHERS = {
    "apsw",
    "backports",
    "compression",
    "defusedxml",
    "lz4",
    "markupsafe",
    "pyarrow",
    "rerun_cli",
    "tensorrt",
    "timm",
    "zstandard",
}
NOT_IMPORTED = {
    "ament_cmake_pytest": "CMakeLists.txt",
    "ros2launch": "the command `ros2 launch`",
    "rosidl_default_runtime": "the generated messages",
}


def imported(*folders: str) -> set[str]:
    """Packages from outside, by the name they are imported by."""
    files = [path for folder in folders for path in (ROOT / folder).rglob("*.py")]
    own = {
        "dcfm_ros",
        *(path.stem for path in (ROOT / "test").rglob("*.py")),
        *(path.stem for path in (ROOT / "scripts").iterdir()),
    }
    names = set()
    for path in files:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                names |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                names.add(node.module)
            elif (
                isinstance(node, ast.Call)
                and node.args
                and isinstance(node.args[0], ast.Constant)
                and getattr(node.func, "attr", getattr(node.func, "id", ""))
                in ("import_module", "importorskip")
            ):
                names.add(node.args[0].value)
    return {name.split(".")[0] for name in names} - own - set(sys.stdlib_module_names)


def keys(names: set[str]) -> set[str]:
    """As package.xml names them; what comes from pip is not in it. Everything else is taken for a ROS
    package."""
    return {ROSDEP_KEYS.get(name, name) for name in names - FROM_PIP - BROUGHT_BY_OTHERS}


def declared(*tags: str) -> set[str]:
    return {element.text for tag in tags for element in PACKAGE.findall(tag)}


@pytest.mark.slow
def test_what_the_package_imports_is_a_dependency():
    assert keys(imported("dcfm_ros", "launch")) - declared("depend", "exec_depend") == set()


@pytest.mark.slow
def test_what_the_tests_import_is_a_dependency():
    assert keys(imported("test")) - declared("depend", "exec_depend", "test_depend") == set()


@pytest.mark.slow
def test_every_dependency_is_imported():
    assert (
        declared("depend", "exec_depend") - set(NOT_IMPORTED) - keys(imported("dcfm_ros", "launch")) == set()
    )
    assert declared("test_depend") - set(NOT_IMPORTED) - keys(imported("test")) == set()


def test_no_dependency_is_named_twice():
    names = [
        element.text for tag in ("depend", "exec_depend", "test_depend") for element in PACKAGE.findall(tag)
    ]
    assert len(names) == len(set(names))


def test_what_comes_from_pip_is_in_the_requirements():
    lines = [
        line.split(";")[0]
        for path in (ROOT / "requirements").glob("*.txt")
        for line in path.read_text().splitlines()
    ]
    pinned = {line.split("==")[0].strip().removesuffix("-sdk") for line in lines if "==" in line}
    assert FROM_PIP - pinned == set()


def test_the_manifest_is_valid():
    parse_package = pytest.importorskip(
        "catkin_pkg.package", reason="catkin_pkg is not installed"
    ).parse_package
    warnings = []
    package = parse_package(ROOT / "package.xml", warnings=warnings)
    package.validate(warnings=warnings)
    assert warnings == []
    assert package.name == "dcfm_ros" and {url.type for url in package.urls} == {
        "website",
        "repository",
        "bugtracker",
    }


def test_setup_says_what_the_manifest_says(monkeypatch):
    setuptools = pytest.importorskip("setuptools", reason="setuptools is not installed")
    said = {}
    monkeypatch.setattr(setuptools, "setup", lambda **given: said.update(given))
    exec(
        compile((ROOT / "setup.py").read_text(), ROOT / "setup.py", "exec"),
        {"__file__": str(ROOT / "setup.py")},
    )
    assert (said["name"], said["version"], said["license"]) == tuple(
        map(PACKAGE.findtext, ("name", "version", "license"))
    )
    assert said["maintainer_email"] == PACKAGE.find("maintainer").get("email")
    assert said["url"] and all(said["project_urls"].values())


def test_the_changelog_can_be_released():
    """As catkin_prepare_release and bloom read it (REP 132)."""
    changelog = pytest.importorskip("catkin_pkg.changelog", reason="catkin_pkg is not installed")
    label = pytest.importorskip("catkin_pkg.package_version").get_forthcoming_label
    path = ROOT / "CHANGELOG.rst"
    released = changelog.get_changelog_from_path(path, "dcfm_ros")
    versions = [version for version, _, _ in released.foreach_version()]  # the newest is last
    assert label(path.read_text()) == "Forthcoming" or versions
    assert versions[-1:] in ([], [PACKAGE.findtext("version")])


def test_every_source_file_says_whose_it_is_and_under_which_licence():
    lines = re.compile(
        r"(#!.*\n)?# Copyright 20\d\d The dcfm_ros authors\n# SPDX-License-Identifier: Apache-2.0\n"
    )
    files = [
        path for folder in ("dcfm_ros", "launch", "scripts", "test") for path in (ROOT / folder).rglob("*.py")
    ]
    assert len(files) > 300
    assert [str(path) for path in files if (text := path.read_text()) and not lines.match(text)] == []
