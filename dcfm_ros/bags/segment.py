# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`dcfm bag segment`: writes a recording's masks as a recording. An interrupted run is resumed."""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import asdict
from itertools import islice
from pathlib import Path

from dcfm_ros.bags.errors import BagError
from dcfm_ros.bags.options import BagSegmentOptions, scheduling
from dcfm_ros.bags.outputs import CameraOutputs, original_topics
from dcfm_ros.bags.progress import CameraProgress, Progress, UnfinishedOutput
from dcfm_ros.bags.reading import Bag, open_bag
from dcfm_ros.bags.replay import Replay, Skipped
from dcfm_ros.bags.topic import Topic
from dcfm_ros.bags.topics import CameraTopic, choose_cameras
from dcfm_ros.bags.viewer_sink import ViewerSink
from dcfm_ros.bags.writing import Parts, WriteError, message_counts
from dcfm_ros.interrupts import Interrupts
from dcfm_ros.model.model_yaml import find_model
from dcfm_ros.model.stored import StoredModel
from dcfm_ros.pipeline.frames import KeyframeEvent, Segmentation
from dcfm_ros.reports.model_description import model_description
from dcfm_ros.stamps import NS_PER_S

_FORMAT = 1  # version of the state of an unfinished output
_CLASSES_EVERY_NS = (
    NS_PER_S  # players that start with a later part, or at an offset, miss latched messages before it
)


def segment_bag(
    options: BagSegmentOptions,
    on_frame: Callable[[], object] = lambda: None,
    on_start: Callable[[int], object] = lambda images: None,
) -> dict:
    """Write `options.out`, a recording with the masks of another recording. Return counts, and which topics
    were left out and why.

    The output grows in `<out>.partial`. However the process ends, the next call with the same options resumes
    there, and produces the same masks. on_start is called with the number of images to process, on_frame
    after each. Raises BagError.
    """
    if not options.out:
        raise ValueError("no output: give a folder for the new recording")
    out, recording = Path(options.out), Path(options.bag)
    if recording.resolve() in out.resolve().parents:
        raise BagError(f"{out} lies in the recording {recording}: give another output")
    with ExitStack() as stack:
        bag = stack.enter_context(open_bag(recording))
        cameras = choose_cameras(bag, options.topics)
        unfinished = stack.enter_context(UnfinishedOutput(out))
        saved = unfinished.load()
        run = stack.enter_context(_Run(options, bag, cameras, StoredModel(options.model), unfinished, saved))
        return run.run(on_frame, on_start)


