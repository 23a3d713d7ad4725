# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What is written is a data folder: with clips where frames were chosen from recordings, and splits."""

import numpy as np
import pytest
from data_import_helpers import COLOURS, EXPECTED, HEIGHT, WIDTH, imported, labelme
from PIL import Image

from dcfm_ros.cli import main
from dcfm_ros.data_import import data_folder
from dcfm_ros.sources.clips import open_clips
from dcfm_ros.sources.to_label import LabelFrame, ToLabel, write_to_label


def to_label(folder, recordings, size=(WIDTH, HEIGHT), classes=tuple(COLOURS.items())):
    """Frames to label, each with two neighbours before and one after it, and labels of them in edited/."""
    frames = []
    for name, count in recordings.items():
        for number in range(count):
            frame = f"{name}_{1000 + number}"
            clip = [f"neighbours/{frame}/{place:03d}.png" for place in (0, 1, 3)]
            for place, file in zip((2, 0, 1, 3), (f"images/{frame}.png", *clip)):
                (folder / file).parent.mkdir(parents=True, exist_ok=True)
                Image.new("RGB", size, (10 * place, number, 0)).save(folder / file)
            frames.append(
                LabelFrame(
                    f"images/{frame}.png", "", name, "/camera", 1000 + number, *size, 2, tuple(clip), {}
                )
            )
            label = Image.fromarray(EXPECTED).resize(size, Image.Resampling.NEAREST)
            (folder / "edited").mkdir(exist_ok=True)
            label.save(folder / "edited" / f"{frame}.png")
    write_to_label(folder, ToLabel(tuple(classes), 10.0, tuple(frames)))
    return folder


def test_neighbours_are_brought_along(tmp_path):
    frames = to_label(tmp_path / "to_label", {"drive": 2})
    imported(tmp_path / "out", frames / "edited", frames=str(frames))
    found = open_clips(str(tmp_path / "out"))
    assert [clip.name for clip in found.clips] == ["drive_1000", "drive_1001"]
    clip = found.clips[1]
    assert (clip.length, list(clip.labelled), clip.rate_hz) == (4, [2], 10.0)
    assert [clip.image(index)[0, 0].tolist() for index in range(4)] == [[10 * n, 1, 0] for n in range(4)]
    np.testing.assert_array_equal(clip.label(2), EXPECTED)


def test_the_class_list_of_the_frames_stays_where_it_has_all_classes(tmp_path):
    classes = (("sky", (1, 1, 1)), ("car", (2, 2, 2)), ("Road", (3, 3, 3)))
    frames = to_label(tmp_path / "to_label", {"export": 2}, classes=classes)
    names = ["export_1000.png", "export_1001.png"]
    export = labelme(tmp_path / "labelme")
    for file, name in zip(sorted(export.glob("*.json")), names):
        file.write_text(file.read_text().replace(f"{file.stem}.png", name))
    found = imported(tmp_path / "out", export, frames=str(frames))["export_1000/002"]
    assert open_clips(str(tmp_path / "out")).classes == classes
    assert set(np.unique(found)) == {1, 2, 255}
    other = to_label(tmp_path / "other", {"export": 2}, classes=classes[:2])
    imported(tmp_path / "own", export, frames=str(other))
    assert [name for name, _ in open_clips(str(tmp_path / "own")).classes] == ["road", "car"]


def test_splits_are_by_recording(tmp_path):
    frames = to_label(tmp_path / "to_label", {"a": 4, "b": 1, "c": 3})
    imported(tmp_path / "out", frames / "edited", frames=str(frames), val=0.15)
    val = open_clips(str(tmp_path / "out"), "val")
    assert [clip.name for clip in val.clips] == ["b_1000"]
    assert len(open_clips(str(tmp_path / "out"), "train").clips) == 7


def test_images_are_copied_or_linked(tmp_path):
    export = labelme(tmp_path / "export")
    imported(tmp_path / "copied", export)
    imported(tmp_path / "linked", export, link=True)
    inode = (export / "a_0001.png").stat().st_ino
    assert (tmp_path / "linked" / "images" / "a_0001.png").stat().st_ino == inode
    assert (tmp_path / "copied" / "images" / "a_0001.png").stat().st_ino != inode


def test_labels_have_the_colours_of_their_classes_for_those_who_look(tmp_path):
    imported(tmp_path / "out", labelme(tmp_path / "export"))
    shown = np.array(Image.open(tmp_path / "out" / "labels" / "a_0001.png").convert("RGB"))
    (_, road), (_, car) = open_clips(str(tmp_path / "out")).classes
    assert shown[7, 0].tolist() == list(road) and shown[3, 3].tolist() == list(car)
    assert tuple(shown[0, 0]) not in (road, car)


def test_an_interrupt_leaves_nothing(tmp_path, monkeypatch):
    def interrupted(*arguments):
        raise KeyboardInterrupt

    export = labelme(tmp_path / "export")
    monkeypatch.setattr(data_folder, "_write_classes", interrupted)
    with pytest.raises(KeyboardInterrupt):
        imported(tmp_path / "out", export)
    assert [path.name for path in tmp_path.iterdir()] == ["export"]


def test_what_the_command_prints(tmp_path, capsys):
    export = labelme(tmp_path / "export")
    (tmp_path / "classes.yaml").write_text(
        "classes: [{name: road, color: [1, 2, 3]}, {name: car, color: [1, 2, 4]}, "
        "{name: cat, color: [9, 9, 9]}]"
    )
    out = str(tmp_path / "my data")
    words = ["data", "import", str(export), "--out", out, "--classes", str(tmp_path / "classes.yaml")]
    assert main([*words, "--val", "0.5"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        f"{out}: 2 labelled image(s) (1 train, 1 val)",
        "class    pixels  images",
        "road      41.7%       2",
        "car       12.5%       2",
        "cat        0.0%       0",
        "ignored   45.8%",
        "note: read as labelme",
        "note: for validation: 1 of 2 recordings",
        "warning: without a pixel: cat; training cannot learn them",
        f"next: dcfm train config/train/my_data.yaml --data '{out}' --init street11 --out runs/mine",
        f"then: dcfm evaluate '{out}' --model runs/mine/last --out out/mine",
    ]
    assert main(words) == 2
    assert "is there already" in capsys.readouterr().err


@pytest.mark.parametrize("given, text", [("personpedestrian", "use NAME=CLASS"), ("=x", "use NAME=CLASS")])
def test_mappings_that_are_none(tmp_path, capsys, given, text):
    assert main(["data", "import", "x", "--out", "y", "--map", given]) == 2
    assert text in capsys.readouterr().err


@pytest.mark.slow
def test_what_was_imported_trains(tmp_path):
    frames = to_label(tmp_path / "to_label", {"a": 2, "b": 1}, size=(96, 64))
    assert (
        main(
            ["data", "import", str(frames / "edited"), "--frames", str(frames), "--out", str(tmp_path / "d")]
        )
        == 0
    )
    arguments = ["--data", str(tmp_path / "d"), "--init", "street11", "--out", str(tmp_path / "run")]
    small = ["phases.0.iterations=2", "phases.0.batch=2", "phases.0.height=64", "phases.0.width=96"]
    changes = [word for change in small for word in ("--set", change)]
    assert main(["train", "config/train/my_data.yaml", *arguments, *changes, "--workers", "0"]) == 0
    assert (tmp_path / "run" / "last" / "model.yaml").is_file()
