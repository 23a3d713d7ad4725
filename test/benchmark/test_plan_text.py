# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A plan as text: the table, the parameters file, and what the command writes."""

import json
from datetime import date

import pytest
import yaml
from helpers import write_tiny_model
from plan_helpers import COSTS, measured

from dcfm_ros.benchmark.plan import plan as planning
from dcfm_ros.benchmark.plan import words
from dcfm_ros.benchmark.plan.cores import busy_ticks
from dcfm_ros.benchmark.plan.options import PlanOptions
from dcfm_ros.benchmark.plan.parameters_file import parameters_text
from dcfm_ros.benchmark.plan.schedule import Costs
from dcfm_ros.benchmark.plan.table import plan_table
from dcfm_ros.benchmark.plan.verdict import row_of
from dcfm_ros.cli import main
from dcfm_ros.cli.plan import start_line
from dcfm_ros.ros.yaml_text import as_yaml

PER_FRAME = Costs(0.02, 0.0, 0.0, 0.005, per_frame=True)


@pytest.fixture(autouse=True)
def processor(monkeypatch):
    monkeypatch.setattr(words, "cpu_name", lambda: "a processor, 2 cores")


def text_of(**made) -> str:
    return parameters_text(row_of(measured(**made)), "dcfm plan", date(2026, 11, 30), as_yaml)


def parameters_of(**made) -> dict:
    return yaml.safe_load(text_of(**made))["/**"]["ros__parameters"]


def test_the_parameters_file():
    assert text_of() == (
        "# Made by `dcfm plan` on 2026-11-30.\n"
        "# For a camera of 640x480 (width x height) at 10 Hz, on a processor, 2 cores, openvino on cpu in "
        "bf16.\n"
        "# A frame took 10.0 ms (p50), 30.0 ms (p99) (image in, mask out, without DDS; 100 frames).\n"
        "# Processor: 0.48 of all cores at most, ROS included; 0.50 were given.\n"
        "# Memory: 350 MB resident, without ROS.\n"
        "# Accuracy: 67.4 mIoU expected on CamVid val, 4.5 points of mIoU less than with features of the "
        "frame itself.\n"
        "# Another camera, rate, model or machine: plan again. ros2 launch dcfm_ros segment.launch.py "
        "params:=THIS_FILE\n"
        "/**:\n"
        "  ros__parameters:\n"
        '    model: "street11"\n'
        '    backend: "auto"   # here openvino\n'
        '    device: "auto"   # here cpu\n'
        '    precision: "auto"   # here bf16\n'
        '    mode: "async"   # masks do not wait for keyframes\n'
        "    min_interval: 2\n"
        "    max_interval: 3   # features: 0.30 s old in the mean, 0.40 s at most\n"
        "    keyframe_budget_hz: 3.5   # keyframes per second of all cameras, at most\n"
        '    image_topic: "camera/image_raw"   # your camera\'s, or image:=TOPIC at the launch\n'
    )


def test_of_two_cameras_with_small_masks_in_a_precision():
    job = {"cameras": 2, "mask_size": "0.5", "precision": "f32", "backend": "torch"}
    found = parameters_of(job=job)
    assert found["cameras"] == ["camera1", "camera2"]
    assert found["camera2"] == {"image_topic": "camera2/image_raw"}
    assert (found["mask_size"], found["precision"], found["backend"]) == ("0.5", "f32", "torch")
    assert found["max_interval"] == 9 and "image_topic" not in found


def test_of_a_folder_and_a_per_frame_model(tmp_path, monkeypatch):
    folder = write_tiny_model(tmp_path / "mine")
    monkeypatch.chdir(tmp_path)
    found = parameters_of(job={"model": "mine"}, costs=PER_FRAME)
    assert found["model"] == str(folder)  # the node is started elsewhere
    assert not {"mode", "max_interval", "keyframe_budget_hz"} & found.keys()


def test_what_else_ran_is_said():
    assert "# Other programs used 0.30 of the cores meanwhile" in text_of(drive={"others_s": 6})
    stat = "cpu  9 9 9 9\ncpu0 1 2 4 100 200 8 16 32 64 64\ncpu1 1 1 1 1\ncpu10 5 0 0 7\nintr 1\n"
    assert busy_ticks(stat, {0, 10}) == 63 + 5


def test_the_table():
    rows = [
        row_of(measured()),
        row_of(measured(COSTS, {"model": "street11_b0"}, {"dropped": 50, "images": 150})),
    ]
    text = plan_table(rows, rows[0])
    lines = text.splitlines()
    assert max(map(len, lines)) <= 100
    assert lines[0] == "a camera of 640x480 (width x height) at 10 Hz; 0.50 of 2 cores"
    assert lines[4].split() == [
        *["*", "street11", "yes", "10.0", "ms", "30.0", "ms", "3.5", "0.30,", "0.40", "s", "0.48"],
        *["350", "MB", "67.4", "(-4.5)"],
    ]
    assert lines[5].split()[:2] == ["street11_b0", "no"]
    assert "street11_b0 does not fit: 33 % of the images are dropped: a mask comes after 10 ms" in text
    assert "what would: --rate 9" in text and lines[-1] == "recommended: street11"


