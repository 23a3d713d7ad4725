# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Runs a recording's camera images through the live node's segmenter, one after the other, without dropping
any.

In mode `sync` masks and keyframes depend on the images alone. They are the same in every run, and the same as
those of the live node if the recording is played to it without loss.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from dcfm_ros.bags.arrivals import Arrival, image_reader
from dcfm_ros.bags.errors import BagError
from dcfm_ros.bags.reading import Bag
from dcfm_ros.bags.topics import CameraTopic
from dcfm_ros.bags.video_start import first_needed
from dcfm_ros.evaluation.read_ahead import ahead
from dcfm_ros.model.stored import AnyModel
from dcfm_ros.pipeline.frames import Frame, InputError, KeyframeEvent, Segmentation
from dcfm_ros.pipeline.memory import tune_malloc
from dcfm_ros.pipeline.segmenter import Segmenter
from dcfm_ros.pipeline.settings import Mode, PipelineConfig
from dcfm_ros.stamps import NS_PER_S, stamp_ns

_READ_AHEAD = 8  # images; 50 MB in full HD
_EXAMPLES = 5  # error texts of skipped images that are kept


@dataclass
class Origin:
    """Origin of an image; carried through the pipeline as `Frame.context`."""

    number: int  # index among the messages of the cameras' topics, from 0
    log_ns: int  # log time
    header: Any  # its std_msgs/Header
    resets: int = 0  # resets of the camera's stream before this image


class Skipped(NamedTuple):
    """An image that cannot be used."""

    number: int
    camera: str
    log_ns: int
    error: InputError


@dataclass
class CameraRecord:
    """Statistics of one camera."""

    images: int = 0
    masks: int = 0
    skipped: Counter[str] = field(default_factory=Counter)  # by kind
    examples: list[str] = field(default_factory=list)
    sizes: list[tuple[int, int]] = field(default_factory=list)  # (width, height), in order of appearance
    out_of_order: int = 0  # stamps older than the previous one
    equal_stamps: int = 0
    resets: int = 0
    first_ns: int = 0  # log times
    last_ns: int = 0
    _stamp_ns: int | None = None

    def arrived(self, log_ns: int) -> None:
        """Count an image, used or not."""
        self.first_ns = self.first_ns if self.images else log_ns
        self.last_ns = log_ns
        self.images += 1

    def skip(self, skipped: Skipped) -> None:
        """Count an image that cannot be used; keep the first few errors as examples."""
        self.skipped[skipped.error.kind] += 1
        if len(self.examples) < _EXAMPLES:
            self.examples.append(f"at {skipped.log_ns / NS_PER_S:.3f} s: {skipped.error}")

    def use(self, frame: Frame) -> None:
        """Record the size and the stamp of an image that is segmented."""
        size = frame.image.shape[1::-1]
        if size not in self.sizes:
            self.sizes.append(size)
        if self._stamp_ns is not None:
            self.out_of_order += frame.stamp_ns < self._stamp_ns
            self.equal_stamps += frame.stamp_ns == self._stamp_ns
        self._stamp_ns = frame.stamp_ns

    def summary(self) -> dict:
        """Return the statistics for reports."""
        return {
            "sizes": [list(size) for size in self.sizes],
            "images": self.images,
            "masks": self.masks,
            "skipped": dict(self.skipped),
            "skipped_examples": self.examples,
            "resets": self.resets,
            "out_of_order": self.out_of_order,
            "equal_stamps": self.equal_stamps,
        }

    def notes(self, topic: str) -> list[str]:
        """Return what readers of the masks, or of figures computed from them, have to know."""
        notes = []
        if self.skipped:
            kinds = ", ".join(f"{count} {kind}" for kind, count in self.skipped.items())
            notes.append(
                f"{self.skipped.total()} of {self.images} images skipped ({kinds}); the first "
                f"{self.examples[0]}"
            )
        if self.out_of_order:
            notes.append(
                f"{self.out_of_order} stamps older than the previous one; the segmenter was reset there, as "
                "it is live"
            )
        if self.equal_stamps > 0.5 * self.images:
            notes.append(
                f"the camera had no clock: {self.equal_stamps} of {self.images} images repeat the stamp of "
                "the previous one. Gaps and the keyframe budget are measured in log time; make the driver "
                "fill header.stamp"
            )
        if len(self.sizes) > 1:
            sizes = ", ".join(f"{width}x{height}" for width, height in self.sizes)
            notes.append(
                f"images of several sizes ({sizes}); the segmenter was reset at each change, as it is live"
            )
        return [f"{topic}: {note}" for note in notes]

    @property
    def rate_hz(self) -> float | None:
        """Images per second as recorded; None if unknown."""
        span_s = (self.last_ns - self.first_ns) / NS_PER_S
        return (self.images - 1) / span_s if span_s > 0 else None


