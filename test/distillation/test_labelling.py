# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Labelling: what is written, what happens when it is interrupted, and what is refused."""

import json

import numpy as np
import pytest

from dcfm_ros.distillation.labelling import Labelling, student_classes
from dcfm_ros.model.config import ConfigError
from dcfm_ros.sources.clips import open_clips
from dcfm_ros.sources.errors import SourceError

SIZE = (64, 96)


@pytest.fixture
def label(teacher, pictures, options, tmp_path):
    """`label(length=60, resume=False, **options)`: label a video; returns what was done."""

    def make(length=60, resume=False, footage=None, **changes):
        footage = footage or [pictures("drive", length)]
        return Labelling(teacher, footage, options(**changes), SIZE, tmp_path / "soft", resume).run()

    return make


def test_frames_have_the_teachers_labels(label, teacher, tmp_path):
    done = label()
    assert done["labelled"] == done["frames"] == teacher.seen
    for split in ("train", "val"):
        data = open_clips(str(tmp_path / "soft"), split)
        assert [name for name, _ in data.classes] == [c.name for c in teacher.classes]
        for clip in data.clips:
            image, found = clip.image(0), clip.label(0)
            assert image.shape == (64, 96, 3) and found.shape == (64, 96)
            expected = teacher.probabilities(image).argmax(0).repeat(2, 0).repeat(2, 1)
            assert (found == expected).mean() > 0.8  # JPEG, and cells of four pixels
            assert clip.soft(0)[..., 4].min() < 13  # a share above 0.6 somewhere
    assert open_clips(str(tmp_path / "soft"), "val").clips[0].length == 9


def test_an_interrupted_labelling_goes_on_and_is_then_the_same(label, pictures, teacher, tmp_path):
    label()
    whole = {path.name: path.read_bytes() for path in (tmp_path / "soft" / "frames").glob("*.npz")}
    for path in (tmp_path / "soft").rglob("*"):
        if path.is_file():
            path.unlink()
    stopping = [pictures("drive", 60, stop_at=30)]
    with pytest.raises(KeyboardInterrupt):
        label(footage=stopping)
    assert not (tmp_path / "soft" / "soft_labels.json").exists()
    with pytest.raises(SourceError, match="unfinished"):
        open_clips(str(tmp_path / "soft"), "train")
    before = len(list((tmp_path / "soft" / "frames").glob("*.npz")))
    teacher.seen = 0
    label(resume=True)
    assert 0 < before < len(whole) and teacher.seen == len(whole) - before
    assert {path.name: path.read_bytes() for path in (tmp_path / "soft" / "frames").glob("*.npz")} == whole
    assert label(resume=True) == {"labelled": 0}


def test_other_options_are_not_mixed_with_what_is_there(label):
    label()
    with pytest.raises(ConfigError, match="already contains soft labels: give --resume"):
        label()
    with pytest.raises(ConfigError, match="frames was 30 and is 60.*start in another --out"):
        label(resume=True, frames=60)
    with pytest.raises(ConfigError, match=r'data was \[\["drive", 60, 1\]\] and is'):
        label(resume=True, length=70)


@pytest.mark.parametrize("plan", ["{", "[]", "5", "[" * 100_000])
def test_a_damaged_plan_is_refused(label, tmp_path, plan):
    label()
    (tmp_path / "soft" / "plan.json").write_text(plan)
    with pytest.raises(ConfigError, match="plan.json is damaged .*: start in another --out"):
        label(resume=True)


def test_damaged_frames_are_left_out(label, pictures, tmp_path):
    done = label(footage=[pictures("drive", 60, damaged=tuple(range(10, 20)))])
    assert done["groups_left_out"] > 0
    clips = open_clips(str(tmp_path / "soft"), "train").clips
    frames = {int(name.partition("_")[2]) for clip in clips for name in clip.frames}
    assert frames and not frames & set(range(10, 20))


def test_data_of_which_nothing_can_be_read(label, pictures):
    with pytest.raises(SourceError, match="none of the frames to label can be read"):
        label(footage=[pictures("drive", 60, damaged=tuple(range(60)))])


def test_stills_are_labelled_with_what_a_moved_camera_sees(label, pictures, teacher, tmp_path):
    label(footage=[pictures("stills", 12)], stills=True, movable=("car",))
    clips = open_clips(str(tmp_path / "soft"), "train").clips
    for clip in clips:
        assert clip.length == 2
        assert not np.array_equal(clip.image(0), clip.image(1))
        for index in range(2):  # the teacher saw the moved picture itself
            expected = teacher.probabilities(clip.image(index)).argmax(0).repeat(2, 0).repeat(2, 1)
            assert (clip.label(index) == expected).mean() > 0.8


def test_a_class_map_merges_and_drops_the_teachers_classes(label, tmp_path):
    path = tmp_path / "map.yaml"
    path.write_text("classes: {ground: [road, tree], thing: [car]}\nignore: [sky]\n")
    label(class_map=str(path))
    data = open_clips(str(tmp_path / "soft"), "train")
    assert [name for name, _ in data.classes] == ["ground", "thing"]
    labels = np.stack([clip.label(0) for clip in data.clips])
    assert set(np.unique(labels)) == {0, 1, 255}


@pytest.mark.parametrize(
    "text, message",
    [
        ("classes: {ground: [road, tree]}", "class map map.yaml: .*sky"),
        ("classes: {ground: [road, tree, sky, car], animal: []}", "the teacher has nothing for animal"),
        ("classes: {ground: [road, horse], rest: [sky, car, tree]}", "'horse', which the model has not"),
    ],
)
def test_a_class_map_that_does_not_fit_the_teacher(teacher, tmp_path, text, message):
    path = tmp_path / "map.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=message):
        student_classes(teacher, str(path))


def test_what_moves_has_to_be_a_class(label):
    with pytest.raises(ConfigError, match="movable boat: not among the classes sky, road, tree, car"):
        label(movable=("boat",))


def test_the_index_says_what_the_labels_were_made_of(label, tmp_path):
    label()
    index = json.loads((tmp_path / "soft" / "soft_labels.json").read_text())
    assert index["teacher"] == {"name": "brightness", "sha256": "0" * 64}
    assert index["data"] == [["drive", 60, 1]] and index["terms"] == "made by the test"
