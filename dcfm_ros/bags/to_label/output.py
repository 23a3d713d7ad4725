# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Writes the folder of frames to label: the second pass over the recordings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import cv2
from tqdm import tqdm

from dcfm_ros.bags.footage import Footage
from dcfm_ros.bags.names import numbered
from dcfm_ros.bags.options import FramesOptions
from dcfm_ros.bags.to_label.candidate import Candidate
from dcfm_ros.bags.to_label.choosing import Choice
from dcfm_ros.bags.to_label.clips import ChosenClip, read_clips
from dcfm_ros.bags.to_label.cvat import write_cvat
from dcfm_ros.bags.to_label.describing import Describer
from dcfm_ros.bags.to_label.label_classes import table_of, write_classes
from dcfm_ros.bags.to_label.label_studio import write_label_studio
from dcfm_ros.model.class_map import ClassMap, palette_table
from dcfm_ros.pipeline.overlay import coloured_mask
from dcfm_ros.reports.png import write_png
from dcfm_ros.sources.source_kinds import DEFAULT_RATE_HZ
from dcfm_ros.sources.to_label import LabelFrame, ToLabel, position_name, write_to_label
from dcfm_ros.stamps import NS_PER_S

Chosen = tuple[int, Candidate, Choice]  # number of the recording, frame, why


def write_folder(
    folder: Path,
    name: str,
    footages: Sequence[Footage | None],
    chosen: Sequence[Chosen],
    describer: Describer,
    mapped: ClassMap,
    options: FramesOptions,
    about: Mapping[str, Any],
) -> ToLabel:
    """Write everything into an empty folder; return the content of its frames.json.

    name: that the folder will have
    chosen: in the order of choice
    """
    for kind in ("images", "prelabels", "prelabels_color"):
        (folder / kind).mkdir()
    table = table_of(mapped)
    colors = palette_table({value: color for value, (_, color) in enumerate(table)})
    written: dict[int, LabelFrame] = {}
    intervals_ns: list[int] = []
    plans = _plans(footages, chosen, options)
    with tqdm(
        total=sum(plan.footage.count for plan in plans), unit="image", desc="writing", disable=None
    ) as bar:
        for plan in plans:
            for clip in read_clips(
                plan.footage, plan.frames, options.neighbours, options.image_format, bar.update
            ):
                assert clip.image is not None  # of a clip that is closed
                place, planned = plan.frames[clip.camera, clip.index]
                frame = written[place] = _write_clip(folder, planned, clip)
                mask = mapped.indices(describer.mask(clip.image))
                write_png(folder / frame.prelabel, mask)
                picture = cv2.cvtColor(coloured_mask(mask, colors), cv2.COLOR_RGB2BGR)
                write_png(folder / f"prelabels_color/{frame.name}.png", picture)
                times = [one.time_ns for one in clip.frames]
                intervals_ns += [later - earlier for earlier, later in zip(times, times[1:])]
    rate_hz = round(NS_PER_S / median(intervals_ns), 3) if intervals_ns else DEFAULT_RATE_HZ
    content = ToLabel(table, rate_hz, tuple(written[place] for place in sorted(written)), about)
    write_classes(folder, table)
    write_cvat(folder, content.frames, table, colors)
    write_label_studio(folder, name, content.frames, table, str(about["model"]["name"]))
    write_to_label(folder, content)
    return content


class _Plan(NamedTuple):
    """The frames to write of one recording. frames: by camera and index, place among all and what is known"""

    footage: Footage
    frames: dict[tuple[str, int], tuple[int, LabelFrame]]


def _plans(
    footages: Sequence[Footage | None], chosen: Sequence[Chosen], options: FramesOptions
) -> list[_Plan]:
    """Return what to write, of the recordings in their order; places are in the order of time."""
    ranks = sorted(
        range(len(chosen)),
        key=lambda rank: (chosen[rank][0], chosen[rank][1].time_ns, chosen[rank][1].camera),
    )
    plans: dict[int, _Plan] = {}
    names = numbered([_name(footages, *chosen[rank][:2]) for rank in ranks])
    for place, (rank, name) in enumerate(zip(ranks, names)):
        number, candidate, choice = chosen[rank]
        footage = footages[number]
        assert footage is not None  # it has candidates
        frame = LabelFrame(
            f"images/{name}.{options.image_format}",
            f"prelabels/{name}.png",
            footage.name,
            footage.topics[candidate.camera],
            candidate.stamp_ns,
            width=0,
            height=0,
            why={
                "rank": rank + 1,
                "reason": choice.reason,
                "distance": round(choice.distance, 4),
                "uncertainty": round(candidate.uncertainty, 4),
                "sharpness": round(choice.sharpness, 3),
                "brightness": round(candidate.brightness, 1),
            },
        )
        plan = plans.setdefault(number, _Plan(footage, {}))
        plan.frames[candidate.camera, candidate.index] = place, frame
    return list(plans.values())


def _name(footages: Sequence[Footage | None], number: int, candidate: Candidate) -> str:
    footage = footages[number]
    assert footage is not None
    parts = [footage.name, candidate.camera, str(abs(candidate.stamp_ns))]
    return "_".join(part for part in parts if part)


def _write_clip(folder: Path, planned: LabelFrame, clip: ChosenClip) -> LabelFrame:
    """Write the images of a frame and its neighbours; return the frame with what is known now."""
    ending = Path(planned.image).suffix
    neighbours = []
    for position, frame in enumerate(clip.frames):
        path = planned.image
        if position != clip.position:
            path = f"neighbours/{planned.name}/{position_name(position)}{ending}"
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            neighbours.append(path)
        (folder / path).write_bytes(frame.data)
    height, width = clip.frames[clip.position].size
    return replace(planned, width=width, height=height, position=clip.position, neighbours=tuple(neighbours))
