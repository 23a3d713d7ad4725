# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The command `dcfm`: what it accepts, and that errors are one line instead of a traceback."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from helpers import write_tiny_model

from dcfm_ros.cli import main
from dcfm_ros.evaluation import calibrate, evaluate
from dcfm_ros.evaluation import segment_files as offline
from dcfm_ros.evaluation.options import CalibrateOptions, EvaluateOptions, SegmentOptions


def run(capsys, *arguments):
    """(exit code, output, errors)"""
    try:
        code = main(list(arguments))
    except SystemExit as stop:
        code = stop.code
    return code, *capsys.readouterr()


@pytest.mark.parametrize(
    "arguments",
    [("fly",), (), ("train",), ("train", "config.yaml"), ("train", "a.yaml", "--out", "b", "--speed", "9")],
)
def test_wrong_usage_exits_with_2(capsys, arguments):
    code, output, errors = run(capsys, *arguments)
    assert code == 2 and output == "" and "usage: dcfm" in errors


def test_help_lists_the_commands(capsys):
    code, output, errors = run(capsys, "--help")
    assert code == 0 and errors == ""
    for command in ("demo", "segment", "train", "profile"):
        assert f"\n    {command} " in output


def test_a_missing_recording_is_one_line(capsys, tmp_path):
    for command in (["evaluate"], ["segment", "-o", str(tmp_path / "out")]):
        code, output, errors = run(capsys, "bag", command[0], str(tmp_path / "drive"), *command[1:])
        assert code == 2 and output == "" and errors.count("\n") == 1
        assert errors.startswith(
            f"dcfm bag {command[0]}: there is no {tmp_path / 'drive'}: give a folder with metadata.yaml"
        )


def test_a_missing_library_is_one_line(tmp_path):
    code = (
        "import sys; sys.modules['rosbags'] = None; from dcfm_ros.cli import main; sys.exit(main(['bag', "
        "'evaluate', 'drive']))"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path)
    assert ended.returncode == 2 and ended.stdout == ""
    assert (
        ended.stderr
        == "dcfm bag evaluate: the Python package rosbags is missing: install it, or run `make setup`\n"
    )


def test_a_missing_configuration_is_one_line(capsys, tmp_path):
    code, output, errors = run(
        capsys, "train", str(tmp_path / "nowhere.yaml"), "--out", str(tmp_path / "out")
    )
    assert code == 2 and output == ""
    assert errors.startswith("dcfm train: no training configuration at ") and "nowhere.yaml" in errors
    assert errors.count("\n") == 1 and not (tmp_path / "out").exists()


@pytest.mark.parametrize("text", ("model: [unclosed", "- 1", "phases: 3", "model: {backbone: mit_b0}"))
def test_a_bad_configuration_is_a_message(capsys, tmp_path, text):
    (tmp_path / "bad.yaml").write_text(text)
    code, _, errors = run(capsys, "train", str(tmp_path / "bad.yaml"), "--out", str(tmp_path / "out"))
    assert (
        code == 2 and errors.startswith("dcfm train: ") and "bad.yaml" in errors and "Traceback" not in errors
    )


def test_profile_prints_a_table_and_writes_json(capsys, tmp_path):
    model = write_tiny_model(tmp_path / "model", backbone="resnet18", common_width=8)
    code, output, errors = run(
        capsys, "profile", str(model), "--size", "64x128", "--json", str(tmp_path / "report.json")
    )
    assert code == 0 and errors == ""
    assert (
        output.startswith("resnet18, dcfm, 4 classes, 64x128 pixels")
        and "\nnon-key frame, two-sided " in output
    )
    report = json.loads((tmp_path / "report.json").read_text())
    assert (report["input_height"], report["input_width"]) == (64, 128) and report["paths"]["keyframe"][
        "running"
    ] > 1e8


@pytest.mark.slow
def test_profile_reads_training_configurations(capsys):
    code, output, _ = run(
        capsys, "profile", str(Path(__file__).parents[2] / "config" / "train" / "street11_b0.yaml")
    )
    assert code == 0 and output.startswith("mit_b0, dcfm, 11 classes, 360x480 pixels")


