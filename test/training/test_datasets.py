# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Data sets of a training: opened before it starts, and one error tells all that is wrong with them."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from dcfm_ros.model.config import ClassSpec, ConfigError
from dcfm_ros.sources.clips import open_clips
from dcfm_ros.sources.data_sets import class_table
from dcfm_ros.training.datasets import open_data
from dcfm_ros.training.pairs import ClipPairs, DataError
from dcfm_ros.training.settings import DataConfig, SourceConfig, ValidationConfig
from dcfm_ros.training.synthetic_pairs import SyntheticPairs

STREET11 = tuple(ClassSpec(name, color) for name, color in class_table("street11"))


def of(*sources, **settings):
    return DataConfig(sources=sources, **settings)


def with_classes(config, classes):
    return replace(config, model=replace(config.model, classes=classes))


def test_sources_in_their_order(train_config, stills, video):
    data = of(
        SourceConfig("folder", root=str(video), split="train"),
        SourceConfig("folder", weight=0, root="nowhere"),
        SourceConfig("folder", root=str(stills)),
    )
    (first, unused, third), validation = open_data(train_config(data=data))
    assert isinstance(first, ClipPairs) and (first.name, len(first)) == ("video train", 2)
    assert unused is None and (third.name, third.terms, len(third)) == (
        "stills (no splits)",
        "made by the test",
        3,
    )
    assert validation is None


def test_in_memory(train_config, stills):
    data = of(SourceConfig("folder", root=str(stills)), in_memory=True)
    (source,), _ = open_data(train_config(data=data))
    for path in stills.rglob("*.png"):
        path.unlink()
    assert source.pair(np.random.default_rng(0)).image.shape == (64, 96, 3)


def test_synthetic_scenes(train_config):
    data = of(SourceConfig("synthetic", clips=3), radius=4, neighbour_labels=False)
    config = with_classes(train_config(data=data), STREET11)
    (source,), _ = open_data(config, 1, 2)
    assert isinstance(source, SyntheticPairs) and list(source.clips) == [1] and source.offsets[-1] == 4
    assert "synthetic" in source.terms and not source.neighbour_labels


def test_validation(train_config, held_out):
    _, validation = open_data(train_config(validation=ValidationConfig("folder", root=str(held_out))))
    assert validation.name == open_clips(str(held_out)).name


def test_validation_on_training_data_is_refused(train_config, stills, tmp_path):
    """Without splits, train and val are the same images; another way to write the folder makes no
    difference."""
    (tmp_path / "link").symlink_to(stills)
    for root in (stills, tmp_path / "link", stills / ".." / "stills"):
        with pytest.raises(ConfigError) as error:
            open_data(train_config(validation=ValidationConfig("folder", root=str(root))))
        assert str(error.value).startswith(
            "validation on stills (no splits) would use 3 images that are also used for training: "
            f"{root} has no splits, so every split is all of it: make some by"
        )
        assert f"{root}/train and {root}/val, each with images/ and labels/" in str(error.value)


def test_validation_on_the_split_of_training_is_refused(train_config, video):
    """Also where only neighbours of labelled frames are shared."""
    data = of(SourceConfig("folder", root=str(video)))
    message = (
        "on video train would use 4 images that are also used for training: name a split of its own for "
        "validation"
    )
    with pytest.raises(ConfigError, match=message):
        open_data(
            train_config(data=data, validation=ValidationConfig("folder", root=str(video), split="train"))
        )
    unused = of(SourceConfig("folder", root=str(video), weight=0), *train_config().data.sources)
    open_data(
        train_config(data=unused, validation=ValidationConfig("folder", root=str(video), split="train"))
    )


def test_clips_left_out_of_training_are_not_counted(train_config, stills):
    data = of(SourceConfig("folder", root=str(stills), exclude="a_"))
    with pytest.raises(ConfigError, match="would use 1 images"):  # b_2 is still shared
        open_data(train_config(data=data, validation=ValidationConfig("folder", root=str(stills))))


def test_clips_may_be_left_out(train_config, stills):
    (source,), _ = open_data(train_config(data=of(SourceConfig("folder", root=str(stills), exclude="a_"))))
    assert [clip.name for clip in source.clips] == ["b_2"] and source.name == "stills (no splits) without a_"
    for clip in ("a_0", "a_1"):
        for folder in ("images", "labels"):
            (stills / folder / f"{clip}.png").unlink()
    for exclude, left in (("x", 1), ("b", 0)):
        with pytest.raises(
            DataError, match=rf"exclude '{exclude}' leaves {left} of 1 clips of stills .*such as b_2"
        ):
            open_data(train_config(data=of(SourceConfig("folder", root=str(stills), exclude=exclude))))