class Replay:
    """One pass over a recording; use it in a `with` statement.

    config: mode `sync` or `two_sided`
    on_keyframe: called before the masks of the keyframe are returned
    first: by camera, the number of the first image to segment; earlier ones are skipped
    """

    def __init__(
        self,
        bag: Bag,
        cameras: Sequence[CameraTopic],
        model: AnyModel,
        backend: str = "auto",
        precision: str = "auto",
        config: PipelineConfig = PipelineConfig(mode=Mode.SYNC),
        on_keyframe: Callable[[KeyframeEvent], None] = lambda event: None,
        first: dict[str, int] | None = None,
    ):
        if config.mode is Mode.ASYNC:
            raise ValueError(
                "mode async depends on the machine's speed: use sync or two_sided, or play the recording to "
                "the live node"
            )
        self.cameras = {camera.name: CameraRecord() for camera in cameras}
        self._bag, self._topics, self._first = bag, cameras, first or {}
        self._failure: Exception | None = None
        tune_malloc()  # as the node does
        self.segmenter = Segmenter.of(
            model, backend, config=config, precision=precision, on_keyframe=on_keyframe, on_error=self._failed
        )

    def run(self) -> Generator[Segmentation | Skipped]:
        """Yield the result of each image in the order of the recording; in mode `two_sided` masks follow with
        the next keyframe."""
        with closing(ahead(images(self._bag, self._topics, self._first), _READ_AHEAD)) as arrivals:
            for image in arrivals:
                if isinstance(image, Skipped):
                    record = self.cameras[image.camera]
                    record.arrived(image.log_ns)
                    record.skip(image)
                    yield image
                else:
                    yield from self._segment(image)
        yield from self._count(self.segmenter.flush())

    def _segment(self, frame: Frame) -> Iterator[Segmentation]:
        record = self.cameras[frame.camera]
        record.arrived(frame.context.log_ns)
        record.use(frame)
        results = self.segmenter.process(replace(frame, received_ns=time.monotonic_ns()))
        if self._failure is not None:
            raise RuntimeError(
                f"no keyframe for an image of {self._bag.path}: {self._failure}"
            ) from self._failure
        record.resets = frame.context.resets = self.segmenter.telemetry(frame.camera).resets
        yield from self._count(results)

    def _count(self, results: list[Segmentation]) -> list[Segmentation]:
        for result in results:
            self.cameras[result.frame.camera].masks += 1
        return results

    def _failed(self, camera: str, error: Exception) -> None:
        self._failure = error

    def __enter__(self) -> Replay:
        return self

    def __exit__(self, *_) -> None:
        self.segmenter.stop()


def images(bag: Bag, cameras: Sequence[CameraTopic], first: Mapping[str, int]) -> Iterator[Frame | Skipped]:
    """Yield the cameras' images in order of log time, each as a Frame whose context is its `Origin`, or as
    Skipped.

    first: see `Replay`
    """
    by_topic, needed = {camera.topic.key: camera for camera in cameras}, first_needed(bag, cameras, first)
    sources = {camera.name: image_reader(bag, camera.topic) for camera in cameras}
    for number, (topic, log_ns, raw) in enumerate(bag.messages([camera.topic for camera in cameras])):
        camera = by_topic[topic.key].name
        if number >= needed[camera]:
            yield from _decoded(camera, sources[camera].read(number, log_ns, raw), first.get(camera, 0))
    for camera, source in sources.items():
        yield from _decoded(camera, source.flush(), first.get(camera, 0))


def _decoded(camera: str, arrivals: Iterable[Arrival], first: int) -> Iterator[Frame | Skipped]:
    for number, log_ns, header, decode in arrivals:
        if number < first:
            continue
        try:
            decoded = decode()
        except InputError as error:
            yield Skipped(number, camera, log_ns, error)
            continue
        yield Frame(
            camera,
            stamp_ns(header.stamp),
            decoded.pixels,
            decoded.is_bgr,
            arrival_ns=log_ns,
            context=Origin(number, log_ns, header),
        )


def check_images(bag: Bag, replay: Replay) -> None:
    """Raise BagError if no image at all could be used. A single camera without usable images is noted in
    reports instead."""
    records = list(replay.cameras.values())
    if not any(record.masks for record in records):
        examples = [example for record in records for example in record.examples[:1]]
        raise BagError(
            f"{bag.path}: none of the {sum(record.images for record in records)} images can be used; "
            f"{'; '.join(examples or bag.notes)}"
        )
