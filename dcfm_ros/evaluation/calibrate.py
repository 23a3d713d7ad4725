# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`dcfm calibrate`: the AKS threshold that gives a wanted keyframe rate on given data. No network is run.

The live scheduler decides on the network inputs of the clips. Schedulers of several thresholds run side by
side, so a search takes few passes over the images and keeps none of them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
from tqdm import tqdm

from dcfm_ros.evaluation.options import VIDEO, CalibrateOptions
from dcfm_ros.evaluation.read_ahead import ClipReader, ahead
from dcfm_ros.model.model_yaml import load_model_config
from dcfm_ros.motion.track import MotionTrack
from dcfm_ros.pipeline.scheduler import KeyframeScheduler, deviation, residual
from dcfm_ros.pipeline.settings import AksScore, SchedulerConfig
from dcfm_ros.reports.text import aligned
from dcfm_ros.rounding import rounded
from dcfm_ros.sources.clips import Clip, open_clips
from dcfm_ros.sources.errors import SourceError
from dcfm_ros.sources.open import VideoSource, open_source

# First pass. Residuals of calm scenes are small.
GRID = (
    0.001,
    0.005,
    0.01,
    0.02,
    0.05,
    0.10,
    0.15,
    0.20,
    0.25,
    0.30,
    0.35,
    0.40,
    0.50,
    0.60,
    0.80,
    1.00,
    2.00,
    5.00,
)
ROUNDS, POINTS = 3, 8  # passes after that, and thresholds in each
DISTANCES = (1, 6)  # frames, of the medians that are reported


def calibrate(options: CalibrateOptions, recorded: Sequence[Clip] = ()) -> dict:
    """The report: threshold, achieved rate, what other thresholds give, and how scores are on this data.

    recorded: the cameras of a recording, where the source is one
    """
    config = load_model_config(options.model)
    clips: Sequence[Clip]
    terms: str | None
    if recorded:
        clips, name, terms = recorded, options.source, None
    elif options.kind == VIDEO or Path(options.source).is_file():
        clips, name, terms = (VideoClip(open_source(options.source), options.source),), options.source, None
    else:
        clip_set = open_clips(options.source, options.split, options.kind)
        clips, name, terms = clip_set.clips, clip_set.name, clip_set.terms
    report = find_threshold(
        clips, options.keyframe_hz, (config.input_height, config.input_width), options.config
    )
    return {
        "data": {"name": name, "source": options.source, "terms": terms},
        "options": asdict(options),
        **report,
    }


class VideoClip:
    """A video without labels as a clip."""

    labelled: Sequence[int] = ()

    def __init__(self, video: VideoSource, name: str):
        if video.length is None:
            raise ValueError(f"{name} is endless; give a video that ends")
        self.name, self.length, self.rate_hz, self._video = name, video.length, video.rate_hz, video

    def image(self, index: int) -> np.ndarray:
        """(H, W, 3) uint8 RGB."""
        return self._video.frame(index).image

    def label(self, index: int) -> np.ndarray:
        """There is none."""
        raise SourceError(f"frame {index} of {self.name} has no label")


def find_threshold(
    clips: Sequence[Clip], keyframe_hz: float, model_size: tuple[int, int], config: SchedulerConfig
) -> dict:
    """Search the threshold whose keyframe rate on these clips is nearest to `keyframe_hz`.

    Every clip's first frame is a keyframe whatever the threshold, so rates are of the frames after it. Stills
    are left out. config: with a definite AKS score
    """
    clips = [clip for clip in clips if clip.length > 1]
    if not clips:
        raise ValueError("the data has stills only; calibration needs consecutive frames")
    seconds = sum((clip.length - 1) / clip.rate_hz for clip in clips)
    with tqdm(
        total=(1 + ROUNDS) * sum(clip.length for clip in clips), unit="frame", desc="calibrate", disable=None
    ) as bar:
        scores: dict[int, list[float]] = {distance: [] for distance in DISTANCES}
        found = _rates(clips, GRID, model_size, config, seconds, bar, scores)
        _check_possible(keyframe_hz, found, clips, config)
        for _ in range(ROUNDS):
            points = _between(found, keyframe_hz)
            if not points:
                bar.total = bar.n  # no threshold is left between those that were tried
                break
            found |= _rates(clips, points, model_size, config, seconds, bar)
    threshold = _nearest(found, keyframe_hz)
    frame_hz = sum(clip.length - 1 for clip in clips) / seconds
    return {
        "threshold": threshold,
        "keyframe_hz": rounded(found[threshold]),
        "frames_per_keyframe": rounded(frame_hz / found[threshold]) if found[threshold] else None,
        "difference_medians": {
            str(distance): rounded(np.median(values)) if values else None
            for distance, values in scores.items()
        },
        "table": [
            {"threshold": value, "keyframe_hz": rounded(found[value])} for value in sorted({*GRID, threshold})
        ],
        "clips": len(clips),
        "frames": sum(clip.length for clip in clips),
        "scheduler": {name: value for name, value in asdict(config).items() if name != "threshold"},
    }


