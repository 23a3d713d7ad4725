# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The network's input size for a camera."""

import pytest

from dcfm_ros.model.geometry import input_size

MODELS = [(352, 480), (360, 480), (512, 1024), (480, 853)]
CAMERAS = [
    (360, 480),
    (480, 640),
    (720, 1280),
    (1080, 1920),
    (2160, 3840),
    (600, 960),
    (1024, 1280),
    (540, 960),
    (1200, 1920),
    (240, 320),
    (376, 1241),
    (1024, 2048),
    (800, 848),
    (513, 517),
    (1080, 2560),
]


@pytest.mark.parametrize("size", [(352, 480), (480, 640), (64, 96), (512, 1024), (1088, 1920), (32, 32)])
def test_a_camera_of_the_models_size_passes_unresized(size):
    assert input_size(size, size) == size


@pytest.mark.parametrize("camera", CAMERAS + [(width, height) for height, width in CAMERAS])
@pytest.mark.parametrize("model", MODELS)
def test_aspect_and_pixel_budget_are_kept_within_rounding(camera, model):
    height, width = input_size(camera, model)
    assert height % 32 == 0 and width % 32 == 0
    assert height * width == pytest.approx(model[0] * model[1], rel=0.1)
    assert width / height == pytest.approx(camera[1] / camera[0], rel=0.06)


def test_portrait_is_landscape_on_its_side():
    for camera in CAMERAS:
        assert input_size(camera[::-1], MODELS[0]) == input_size(camera, MODELS[0])[::-1]


def test_size_of_the_camera_does_not_matter_only_its_shape():
    assert len({input_size((9 * n, 16 * n), MODELS[0]) for n in (1, 10, 60, 120, 240)}) == 1


@pytest.mark.parametrize(
    "camera, size",
    [
        ((360, 480), (352, 480)),
        ((1080, 1920), (320, 576)),
        ((1080, 3840), (224, 800)),
        ((1920, 1080), (576, 320)),
        ((2532, 1170), (608, 288)),
        ((1000, 4000), (192, 800)),
        ((500, 4000), (160, 1184)),
    ],
)
def test_sizes_of_cameras_phones_and_panoramas(camera, size):
    """What masks were measured with; up to 8 : 1 the shape is the camera's own."""
    assert input_size(camera, (352, 480)) == size


@pytest.mark.parametrize("camera", [(1, 16384), (1, 400), (64, 1920), (3, 100)])
@pytest.mark.parametrize("model", MODELS)
def test_a_strip_costs_no_more_than_a_camera(camera, model):
    height, width = input_size(camera, model)
    assert height * width == pytest.approx(model[0] * model[1], rel=0.15) and width / height == pytest.approx(
        8, rel=0.1
    )
    assert input_size(camera[::-1], model) == (width, height)


def test_a_model_for_strips_sees_them_as_they_are():
    assert input_size((64, 1920), (64, 1920)) == (64, 1920) and input_size((1, 400), (64, 1920)) == (64, 1920)


@pytest.mark.parametrize("camera", [(1, 1), (2, 3), (8, 8), (16, 1000), (1000, 16)])
def test_no_side_vanishes(camera):
    height, width = input_size(camera, (64, 96))
    assert height >= 32 and width >= 32 and height % 32 == 0 and width % 32 == 0
