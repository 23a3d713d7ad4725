# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Folders of results: earlier ones stay until the new ones are complete, and for good if they never are."""

import os
import signal
from pathlib import Path

import pytest

from dcfm_ros.interrupts import Interrupts
from dcfm_ros.result_folder import result_folder

NAMES = ("report.json", "masks", "only_sometimes.log")


def write(folder: Path, text: str, masks: int = 1) -> None:
    (folder / "report.json").write_text(text)
    (folder / "masks").mkdir()
    for number in range(masks):
        (folder / "masks" / f"{number}.png").write_text(text)


def content(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def out(tmp_path):
    """Results of an earlier run, with a file of the user's."""
    folder = tmp_path / "a" / "out"
    with result_folder(folder, NAMES) as part:
        write(part, "earlier", masks=3)
        (part / "only_sometimes.log").write_text("earlier")
    (folder / "thesis.txt").write_text("precious")
    return folder


def test_new_results_take_the_place_of_the_earlier_ones(out):
    before = content(out)
    assert len(before) == 6
    with result_folder(out, NAMES) as part:
        write(part, "new")
        assert {name: text for name, text in content(out).items() if name in before} == before
    assert content(out) == {"report.json": "new", "masks/0.png": "new", "thesis.txt": "precious"}


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_without_new_results_the_earlier_ones_stay(out, error):
    before = content(out)
    with pytest.raises(error), result_folder(out, NAMES) as part:
        write(part, "new")
        raise error
    assert content(out) == before and len(list(out.iterdir())) == 4


def test_a_failure_leaves_no_empty_folders(tmp_path):
    (tmp_path / "a").mkdir()
    with pytest.raises(ValueError), result_folder(tmp_path / "a" / "b" / "c", NAMES):
        raise ValueError
    assert list(tmp_path.rglob("*")) == [tmp_path / "a"]


def test_what_a_killed_process_left_is_removed(out):
    (out / ".unfinished" / "new").mkdir(parents=True)
    (out / ".unfinished" / "new" / "masks").write_text("half")
    with result_folder(out, NAMES) as part:
        assert not list(part.iterdir())
        write(part, "new")
    assert sorted(path.name for path in out.iterdir()) == ["masks", "report.json", "thesis.txt"]


def test_two_at_once_are_refused(out):
    before = content(out)
    with result_folder(out, NAMES) as part:
        write(part, "first")
        message = (
            "another process is writing its results to .*/a/out: wait for its end, or give another .* --out"
        )
        with pytest.raises(OSError, match=message), result_folder(out, NAMES):
            pytest.fail("it is written to")
        assert before.items() <= content(out).items()
    assert content(out)["report.json"] == "first"


def test_an_interrupt_while_results_are_moved_waits(out, monkeypatch):
    def interrupted(source, target, rename=os.rename):
        if Path(source).name == "masks" and not interrupts:
            interrupts.append(os.kill(os.getpid(), signal.SIGINT))
        rename(source, target)

    interrupts: list = []
    monkeypatch.setattr(os, "rename", interrupted)
    with pytest.raises(KeyboardInterrupt), Interrupts(), result_folder(out, NAMES) as part:
        write(part, "new")
    assert content(out) == {"report.json": "new", "masks/0.png": "new", "thesis.txt": "precious"}


def test_results_that_cannot_be_moved_leave_the_earlier_ones(out, monkeypatch):
    def failing(source, target, rename=os.rename):
        if "new" in Path(source).parts and Path(source).name == "report.json":
            raise OSError(28, "No space left on device")
        rename(source, target)

    before = content(out)
    monkeypatch.setattr(os, "rename", failing)
    with pytest.raises(OSError, match="a/out could not be written .*No space left"):
        with result_folder(out, NAMES) as part:
            write(part, "new")
    assert content(out) == before
