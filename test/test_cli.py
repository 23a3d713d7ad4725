"""The command `dcfm`: what it accepts, and that errors are one line instead of a traceback."""
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from helpers import write_tiny_model

from dcfm_ros.cli import main


def run(capsys, *arguments):
    """(exit code, output, errors)"""
    try:
        code = main(list(arguments))
    except SystemExit as stop:
        code = stop.code
    return code, *capsys.readouterr()


@pytest.mark.parametrize("arguments", [("fly",), (), ("train",), ("train", "config.yaml"), ("train", "a.yaml", "--out", "b", "--speed", "9")])
def test_wrong_usage_exits_with_2(capsys, arguments):
    code, output, errors = run(capsys, *arguments)
    assert code == 2 and output == "" and "usage: dcfm" in errors


def test_help_lists_the_commands(capsys):
    code, output, errors = run(capsys, "--help")
    assert code == 0 and errors == ""
    for command in ("demo", "segment", "train", "profile"):
        assert f"\n    {command} " in output


def test_help_of_a_command(capsys):
    code, output, _ = run(capsys, "train", "--help")
    assert code == 0 and all(option in output for option in ("config", "--out", "--data", "--device", "--resume", "--minutes"))


def test_a_missing_configuration_is_one_line(capsys, tmp_path):
    code, output, errors = run(capsys, "train", str(tmp_path / "nowhere.yaml"), "--out", str(tmp_path / "out"))
    assert code == 2 and output == ""
    assert errors.startswith("dcfm train: no training configuration at ") and "nowhere.yaml" in errors
    assert errors.count("\n") == 1 and not (tmp_path / "out").exists()


@pytest.mark.parametrize("text", ("model: [unclosed", "- 1", "phases: 3", "model: {backbone: mit_b0}"))
def test_a_bad_configuration_is_a_message(capsys, tmp_path, text):
    (tmp_path / "bad.yaml").write_text(text)
    code, _, errors = run(capsys, "train", str(tmp_path / "bad.yaml"), "--out", str(tmp_path / "out"))
    assert code == 2 and errors.startswith("dcfm train: ") and "bad.yaml" in errors and "Traceback" not in errors


def test_profile_prints_a_table_and_writes_json(capsys, tmp_path):
    model = write_tiny_model(tmp_path / "model", backbone="resnet18", common_width=8)
    code, output, errors = run(capsys, "profile", str(model), "--size", "64x128", "--json", str(tmp_path / "report.json"))
    assert code == 0 and errors == ""
    assert output.startswith("resnet18, dcfm, 4 classes, 64x128 pixels") and "\nnon-key frame, two-sided " in output
    report = json.loads((tmp_path / "report.json").read_text())
    assert (report["input_height"], report["input_width"]) == (64, 128) and report["paths"]["keyframe"]["running"] > 1e8


def test_profile_reads_training_configurations(capsys):
    code, output, _ = run(capsys, "profile", str(Path(__file__).parents[1] / "config" / "train" / "street11_b0.yaml"))
    assert code == 0 and output.startswith("mit_b0, dcfm, 11 classes, 360x480 pixels")


@pytest.mark.parametrize("arguments, message", [
    (("street99",), "no model 'street99': give a folder that holds model.yaml"),
    (("nowhere.yaml",), "no training configuration at nowhere.yaml"),
    (("street11_b0", "--size", "480"), "size '480': write HEIGHTxWIDTH in pixels, as in 480x853"),
    (("street11_b0", "--size", "16x16"), "input_height 16 is out of range: use 32 to 8192 pixels"),
])
def test_profile_names_what_is_wrong(capsys, arguments, message):
    code, output, errors = run(capsys, "profile", *arguments)
    assert code == 2 and output == "" and errors.startswith(f"dcfm profile: {message}") and errors.count("\n") == 1


def test_the_module_is_the_command():
    done = subprocess.run([sys.executable, "-m", "dcfm_ros", "--help"], capture_output=True, text=True,
                          env={**os.environ, "PYTHONSAFEPATH": "1"}, timeout=120)
    assert done.returncode == 0 and done.stdout.startswith("usage: dcfm")
