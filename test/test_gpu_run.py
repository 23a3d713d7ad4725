# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""scripts/gpu_run.py without a GPU: packed, then run small from the pack in an environment that holds nothing else."""
import errno
import json
import os
import re
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from gpu_helpers import empty_environment
from helpers import write_tiny_model

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "scripts"))
import gpu_run   # noqa: E402
from gpu import carried, environment, packing, runner, steps   # noqa: E402
from gpu.results import DONE, FAILED, SKIPPED, Outcome, Results   # noqa: E402
from gpu.steps import REPORT, Step   # noqa: E402


def python(*lines, **how):
    """A step that runs these lines; REPORT is `report` there."""
    text = "import json, os, signal, sys, time; report = sys.argv[1]\n" + "\n".join(lines)
    return Step("a step", (sys.executable, "-c", text, REPORT), **how)


# The whole

@pytest.fixture(scope="module")
def camvid(tmp_path_factory):
    """A data set named like CamVid: 4 stills to train on, 3 frames of a video for evaluation."""
    root, rng = tmp_path_factory.mktemp("camvid"), np.random.default_rng(0)
    for split, names in (("train", ("0001TP_006690", "0001TP_006720", "0006R0_f00930", "Seq05VD_f00000")),
                         ("val", ("0016E5_07959", "0016E5_07961", "0016E5_07963"))):
        for part in ("images", "labels"):
            (root / split / part).mkdir(parents=True)
        for name in names:
            label = rng.integers(0, 11, (6, 8), np.uint8).repeat(16, 0).repeat(16, 1)
            cv2.imwrite(str(root / split / "labels" / f"{name}.png"), label)
            cv2.imwrite(str(root / split / "images" / f"{name}.jpg"), cv2.merge([20 * label, 255 - 20 * label, label]))
    return root


def test_packed_and_run_where_nothing_else_is(camvid, tmp_path):
    pack, out = tmp_path / "pack", tmp_path / "results"
    assert gpu_run.main(["pack", str(pack), "--data", f"camvid={camvid}"]) == 0
    assert sum(path.stat().st_size for path in pack.rglob("*") if path.is_file()) < 20e6
    interpreter = empty_environment(tmp_path / "environment")
    done = subprocess.run(
        [interpreter, pack / "scripts" / "gpu_run.py", "--device", "cpu", "--minutes", "3", "--out", out], cwd=tmp_path,
        env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "OMP_NUM_THREADS": "1"}, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads((out / "report.json").read_text())
    found = {step["name"]: step for step in report["steps"]}
    assert {name: step["status"] for name, step in found.items()} == {
        "environment": DONE, "inputs": DONE, "tests": SKIPPED, "benchmark mit_b0 f32": DONE, "benchmark mit_b5 f32": DONE,
        "benchmark mit_b2 f32": DONE, "benchmark f16, bf16": SKIPPED, "training": DONE, "evaluation": DONE}, done.stdout
    assert found["environment"]["line"].endswith("pytest is not installed: no tests")
    assert found["tests"]["line"] == "needs CUDA"
    assert "openvino" not in found["benchmark mit_b0 f32"]["figures"]["versions"]   # the environment is as empty as it should be
    assert len(found["benchmark mit_b5 f32"]["figures"]["kernels"][0]["kernels"]) == 5
    assert found["benchmark mit_b2 f32"]["line"].startswith("shallow frame ")
    log = [entry["ce_key"] for entry in found["training"]["figures"]["log"]]
    assert len(log) >= 2 and log[-1] < log[0], found["training"]   # it learns
    assert re.match(r"\d+ of \d+ iterations, \d+ images/s, cross entropy ", found["training"]["line"])
    assert found["evaluation"]["line"].startswith("camvid val: mIoU ")
    assert report["commit"] == packing.commit()
    files = [path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()]
    assert sorted(files) == ["log.txt", "model/model.yaml", "model/weights.safetensors", "report.json", "report.txt", "state.1"]
    assert all((out / name).stat().st_size <= 16e6 for name in files)
    assert "training: done in" in (out / "report.txt").read_text() and "longest operators" in (out / "report.txt").read_text()


# Its steps

def test_a_step_and_its_figures():
    outcome = runner.run(python("open(report, 'w').write(json.dumps({'line': 'fine'}))", "print('said')"), 60.0)
    assert (outcome.status, outcome.line, outcome.figures, outcome.output) == (DONE, "fine", {"line": "fine"}, "said\n")


