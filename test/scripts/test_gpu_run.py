# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""scripts/gpu_run.py without a GPU: packed, then run small from the pack in an environment that holds nothing
else; what it makes of its arguments, of time and of interruptions."""

import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import gpu_run
import pytest
from gpu import packing
from gpu.results import DONE, FAILED, SKIPPED
from gpu.steps import Step
from gpu_helpers import empty_environment, python

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
@pytest.mark.nightly
def test_packed_and_run_where_nothing_else_is(camvid, tmp_path):
    pack, out = tmp_path / "pack", tmp_path / "results"
    assert gpu_run.main(["pack", str(pack), "--data", f"camvid={camvid}"]) == 0
    assert sum(path.stat().st_size for path in pack.rglob("*") if path.is_file()) < 20e6
    interpreter = empty_environment(tmp_path / "environment")
    done = subprocess.run(
        [interpreter, pack / "scripts" / "gpu_run.py", "--device", "cpu", "--minutes", "3", "--out", out],
        cwd=tmp_path,
        env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads((out / "report.json").read_text())
    found = {step["name"]: step for step in report["steps"]}
    assert {name: step["status"] for name, step in found.items()} == {
        "environment": DONE,
        "inputs": DONE,
        "tests": SKIPPED,
        "benchmark mit_b0 f32": DONE,
        "benchmark mit_b5 f32": DONE,
        "benchmark mit_b2 f32": DONE,
        "benchmark f16, bf16": SKIPPED,
        "training": DONE,
        "evaluation": DONE,
    }, done.stdout
    assert found["environment"]["line"].endswith("pytest is not installed: no tests")
    assert found["tests"]["line"] == "needs CUDA"
    # the environment is as empty as it should be
    assert "openvino" not in found["benchmark mit_b0 f32"]["figures"]["versions"]
    assert len(found["benchmark mit_b5 f32"]["figures"]["kernels"][0]["kernels"]) == 5
    assert found["benchmark mit_b2 f32"]["line"].startswith("shallow frame ")
    log = [entry["ce_key"] for entry in found["training"]["figures"]["log"]]
    assert len(log) >= 2 and log[-1] < log[0], found["training"]  # it learns
    assert re.match(r"\d+ of \d+ iterations, \d+ images/s, cross entropy ", found["training"]["line"])
    assert found["evaluation"]["line"].startswith("camvid val: mIoU ")
    assert report["commit"] == packing.commit()
    files = [path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()]
    pieces = sorted(name for name in files if name.startswith("state."))
    assert pieces == [f"state.{index}" for index in range(1, len(pieces) + 1)] and pieces
    assert sorted({*files} - {*pieces}) == [
        "log.txt",
        "model/model.yaml",
        "model/weights.safetensors",
        "report.json",
        "report.txt",
    ]
    assert all((out / name).stat().st_size <= 16e6 for name in files)
    assert (
        "training: done in" in (out / "report.txt").read_text()
        and "longest operators" in (out / "report.txt").read_text()
    )


@pytest.fixture
def planned(monkeypatch, tmp_path):
    """`planned(steps, *arguments)`: run these steps; returns the exit code and {name: (status, line)}."""

    def run(these, *arguments, problem="", inputs=None):
        figures = {"line": "a machine", "problem": problem}
        monkeypatch.setattr(
            gpu_run,
            "environment",
            lambda device: Step(
                "environment",
                python(f"open(report, 'w').write(json.dumps({figures!r}))").command,
                is_measurement=False,
            ),
        )
        monkeypatch.setattr(
            gpu_run,
            "inputs",
            lambda training: inputs or Step("inputs", python("pass").command, is_measurement=False),
        )
        monkeypatch.setattr(
            gpu_run, "plan", lambda training, kinds: [step for step in these if step.kind in kinds]
        )
        out = tmp_path / "results"
        code = gpu_run.main(["--out", str(out), *arguments])
        return code, {
            step["name"]: (step["status"], step["line"])
            for step in json.loads((out / "report.json").read_text())["steps"]
        }

    return run


def named(name, *lines, **how):
    return Step(name, python(*lines).command, **how)


@pytest.mark.slow
def test_a_failing_step_does_not_stop_the_next(planned):
    code, found = planned([named("tests", "sys.exit('no')"), named("kernels", "pass")])
    assert code == 0 and found["tests"] == (FAILED, "no") and found["kernels"] == (DONE, "")


@pytest.mark.slow
def test_nothing_measured_is_an_error(planned):
    code, found = planned([named("kernels", "sys.exit('no')"), Step("tests", why_not="needs CUDA")])
    assert (
        code == 1
        and found["tests"] == (SKIPPED, "needs CUDA")
        and found["environment"] == (DONE, "a machine")
    )


def test_no_usable_gpu_ends_it_at_once(planned):
    code, found = planned([named("tests", "pass")], problem="PyTorch finds no usable GPU: no driver")
    assert code == 1 and list(found) == ["environment"]


def test_wrong_inputs_of_training_end_it_before_anything_is_measured(planned, capsys):
    wrong = Step("inputs", python("sys.exit('no folder of camvid is given')").command, is_measurement=False)
    code, found = planned([named("tests", "pass"), named("training", "pass")], inputs=wrong)
    assert code == 1 and found["inputs"] == (FAILED, "no folder of camvid is given") and "tests" not in found
    assert "without it: --steps tests,benchmark,kernels" in capsys.readouterr().out


def test_without_training_its_inputs_do_not_matter(planned):
    code, found = planned(
        [named("tests", "pass")], "--steps", "tests,kernels", inputs=named("inputs", "sys.exit('no')")
    )
    assert code == 0 and list(found) == ["environment", "tests"]


@pytest.mark.slow
def test_time_that_is_left_goes_to_what_is_worth_more(planned, tmp_path):
    code, found = planned(
        [
            named("kernels cheap", "pass", least_s=1.0, leaves_s=40.0),
            named("tests dear", "pass", least_s=15.0),
            named("tests long", "pass", least_s=1000.0),
            named("evaluation", "pass", needs=tmp_path / "a model"),
        ],
        "--minutes",
        "0.5",
    )
    assert code == 0 and found["kernels cheap"][0] == SKIPPED and found["tests dear"] == (DONE, "")
    assert found["tests long"][1].endswith(" s are left, too few") and found["evaluation"] == (
        SKIPPED,
        "there is no a model",
    )


@pytest.mark.slow
def test_some_steps_alone(planned):
    code, found = planned(
        [named("tests", "pass"), named("benchmark a", "pass"), named("training", "pass")],
        "--steps",
        "benchmark, training",
    )
    assert code == 0 and list(found) == ["environment", "inputs", "benchmark a", "training"]


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGKILL])
def test_a_run_that_is_interrupted_ends_its_step_and_keeps_the_rest(tmp_path, number):
    scripts = {
        "fast.py": """import sys; open(sys.argv[1], 'w').write('{"line": "", "problem": ""}')""",
        "slow.py": f"""import os, sys, time
