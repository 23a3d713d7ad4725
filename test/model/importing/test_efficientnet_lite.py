# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""ImageNet encoders of EfficientNet-Lite: taken as they are, and what does not fit is listed."""

import pytest
import torch
from importing_helpers import efficientnet_lite, per_frame, written

from dcfm_ros.model.folder import load_model
from dcfm_ros.model.importing.checkpoint import CheckpointError
from dcfm_ros.model.importing.import_model import import_model, read_model
from dcfm_ros.model.model_yaml import untrained_parts
from dcfm_ros.model.normalisation import EFFICIENTNET_LITE


@pytest.mark.slow
@pytest.mark.parametrize("backbone", ("efficientnet_lite0", "efficientnet_lite2"))
def test_an_encoder_becomes_a_model_to_start_training_from(tmp_path, backbone):
    model = per_frame(backbone=backbone, embed=16)
    imported = import_model([written(tmp_path / "lite.pth", efficientnet_lite(model))], tmp_path / "model")
    assert imported.format == "efficientnet_lite" and untrained_parts(tmp_path / "model") == (
        "fusion",
        "classifier",
    )
    ours = load_model(tmp_path / "model")
    assert (ours.config.backbone, ours.config.architecture) == (backbone, "per_frame")
    assert ours.config.normalisation == EFFICIENTNET_LITE
    wanted = model.encoder.state_dict()
    assert all(
        torch.equal(tensor, wanted[name])
        for name, tensor in ours.encoder.state_dict().items()
        if not name.endswith("num_batches_tracked")
    )


@pytest.mark.slow
def test_what_is_missing_unexpected_or_of_another_shape_is_listed(tmp_path):
    tensors = efficientnet_lite(per_frame(backbone="efficientnet_lite0", embed=16))
    lost = {name: tensor for name, tensor in tensors.items() if name != "_blocks.3._expand_conv.weight"}
    with pytest.raises(
        CheckpointError, match="does not fit efficientnet_lite0: 1 missing: _blocks.3._expand_conv.weight"
    ):
        read_model([written(tmp_path / "a.pth", lost)])
    with pytest.raises(
        CheckpointError, match="1 unexpected: _blocks.3._se_reduce.weight"
    ):  # of EfficientNet that is not Lite
        read_model(
            [written(tmp_path / "b.pth", tensors | {"_blocks.3._se_reduce.weight": torch.ones(4, 144, 1, 1)})]
        )
    wide = tensors | {"_blocks.0._project_conv.weight": torch.ones(24, 32, 1, 1)}
    with pytest.raises(
        CheckpointError,
        match=r"_blocks.0._project_conv.weight has \(24, 32, 1, 1\), expected \(16, 32, 1, 1\)",
    ):
        read_model([written(tmp_path / "c.pth", wide)])