@pytest.mark.parametrize("lines, line", [
    (["print('it begins')", "sys.exit('this is missing')"], "this is missing"),
    (["os.kill(os.getpid(), signal.SIGKILL)"], "killed by SIGKILL, perhaps by the system for want of memory"),
    (["os.kill(os.getpid(), signal.SIGSEGV)"], "killed by SIGSEGV"),
    (["raise RuntimeError('CUDA out of memory in the shallow path: use a smaller model')"],
     "RuntimeError: CUDA out of memory in the shallow path: use a smaller model"),
    (["print('OSError: [Errno 28] No space left on device')", "sys.exit('and then this')"],
     "OSError: [Errno 28] No space left on device"),
    (["sys.exit(3)"], "ended with exit code 3 and said nothing"),
])
def test_what_went_wrong_is_one_line(lines, line):
    outcome = runner.run(python(*lines), 60.0)
    assert (outcome.status, outcome.line) == (FAILED, line)


def test_a_step_that_hangs_ends_with_all_that_it_has_started(tmp_path):
    step = python("signal.signal(signal.SIGTERM, signal.SIG_IGN)", "import subprocess",
                  "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])",
                  f"open({str(tmp_path / 'child')!r}, 'w').write(str(child.pid))", "time.sleep(600)", grace_s=1.0)
    outcome = runner.run(step, 3.0)
    assert (outcome.status, outcome.line) == (FAILED, "stopped after 3 s, its limit") and outcome.seconds < 30
    child, deadline = Path("/proc") / (tmp_path / "child").read_text(), time.monotonic() + 10
    while child.exists() and "Z" not in (child / "stat").read_text().split(")")[-1].split()[0]:
        assert time.monotonic() < deadline, "a child outlives its step"


def test_what_was_measured_before_the_end_stands():
    outcome = runner.run(python("open(report, 'w').write(json.dumps({'line': '9 iterations', 'is_partial': True}))",
                                "sys.stdout.flush()", "os.kill(os.getpid(), signal.SIGKILL)"), 60.0)
    assert outcome.status == DONE and outcome.line.startswith("9 iterations; then killed by SIGKILL")


def test_figures_of_another_form_are_kept():
    step = Step("benchmark x", python("open(report, 'w').write(json.dumps({'rows': 3, 'kernels': 4}))").command)
    outcome = runner.run(step, 60.0)
    assert outcome.status == DONE and outcome.figures == {"rows": 3, "kernels": 4} and "another form than expected" in outcome.line


# The run

@pytest.fixture
def planned(monkeypatch, tmp_path):
    """`planned(steps, *arguments)`: run these steps; returns the exit code and {name: (status, line)}."""
    def run(these, *arguments, problem="", inputs=None):
        figures = {"line": "a machine", "problem": problem}
        monkeypatch.setattr(gpu_run, "environment", lambda device: Step("environment", python(
            f"open(report, 'w').write(json.dumps({figures!r}))").command, is_measurement=False))
        monkeypatch.setattr(gpu_run, "inputs", lambda training: inputs or Step("inputs", python("pass").command,
                                                                             is_measurement=False))
        monkeypatch.setattr(gpu_run, "plan", lambda training, kinds: [step for step in these if step.kind in kinds])
        out = tmp_path / "results"
        code = gpu_run.main(["--out", str(out), *arguments])
        return code, {step["name"]: (step["status"], step["line"])
                      for step in json.loads((out / "report.json").read_text())["steps"]}
    return run


def named(name, *lines, **how):
    return Step(name, python(*lines).command, **how)


def test_a_failing_step_does_not_stop_the_next(planned):
    code, found = planned([named("tests", "sys.exit('no')"), named("kernels", "pass")])
    assert code == 0 and found["tests"] == (FAILED, "no") and found["kernels"] == (DONE, "")


def test_nothing_measured_is_an_error(planned):
    code, found = planned([named("kernels", "sys.exit('no')"), Step("tests", why_not="needs CUDA")])
    assert code == 1 and found["tests"] == (SKIPPED, "needs CUDA") and found["environment"] == (DONE, "a machine")


def test_no_usable_gpu_ends_it_at_once(planned):
    code, found = planned([named("tests", "pass")], problem="PyTorch finds no usable GPU: no driver")
    assert code == 1 and list(found) == ["environment"]


