# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Many recordings: figures of all together, what fails leaves the others alone, and what is written."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
from bags_helpers import CAMERA, drive, read_bag, write_bag
from fleet_helpers import Here, forked_workers, kill_for  # noqa: F401
from helpers import write_tiny_model
from segmenting_helpers import stop_at
from waiting_helpers import until

from dcfm_ros.bags import fleet as fleet_module
from dcfm_ros.bags.errors import BagError
from dcfm_ros.bags.fleet import evaluate_fleet, only_bag, segment_fleet
from dcfm_ros.bags.options import BagEvaluateOptions, BagSegmentOptions, FleetOptions
from dcfm_ros.bags.segment import segment_bag
from dcfm_ros.cli import main
from dcfm_ros.reports.fleet_table import fleet_table

FRAMES = 12


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return str(write_tiny_model(tmp_path_factory.mktemp("model") / "tiny"))


@pytest.fixture(scope="module")
def drives(tmp_path_factory):
    """Three recordings, the third in a folder of its own; none of them is written to."""
    folder = tmp_path_factory.mktemp("drives")
    for seed, name in enumerate(("drive1", "drive2", "night/drive10")):
        (folder / name).parent.mkdir(exist_ok=True)
        write_bag(folder / name, FRAMES + seed, labels="/labels", seed=seed)
    return folder


@pytest.fixture
def here(monkeypatch):
    monkeypatch.setattr(fleet_module, "Processes", lambda workers: Here())


@pytest.fixture
def evaluated(tmp_path, model, monkeypatch):
    # of each worker: sums of floats depend on the number of threads
    monkeypatch.setenv("OMP_NUM_THREADS", "1")

    def evaluate(*bags, workers=None, ray="", **options):
        options = {
            "page": False,
            "per_frame": False,
            "backend": "torch",
            "precision": "f32",
            "model": model,
            "labels": ("/labels",),
            **options,
        }
        return evaluate_fleet(
            FleetOptions(tuple(map(str, bags)), str(tmp_path / "out"), workers, ray),
            BagEvaluateOptions("", **options),
        )

    return evaluate


@pytest.mark.slow
def test_figures_of_all_are_those_of_one_run_over_all(here, tmp_path, evaluated):
    """One recording with both cameras is that one run."""
    topics = ("/front/image", "/rear/image")
    for number, topic in enumerate(topics):
        write_bag(tmp_path / "each" / topic.split("/")[1], 20, topics=(topic,), pictures=drive(20, number))
    write_bag(tmp_path / "both", 20, topics=topics)
    apart = evaluated(tmp_path / "each", labels=(), per_frame=True)
    together = evaluated(tmp_path / "both", labels=(), per_frame=True)
    assert [bag["name"] for bag in apart["bags"]] == ["front", "rear"] and apart["rows"] == together["rows"]
    assert apart["rows"][0]["frames"] == 40 and 0 < apart["rows"][0]["agreement"] < 1


@pytest.mark.slow
@pytest.mark.usefixtures("forked_workers")
def test_workers_change_nothing(tmp_path, drives, evaluated):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fleet_module, "Processes", lambda workers: Here())
        one = evaluated(drives, per_frame=True)
    two = evaluated(drives, workers=2, per_frame=True)
    assert one["workers"] == 1 and two["workers"] == 2
    assert one["rows"] == two["rows"] and one["rows"][0]["miou"] > 0 and one["rows"][0]["windows8"] > 0
    assert json.loads((tmp_path / "out" / "summary.json").read_text()) == json.loads(json.dumps(two))
    for first, second in zip(one["bags"], two["bags"]):
        first.pop("frames_per_s"), second.pop("frames_per_s")
        assert first == second
    assert [bag["name"] for bag in two["bags"]] == ["drive1", "drive2", "drive10"]
    assert (
        json.loads((tmp_path / "out" / "drive10" / "report.json").read_text())["rows"][0]["frames"]
        == FRAMES + 2
    )


