# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`dcfm segment`: files in, masks out, with the live node's segmenter."""

import json

import cv2
import numpy as np
import pytest
from helpers import own_mask, write_tiny_model
from importing_helpers import nvlabs_segmentation, per_frame, written

from dcfm_ros.cli import main
from dcfm_ros.evaluation import segment_files
from dcfm_ros.evaluation.options import SegmentOptions
from dcfm_ros.evaluation.segment_files import segment
from dcfm_ros.model.importing.import_model import import_model


@pytest.fixture
def source(tmp_path):
    """A folder of six pictures with labels; the fourth has none."""
    rng = np.random.default_rng(3)
    for name in ("images", "labels"):
        (tmp_path / "drive" / name).mkdir(parents=True)
    for number in range(6):
        picture = cv2.resize(rng.integers(0, 256, (8, 12, 3), dtype=np.uint8), (120, 80))
        cv2.imwrite(str(tmp_path / "drive" / "images" / f"{number}.png"), picture)
        if number != 3:
            cv2.imwrite(
                str(tmp_path / "drive" / "labels" / f"{number}.png"),
                rng.integers(0, 3, (80, 120), dtype=np.uint8),
            )
    return tmp_path / "drive"


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["sync", "async", "two_sided"])
def test_every_frame_gets_its_mask(tmp_path, source, mode):
    write_tiny_model(tmp_path / "model")
    out = tmp_path / "out"
    report = segment(
        SegmentOptions(str(source), out=str(out), model=str(tmp_path / "model"), backend="torch", mode=mode)
    )
    names = sorted((out / "masks").iterdir())
    assert [path.name for path in names] == [f"{number}.png" for number in range(6)]  # as the images
    masks = [cv2.imread(str(path), cv2.IMREAD_UNCHANGED) for path in names]
    assert len(masks) == report["frames"] == 6 and all(mask.shape == (80, 120) for mask in masks)
    assert report["labelled_frames"] == 5 and 0.0 <= report["miou"] <= 1.0
    assert report["keyframes"] >= 1 and (out / "overlay.mp4").stat().st_size > 0


@pytest.mark.slow
def test_the_same_twice_in_sync_mode(tmp_path, source):
    write_tiny_model(tmp_path / "model")
    options = [
        SegmentOptions(str(source), out=str(tmp_path / name), model=str(tmp_path / "model"), backend="torch")
        for name in ("first", "second")
    ]
    assert segment(options[0]) == segment(options[1])
    for path in (tmp_path / "first" / "masks").iterdir():
        assert path.read_bytes() == (tmp_path / "second" / "masks" / path.name).read_bytes()


def test_unknown_mode_and_source_are_named(tmp_path, source):
    write_tiny_model(tmp_path / "model")
    with pytest.raises(ValueError, match="sideways"):
        segment(
            SegmentOptions(
                str(source), model=str(tmp_path / "model"), mode="sideways", out=str(tmp_path / "out")
            )
        )
    with pytest.raises(ValueError, match="/no/such"):
        segment(SegmentOptions("/no/such", model=str(tmp_path / "model"), out=str(tmp_path / "out")))


@pytest.mark.slow
def test_a_folder_of_stills_is_said_to_be_taken_as_a_video(tmp_path, source, capsys):
    write_tiny_model(tmp_path / "model")
    options = dict(model=str(tmp_path / "model"), backend="torch", out=str(tmp_path / "out"))
    segment(SegmentOptions(str(source), **options))
    # and no progress bar
    assert capsys.readouterr().err == (
        f"{source}: its 6 images are taken as consecutive frames of one video, in order of their names\n"
    )
    segment(SegmentOptions("synthetic", frames=1, **options))
    segment(SegmentOptions(str(source / "images" / "0.png"), **options))
    assert capsys.readouterr().err == ""


@pytest.mark.slow
def test_a_folder_that_cannot_be_written_is_named(tmp_path, source):
    write_tiny_model(tmp_path / "model")
    (tmp_path / "file").write_text("")
    with pytest.raises(
        OSError, match="cannot make the folder .*/file .File exists.: give another one with --out"
    ):
        segment(
            SegmentOptions(
                str(source), model=str(tmp_path / "model"), backend="torch", out=str(tmp_path / "file")
            )
        )