@pytest.mark.slow
def test_profile_of_a_configuration_with_the_classes_of_its_data(capsys, tmp_path):
    path = str(Path(__file__).parents[2] / "config" / "train" / "my_data.yaml")
    code, _, errors = run(capsys, "profile", path)
    assert code == 2 and "--data" in errors
    for split in ("train", "val"):
        (tmp_path / split / "images").mkdir(parents=True)
        (tmp_path / split / "images" / "1.png").touch()
    (tmp_path / "classes.yaml").write_text(
        "classes: [{name: a, color: [0, 0, 0]}, {name: b, color: [1, 0, 0]}]\nvideo: {rate_hz: 5}\n"
    )
    code, output, errors = run(capsys, "profile", path, "--data", str(tmp_path))
    assert (code, errors) == (0, "") and ", 2 classes, " in output.splitlines()[0]


@pytest.mark.parametrize(
    "arguments, option",
    [
        (("segment", ""), "source"),
        (("segment", "a.mp4", "--out", ""), "--out"),
        (("segment", "a.mp4", "--labels", " "), "--labels"),
        (("demo", "--source="), "--source"),
        (("demo", "--viewer", ""), "--viewer"),
        (("soak", "--model", "\t"), "--model"),
        (("evaluate", "data", "--json", ""), "--json"),
        (("benchmark", ""), "model"),
        (("export", "street11_b0", "--out", ""), "--out"),
        (("train", "a.yaml", "--out", ""), "--out"),
        (("train", "a.yaml", "--out", "b", "--data", ""), "--data"),
        (("import", "", "--out", "b"), "checkpoint"),
        (("import", "a.pth", "--out", ""), "--out"),
        (("bag", "segment", "drive", "-o", ""), "--out"),
        (("bag", "evaluate", ""), "BAG"),
    ],
)
def test_empty_text_is_refused_before_anything_is_done(capsys, arguments, option):
    """As of a variable that is not set; an empty path would be the current folder."""
    code, output, errors = run(capsys, *arguments)
    assert code == 2 and output == ""
    assert errors.startswith("dcfm ") and errors.count("\n") == 1
    assert f": {option} '" in errors and " is empty: give a value, or leave the argument out" in errors


@pytest.mark.parametrize(
    "arguments",
    [
        ("segment", "dr\udce4ve.mp4"),
        ("bag", "evaluate", "dr\udce4ve"),
        ("import", "a.pth", "--out=dr\udce4ve"),
    ],
)
def test_names_that_are_no_utf_8_are_refused(capsys, arguments):
    """As Python has names of files in another encoding, which ROS, reports and plots cannot hold."""
    code, output, errors = run(capsys, *arguments)
    assert (
        code == 2
        and output == ""
        and "'dr\\udce4ve" in errors
        and " is not UTF-8: rename the file, or give a link to it" in errors
    )


# Options that the commands take over from dataclasses


def passed_on(monkeypatch, module, function, *arguments):
    """What a command hands to its function."""
    received = []

    def note(options):
        received.append(options)
        raise ValueError("that is all")

    monkeypatch.setattr(module, function, note)
    assert main(list(arguments)) == 2
    return received[0]


def test_what_is_not_given_is_as_the_dataclass_has_it(monkeypatch):
    assert passed_on(monkeypatch, offline, "segment", "segment", "a.mp4") == SegmentOptions("a.mp4")
    assert passed_on(monkeypatch, evaluate, "evaluate", "evaluate", "data") == EvaluateOptions("data")
    assert passed_on(
        monkeypatch, calibrate, "calibrate", "calibrate", "data", "--keyframe-hz", "2"
    ) == CalibrateOptions("data", 2.0)