def calibration_table(report: dict) -> str:
    """What `dcfm calibrate` prints of its report."""
    bounds, medians = report["scheduler"], report["difference_medians"]
    rows = [["threshold", "keyframes/s"]]
    for row in report["table"]:
        mark = " <" if row["threshold"] == report["threshold"] else "  "
        rows.append([f"{row['threshold']:g}", f"{row['keyframe_hz']:.2f}{mark}"])
    interval = report["frames_per_keyframe"]
    every = "none after a clip's first frame" if interval is None else f"one every {interval:.1f} frames"
    return "\n".join(
        [
            f"{report['data']['name']}: {report['frames']} frames in {report['clips']} clips, MinK "
            f"{bounds['min_interval']}, MaxK {bounds['max_interval']}",
            *(
                f"median {'residual' if bounds['aks_score'] == AksScore.RESIDUAL.value else 'deviation'} "
                f"{distance} frames apart: {'no such frames' if value is None else format(value, '.3f')}"
                for distance, value in medians.items()
            ),
            "",
            *aligned(rows),
            "",
            f"threshold {report['threshold']:g}: {report['keyframe_hz']:.2f} keyframes/s, {every} "
            f"(wanted {report['options']['keyframe_hz']:g}/s)",
        ]
    )


def _rates(
    clips: Sequence[Clip],
    thresholds: Sequence[float],
    model_size: tuple[int, int],
    config: SchedulerConfig,
    seconds: float,
    bar: tqdm,
    scores: dict[int, list[float]] | None = None,
) -> dict[float, float]:
    """One pass over the clips: keyframes per second of each threshold. Fills in by distance, where given, how
    much frames differ: their residual or their deviation."""
    keyframes, moves = dict.fromkeys(thresholds, 0), config.aks_score is AksScore.RESIDUAL
    reads = (
        reader(index)
        for reader in (ClipReader(clip, model_size, labels=False) for clip in clips)
        for index in range(reader.clip.length)
    )
    with closing(ahead(reads)) as pictures:
        for clip in clips:
            schedulers = {value: KeyframeScheduler(replace(config, threshold=value)) for value in thresholds}
            motion = MotionTrack() if moves else None
            recent: deque[np.ndarray] = deque(maxlen=1 + max(DISTANCES))
            for index in range(clip.length):
                image = next(pictures).image
                if motion is not None:
                    compared = range(index - max(DISTANCES), index) if scores is not None else ()
                    motion.add(
                        image,
                        index,
                        {scheduler.keyframe for scheduler in schedulers.values()}.union(compared),
                    )
                for value, scheduler in schedulers.items():
                    keyframes[value] += (
                        scheduler.evaluate_and_start(image, index, motion).reason is not None and index > 0
                    )
                if scores is not None:
                    recent.append(image)
                    for distance in DISTANCES:
                        if index >= distance:
                            scores[distance].append(
                                deviation(image, recent[-1 - distance])
                                if motion is None
                                else _residual(motion, index - distance)
                            )
                bar.update()
    return {value: count / seconds for value, count in keyframes.items()}


def _residual(motion: MotionTrack, frame: int) -> float:
    pictures = motion.pictures(frame)
    assert pictures is not None  # the frame was named as needed, and nothing cuts the track here
    return residual(*pictures)


def _check_possible(
    keyframe_hz: float, found: dict[float, float], clips: Sequence[Clip], config: SchedulerConfig
) -> None:
    """Refuse a rate that no threshold gives: beyond what MinK and MaxK allow, and beyond what was seen."""
    lowest = min(*found.values(), min(clip.rate_hz for clip in clips) / config.max_interval)
    highest = max(*found.values(), max(clip.rate_hz for clip in clips) / config.min_interval)
    if keyframe_hz > highest:
        raise ValueError(
            f"keyframe_hz {keyframe_hz:g} is out of reach: min_interval {config.min_interval} allows at most "
            f"{highest:.2f} keyframes/s on this data; lower min_interval or the rate"
        )
    if keyframe_hz < lowest:
        raise ValueError(
            f"keyframe_hz {keyframe_hz:g} is out of reach: max_interval {config.max_interval} brings at "
            f"least {lowest:.2f} keyframes/s on this data; raise max_interval or the rate"
        )


def _between(found: dict[float, float], keyframe_hz: float) -> list[float]:
    """Thresholds to try next: between two neighbours of which one gives more and the other less than
    wanted."""
    tried = sorted(found)
    for low, high in zip(tried, tried[1:]):
        if found[low] >= keyframe_hz >= found[high]:
            points = np.linspace(low, high, POINTS + 2)[1:-1].round(4).tolist()
            return [point for point in dict.fromkeys(points) if point not in found]
    return []


def _nearest(found: dict[float, float], keyframe_hz: float) -> float:
    """The threshold with the nearest rate; of several alike the one in the middle, away from where the rate
    changes."""
    distance = min(abs(rate - keyframe_hz) for rate in found.values())
    alike = sorted(value for value, rate in found.items() if abs(rate - keyframe_hz) == distance)
    return alike[len(alike) // 2]