def test_bad_recordings_leave_the_others_alone(here, tmp_path, drives, evaluated, capsys):
    (tmp_path / "bad<b>").mkdir()
    (tmp_path / "bad<b>" / "metadata.yaml").write_text("nonsense")
    summary = evaluated(drives / "drive1", tmp_path / "bad<b>")
    good, bad = sorted(summary["bags"], key=lambda bag: bag["name"], reverse=True)
    assert (good["status"], bad["status"]) == ("done", "failed") and summary["rows"][0]["frames"] == FRAMES
    assert "bad<b>" in bad["reason"] and bad["tries"] == 1 and bad["page"] is None
    assert good["page"] == "drive1/report.json"
    table = fleet_table(summary)
    assert f"failed: bad<b>: {bad['reason']}" in table and "1 done, 1 failed" in table
    page = (tmp_path / "out" / "index.html").read_text()
    assert "bad<b>" not in page and "bad&lt;b&gt;" in page and 'href="./drive1/report.json"' in page
    assert not re.search(r"https?:|src=", page)
    assert "bad<b>" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.usefixtures("forked_workers")
@pytest.mark.parametrize("dies, status, tries", [("dies once", "done", 2), ("dies", "failed", 2)])
def test_a_recording_that_kills_its_process_leaves_the_others_alone(
    tmp_path, evaluated, drives, monkeypatch, dies, status, tries
):
    """Also where there is one worker, as by default."""
    monkeypatch.setattr(
        fleet_module, "_evaluate", partial(kill_for, str(drives / "drive1"), dies, str(tmp_path / "tried"))
    )
    summary = evaluated(drives / "drive1", drives / "drive2")
    first, second = summary["bags"]
    assert (first["status"], first["tries"]) == (status, tries) and second["status"] == "done"
    assert ("its worker died: it was killed (SIGKILL)" in first["reason"]) == (status == "failed")


@pytest.mark.slow
def test_a_page_of_an_earlier_run_is_not_linked(here, tmp_path, drives, evaluated):
    (tmp_path / "out" / "drive1").mkdir(parents=True)
    (tmp_path / "out" / "drive1" / "report.html").write_text("old")
    assert evaluated(drives / "drive1", workers=1)["bags"][0]["page"] == "drive1/report.json"


def test_without_one_good_recording(here, tmp_path, evaluated):
    (tmp_path / "bad.mcap").write_bytes(b"no recording")
    summary = evaluated(tmp_path / "bad.mcap")
    assert summary["rows"] == [] and summary["counts"] == {"failed": 1} and summary["frames_per_s"] is None
    assert "all together" in fleet_table(summary) and "bad" in (tmp_path / "out" / "index.html").read_text()


@pytest.mark.slow
@pytest.mark.parametrize(
    "errors, status, tries, reason",
    [
        ([OSError("the share is away")], "done", 2, ""),
        ([OSError("the share is away"), OSError("still away")], "failed", 2, "still away"),
        ([BagError("it is empty")], "failed", 1, "it is empty"),
        ([OSError("the share is away"), BagError("it is empty")], "failed", 2, "it is empty"),
    ],
)
def test_what_may_pass_is_tried_again_once(
    here, drives, evaluated, monkeypatch, capsys, errors, status, tries, reason
):
    left, real = list(errors), fleet_module.evaluate_bag

    def moody(options, on_frame):
        if "drive1" in options.bag and "drive10" not in options.bag and left:
            raise left.pop(0)
        return real(options, on_frame)

    monkeypatch.setattr(fleet_module, "evaluate_bag", moody)
    summary = evaluated(drives / "drive1", drives / "drive2")
    first, second = summary["bags"]
    assert (first["status"], first["tries"], first["reason"]) == (status, tries, reason)
    assert (second["status"], second["tries"]) == ("done", 1)
    again = "(will be retried at the end)" in capsys.readouterr().err
    assert again == isinstance(errors[0], OSError)


@pytest.mark.slow
def test_recordings_of_one_name_have_folders_of_their_own(here, tmp_path, evaluated):
    for number, day in enumerate(("monday", "tuesday")):
        (tmp_path / day).mkdir()
        write_bag(tmp_path / day / "drive", FRAMES + number, labels="/labels")
    summary = evaluated(tmp_path / "*day")
    assert [(bag["name"], bag["frames"]) for bag in summary["bags"]] == [
        ("monday_drive", FRAMES),
        ("tuesday_drive", FRAMES + 1),
    ]
    assert (tmp_path / "out" / "tuesday_drive" / "report.json").is_file()


@pytest.fixture
def segmented(tmp_path, model):
    def segment(*bags):
        return segment_fleet(
            FleetOptions(tuple(map(str, bags)), str(tmp_path / "masks")),
            BagSegmentOptions("", "", topics=(CAMERA,), model=model, backend="torch", precision="f32"),
        )

    return segment