def test_the_table_of_models_that_were_not_measured(tmp_path):
    folder = str(write_tiny_model(tmp_path / "mine"))
    rows = [row_of(measured(job={"model": folder, "image_size": (640, 480)})), row_of(measured(PER_FRAME))]
    text = plan_table(rows, None)
    assert max(map(len, text.splitlines())) <= 100
    assert [line.split()[-1] for line in text.splitlines()[5:7]] == ["~-4.5", "-"]
    assert "~: not measured for this model; what street11 loses at these ages" in text
    assert "--camera is width x height" in text
    assert text.endswith("nothing fits, so there is no parameters file")


@pytest.fixture
def measuring(monkeypatch):
    """Sets what a model is measured to be, by its name."""
    by_model = {}
    monkeypatch.setattr(planning, "measure_apart", lambda job, tell: by_model[job.model])
    return by_model


def test_the_command_writes_what_it_recommends(measuring, tmp_path, capsys):
    measuring |= {name: measured(job={"model": name}) for name in ("street11", "street11_b0")}
    out, report = tmp_path / "new" / "params.yaml", tmp_path / "plan.json"
    words = ["plan", "--camera", "640x480", "--rate", "10", "--out", str(out), "--json", str(report)]
    assert main(words) == 0
    assert capsys.readouterr().out.splitlines()[-2:] == [
        f"written    {out}, {report}",
        f"next: {start_line(str(out))}",
    ]
    assert f"# Made by `dcfm plan --rate 10.0 --out {out}`" in out.read_text()
    assert yaml.safe_load(out.read_text())["/**"]["ros__parameters"]["model"] == "street11"
    found = json.loads(report.read_text())
    assert found["recommended"] == "street11" and found["models"][1]["model"] == "street11_b0"
    assert found["models"][0]["p99_ms"] == 30.0 and found["models"][0]["max_interval"] == 3


def test_how_the_segmenter_is_started_depends_on_what_is_here(tmp_path, monkeypatch):
    """ROS from PyPI has no command `ros2`: then it is the node itself."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("AMENT_PREFIX_PATH", f"{tmp_path / 'venv'}:{tmp_path / 'install' / 'dcfm_ros'}")
    launch = "ros2 launch dcfm_ros segment.launch.py params:="
    assert start_line("params.yaml") == f"{launch}params.yaml"  # no ROS at all: it is for the robot
    node = tmp_path / "install" / "dcfm_ros" / "lib" / "dcfm_ros" / "segmenter"
    node.parent.mkdir(parents=True)
    node.touch()
    arguments = "--ros-args --params-file"
    assert (
        start_line("my params.yaml")
        == f"install/dcfm_ros/lib/dcfm_ros/segmenter {arguments} 'my params.yaml'"
    )
    monkeypatch.chdir(tmp_path / "install")
    assert start_line("p.yaml") == f"dcfm_ros/lib/dcfm_ros/segmenter {arguments} p.yaml"
    monkeypatch.chdir("/")
    assert start_line(f"{tmp_path}/p.yaml").split()[0].endswith("install/dcfm_ros/lib/dcfm_ros/segmenter")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "ros2").touch(mode=0o755)
    assert start_line("p.yaml") == f"{launch}p.yaml"


def test_nothing_that_fits_is_a_failure_without_a_file(measuring, tmp_path, capsys):
    measuring["street11"] = measured(drive={"dropped": 50})
    assert main(["plan", "--model", "street11", "--out", str(tmp_path / "params.yaml")]) == 1
    assert "nothing fits" in capsys.readouterr().out and not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "words, message",
    [
        (["--rate", "0"], "--rate 0.0: use 1 to 240 images per second"),
        (["--share", "1.5"], "--share 1.5: use a value above 0 and up to 1"),
        (["--camera", "10x10"], "--camera 10x10: use 32 to 16384 pixels"),
        (["--cameras", "0"], "--cameras 0: use 1 to 16"),
        (["--mask-size", "big"], "mask_size 'big': use WIDTHxHEIGHT"),
        (["--model", "nothing"], "no model 'nothing': give a folder"),
        (["--out", "."], "--out . is a folder: give a file in it"),
    ],
)
def test_refused(words, message, capsys):
    assert main(["plan", *words]) == 2
    assert message in capsys.readouterr().err


def test_a_size_is_width_and_height(capsys):
    assert PlanOptions(camera=(640, 480)).image_size == (480, 640)
    with pytest.raises(SystemExit):
        main(["plan", "--camera", "VGA"])
    assert "'VGA' is not width x height, as in 640x480" in capsys.readouterr().err