def test_what_is_given_is_passed_on(monkeypatch):
    options = passed_on(
        monkeypatch,
        evaluate,
        "evaluate",
        "evaluate",
        "data",
        "--modes",
        "causal,async",
        "--aks",
        "0.2,0.4",
        "--intervals",
        "3",
        "--delays",
        "",
        "--modes",
        "causal",
        "--exact-size",
        "--fps",
        "--memory-gb",
        "2",
        "--per-frame",
        "b",
        "--max-interval",
        "30",
        "--limit-clips",
        "4",
        "--device",
        "cpu",
    )
    assert options == EvaluateOptions(
        "data",
        modes=("causal",),
        thresholds=(0.2, 0.4),
        intervals=(3,),
        delays=(),
        exact_size=True,
        fps=True,
        memory_gb=2.0,
        per_frame="b",
        max_interval=30,
        limit_clips=4,
        device="cpu",
    )
    assert passed_on(
        monkeypatch,
        offline,
        "segment",
        "segment",
        "a.mp4",
        "--mode",
        "async",
        "--frames",
        "9",
        "--labels",
        "l",
    ) == SegmentOptions("a.mp4", mode="async", frames=9, labels="l")


def test_the_demos_options():
    pytest.importorskip("rclpy", reason="needs ROS 2")
    demo = pytest.importorskip("dcfm_ros.ros.tools.demo", reason="needs the package built")
    with pytest.MonkeyPatch.context() as patch:
        assert passed_on(patch, demo, "run_demo", "demo") == demo.DemoOptions()
        assert passed_on(patch, demo, "run_demo", "demo", "--rate", "5") == demo.DemoOptions(rate_hz=5.0)


@pytest.mark.parametrize(
    "module, function, arguments",
    [
        (offline, "segment", ("segment", "a.mp4")),
        (evaluate, "evaluate", ("evaluate", "data")),
        (calibrate, "calibrate", ("calibrate", "data", "--keyframe-hz", "2")),
    ],
)
def test_ctrl_c_is_one_line(monkeypatch, capsys, module, function, arguments):
    def interrupted(options):
        raise KeyboardInterrupt

    monkeypatch.setattr(module, function, interrupted)
    assert run(capsys, *arguments) == (130, "", f"dcfm {arguments[0]}: interrupted\n")


@pytest.mark.parametrize("said", ("Unable to allocate 30.0 GiB for an array", ""))
def test_too_little_memory_is_one_line(monkeypatch, capsys, said):
    def large(options):
        raise MemoryError(*filter(None, [said]))

    monkeypatch.setattr(offline, "segment", large)
    assert run(capsys, "segment", "a.mp4") == (2, "", f"dcfm segment: {said or 'not enough memory'}\n")


@pytest.mark.slow
def test_ctrl_c_ends_a_command_without_a_traceback(tmp_path):
    """The signal itself, when the command is at work."""
    code = (
        "import os, signal, sys\nfrom dcfm_ros import cli\nfrom dcfm_ros.model import model_yaml\n"
        "model_yaml.load_model_config = lambda name: os.kill(os.getpid(), signal.SIGINT)\n"
        "sys.exit(cli.main(['profile', 'street11_b0']))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "dcfm profile: interrupted\n")


def test_frames_that_make_no_sense_are_refused(capsys):
    assert run(capsys, "segment", "synthetic", "--frames", "0") == (
        2,
        "",
        "dcfm segment: --frames 0: use 1 or more\n",
    )


@pytest.mark.parametrize(
    "arguments, message",
    [
        (("street99",), "no model 'street99': give a folder that contains model.yaml"),
        (
            ("street11_b0", "--data", "x"),
            "--data x: street11_b0 has its own classes; only a configuration takes data",
        ),
        (("nowhere.yaml",), "no training configuration at nowhere.yaml"),
        (("street11_b0", "--size", "480"), "size '480': write HEIGHTxWIDTH in pixels, for example 480x853"),
        (("street11_b0", "--size", "16x16"), "input_height 16: use 32 to 8192 pixels"),
    ],
)
def test_profile_names_what_is_wrong(capsys, arguments, message):
    code, output, errors = run(capsys, "profile", *arguments)
    assert (
        code == 2
        and output == ""
        and errors.startswith(f"dcfm profile: {message}")
        and errors.count("\n") == 1
    )


def test_the_module_is_the_command():
    done = subprocess.run(
        [sys.executable, "-m", "dcfm_ros", "--help"],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONSAFEPATH": "1"},
        timeout=120,
    )
    assert done.returncode == 0 and done.stdout.startswith("usage: dcfm")
