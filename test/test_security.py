# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Commands talk to nobody, nothing is read that could run code, and the lock holds what is required."""

import ast
import os
import re
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
import yaml
from helpers import write_tiny_model

ROOT = Path(__file__).parents[1]
SOURCES = [
    path for folder in ("dcfm_ros", "launch", "scripts") for path in sorted((ROOT / folder).rglob("*.py"))
]
HAS_NAMESPACES = (
    shutil.which("unshare") is not None
    and subprocess.run(["unshare", "-rn", "true"], capture_output=True).returncode == 0
)

# No network

# Python tells of each look-up of a name and each connection; a process without a network would hide them.
_TELLS = """
import os, sys
def hook(event, arguments):
    if event in ("socket.connect", "socket.sendto", "socket.getaddrinfo", "socket.gethostbyname"):
        if not isinstance(arguments[-1], (str, bytes)):  # not a socket of this machine's files
            with open(os.environ["ASKED_FOR"], "a") as file:
                print(event, *arguments, file=file)
sys.addaudithook(hook)
"""


@pytest.fixture
def alone(tmp_path):
    """`alone(*command)`: runs it in a network namespace of its own, where that is allowed, and returns its
    output. Fails where it asked for a connection."""
    (tmp_path / "hooks").mkdir()
    (tmp_path / "hooks" / "sitecustomize.py").write_text(_TELLS)
    asked_for = tmp_path / "asked_for"
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(
            filter(None, [str(tmp_path / "hooks"), os.environ.get("PYTHONPATH"), str(ROOT)])
        ),
        "ASKED_FOR": str(asked_for),
        "OMP_NUM_THREADS": "1",
    }
    # Some send no usage data from pytest or from CI: they are to be silent anywhere.
    environment = {
        name: value for name, value in environment.items() if name not in ("CI", "PYTEST_CURRENT_TEST")
    }

    def run(*command, namespace=HAS_NAMESPACES):
        done = subprocess.run(
            [*(("unshare", "-rn") if namespace else ()), *map(str, command)],
            env=environment,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=240,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert not asked_for.exists(), asked_for.read_text()
        return done.stdout

    run.asked_for = asked_for
    return run


def dcfm(*arguments):
    return sys.executable, "-P" if sys.version_info >= (3, 11) else "-s", "-m", "dcfm_ros", *arguments


def test_what_asks_for_a_connection_is_seen(alone):
    program = "import socket\ntry: socket.create_connection(('192.0.2.1', 9), 0.1)\nexcept OSError: pass"
    with pytest.raises(AssertionError, match=r"socket.connect .*192\.0\.2\.1"):
        alone(sys.executable, "-c", program)


@pytest.mark.slow
def test_recordings_are_evaluated_without_a_network(alone, tmp_path):
    """With PyTorch; images are segmented with the default, OpenVINO where it is installed."""
    model = write_tiny_model(tmp_path / "model")
    alone(*dcfm("bag", "make", "synthetic", "drive", "--frames", "6"))
    viewer = () if sys.version_info < (3, 11) else ("--viewer", "drive.rrd")
    options = ("--model", model, "--backend", "torch", "--out", "out", *viewer)
    alone(*dcfm("bag", "evaluate", "drive", *options))
    assert (tmp_path / "out" / "report.html").is_file()


@pytest.mark.slow
def test_images_are_segmented_without_a_network(alone, tmp_path):
    model = write_tiny_model(tmp_path / "model")
    alone(*dcfm("segment", "synthetic", "--frames", "4", "--model", model, "--out", "out"))
    assert len(list((tmp_path / "out").rglob("*.png"))) >= 4


@pytest.mark.slow
def test_models_are_trained_without_a_network(alone, tmp_path):
    model = write_tiny_model(tmp_path / "model")
    settings = {
        "init": str(model),
        "model": {"backbone": "init", "classes": "street11", "input_height": 64, "input_width": 96},
        "data": {"sources": [{"source": "synthetic", "clips": 2}]},
        "phases": [{"iterations": 2, "batch": 2, "height": 64, "width": 64, "lr_start": 1e-3, "lr_end": 0.0}],
    }
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(settings))
    alone(*dcfm("train", "config.yaml", "--out", "out", "--workers", "0", "--tensorboard"))
    assert (tmp_path / "out" / "last" / "model.yaml").is_file()


@cache
def nodes(path):
    """All of a file's syntax tree."""
    return tuple(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))


def calls(path):
    """Name and line of each call in a file: `yaml.load`, `open`."""
    for node in nodes(path):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node.lineno


