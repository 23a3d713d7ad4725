# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`dcfm bag frames`: chooses the frames of recordings that are most worth labelling, and writes them with
what annotation tools import."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tqdm import tqdm

from dcfm_ros.bags.errors import BagError
from dcfm_ros.bags.footage import UNREADABLE, Footage, find_footage, open_footage
from dcfm_ros.bags.options import FramesOptions
from dcfm_ros.bags.to_label.candidate import Candidate
from dcfm_ros.bags.to_label.choosing import Choices, choose
from dcfm_ros.bags.to_label.describing import Describer
from dcfm_ros.bags.to_label.kept_looks import KeptLooks
from dcfm_ros.bags.to_label.label_classes import label_classes
from dcfm_ros.bags.to_label.looking import Look
from dcfm_ros.bags.to_label.output import write_folder
from dcfm_ros.files import atomic_directory
from dcfm_ros.interrupts import Interrupts
from dcfm_ros.model.folder import load_model
from dcfm_ros.reports.model_description import model_description

_FORMAT = 1  # of what is kept of the first pass


@dataclass
class Recording:
    """A recording, and what becomes of it."""

    name: str
    path: str
    footage: Footage | None = None
    reason: str = ""  # why it cannot be used
    look: Look = field(default_factory=Look)

    def summary(self, chosen: int) -> dict[str, Any]:
        """Return what reports say of it."""
        looked = self.look.looked
        return {
            "name": self.name,
            "path": self.path,
            "status": "failed" if self.reason else "done",
            "reason": self.reason,
            "images": looked.images,
            "looked_at": looked.looked_at,
            "damaged": looked.damaged,
            "dark": looked.dark,
            "candidates": len(self.look.known) if not self.reason else 0,
            "chosen": chosen,
            "notes": self.footage.notes if self.footage is not None else [],
        }


def bag_frames(options: FramesOptions) -> dict[str, Any]:
    """Write `options.out`; return how many frames of which recordings, and notes.

    What has been seen is kept in `<out>.partial` until the output is whole: an interrupted run goes on there.
    A recording that cannot be read does not stop the others. Raises BagError if there is nothing to choose
    from.
    """
    out = Path(options.out)
    check_out(out)
    recordings = _open(options, out)
    notes: list[str] = []
    model = load_model(options.model)
    mapped = label_classes(model.config.classes, options.classes, options.class_map, notes.append)
    with Describer(model, options.backend, options.precision) as describer:
        about = model_description(options.model, model.config, describer.backend)
        kept = KeptLooks(out)
        try:
            _look_at_all(recordings, describer, about, options, kept)
            candidates, numbers = _candidates(recordings)
            choices = choose(candidates, numbers, options.frames)
            notes += _notes(choices, options.frames, recordings, numbers)
            taken = Counter(numbers[choice.number] for choice in choices.chosen)
            summaries = [one.summary(taken[number]) for number, one in enumerate(recordings)]
            with atomic_directory(out) as part:
                content = write_folder(
                    part,
                    out.resolve().name,
                    [one.footage for one in recordings],
                    [
                        (numbers[choice.number], candidates[choice.number], choice)
                        for choice in choices.chosen
                    ],
                    describer,
                    mapped,
                    options,
                    {"model": about, "recordings": summaries, "notes": notes, "options": asdict(options)},
                )
        except KeyboardInterrupt:
            print(
                f"what has been seen is kept in {kept.folder}: run the same command again to go on",
                file=sys.stderr,
            )
            raise
        kept.discard()
    return {
        "out": str(out),
        "frames": len(content.frames),
        "wanted": options.frames,
        "neighbours": sum(len(frame.neighbours) for frame in content.frames),
        "rate_hz": content.rate_hz,
        "recordings": summaries,
        "notes": notes,
        "model": about,
        "options": asdict(options),
    }


def check_out(out: Path) -> None:
    """Raise BagError if the output exists and is no empty folder."""
    if out.is_dir() and not any(out.iterdir()):
        return
    if out.exists():
        raise BagError(f"{out} exists already: remove it, or give another folder with --out")


def _open(options: FramesOptions, out: Path) -> list[Recording]:
    """Open all recordings; one that cannot be opened is noted, and raises its error if it is the only one."""
    recordings = []
    found = find_footage(options.recordings, out)
    for name, path in found:
        if path.is_dir() and path.resolve() in out.resolve().parents:
            raise BagError(f"{out} lies in {path}, which is read: give another folder with --out")
        recording = Recording(name, str(path))
        recordings.append(recording)
        try:
            recording.footage = open_footage(name, path, options.topics, options.rate_hz)
        except UNREADABLE as error:
            _fail(recording, error, len(found) == 1)
    return recordings