class _Run:
    """One pass that writes masks; use it in a `with` statement."""

    def __init__(
        self,
        options: BagSegmentOptions,
        bag: Bag,
        cameras: list[CameraTopic],
        model: StoredModel,
        unfinished: UnfinishedOutput,
        saved: Progress | None,
    ):
        self._options, self._bag, self._cameras, self._unfinished = options, bag, cameras, unfinished
        # by camera and index, until their mask arrives
        self._events: dict[tuple[str, int], KeyframeEvent] = {}
        self._resets = {camera.name: 0 for camera in cameras}  # `Origin.resets` of the last mask of this pass
        self._stack = ExitStack()
        try:
            self._interrupts = self._stack.enter_context(Interrupts())
            first = {name: max(camera.keyframe, 0) for name, camera in saved.cameras.items()} if saved else {}
            self._replay = self._stack.enter_context(
                Replay(
                    bag,
                    cameras,
                    model,
                    options.backend,
                    options.precision,
                    options.config,
                    self._on_keyframe,
                    first,
                )
            )
            self._model = model_description(options.model, model.config, self._replay.segmenter.backend)
            identity = self._identity(model)
            if saved is not None:
                unfinished.check(saved, identity)
                _check_viewer(options.viewer, saved)
            self._progress = saved or Progress(
                identity, {camera.name: CameraProgress() for camera in cameras}
            )
            self._resumed_at = self._progress.images
            name = find_model(options.model).resolve().name
            self._outputs = {
                camera.name: CameraOutputs(camera.name, name, model.config.classes) for camera in cameras
            }
            ours = [topic for outputs in self._outputs.values() for topic in outputs.topics]
            originals, self._left_out = original_topics(bag, ours) if options.all_topics else ([], {})
            self._originals = self._stack.enter_context(closing(self._read_originals(originals)))
            self._original: tuple[Topic, int, bytes] | None = (
                None  # the next one to copy, if it has been read
            )
            self._parts = Parts(
                unfinished.folder,
                unfinished.out.name,
                [*originals, *ours],
                options.storage,
                options.compression,
                self._progress.metadata,
            )
            unfinished.keep_only(self._parts.files)
            self._viewer = self._stack.enter_context(ViewerSink(options, model.config.classes))
        except BaseException:
            self._stack.close()
            raise

    def run(self, on_frame: Callable[[], object], on_start: Callable[[int], object]) -> dict:
        self._total = sum(camera.topic.count for camera in self._cameras)
        on_start(self._total - self._resumed_at)
        with self._resumable():
            self._write_all(on_frame)
        self._check_masks()
        try:
            with self._interrupts.deferred(), self._resumable():
                self._parts.finish()
                self._unfinished.conclude()
        except KeyboardInterrupt:  # it was deferred until here
            if self._unfinished.is_concluded:
                print(f"{self._unfinished.out} is finished", file=sys.stderr)
            raise
        return self._report()

    @contextmanager
    def _resumable(self) -> Iterator[None]:
        """After an error in the block, keep what is complete, and tell the user how to resume."""
        try:
            yield
        except BaseException as error:
            if self._unfinished.is_concluded:
                raise
            self._save_open_part()
            saved = self._unfinished.load()
            images = saved.images if saved else 0
            if isinstance(error, WriteError):
                raise WriteError(
                    f"{error}, then run the same command again: it resumes at image {images} of {self._total}"
                ) from error
            if isinstance(error, KeyboardInterrupt):
                print(
                    f"{images} of {self._total} images are done, in {self._unfinished.folder}: "
                    "run the same command again to resume",
                    file=sys.stderr,
                )
            raise

    def _write_all(self, on_frame: Callable[[], object]) -> None:
        in_part = 0
        with closing(self._replay.run()) as results:
            for made in results:
                if not (self._count_skipped(made) if isinstance(made, Skipped) else self._write(made)):
                    continue
                in_part += 1
                if in_part == self._options.part_images:
                    in_part = 0
                    self._checkpoint()
                on_frame()
        self._copy_originals(None)
        self._checkpoint()

    def _check_masks(self) -> None:
        """Raise BagError if no camera has a mask: then there is nothing to write. One camera without masks
        does not stop the others."""
        records = [camera.record for camera in self._progress.cameras.values()]
        if any(record.masks for record in records):
            return
        self._unfinished.discard()
        example = next((text for record in records for text in record.examples), None)
        if example is None:
            topics = ", ".join(camera.topic.name for camera in self._cameras)
            raise BagError(f"{self._bag.path} holds no images on {topics}: give another --topic")
        raise BagError(f"{self._bag.path}: none of the {self._progress.images} images can be used; {example}")

    def _checkpoint(self) -> None:
        with self._interrupts.deferred():
            self._parts.close_part()
            self._progress.metadata = self._parts.metadata
            self._unfinished.save(self._progress)

    def _save_open_part(self) -> None:
        """After an error: close the open part, or discard it if the error interrupted a write to it."""
        if self._parts.is_complete:
            try:
                self._checkpoint()
                return
            except WriteError:  # earlier parts stay; the error that led here is reported
                pass
        self._parts.discard_part()

    def _count_skipped(self, skipped: Skipped) -> bool:
        camera = self._progress.cameras[skipped.camera]
        if skipped.number <= camera.skipped:
            return False
        with self._interrupts.deferred():
            camera.skipped = skipped.number
            camera.record.arrived(skipped.log_ns)
            camera.record.skip(skipped)
        return True

    def _write(self, result: Segmentation) -> bool:
        """Write the messages of a mask. Return False if they are written already: the image was only needed
        to resume."""
        name, origin = result.frame.camera, result.frame.context
        camera, outputs = self._progress.cameras[name], self._outputs[name]
        event = self._events.pop((name, result.index), None)
        resets, self._resets[name] = origin.resets - self._resets[name], origin.resets
        if origin.number <= camera.mask:
            return False
        self._copy_originals(origin.log_ns)
        self._viewer.add(result, event)
        with self._interrupts.deferred(), self._parts.unit():
            messages = []
            if camera.classes_ns is None or origin.log_ns - camera.classes_ns >= _CLASSES_EVERY_NS:
                messages = outputs.of_classes(result.frame.stamp_ns)
                camera.classes_ns = origin.log_ns
            if event is not None:
                messages.append(outputs.of_keyframe(event))
                camera.keyframe = origin.number
                camera.keyframes[event.reason.value] += 1
            camera.mask = origin.number
            record = camera.record
            record.arrived(origin.log_ns)
            record.use(result.frame)
            record.masks += 1
            record.resets += resets
            for topic, raw in messages + outputs.of_mask(result, record.masks):
                self._parts.write(topic, origin.log_ns, raw)
        return True

    def _on_keyframe(self, event: KeyframeEvent) -> None:
        self._events[event.frame.camera, event.index] = event

    def _read_originals(self, topics: list[Topic]) -> Generator[tuple[Topic, int, bytes]]:
        """Yield the messages of these topics that are not copied yet, through a separate reader."""
        if not topics:
            return
        with open_bag(self._bag.path) as bag:
            yield from islice(bag.messages(topics), self._progress.copied, None)

    def _copy_originals(self, until_ns: int | None) -> None:
        """Copy original messages up to and including this log time; all if None."""
        # Read outside the unit, so that a read error does not discard what is written.
        while (original := self._original or next(self._originals, None)) is not None:
            self._original = original
            if until_ns is not None and original[1] > until_ns:
                return
            with self._interrupts.deferred(), self._parts.unit():
                self._parts.write(*original)
                self._progress.copied += 1
                self._original = None

    def _identity(self, model: StoredModel) -> dict:
        options, base = self._options, self._bag.path if self._bag.path.is_dir() else self._bag.path.parent
        return {
            "format": _FORMAT,
            "files of the recording": [
                [str(file.relative_to(base)), file.stat().st_size] for file in self._bag.files
            ],
            "cameras": {camera.name: camera.topic.name for camera in self._cameras},
            "all topics": options.all_topics,
            "storage": options.storage,
            "compression": options.compression,
            "mode": options.mode,
            **scheduling(options.config),
            **{
                name: self._model[name]
                for name in ("weights_sha256", "input", "backend", "device", "precision")
            },
            "classes": [[c.name, list(c.color)] for c in model.config.classes],
        }

    def _report(self) -> dict:
        options = self._options
        return {
            "bag": self._bag.summary(),
            "out": str(self._unfinished.out),
            "topics": message_counts(self._parts.metadata),
            "left_out": self._left_out,
            "resumed_at_image": self._resumed_at,
            "mode": options.mode,
            "model": self._model,
            "cameras": [
                self._camera(camera, self._progress.cameras[camera.name]) for camera in self._cameras
            ],
            "notes": self._notes(),
            "options": asdict(options),
        }

    def _camera(self, camera: CameraTopic, progress: CameraProgress) -> dict:
        return {
            "camera": camera.name,
            "topic": camera.topic.name,
            "mask_topic": self._outputs[camera.name].mask.name,
            **progress.record.summary(),
            "keyframes": progress.keyframes.total(),
            "keyframe_reasons": dict(progress.keyframes),
        }

    def _notes(self) -> list[str]:
        """Return what readers of the masks have to know."""
        notes = list(self._bag.notes)
        for camera in self._cameras:
            notes += self._progress.cameras[camera.name].record.notes(camera.topic.name)
        return notes

    def __enter__(self) -> _Run:
        return self

    def __exit__(self, *_) -> None:
        self._stack.close()


def _check_viewer(target: str, saved: Progress) -> None:
    """Raise BagError if the viewer's file exists: it would lose what an earlier run wrote to it."""
    if target.endswith(".rrd") and Path(target).exists():
        raise BagError(
            f"{target} exists already, and this run shows only what follows image {saved.images}: give "
            "another file to --viewer, or remove it"
        )