def test_a_mask_that_cannot_be_written_is_named(tmp_path, source, monkeypatch):
    write_tiny_model(tmp_path / "model")
    monkeypatch.setattr(segment_files, "_mask_name", lambda frame: "gone/2.png")
    with pytest.raises(
        OSError,
        match="masks/gone/2.png could not be written .No such file or directory.: free space there, or give",
    ):
        segment(
            SegmentOptions(
                str(source), model=str(tmp_path / "model"), backend="torch", out=str(tmp_path / "out")
            )
        )
    assert not (tmp_path / "out").exists()


def test_masks_of_others_are_not_replaced(tmp_path, source):
    """Labels made by hand may lie there."""
    for report in (None, "{}", "[]", "no JSON"):
        (tmp_path / "out" / "masks").mkdir(parents=True, exist_ok=True)
        (tmp_path / "out" / "masks" / "0.png").write_text("precious")
        if report is not None:
            (tmp_path / "out" / "report.json").write_text(report)
        with pytest.raises(
            FileExistsError, match="out/masks has files in it .*: move them away, or .* --out"
        ):
            segment(SegmentOptions(str(source), out=str(tmp_path / "out")))
        assert (tmp_path / "out" / "masks" / "0.png").read_text() == "precious"


@pytest.mark.slow
def test_a_shorter_run_leaves_no_masks_of_a_longer_one(tmp_path, source, capsys):
    model, out = write_tiny_model(tmp_path / "model"), tmp_path / "out"
    arguments = ["--model", str(model), "--backend", "torch", "--out", str(out)]
    assert main(["segment", str(source), *arguments]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert printed[0].startswith("6 masks, ") and printed[1] == "IoU over 5 labelled frames, in per cent:"
    assert printed[-1] == f"written    {out / 'masks'}/, {out / 'overlay.mp4'}, {out / 'report.json'}"
    assert main(["segment", "synthetic", "--frames", "2", *arguments]) == 0
    assert sorted(path.name for path in (out / "masks").iterdir()) == ["000000.png", "000001.png"]
    assert json.loads((out / "report.json").read_text())["frames"] == 2
    (tmp_path / "not a model").mkdir()
    assert main(["segment", str(source), "--out", str(out), "--model", str(tmp_path / "not a model")]) == 2
    assert len(list((out / "masks").iterdir())) == 2
    assert main(["segment", str(source), "--out", str(tmp_path / "o1"), "--model", str(tmp_path / "no")]) == 2
    assert not (tmp_path / "o1").exists()


@pytest.mark.slow
def test_an_imported_per_frame_model_gives_its_own_masks(tmp_path, source, capsys):
    """Whatever the mode: the masks are those of the network on each frame by itself."""
    files = written(tmp_path / "segformer.pth", {"state_dict": nvlabs_segmentation(per_frame())})
    import_model([files], tmp_path / "model", input_size=(64, 96))
    arguments = [
        "segment",
        str(source),
        "--model",
        str(tmp_path / "model"),
        "--backend",
        "torch",
        "--mode",
        "async",
    ]
    assert main([*arguments, "--out", str(tmp_path / "out"), "--json", str(tmp_path / "report.json")]) == 0
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["frames"] == report["keyframes"] == 6
    for number in range(6):
        picture = cv2.cvtColor(cv2.imread(str(source / "images" / f"{number}.png")), cv2.COLOR_BGR2RGB)
        mask = cv2.imread(str(tmp_path / "out" / "masks" / f"{number}.png"), cv2.IMREAD_UNCHANGED)
        # rounding may decide where two classes are alike
        assert np.mean(mask != own_mask(per_frame(), picture)) <= 1e-3
        assert len(np.unique(mask)) > 1


@pytest.mark.slow
def test_labels_of_other_classes_are_not_compared(tmp_path):
    write_tiny_model(tmp_path / "model", classes=3)
    found = segment(
        SegmentOptions(
            "synthetic:1000",
            model=str(tmp_path / "model"),
            backend="torch",
            frames=2,
            out=str(tmp_path / "out"),
        )
    )
    assert found["no_iou"] == "the source is labelled with other classes than the model's"
    assert "miou" not in found and found["labelled_frames"] == 0