@pytest.mark.slow
def test_segmenting_goes_on_where_it_was(here, tmp_path, drives, segmented):
    first = segmented(drives / "drive1", drives / "night")
    assert first["counts"] == {"done": 2} and first["rows"][0]["frames"] == 2 * FRAMES + 2
    before = (tmp_path / "masks" / "drive1" / "metadata.yaml").stat().st_mtime_ns
    second = segmented(drives)
    assert [(bag["name"], bag["status"]) for bag in second["bags"]] == [
        ("drive1", "exists"),
        ("drive2", "done"),
        ("drive10", "exists"),
    ]
    assert "remove it to recreate it" in second["bags"][0]["reason"]
    assert (tmp_path / "masks" / "drive1" / "metadata.yaml").stat().st_mtime_ns == before
    assert len(read_bag(tmp_path / "masks" / "drive2", "/dcfm/mask")["/dcfm/mask"]) == FRAMES + 1
    assert "exists: " in fleet_table(second)


def test_what_is_wrong_with_a_segmented_recording_is_noted(here, tmp_path, model):
    path = write_bag(
        tmp_path / "drive", FRAMES, encoding="jpeg", corrupt=(2, 5), topics=(f"{CAMERA}/compressed",)
    )
    (path / "metadata.yaml").unlink()
    summary = segment_fleet(
        FleetOptions((str(path),), str(tmp_path / "masks"), workers=1),
        BagSegmentOptions("", "", model=model, backend="torch"),
    )
    missing, skipped = summary["bags"][0]["notes"]
    assert missing == "metadata.yaml is missing: the files of the folder are used"
    assert skipped.startswith(f"{CAMERA}/compressed: 2 of {FRAMES} images skipped (2 decode); the first at ")