def test_validation_may_be_on_what_was_left_out(train_config, stills):
    """A drive that training does not see, of the same split."""
    data = of(SourceConfig("folder", root=str(stills), exclude="b_"))
    validation = ValidationConfig("folder", root=str(stills), only="b_")
    _, held_out = open_data(train_config(data=data, validation=validation))
    assert [clip.name for clip in held_out.clips] == [
        "b_2"
    ] and held_out.name == "stills (no splits) b_ alone"
    with pytest.raises(DataError, match=r"only 'x' leaves 0 of \d clips of stills"):
        open_data(train_config(data=data, validation=ValidationConfig("folder", root=str(stills), only="x")))


def test_a_drive_of_camvid_may_be_left_out(train_config, tmp_path):
    for name in ("0016E5_00390", "0006R0_f00930", "0016E5_00392"):
        for folder, ending in (("images", "jpg"), ("labels", "png")):
            (tmp_path / "train" / folder).mkdir(parents=True, exist_ok=True)
            assert cv2.imwrite(
                str(tmp_path / "train" / folder / f"{name}.{ending}"), np.zeros((64, 64), np.uint8)
            )
    config = with_classes(
        train_config(data=of(SourceConfig("camvid", root=str(tmp_path), exclude="0016E5"))), STREET11
    )
    (source,), _ = open_data(config)
    assert [clip.name for clip in source.clips] == ["0006R0_f00930"]


def test_all_that_is_wrong_is_told_at_once(train_config, stills, video):
    (stills / "labels" / "a_1.png").unlink()
    (video / "train" / "images" / "frame3.png").unlink()
    data = of(
        SourceConfig("folder", root=str(stills)),
        SourceConfig("folder", root=str(video)),
        SourceConfig("vspw"),
    )
    with pytest.raises(DataError) as error:
        open_data(
            train_config(data=data, validation=ValidationConfig("folder", root=str(stills / "nowhere")))
        )
    lines = str(error.value).splitlines()
    assert len(lines) == 4
    assert "lacks 1 file(s)" in lines[0] and lines[0].endswith(
        "a_1.png; add them, or remove their counterparts"
    )
    assert "frame3.png" in lines[1]
    assert lines[2] == "no folder of vspw is given: add --data vspw=PATH"
    assert "nowhere" in lines[3]


def test_an_empty_split_is_an_error(train_config, video):
    (video / "val" / "images").mkdir(parents=True)
    with pytest.raises(DataError, match="there are no images in .*val/images"):
        open_data(train_config(data=of(SourceConfig("folder", root=str(video), split="val"))))
    with pytest.raises(DataError, match="there is no split test in .*Splits that are there: train, val"):
        open_data(train_config(data=of(SourceConfig("folder", root=str(video), split="test"))))


def test_unlabelled_data_are_an_error(train_config, video):
    for label in (video / "train" / "labels").iterdir():
        label.unlink()
    (video / "train" / "labels").rmdir()
    root = str(video)
    with pytest.raises(DataError, match="video train has no labelled frame: training needs some"):
        open_data(train_config(data=of(SourceConfig("folder", root=root))))
    with pytest.raises(DataError, match="video train has no labelled frame: validation needs some"):
        open_data(train_config(validation=ValidationConfig("folder", root=root, split="train")))


def test_a_source_that_no_phase_uses_is_not_opened(train_config, stills):
    data = of(SourceConfig("folder", root=str(stills)), SourceConfig("camvid"))
    config = train_config(data=data)
    config = replace(config, phases=(replace(config.phases[0], weights=(1, 0)),))
    assert open_data(config)[0][1] is None


@pytest.mark.parametrize(
    "change, message",
    [
        (
            lambda c: c[:3],
            "stills .* has 4 classes, the model 3; only the model has none, only the data car. Give the",
        ),
        (
            lambda c: (*c, ClassSpec("bus", (1, 2, 3))),
            "has 4 classes, the model 5; only the model has bus, only the data none",
        ),
        (
            lambda c: (c[1], c[0], *c[2:]),
            r"their order differs: class 0 is road in the model and sky in the data. Give the model the "
            r"classes of its data \(`classes: data`\), or write the model's into .*classes.yaml, in this "
            r"order and each with the label `values` that mean it .*: road, sky, ",
        ),
    ],
)
def test_class_lists_must_be_equal(train_config, change, message):
    config = train_config()
    config = with_classes(
        replace(config, data=replace(config.data, movable=())), change(config.model.classes)
    )
    with pytest.raises(DataError, match=message):
        open_data(config)


def test_synthetic_scenes_have_their_classes(train_config):
    message = (
        "synthetic scenes has 11 classes, the model 4; only the model has none, only the data building, pole"
    )
    with pytest.raises(DataError, match=message):
        open_data(train_config(data=of(SourceConfig("synthetic"))))
