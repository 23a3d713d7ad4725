# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a user would pick instead on a CPU: per-frame networks in their published configurations, with random
weights, and the accuracy that is published for them.

Weights have no influence on time, but for upsample-and-argmax, whose work are class borders: the last layers
are fitted to the labels of a synthetic scene, as those of `dcfm benchmark --backbone` are.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from studies.lraspp import random_lraspp
from torch import Tensor, nn

from dcfm_ros.benchmark.networks import fit_classifier, labelled_scene
from dcfm_ros.model.backbone_specs import MIT_SPECS
from dcfm_ros.model.fusion import resize
from dcfm_ros.model.image import normalised, resized
from dcfm_ros.model.normalisation import IMAGENET, Normalisation

_STATISTICS_SIZE = (192, 256)  # of the images that batch norms get their statistics of
_FAINT = 1e-3  # weights of what is added to the fitted layer's classification
_UNIT = Normalisation((0.0,) * 3, (1.0,) * 3)
_CENTRED = Normalisation((0.5,) * 3, (0.5,) * 3)


@dataclass(frozen=True)
class Published:
    """An accuracy that somebody has published for the configuration."""

    miou: float  # in per cent
    data: str
    input: str
    source: str


@dataclass(frozen=True)
class Other:
    """A network: `build` makes it for a number of classes, from a normalised image to logits."""

    key: str
    what: str
    build: Callable[[int], nn.Module]
    classifier: str  # the module that classifies
    normalisation: Normalisation
    published: tuple[Published, ...]
    faint: str = ""  # a module whose classification is added to that


class LogitsOf(nn.Module):
    """A network of `transformers`, as far as the tensor of its logits."""

    def __init__(self, model: nn.Module):
        super().__init__()
        self.model = model

    def forward(self, image: Tensor) -> Tensor:
        return self.model(pixel_values=image).logits


class AsPublished(nn.Module):
    """All logits upsampled to camera size, then argmax, as examples of these networks do."""

    def __init__(self, network: nn.Module, normalisation: Normalisation, camera: tuple[int, int]):
        super().__init__()
        self.network, self.normalisation, self.camera = network, normalisation, camera

    def forward(self, image: Tensor) -> Tensor:
        """(1, h, w, 3) uint8 to (1, H, W) uint8."""
        logits = self.network(normalised(image, self.normalisation))
        return resize(logits, self.camera).argmax(1).to(torch.uint8)


class AsLogits(nn.Module):
    """As far as the logits, for our upsample-and-argmax."""

    def __init__(self, network: nn.Module, normalisation: Normalisation):
        super().__init__()
        self.network, self.normalisation = network, normalisation

    def forward(self, image: Tensor) -> Tensor:
        """(1, h, w, 3) uint8 to logits (1, h', w', classes)."""
        return self.network(normalised(image, self.normalisation)).permute(0, 2, 3, 1)


def prepared(other: Other, classes: int, camera: tuple[int, int], size: tuple[int, int]) -> nn.Module:
    """The network with seeded weights whose features neither vanish nor explode, and a fitted last layer.

    camera, size: (H, W) of images and of the network's input
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = other.build(classes).eval()
        for module in network.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
    scene = list(labelled_scene(camera))
    images = [_tensor(image, size, other.normalisation) for image, _ in scene]
    _set_statistics(network, torch.cat([resize(image, _STATISTICS_SIZE) for image in images]))
    if other.faint:
        with torch.no_grad():
            network.get_submodule(other.faint).weight *= _FAINT
    classifier = network.get_submodule(other.classifier)
    assert isinstance(classifier, nn.Conv2d)
    labels = [torch.from_numpy(label.astype(np.int64)) % classes for _, label in scene]
    fit_classifier(classifier, zip(_inputs_of(classifier, network, images), labels))
    return network


def _tensor(image: np.ndarray, size: tuple[int, int], normalisation: Normalisation) -> Tensor:
    return normalised(torch.from_numpy(resized(image, size))[None], normalisation)


def _set_statistics(network: nn.Module, images: Tensor) -> None:
    """Set all batch norms' statistics to those of the images."""
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the mean of all batches, here of one
        norm.train()
    with torch.inference_mode():
        network(images)
    network.eval()


