"""Pairs of frames for symmetric training: a labelled frame and a neighbour of it in time."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np

from dcfm_ros.sources.synthetic.video import RESERVED_SEEDS, SyntheticVideo

VOID = 255


class DataError(RuntimeError):
    """Training data that cannot be used; the message names the file and what is wrong with it."""


@dataclass(frozen=True)
class Pair:
    """Images (H, W, 3) uint8 RGB; labels (H, W) uint8 class ids, 255 = void; the neighbour's label may be missing."""

    image: np.ndarray
    label: np.ndarray
    neighbour: np.ndarray
    neighbour_label: np.ndarray | None


class PairSource(Protocol):
    def pair(self, rng: np.random.Generator) -> Pair:
        """A random pair, determined by the generator's state."""


class SyntheticPairs:
    """Truly adjacent frames of rendered street scenes; the seeds reserved for evaluation are never drawn.

    Building a street takes longer than a training step should wait, so a fixed number of short clips is rendered, each
    when it is first drawn, and kept in memory: about 3.5 MB a clip. Processes of a group draw from disjoint clips.
    """

    SPACING = (0, 1, 2, 4, 8)  # frames of a clip, in units of radius / 8 and rounded: their differences cover the radius

    def __init__(self, clips: int, radius: int, rank: int = 0, world: int = 1,
                 width: int = 480, height: int = 360, rate_hz: float = 15.0):
        if clips < world:
            raise DataError(f"{clips} synthetic clips: give at least one for each of {world} processes")
        self.clips = range(rank, clips, world)
        self.offsets = sorted({round(step * radius / 8) for step in self.SPACING})
        self.width, self.height, self.rate_hz = width, height, rate_hz
        self._rendered: dict[int, list[tuple[np.ndarray, np.ndarray]]] = {}

    def pair(self, rng: np.random.Generator) -> Pair:
        number = int(rng.choice(self.clips))
        if number not in self._rendered:
            self._rendered[number] = self._render(number)
        first, second = rng.permutation(len(self.offsets))[:2]
        clip = self._rendered[number]
        return Pair(*clip[first], *clip[second])

    def _render(self, number: int) -> list[tuple[np.ndarray, np.ndarray]]:
        """A clip within one shot: hard cuts have no common feature to learn."""
        rng = np.random.default_rng((number, 3))
        video = SyntheticVideo(number % RESERVED_SEEDS.start, self.width, self.height, self.rate_hz)
        last = self.offsets[-1]
        while True:
            start = int(rng.integers(int(40 * self.rate_hz)))
            if not any(start < cut <= start + last for cut in video.cut_frames(start + last + 1)):
                break
        frames = [video.frame(start + offset) for offset in self.offsets]
        return [(frame.image, frame.label) for frame in frames]