def _fail(recording: Recording, error: Exception, is_alone: bool) -> None:
    if is_alone:
        raise error
    recording.reason = str(error)
    tqdm.write(f"{recording.name} is left out: {error}", file=sys.stderr)


def _look_at_all(
    recordings: Sequence[Recording],
    describer: Describer,
    about: dict[str, Any],
    options: FramesOptions,
    kept: KeptLooks,
) -> None:
    """Make the first pass over all recordings, or take what is kept of an earlier one."""
    total = sum(one.footage.count for one in recordings if one.footage is not None)
    model = {name: about[name] for name in ("weights_sha256", "input", "backend", "device", "precision")}
    with tqdm(total=total, unit="image", desc="looking", disable=None) as bar:
        for recording in recordings:
            try:
                if recording.footage is not None:
                    _look_at(recording, recording.footage, describer, model, options, kept, bar)
            except UNREADABLE as error:
                _fail(recording, error, len(recordings) == 1)


def _look_at(
    recording: Recording,
    footage: Footage,
    describer: Describer,
    model: dict[str, Any],
    options: FramesOptions,
    kept: KeptLooks,
    bar: tqdm,
) -> None:
    identity = {
        "format": _FORMAT,
        "every_s": options.every_s,
        "topics": footage.topics,
        "files": footage.identity(),
        **model,
    }
    look = recording.look = kept.load(recording.name, identity)
    if look.is_done:
        bar.update(footage.count)
        return
    with Interrupts() as interrupts:

        def save() -> None:
            with interrupts.deferred():
                kept.save(recording.name, identity, look)

        try:
            look.run(footage, describer, options.every_s, bar.update, lambda: save() if kept.is_due else None)
        finally:
            save()


def _candidates(recordings: Sequence[Recording]) -> tuple[list[Candidate], list[int]]:
    """Return the candidates of all recordings in the order of time, and the recording of each. Raises
    BagError if there are none."""
    candidates: list[Candidate] = []
    numbers: list[int] = []
    for number, one in enumerate(recordings):
        if not one.reason:
            found = sorted(one.look.known.values(), key=lambda candidate: (candidate.camera, candidate.index))
            candidates += found
            numbers += [number] * len(found)
    if candidates:
        return candidates, numbers
    usable = [one for one in recordings if not one.reason]
    if not usable:
        raise BagError(
            f"none of the {len(recordings)} recordings can be used: {recordings[0].name}: "
            f"{recordings[0].reason}"
        )
    looked = [one.look.looked for one in usable]
    examples = [one.example for one in looked if one.example]
    raise BagError(
        f"{', '.join(one.path for one in usable)}: none of the {sum(one.looked_at for one in looked)} images "
        f"looked at can be used: {sum(one.damaged for one in looked)} are damaged, "
        f"{sum(one.dark for one in looked)} black or blank{'; ' * bool(examples)}{''.join(examples[:1])}"
    )


def _notes(
    choices: Choices, wanted: int, recordings: Sequence[Recording], numbers: Sequence[int]
) -> list[str]:
    """Return what the user has to know of the choice."""
    notes, chosen = [], len(choices.chosen)
    present, taken = set(numbers), {numbers[choice.number] for choice in choices.chosen}
    if chosen < wanted:
        notes.append(
            f"{chosen} frames instead of {wanted}: of {len(numbers)} that could be chosen {choices.blurred} "
            f"are blurred, and {choices.repeated} show nearly the same as a chosen one; a smaller --every "
            "offers more"
        )
    if missing := sorted(recordings[number].name for number in present - taken):
        notes.append(f"more recordings than frames: none of {', '.join(missing)}; raise -n")
    for number, one in enumerate(recordings):
        looked = one.look.looked
        first = f"; the first: {looked.example}" if looked.example else ""
        if not one.reason and number not in present:
            notes.append(
                f"{one.name}: none of the {looked.looked_at} images looked at can be used, {looked.damaged} "
                f"are damaged, {looked.dark} black or blank{first}"
            )
        elif not one.reason and looked.damaged:
            notes.append(
                f"{one.name}: {looked.damaged} of {looked.looked_at} images looked at are damaged{first}"
            )
    return notes
