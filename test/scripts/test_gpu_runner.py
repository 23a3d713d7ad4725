# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A step of the run on a GPU machine: its figures, its limit, and what went wrong in one line."""

import time
from pathlib import Path

import pytest
from gpu import runner
from gpu.results import DONE, FAILED
from gpu.steps import Step
from gpu_helpers import python


def test_a_step_and_its_figures():
    outcome = runner.run(
        python("open(report, 'w').write(json.dumps({'line': 'fine'}))", "print('said')"), 60.0
    )
    assert (outcome.status, outcome.line, outcome.figures, outcome.output) == (
        DONE,
        "fine",
        {"line": "fine"},
        "said\n",
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    "lines, line",
    [
        (["print('it begins')", "sys.exit('this is missing')"], "this is missing"),
        (
            ["os.kill(os.getpid(), signal.SIGKILL)"],
            "killed by SIGKILL, perhaps by the system for want of memory",
        ),
        (["os.kill(os.getpid(), signal.SIGSEGV)"], "killed by SIGSEGV"),
        (
            ["raise RuntimeError('CUDA out of memory in the shallow path: use a smaller model')"],
            "RuntimeError: CUDA out of memory in the shallow path: use a smaller model",
        ),
        (
            ["print('OSError: [Errno 28] No space left on device')", "sys.exit('and then this')"],
            "OSError: [Errno 28] No space left on device",
        ),
        (["sys.exit(3)"], "ended with exit code 3 and said nothing"),
    ],
)
def test_what_went_wrong_is_one_line(lines, line):
    outcome = runner.run(python(*lines), 60.0)
    assert (outcome.status, outcome.line) == (FAILED, line)


@pytest.mark.slow
def test_a_step_that_hangs_ends_with_all_that_it_has_started(tmp_path):
    step = python(
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)",
        "import subprocess",
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])",
        f"open({str(tmp_path / 'child')!r}, 'w').write(str(child.pid))",
        "time.sleep(600)",
        grace_s=1.0,
    )
    outcome = runner.run(step, 3.0)
    assert (outcome.status, outcome.line) == (FAILED, "stopped after 3 s, its limit") and outcome.seconds < 30
    child, deadline = Path("/proc") / (tmp_path / "child").read_text(), time.monotonic() + 10
    while child.exists() and "Z" not in (child / "stat").read_text().split(")")[-1].split()[0]:
        assert time.monotonic() < deadline, "a child outlives its step"


def test_what_was_measured_before_the_end_stands():
    outcome = runner.run(
        python(
            "open(report, 'w').write(json.dumps({'line': '9 iterations', 'is_partial': True}))",
            "sys.stdout.flush()",
            "os.kill(os.getpid(), signal.SIGKILL)",
        ),
        60.0,
    )
    assert outcome.status == DONE and outcome.line.startswith("9 iterations; then killed by SIGKILL")


def test_figures_of_another_form_are_kept():
    step = Step(
        "benchmark x", python("open(report, 'w').write(json.dumps({'rows': 3, 'kernels': 4}))").command
    )
    outcome = runner.run(step, 60.0)
    assert (
        outcome.status == DONE
        and outcome.figures == {"rows": 3, "kernels": 4}
        and "another form than expected" in outcome.line
    )