def test_wrong_inputs_of_training_end_it_before_anything_is_measured(planned, capsys):
    wrong = Step("inputs", python("sys.exit('no folder of camvid is given')").command, is_measurement=False)
    code, found = planned([named("tests", "pass"), named("training", "pass")], inputs=wrong)
    assert code == 1 and found["inputs"] == (FAILED, "no folder of camvid is given") and "tests" not in found
    assert "without it: --steps tests,benchmark,kernels" in capsys.readouterr().out


def test_without_training_its_inputs_do_not_matter(planned):
    code, found = planned([named("tests", "pass")], "--steps", "tests,kernels", inputs=named("inputs", "sys.exit('no')"))
    assert code == 0 and list(found) == ["environment", "tests"]


def test_time_that_is_left_goes_to_what_is_worth_more(planned, tmp_path):
    code, found = planned([named("kernels cheap", "pass", least_s=1.0, leaves_s=40.0), named("tests dear", "pass", least_s=15.0),
                           named("tests long", "pass", least_s=1000.0),
                           named("evaluation", "pass", needs=tmp_path / "a model")], "--minutes", "0.5")
    assert code == 0 and found["kernels cheap"][0] == SKIPPED and found["tests dear"] == (DONE, "")
    assert found["tests long"][1].endswith(" s are left, too few") and found["evaluation"] == (SKIPPED, "there is no a model")


def test_some_steps_alone(planned):
    code, found = planned([named("tests", "pass"), named("benchmark a", "pass"), named("training", "pass")],
                          "--steps", "benchmark, training")
    assert code == 0 and list(found) == ["environment", "inputs", "benchmark a", "training"]


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
sys.exit(gpu_run.main(['--out', '{tmp_path}/out', '--steps', 'tests']))"""}
    for name, text in scripts.items():
        (tmp_path / name).write_text(text)
    begun = tmp_path / "begun"
    process = subprocess.Popen([sys.executable, tmp_path / "run.py"], stdout=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while not begun.exists():
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.02)   # between two looks; nothing depends on its length
    process.send_signal(number)
    output, _ = process.communicate(timeout=60)
    deadline = time.monotonic() + 60
    while Path("/proc", begun.read_text()).exists():   # the step ends, too
        assert time.monotonic() < deadline
        time.sleep(0.02)
    if number == signal.SIGKILL:
        return
    assert process.returncode == 0 and "interrupted: what was measured stands" in output
    steps = json.loads((tmp_path / "out" / "report.json").read_text())["steps"]
    assert [(step["name"], step["line"]) for step in steps] == [("environment", ""), ("tests", "7 iterations; then interrupted")]


@pytest.mark.parametrize("arguments, message", [
    (["--device", "tpu"], "--device tpu: use cuda or cpu"),
    (["--minutes", "0"], "--minutes 0.0: use a number above 0"),
    (["--data", "camvid=nowhere"], "--data camvid=nowhere: write NAME=PATH with a folder that is there"),
    (["--data", "camvid="], "--data camvid=: write NAME=PATH with a folder that is there"),
    (["--steps", "tests,trainin"], "--steps 'trainin': use some of tests, benchmark, kernels, training, evaluation"),
    (["--resume", "nowhere"], "--resume nowhere: there is no such folder"),
])
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
        monkeypatch.setattr(gpu_run.shutil, "disk_usage", lambda path: SimpleNamespace(
            free=free if place is None or Path(path) == place else 1e9))
        with pytest.raises(SystemExit, match="2"):
            gpu_run.main(["--out", str(tmp_path / ("out" if place else "other"))])
        assert f"has {free / 1e6:.0f} MB of free space" in capsys.readouterr().err


def test_a_full_disk_is_told_and_stops_nothing(tmp_path, monkeypatch):
    results, write_text = Results(tmp_path, {}), Path.write_text

    def full(path, *_, **__):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_text", full)
    results.add(Outcome("a step", DONE, ""))
    assert results.measured and results.problem.endswith("report.txt could not be written: No space left on device")
    monkeypatch.setattr(Path, "write_text", write_text)
    results.add(Outcome("another", FAILED, "no"))
    assert [step["name"] for step in json.loads((tmp_path / "report.json").read_text())["steps"]] == ["a step", "another"]


def test_all_steps_of_a_gpu_are_there_in_order_of_value(monkeypatch):
    training = steps.Training("a.yaml", "", "", ("camvid=c",), Path("out"), "cuda")
    plan = steps.plan(training)
    assert [step.name for step in plan] == [
        "tests", *(f"benchmark mit_b{number} f16" for number in (0, 5, 2)), "kernels mit_b0 f16", "kernels mit_b5 f16",
        *(f"benchmark mit_b{number} bf16" for number in (0, 5, 2)),
        "training", "evaluation"]
    assert sum(step.least_s for step in plan) < 8.5 * 60
    assert all(step.leaves_s >= 100 for step in plan[:-2]) and plan[-2].leaves_s > 0   # training is never starved
    assert all(step.leaves_s == 0 for step in steps.plan(training, ("tests", "benchmark", "training")) if step.kind == "training")
    assert all(step.leaves_s == 0 for step in steps.plan(training, ("tests", "benchmark", "kernels")))
    for path in (*steps.TESTS, *steps.HELPERS):
        assert (ROOT / path).is_file()


# What is wrong with a GPU

@pytest.fixture
def gpu(monkeypatch):
    """A PyTorch with a GPU, as far as `gpu_problem` looks; a test breaks it."""
    monkeypatch.setattr(torch.version, "cuda", "13.0", raising=False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch, "ones", lambda *_, **__: torch.zeros(1))
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: (64e9, 80e9))
    return monkeypatch


def test_a_gpu_that_is_fine(gpu):
    assert environment.gpu_problem() == ""


def test_a_build_without_cuda(gpu):
    gpu.setattr(torch.version, "cuda", None)
    assert environment.gpu_problem() == f"this PyTorch, {torch.__version__}, is built without CUDA: install a build with it"


def test_no_gpu_and_an_old_driver(gpu):
    gpu.setattr(torch.cuda, "is_available", lambda: False)
    assert environment.gpu_problem() == "PyTorch finds no usable GPU: no NVIDIA GPU or no driver is there"
    old = "CUDA initialization: The NVIDIA driver on your system\nis too old (found version 11040)."
    gpu.setattr(torch.cuda, "is_available", lambda: warnings.warn(old))
    assert environment.gpu_problem() == "PyTorch finds no usable GPU: " + old.replace("\n", " ")


def test_packages_that_cannot_be_imported(monkeypatch):
    """numba, for example, where it does not know NumPy's version."""
    assert environment.packages_problem() == ""
    for name in ("numba", "tqdm"):
        monkeypatch.setitem(sys.modules, name, None)
    assert environment.packages_problem() == (
        f"Python packages are missing for {sys.executable}: import of numba halted; None in sys.modules; import of tqdm "
        "halted; None in sys.modules")