open(sys.argv[1], 'w').write('{{"is_partial": true, "line": "7 iterations"}}')
open('{tmp_path}/part', 'w').write(str(os.getpid()))
os.rename('{tmp_path}/part', '{tmp_path}/begun')
time.sleep(600)""",
        "run.py": f"""import sys; sys.path.insert(0, '{ROOT}/scripts')
import gpu_run
from gpu.steps import REPORT, Step
gpu_run.environment = lambda device: Step('environment', (sys.executable, '{tmp_path}/fast.py', REPORT))
gpu_run.plan = lambda *_: [Step('tests', (sys.executable, '{tmp_path}/slow.py', REPORT))]
sys.exit(gpu_run.main(['--out', '{tmp_path}/out', '--steps', 'tests']))""",
    }
    for name, text in scripts.items():
        (tmp_path / name).write_text(text)
    begun = tmp_path / "begun"
    process = subprocess.Popen([sys.executable, tmp_path / "run.py"], stdout=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while not begun.exists():
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.02)  # between two looks; nothing depends on its length
    process.send_signal(number)
    output, _ = process.communicate(timeout=60)
    deadline = time.monotonic() + 60
    while Path("/proc", begun.read_text()).exists():  # the step ends, too
        assert time.monotonic() < deadline
        time.sleep(0.02)
    if number == signal.SIGKILL:
        return
    assert process.returncode == 0 and "interrupted: what was measured stands" in output
    steps = json.loads((tmp_path / "out" / "report.json").read_text())["steps"]
    assert [(step["name"], step["line"]) for step in steps] == [
        ("environment", ""),
        ("tests", "7 iterations; then interrupted"),
    ]


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--device", "tpu"], "--device tpu: use cuda or cpu"),
        (["--minutes", "0"], "--minutes 0.0: use a number above 0"),
        (["--data", "camvid=nowhere"], "--data camvid=nowhere: write NAME=PATH with a folder that is there"),
        (["--data", "camvid="], "--data camvid=: write NAME=PATH with a folder that is there"),
        (
            ["--steps", "tests,trainin"],
            "--steps 'trainin': use some of tests, benchmark, kernels, training, evaluation",
        ),
        (["--resume", "nowhere"], "--resume nowhere: there is no such folder"),
    ],
)
def test_wrong_arguments(tmp_path, capsys, arguments, message):
    with pytest.raises(SystemExit, match="2"):
        gpu_run.main(["--out", str(tmp_path / "out"), *arguments])
    assert message in capsys.readouterr().err


def test_results_of_before_are_not_overwritten(tmp_path, capsys):
    (tmp_path / "report.json").write_text("{}")
    with pytest.raises(SystemExit):
        gpu_run.main(["--out", str(tmp_path)])
    assert "is not empty: give a new folder" in capsys.readouterr().err


def test_a_disk_without_room_is_told_at_once(tmp_path, monkeypatch, capsys):
    for place, free in ((tmp_path / "out", 10e6), (None, 150e6)):
        monkeypatch.setattr(
            gpu_run.shutil,
            "disk_usage",
            lambda path: SimpleNamespace(free=free if place is None or Path(path) == place else 1e9),
        )
        with pytest.raises(SystemExit, match="2"):
            gpu_run.main(["--out", str(tmp_path / ("out" if place else "other"))])
        assert f"has {free / 1e6:.0f} MB of free space" in capsys.readouterr().err