def test_nothing_opens_connections_but_what_is_known_to():
    """Ray's cluster, which the user names, is asked whether it is there; the viewer finds a free port."""
    found = set()
    for path in SOURCES:
        for node in nodes(path):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            for name in names:
                if re.match(
                    r"(socket|ssl|ftplib|smtplib|http|urllib\.request|requests|httpx|aiohttp|huggingface_hub)\b",
                    name,
                ):
                    found.add((path.relative_to(ROOT).as_posix(), name))
    assert found == {
        ("dcfm_ros/bags/ray_workers.py", "socket"),
        ("dcfm_ros/viewer/rerun_scene.py", "socket"),
        ("dcfm_ros/viewer/rerun_program.py", "socket"),
    }


@pytest.mark.slow
def test_openvino_and_nncf_send_no_usage_data(alone):
    """Both do so by default where openvino-telemetry is installed, which comes with NNCF."""
    pytest.importorskip("nncf", reason="nncf is not installed")
    program = """
import dcfm_ros.pipeline.export.int8
import nncf.telemetry
from openvino.tools.ovc import telemetry_utils
print(type(nncf.telemetry.telemetry).__name__, telemetry_utils.tm.__name__)
"""
    assert alone(sys.executable, "-c", program).split() == ["MagicMock", "openvino.tools.ovc.telemetry_stub"]


# What is read, and temporary files


def test_yaml_is_loaded_by_safe_loaders_alone():
    """The reason for which bandit's B506 is left out in pyproject.toml."""
    unsafe = [
        (path.relative_to(ROOT).as_posix(), name)
        for path in SOURCES
        if "scripts/campaign" not in path.as_posix()
        for name, _ in calls(path)
        if name in ("yaml.load", "yaml.load_all", "yaml.unsafe_load", "yaml.full_load")
    ]
    assert unsafe == [("dcfm_ros/plain_files.py", "yaml.load")]


def test_checkpoints_and_arrays_are_never_unpickled():
    loads = []
    for path in SOURCES:
        for node in nodes(path):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in (
                "torch.load",
                "np.load",
                "numpy.load",
            ):
                given = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
                loads.append(path.name)
                if ast.unparse(node.func) == "torch.load":
                    assert given["weights_only"] == "True", path
                else:  # NumPy does not unless it is told to
                    assert given.get("allow_pickle", "False") == "False", path
    assert len(loads) >= 4


def test_temporary_files_have_names_that_nobody_knows_before():
    """What others have put there is not written to: names come from `tempfile`, which makes files and folders
    for their owner alone, and one place has a folder of a known name, which it looks at."""
    known = [
        path.relative_to(ROOT).as_posix()
        for path in SOURCES
        for name, _ in calls(path)
        if name in ("tempfile.mktemp", "tempfile.gettempdir", "gettempdir", "os.umask", "tempfile.tempdir")
    ]
    assert set(known) <= {"dcfm_ros/environment.py", "scripts/gpu_run.py"}  # the last asks how much is free
    fixed = [
        path
        for path in SOURCES
        if "scripts/campaign" not in path.as_posix()
        and re.search(r"[\"']/(var/)?tmp/", path.read_text(encoding="utf-8"))
    ]
    assert fixed == []


# The lock

_PIN = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[a-z,]+\])?==([^\s;]+)", re.MULTILINE)


def pins(path):
    return {
        (re.sub(r"[-_.]+", "-", name).lower(), version) for name, version in _PIN.findall(path.read_text())
    }


def test_the_lock_holds_every_requirement():
    lock = ROOT / "requirements" / "lock"
    required = {
        name: pins(ROOT / "requirements" / f"{name}.txt") for name in ("core", "ros", "test", "data", "torch")
    }
    assert all(required.values())
    again = "requirements/lock/ is of other requirements: run `make lock`"
    wheels = pins(lock / "wheels.txt")
    assert required["core"] | required["ros"] | required["test"] <= wheels, again
    assert required["torch"] <= pins(lock / "torch.txt"), again
    assert required["data"] == pins(lock / "data.txt"), again
    # Of packages that several files name there is one version for each Python.
    assert {pin for pin in pins(lock / "data.txt") if pin[0] in dict(wheels)} <= wheels | required["data"]


def test_every_package_of_the_lock_has_hashes_and_no_address():
    for path in sorted((ROOT / "requirements" / "lock").iterdir()):
        text = path.read_text()
        entries = re.findall(r"^\S.*\n(?:[ \t]+.*\n)*", text.split("\n", 1)[1], re.MULTILINE)
        assert len(entries) >= 10 and "://" not in text and "--index" not in text
        for entry in entries:
            assert _PIN.match(entry) and re.search(r"--hash=sha256:[0-9a-f]{64}", entry), entry.splitlines()[
                0
            ]
