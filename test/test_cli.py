"""The command `dcfm`: what it accepts, and that errors are one line instead of a traceback."""
import os
import subprocess
import sys

import pytest

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
    for command in ("demo", "segment", "train"):
        assert f"\n    {command} " in output


def test_help_of_a_command(capsys):
    code, output, _ = run(capsys, "train", "--help")
    assert code == 0 and all(option in output for option in ("config", "--out", "--stills", "--device", "--resume"))


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


def test_the_module_is_the_command():
    done = subprocess.run([sys.executable, "-m", "dcfm_ros", "--help"], capture_output=True, text=True,
                          env={**os.environ, "PYTHONSAFEPATH": "1"}, timeout=120)
    assert done.returncode == 0 and done.stdout.startswith("usage: dcfm")
