# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Names of the formats of checkpoints that can be imported. Standard library only, so that help texts are
quick."""

FORMAT_NAMES = (
    "published",
    "nvlabs",
    "mmsegmentation",
    "huggingface",
    "efficientnet_lite",
    "timm_efficientnet_lite",
    "resnet",
)
(PUBLISHED, NVLABS, MMSEGMENTATION, HUGGING_FACE, EFFICIENTNET_LITE, TIMM_EFFICIENTNET_LITE, RESNET) = (
    FORMAT_NAMES
)