def test_a_gpu_that_does_not_compute_or_is_full(gpu):
    def fails(*_, **__):
        raise RuntimeError("CUDA error: no kernel image is available for execution on the device\nmore")

    gpu.setattr(torch.cuda, "mem_get_info", lambda: (1e9, 80e9))
    assert environment.gpu_problem() == "the GPU has 1.0 GB of free memory, 2 are needed: end what else runs on it"
    gpu.setattr(torch, "ones", fails)
    assert environment.gpu_problem() == ("the GPU does not compute: CUDA error: no kernel image is available for execution "
                                         "on the device more")


# What is carried

@pytest.fixture
def trained(tmp_path):
    """A training folder with a model and a state, as `train` leaves it."""
    from dcfm_ros.model.folder import load_model, save_model

    run = tmp_path / "run"
    write_tiny_model(run / "last")
    model = load_model(run / "last")
    save_model(run / "last", model, {"iterations_done": 7})
    optimiser = torch.optim.AdamW(model.parameters())
    for parameter in model.parameters():
        parameter.grad = torch.randn_like(parameter) * 1e-6
    optimiser.step()
    configuration = json.dumps({"phases": [{"iterations": 5}, {"iterations": 3}]})
    state = {"iteration": 7, "configuration": configuration, "model": model.state_dict(), "optimiser": optimiser.state_dict()}
    torch.save(state, run / "state.pt")
    (run / "log.jsonl").write_text('{"iteration": 7}\n')
    return SimpleNamespace(run=run, out=tmp_path / "out", state=state)