@pytest.mark.slow
def test_frames_per_second_are_those_of_this_run(here, tmp_path, drives, model, monkeypatch):
    options = dict(topics=(CAMERA,), model=model, backend="torch", precision="f32")
    (tmp_path / "masks").mkdir()
    with pytest.raises(KeyboardInterrupt):
        segment_bag(
            BagSegmentOptions(str(drives / "drive1"), str(tmp_path / "masks" / "drive1"), **options),
            stop_at(9),
        )
    clock = iter([100.0, 102.0])
    monkeypatch.setattr(fleet_module, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    summary = segment_fleet(
        FleetOptions((str(drives / "drive1"),), str(tmp_path / "masks"), workers=1),
        BagSegmentOptions("", "", **options),
    )
    assert summary["rows"][0]["frames"] == FRAMES and summary["seconds"] == 2.0
    assert summary["frames_per_s"] == (FRAMES - 9) / 2


def test_paths_are_whole_for_workers_elsewhere(here, tmp_path, monkeypatch):
    for name in ("model", "labels", "drive"):
        (tmp_path / name).mkdir()
    (tmp_path / "drive" / "metadata.yaml").touch()
    seen = []

    def look(options, on_frame):
        seen.append(options)
        raise BagError("seen")

    monkeypatch.setattr(fleet_module, "evaluate_bag", look)
    monkeypatch.chdir(tmp_path)
    for model, labels in (("model", ("labels",)), ("street11_b0", ("/labels", "/more"))):
        evaluate_fleet(FleetOptions(("drive",), "out", 1), BagEvaluateOptions("", model=model, labels=labels))
    folders, names = seen
    assert [folders.bag, folders.out, folders.model, *folders.labels] == [
        str(tmp_path / name) for name in ("drive", "out/drive", "model", "labels")
    ]
    assert (names.model, names.labels) == ("street11_b0", ("/labels", "/more"))


def test_results_among_the_recordings_are_no_recordings_to_work_on(here, tmp_path, model, drives):
    for _ in range(2):
        write_bag(tmp_path / "in" / "drive", FRAMES) if not (tmp_path / "in").exists() else None
        summary = segment_fleet(
            FleetOptions((str(tmp_path / "in"),), str(tmp_path / "in" / "masks")),
            BagSegmentOptions("", "", model=model, backend="torch", precision="f32"),
        )
        assert [bag["name"] for bag in summary["bags"]] == ["drive"]


def test_a_recording_is_needed():
    with pytest.raises(ValueError, match="no recording: give at least one"):
        FleetOptions(())


def test_a_viewer_is_for_one(drives, evaluated):
    with pytest.raises(ValueError, match="viewer rerun: it shows a single recording"):
        evaluated(drives, viewer="rerun")


def test_one_recording_is_no_fleet(tmp_path, drives):
    one = str(drives / "drive1")
    assert only_bag(FleetOptions((one,))) == one
    assert only_bag(FleetOptions((str(tmp_path / "missing"),))) is not None  # whose error says more
    for fleet in (
        FleetOptions((one, one)),
        FleetOptions((one,), workers=1),
        FleetOptions((one,), ray="local"),
        FleetOptions((str(drives),)),
        FleetOptions((str(drives / "drive*"),)),
    ):
        assert only_bag(fleet) is None


@pytest.mark.slow
@pytest.mark.usefixtures("forked_workers")
def test_the_command(tmp_path, drives, model, capsys):
    broken = tmp_path / "broken.mcap"
    broken.write_bytes(b"")
    common = ["--model", model, "--backend", "torch", "--out", str(tmp_path / "out")]
    assert (
        main(
            [
                "bag",
                "evaluate",
                str(drives / "drive1"),
                str(drives / "drive2"),
                *common,
                "--no-page",
                "--json",
                str(tmp_path / "copy.json"),
            ]
        )
        == 0
    )
    printed, out = capsys.readouterr().out, tmp_path / "out"
    assert "all together" in printed
    written = f"written    {out}/index.html, {out}/summary.json, {tmp_path / 'copy.json'}"
    assert printed.splitlines()[-1] == written
    assert (tmp_path / "copy.json").read_text() == (tmp_path / "out" / "summary.json").read_text()
    assert (
        main(["bag", "segment", str(drives / "drive1"), str(broken), *common[:-1], str(tmp_path / "masks")])
        == 1
    )
    assert "failed: broken: " in capsys.readouterr().out
    assert main(["bag", "evaluate", str(tmp_path / "no*"), *common]) == 2
    assert capsys.readouterr().err == (
        f"dcfm bag evaluate: {tmp_path}/no*: no recording found; give a folder with metadata.yaml, a "
        "file .mcap or .db3, a folder that contains recordings, or a glob of these\n"
    )


@pytest.fixture(scope="module")
def long_drives(tmp_path_factory):
    """A short recording, and two that take long."""
    folder = tmp_path_factory.mktemp("long")
    write_bag(folder / "a", 3)
    write_bag(folder / "b", 2000)
    shutil.copytree(folder / "b", folder / "c")
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("workers", ["1", pytest.param("2", marks=pytest.mark.nightly)])
def test_an_interruption_leaves_no_process_and_what_is_finished_stays(tmp_path, model, long_drives, workers):
    # Processes that are started by the installed command load its script.
    script, template = tmp_path / "dcfm", Path(__file__).parents[2] / "scripts" / "command.py.in"
    script.write_text(template.read_text().replace("@module@", "dcfm_ros.cli").replace("@name@", "dcfm"))
    path = os.pathsep.join(filter(None, sys.path))
    process = subprocess.Popen(
        [
            sys.executable,
            str(script),
            "bag",
            "segment",
            str(long_drives),
            "-o",
            str(tmp_path / "out"),
            "--model",
            model,
            "--backend",
            "torch",
            "--workers",
            workers,
            "--part",
            "20",
        ],
        env={**os.environ, "PYTHONPATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        out = tmp_path / "out"
        begun = "b.partial" if workers == "1" else "c.partial"  # by the worker that has told of the first
        until(lambda: (out / begun / "state.json").exists() or process.poll() is not None, 120)
        assert process.poll() is None
        children = psutil.Process(process.pid).children(recursive=True)
        os.killpg(process.pid, signal.SIGINT)
        _, errors = process.communicate(timeout=90)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
    assert (
        process.returncode == 130
        and "Traceback" not in errors
        and errors.endswith("dcfm bag segment: interrupted\n")
    )
    assert not psutil.wait_procs(children, timeout=10)[1]
    summary = json.loads((out / "summary.json").read_text())
    assert [(bag["name"], bag["status"]) for bag in summary["bags"]] == [
        ("a", "done"),
        ("b", "not done"),
        ("c", "not done"),
    ]
    assert summary["bags"][1]["reason"] == "interrupted" and not (out / "b").exists()
    assert "not done" in (out / "index.html").read_text()
