"""`dcfm segment`: files in, masks out, with the live node's segmenter."""

import cv2
import numpy as np
import pytest
from helpers import write_tiny_model

from dcfm_ros.evaluation.offline import SegmentOptions, segment


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
            cv2.imwrite(str(tmp_path / "drive" / "labels" / f"{number}.png"), rng.integers(0, 3, (80, 120), dtype=np.uint8))
    return tmp_path / "drive"


@pytest.mark.parametrize("mode", ["sync", "async", "two_sided"])
def test_every_frame_gets_its_mask(tmp_path, source, mode):
    write_tiny_model(tmp_path / "model")
    out = tmp_path / "out"
    report = segment(SegmentOptions(str(source), out=str(out), model=str(tmp_path / "model"), backend="torch", mode=mode))
    masks = [cv2.imread(str(path), cv2.IMREAD_UNCHANGED) for path in sorted((out / "masks").iterdir())]
    assert len(masks) == report["frames"] == 6 and all(mask.shape == (80, 120) for mask in masks)
    assert report["labelled_frames"] == 5 and 0.0 <= report["miou"] <= 1.0
    assert report["keyframes"] >= 1 and (out / "overlay.mp4").stat().st_size > 0


def test_the_same_twice_in_sync_mode(tmp_path, source):
    write_tiny_model(tmp_path / "model")
    options = [SegmentOptions(str(source), out=str(tmp_path / name), model=str(tmp_path / "model"), backend="torch")
               for name in ("first", "second")]
    assert segment(options[0]) == segment(options[1])
    for path in (tmp_path / "first" / "masks").iterdir():
        assert path.read_bytes() == (tmp_path / "second" / "masks" / path.name).read_bytes()


def test_unknown_mode_and_source_are_named(tmp_path, source):
    write_tiny_model(tmp_path / "model")
    with pytest.raises(ValueError, match="sideways"):
        segment(SegmentOptions(str(source), model=str(tmp_path / "model"), mode="sideways", out=str(tmp_path / "out")))
    with pytest.raises(ValueError, match="/no/such"):
        segment(SegmentOptions("/no/such", model=str(tmp_path / "model"), out=str(tmp_path / "out")))