def test_a_training_is_carried_away_and_back(trained, tmp_path):
    trained.out.mkdir()
    assert carried.carry(trained.run, trained.out) == ""
    whole = (trained.run / "state.pt").stat().st_size
    assert sum(path.stat().st_size for path in trained.out.rglob("*") if path.is_file()) < 0.55 * whole
    carried.carried_back(trained.out, tmp_path / "again")
    state = torch.load(tmp_path / "again" / "state.pt", weights_only=True)
    assert state["iteration"] == 7 and (tmp_path / "again" / "log.jsonl").read_text() == '{"iteration": 7}\n'
    assert state["model"].keys() == trained.state["model"].keys()
    for number, moments in trained.state["optimiser"]["state"].items():
        for name in ("exp_avg", "exp_avg_sq"):   # a square of 1e-6 would be 0 in float16
            found = state["optimiser"]["state"][number][name]
            assert found.dtype == torch.float32 and torch.allclose(found, moments[name], rtol=0.01, atol=0)


def test_a_large_state_goes_in_parts_or_stays(trained, tmp_path, monkeypatch):
    trained.out.mkdir()
    monkeypatch.setattr(carried, "MOST_PART_BYTES", 6_000_000)
    assert carried.carry(trained.run, trained.out) == ""
    assert sorted(path.name for path in trained.out.glob("state.*")) == ["state.1", "state.2", "state.3"]
    carried.carried_back(trained.out, tmp_path / "again")
    monkeypatch.setattr(carried, "MOST_PART_BYTES", 1_000_000)
    assert "is too large to be carried" in carried.carry(trained.run, trained.out)


def test_a_save_that_was_interrupted_is_noticed(trained, tmp_path):
    from dcfm_ros.model.folder import load_model, save_model

    trained.out.mkdir()
    carried.carry(trained.run, trained.out)
    save_model(trained.out / "model", load_model(trained.run / "last"), {"iterations_done": 9}, half=True)
    with pytest.raises(ValueError, match="the model of iteration 9 and the state of 7: it was interrupted while it saved"):
        carried.carried_back(trained.out, tmp_path / "again")
    with pytest.raises(FileNotFoundError, match="holds no training to go on with"):
        carried.carried_back(tmp_path, tmp_path / "again")


def test_a_damaged_state_and_one_at_its_end_are_refused(trained, tmp_path):
    trained.out.mkdir()
    carried.carry(trained.run, trained.out)
    whole = (trained.out / "state.1").read_bytes()
    (trained.out / "state.1").write_bytes(whole[:5000] + bytes(100) + whole[5100:])
    with pytest.raises(ValueError, match="state.* is damaged, or of two checkpoints: start from the model with --init"):
        carried.carried_back(trained.out, tmp_path / "again")
    torch.save({**trained.state, "iteration": 8}, trained.run / "state.pt")
    carried.carry(trained.run, trained.out)
    with pytest.raises(ValueError, match="came to its end: train on from its model with --init"):
        carried.carried_back(trained.out, tmp_path / "again")


def test_a_pack_is_new_and_not_too_large(camvid, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(packing, "MOST_BYTES", 1_000_000)
    with pytest.raises(SystemExit, match="2"):
        gpu_run.main(["pack", str(tmp_path / "pack"), "--data", f"camvid={camvid}"])
    assert "MB are more than 1, " in (said := capsys.readouterr().err) and "/config: pack less data or a smaller" in said
    assert not (tmp_path / "pack").exists()
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").touch()
    for place, message in ((tmp_path / "full", "is not empty: give a new folder"),
                           (ROOT / "dcfm_ros" / "pack", "which is packed: give a folder elsewhere"),
                           (camvid / "train" / "pack", "which is packed: give a folder elsewhere")):
        with pytest.raises(SystemExit, match="2"):
            gpu_run.main(["pack", str(place), "--data", f"camvid={camvid}"])
        assert message in capsys.readouterr().err


def test_a_pack_has_what_it_is_given_and_tells_what_is_wrong_with_it(camvid, tmp_path, capsys):
    config, model = tmp_path / "mine.yaml", write_tiny_model(tmp_path / "mine")
    config.write_text((ROOT / gpu_run.CONFIG).read_text().replace("classes: street11", "classes: [a, b]"))
    options = ["--data", f"camvid={camvid}", "--config", str(config), "--init", str(model)]
    assert gpu_run.main(["pack", str(tmp_path / "pack"), *options]) == 1
    assert "but its training cannot begin: " in capsys.readouterr().out
    known = json.loads((tmp_path / "pack" / "pack.json").read_text())
    assert known["data"] == {"camvid": "data/camvid"} and (known["config"], known["init"]) == ("train.yaml", "init")
    assert (tmp_path / "pack" / "init" / "weights.safetensors").is_file()
    assert not list((tmp_path / "pack").rglob("*.pyc"))