def _inputs_of(classifier: nn.Module, network: nn.Module, images: list[Tensor]) -> list[Tensor]:
    """What the classifier gets of each image, (C, h, w)."""
    seen: list[Tensor] = []
    hook = classifier.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0][0]))
    with torch.inference_mode():
        for image in images:
            network(image)
    hook.remove()
    return seen


def _transformers() -> Any:
    import transformers  # slow to import

    transformers.logging.set_verbosity_error()
    warnings.simplefilter("ignore", FutureWarning)  # of its own deprecations
    return transformers


def _segformer(backbone: str) -> Callable[[int], nn.Module]:
    spec = MIT_SPECS[backbone]

    def build(classes: int) -> nn.Module:
        library = _transformers()
        config = library.SegformerConfig(
            depths=list(spec.depths),
            hidden_sizes=list(spec.widths),
            decoder_hidden_size=256 if backbone in ("mit_b0", "mit_b1") else 768,
            num_labels=classes,
        )
        return LogitsOf(library.SegformerForSemanticSegmentation(config))

    return build


def _mobilevit(classes: int) -> nn.Module:
    library = _transformers()
    config = library.MobileViTConfig(image_size=512, output_stride=16, num_labels=classes)
    return LogitsOf(library.MobileViTForSemanticSegmentation(config))


def _mobilenet(stride: int) -> Callable[[int], nn.Module]:
    def build(classes: int) -> nn.Module:
        library = _transformers()
        config = library.MobileNetV2Config(image_size=513, output_stride=stride, num_labels=classes)
        return LogitsOf(library.MobileNetV2ForSemanticSegmentation(config))

    return build


_MMSEGMENTATION = "https://github.com/open-mmlab/mmsegmentation/blob/main/configs/segformer/README.md"
_CVNETS = "https://github.com/apple/ml-cvnets/blob/main/examples/README-mobilevit.md"
_DEEPLAB = "https://github.com/tensorflow/models/blob/master/research/deeplab/g3doc/model_zoo.md"
_TORCHVISION = "https://github.com/pytorch/vision/blob/main/torchvision/models/segmentation/lraspp.py"
_PADDLESEG = "https://github.com/PaddlePaddle/PaddleSeg/blob/release/2.9/configs/lraspp/README.md"
_CITYSCAPES, _VOC = "Cityscapes val", "PASCAL VOC 2012 val"


def _segformer_entry(number: int, miou: float) -> Other:
    return Other(
        f"segformer_b{number}",
        f"SegFormer-B{number}",
        _segformer(f"mit_b{number}"),
        "model.decode_head.classifier",
        IMAGENET,
        (Published(miou, _CITYSCAPES, "windows of 1024x1024", _MMSEGMENTATION),),
    )


OTHERS = {
    other.key: other
    for other in (
        _segformer_entry(0, 76.54),
        _segformer_entry(1, 78.56),
        _segformer_entry(2, 81.08),
        Other(
            "mobilevit",
            "MobileViT-S, DeepLabV3",
            _mobilevit,
            "model.segmentation_head.classifier.convolution",
            _UNIT,
            (Published(79.3, _VOC, "512x512", _CVNETS),),
        ),
        Other(
            "mobilenetv2_s16",
            "MobileNetV2, DeepLabV3+, stride 16",
            _mobilenet(16),
            "model.segmentation_head.classifier.convolution",
            _CENTRED,
            (
                Published(75.32, _VOC, "513x513", _DEEPLAB),
                Published(70.71, _CITYSCAPES, "one scale", _DEEPLAB),
            ),
        ),
        Other(
            "mobilenetv2_s8",
            "MobileNetV2, DeepLabV3+, stride 8 (as transformers has it)",
            _mobilenet(8),
            "model.segmentation_head.classifier.convolution",
            _CENTRED,
            (),
        ),
        Other(
            "lraspp",
            "MobileNetV3-Large, LR-ASPP, stride 16",
            random_lraspp,
            "head.classifier",
            IMAGENET,
            (
                Published(57.9, "COCO val 2017, classes of VOC", "shorter side of 520", _TORCHVISION),
                Published(70.13, f"{_CITYSCAPES}, stride 32", "512x1024", _PADDLESEG),
                Published(72.33, f"{_CITYSCAPES}, stride 8", "512x1024", _PADDLESEG),
            ),
            "head.low_classifier",
        ),
    )
}