class StillPairs:
    """Pairs made from labelled stills: the neighbour is the still seen from a moved camera, with moving cut-outs.

    `root` holds `images/*.jpg|png` and `labels/<same stem>.png`. The camera's move is a small homography and a zoom, as
    large as between frames 1 to `radius` apart; objects cut out of another still are pasted at two places, so that both
    frames keep exact labels.
    """

    ZOOM = 0.015   # of a frame's step at most: 0.12 over 8 frames

    def __init__(self, root: str | Path, movable: tuple[int, ...], radius: int = 8, exclude: str = ""):
        root = Path(root)
        images = [p for p in sorted((root / "images").glob("*")) if p.suffix.lower() in (".jpg", ".jpeg", ".png")]
        if exclude:
            images = [p for p in images if not p.name.startswith(exclude)]
        if not images:
            raise DataError(f"no images in {root / 'images'}: expected .jpg or .png files")
        self.files = [(p, root / "labels" / f"{p.stem}.png") for p in images]
        if missing := [str(label) for _, label in self.files if not label.is_file()]:
            raise DataError(f"{len(missing)} label files are missing, the first is {missing[0]}")
        self.movable, self.radius = movable, radius

    def pair(self, rng: np.random.Generator) -> Pair:
        image, label = (a.copy() for a in self._still(int(rng.integers(len(self.files)))))
        steps = int(rng.integers(1, self.radius + 1))   # frames between the two
        homography = self._camera_move(rng, image.shape[1], image.shape[0], steps)
        size = (image.shape[1], image.shape[0])
        moved = cv2.warpPerspective(image, homography, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)
        moved_label = cv2.warpPerspective(
            label, homography, size, flags=cv2.INTER_NEAREST, borderMode=cv2.BORDER_CONSTANT, borderValue=VOID
        )
        if rng.random() < 0.7:
            self._paste(rng, image, label, moved, moved_label, steps)
        if rng.random() < 0.5:  # time may run either way
            return Pair(moved, moved_label, image, label)
        return Pair(image, label, moved, moved_label)

    def _camera_move(self, rng: np.random.Generator, width: int, height: int, steps: int) -> np.ndarray:
        corners = np.float32([[0, 0], [width, 0], [width, height], [0, height]])
        centre = np.float32([width * rng.uniform(0.4, 0.6), height * rng.uniform(0.35, 0.55)])
        zoom = 1.0 + rng.uniform(0.0, self.ZOOM * steps)
        shift = rng.normal(0.0, 0.003 * steps, 2) * (width, height)
        wobble = rng.normal(0.0, 0.0012 * steps, (4, 2)) * (width, height)
        target = (corners - centre) * zoom + centre + shift + wobble
        return cv2.getPerspectiveTransform(corners, target.astype(np.float32))

    def _paste(self, rng, image, label, moved, moved_label, steps) -> None:
        """Paste objects of another still, moved a little between the two frames."""
        donor, donor_label = self._still(int(rng.integers(len(self.files))))
        ids = [c for c in self.movable if np.count_nonzero(donor_label == c) > 60]
        if not ids:
            return
        mask = np.uint8(donor_label == ids[int(rng.integers(len(ids)))])
        count, parts, stats, _ = cv2.connectedComponentsWithStats(mask)
        big = [i for i in range(1, count) if stats[i, cv2.CC_STAT_AREA] > 60]
        if not big:
            return
        part = big[int(rng.integers(len(big)))]
        x, y, w, h = stats[part, :4]
        cut = (slice(y, y + h), slice(x, x + w))
        height, width = label.shape
        place = np.array([x + rng.integers(-width // 3, width // 3), y + rng.integers(-height // 20, height // 20)])
        step = rng.normal(0.0, (0.004 * steps * width, 0.001 * steps * height))
        for target, target_label, at in ((image, label, place), (moved, moved_label, place + step)):
            shift = np.float32([[1, 0, at[0] - x], [0, 1, at[1] - y]])
            patch = np.zeros_like(mask)
            patch[cut] = parts[cut] == part
            patch = cv2.warpAffine(patch, shift, (width, height), flags=cv2.INTER_NEAREST).astype(bool)
            target[patch] = cv2.warpAffine(donor, shift, (width, height))[patch]
            target_label[patch] = donor_label[y:y + h, x:x + w][parts[cut] == part][0]

    @lru_cache(maxsize=512)
    def _still(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        image_path, label_path = self.files[index]
        image = cv2.imread(str(image_path), cv2.IMREAD_COLOR)
        if image is None:
            raise DataError(f"cannot read image {image_path}: damaged or not an image")
        label = cv2.imread(str(label_path), cv2.IMREAD_UNCHANGED)
        if label is None or label.ndim != 2:
            raise DataError(f"cannot read label {label_path}: expected a single-channel PNG of class ids")
        if label.shape != image.shape[:2]:
            raise DataError(f"label {label_path} is {label.shape[::-1]}, its image {image.shape[1::-1]}: sizes must agree")
        return cv2.cvtColor(image, cv2.COLOR_BGR2RGB), label
