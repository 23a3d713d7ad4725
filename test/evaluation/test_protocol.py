# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The offline protocol against masks and figures computed one by one."""

from collections import Counter

import numpy as np
import pytest
from evaluation_helpers import CLASSES, SIZE, MemoryClip, NotingBackend, logits_of, make_clip
from helpers import tiny_model
from protocol_helpers import THRESHOLDS, backend, counts_of, model, noted_mask, own_classes, run  # noqa: F401

from dcfm_ros.evaluation.protocol import Network, Protocol
from dcfm_ros.evaluation.schedule import ALIGNMENTS, MODES, Schedule, fixed_keyframes, serving
from dcfm_ros.metrics.consistency import consistency_windows
from dcfm_ros.model.class_map import ClassMap, MappedClass
from dcfm_ros.model.geometry import input_size
from dcfm_ros.pipeline.backends.torch_cpu import TorchBackend
from dcfm_ros.pipeline.postprocess import upsampled_argmax


def naive(clip, schedule, phases):
    """Masks of a clip in each phase, its keyframes, and the counts, by the plain rule."""
    masks, keyframes = [], []
    for phase in phases:
        keyframes.append(fixed_keyframes(clip.length, schedule.mode, schedule.interval, phase))
        masks.append(
            [noted_mask(frame, serving(schedule, keyframes[-1], frame)) for frame in range(clip.length)]
        )
    return masks, keyframes


@pytest.mark.parametrize(
    "schedule",
    [
        Schedule("two_sided", interval=3),
        Schedule("causal", interval=4),
        Schedule("async", interval=3, delay=2),
    ],
)
def test_a_single_clip_is_pooled_over_all_phases(schedule):
    clip = make_clip(21)
    results, _ = run([clip], schedule)
    score = results.scores[0]
    masks, keyframes = naive(clip, schedule, range(schedule.interval))
    labels = [clip.labels[frame] for frame in range(21)]
    assert np.array_equal(score.matrix.counts, sum(counts_of(phase, labels) for phase in masks))
    on_keyframes = sum(
        counts_of([phase[k] for k in ks], [labels[k] for k in ks]) for phase, ks in zip(masks, keyframes)
    )
    assert np.array_equal(score.on_keyframes.counts, on_keyframes)
    assert score.frames == 21 * schedule.interval and score.keyframes == sum(map(len, keyframes))
    for n in (8, 16):
        windows = np.concatenate([consistency_windows(phase, labels, n) for phase in masks])
        assert len(windows) == (21 - n) * schedule.interval and np.ptp(windows) > 0
        np.testing.assert_allclose(sorted(score.windows[n]), sorted(windows))
        assert score.consistency(n) == pytest.approx(windows.mean())


def test_of_several_clips_each_has_its_own_phase():
    clips = [make_clip(length, seed=length) for length in (12, 20, 5, 17)]
    schedule = Schedule("two_sided", interval=3)
    results, _ = run(clips, schedule)
    counts, windows, keyframes = 0, [], 0
    for number, clip in enumerate(clips):
        (masks,), (ks,) = naive(clip, schedule, [number % 3])
        labels = [clip.labels[frame] for frame in range(clip.length)]
        counts, keyframes = counts + counts_of(masks, labels), keyframes + len(ks)
        windows.extend(consistency_windows(masks, labels, 8))
    score = results.scores[0]
    assert np.array_equal(score.matrix.counts, counts)
    assert score.keyframe_rate == keyframes / 54
    np.testing.assert_allclose(score.windows[8], windows)


def test_a_keyframe_in_every_frame_gives_the_keyframes_masks(backend, model):
    clip = make_clip(4)
    results, _ = run(
        [clip], *(Schedule(mode, interval=1) for mode in ("causal", "two_sided")), backend=backend
    )
    masks = []
    for image in clip.images:
        shallow = backend.shallow(image)
        masks.append(upsampled_argmax(backend.decode(shallow, [backend.deep(shallow)]), SIZE))
    wanted = counts_of(masks, clip.labels.values())
    for score in results.scores:
        assert np.array_equal(score.matrix.counts, wanted) and not score.elsewhere.counts.any()


def test_two_sided_is_the_sum_of_the_logits(backend):
    clip = make_clip(5)
    results, _ = run([clip, clip], Schedule("two_sided", interval=4), backend=backend)  # keyframes 0, 4 and 1
    shallows = [backend.shallow(image) for image in clip.images]
    commons = [backend.deep(shallow) for shallow in shallows]

    def logits(frame, keyframe):
        return backend.decode(shallows[frame], [commons[keyframe]]).copy()

    first = [logits(0, 0)] + [logits(frame, 0) + logits(frame, 4) for frame in (1, 2, 3)] + [logits(4, 4)]
    second = [logits(frame, 1) for frame in range(5)]
    masks = [upsampled_argmax(each, SIZE) for each in first + second]
    assert np.array_equal(results.scores[0].matrix.counts, counts_of(masks, [*clip.labels.values()] * 2))


def test_async_without_delay_gives_causal_figures():
    clip = make_clip(12)
    for rule in ({"interval": 3}, {"threshold": THRESHOLDS[0]}):
        results, _ = run([clip], Schedule("async", **rule), Schedule("causal", **rule))
        first, second = results.scores
        assert np.array_equal(first.on_keyframes.counts, second.on_keyframes.counts)
        assert np.array_equal(first.elsewhere.counts, second.elsewhere.counts)
        assert first.windows == second.windows and first.keyframes == second.keyframes


def all_schedules(alignments=("none",)):
    return [
        Schedule(mode, delay=2 if mode == "async" else 0, alignment=way, **rule)
        for way in alignments
        for mode in MODES
        for rule in (
            {"interval": 1},
            {"interval": 3},
            {"threshold": THRESHOLDS[0]},
            {"threshold": THRESHOLDS[1]},
        )
    ]


@pytest.mark.parametrize("alignments", [("none",), tuple(ALIGNMENTS)])
def test_schedules_share_masks_and_features(alignments):
    """And each image is read once, whatever is made of it."""
    clip = make_clip(19, motion=2.0, least=1.0)
    _, backend = run([clip], *all_schedules(alignments), max_age=4)
    made = Counter(zip(backend.decoded, backend.moved))
    assert len(made) > 100 * min(2, len(alignments)) and any(backend.moved) == ("flow" in alignments)
    # to keep, beside the mask
    logits = {(frame, (frame,)) for frame in range(19)} if "logits" in alignments else set()
    assert all(count == 1 + (of in logits) for (of, _), count in made.items())
    assert sorted(backend.shallows) == sorted(backend.deeps) == list(range(19))
    assert clip.read == list(range(19))


@pytest.mark.slow
@pytest.mark.parametrize(
    "alignments, memory_bytes", [(("none",), 1), (("none",), 40_000), (tuple(ALIGNMENTS), 40_000)]
)
def test_figures_do_not_depend_on_the_memory(alignments, memory_bytes):
    clips = [make_clip(18, 1, motion=3.0), make_clip(9, 2, labelled=[0, 7])]
    wanted, _ = run(clips, *all_schedules(alignments), max_age=4)
    clips = [make_clip(18, 1, motion=3.0), make_clip(9, 2, labelled=[0, 7])]
    found, _ = run(clips, *all_schedules(alignments), max_age=4, memory_bytes=memory_bytes)
    assert len(clips[0].read) > 18  # some were forgotten
    for first, second in zip(wanted.scores, found.scores, strict=True):
        assert np.array_equal(first.on_keyframes.counts, second.on_keyframes.counts)
        assert np.array_equal(first.elsewhere.counts, second.elsewhere.counts)
        assert first.windows == second.windows and first.keyframes == second.keyframes
    assert tuple(wanted.by_age) == tuple(found.by_age) == alignments
    for way in alignments:
        for first, second in zip(wanted.by_age[way], found.by_age[way], strict=True):
            assert np.array_equal(first.counts, second.counts)


def test_adaptive_async_serves_old_features_to_keyframes_too():
    clip = make_clip(10, motion=0.0)  # nothing changes: keyframes by MaxK alone
    _, backend = run([clip], Schedule("async", threshold=0.45, delay=2))
    assert backend.decoded == [(frame, (6,) if frame >= 8 else (0,)) for frame in range(10)]


def test_figures_by_age_are_of_the_same_frames():
    clip = make_clip(9)
    results, _ = run([clip], Schedule("causal", interval=2), max_age=3)
    assert results.aged_frames == 6
    for age, matrix in enumerate(results.by_age["none"]):
        masks = [noted_mask(frame, (frame - age,)) for frame in range(3, 9)]
        assert np.array_equal(matrix.counts, counts_of(masks, [clip.labels[frame] for frame in range(3, 9)]))


def test_sparse_labels_need_few_frames_and_give_no_consistency():
    clip = make_clip(30, labelled=[19])
    results, backend = run(
        [clip, make_clip(2)], Schedule("two_sided", interval=8), Schedule("causal", interval=6)
    )
    assert clip.read == [16, 18, 19, 24] and set(backend.shallows[:3]) == {19, 16, 24}
    score = results.scores[0]
    assert (19, (16, 24)) in backend.decoded and (19, (18,)) in backend.decoded
    assert score.windows == {8: [], 16: []} and np.isnan(score.consistency(8))
    assert score.frames == 32 and score.keyframes == 4 + 1
    assert score.matrix.counts.sum() == 3 * (SIZE[0] - 3) * SIZE[1]


def test_clips_without_labels_count_for_nothing_but_the_phase():
    clips = [make_clip(6, 1, labelled=[]), make_clip(6, 2)]
    results, backend = run(clips, Schedule("two_sided", interval=2))
    assert clips[0].read == [] and results.scores[0].frames == 6
    assert backend.decoded[0] == (0, (1,))  # the second clip has the second phase


def test_stills_are_keyframes_whatever_the_interval():
    clips = [make_clip(1, seed) for seed in range(3)]
    results, _ = run(
        clips,
        Schedule("two_sided", interval=8),
        Schedule("async", interval=8, delay=4),
        Schedule("causal", threshold=0.45),
        max_age=2,
    )
    assert [score.keyframe_rate for score in results.scores] == [1, 1, 1] and results.aged_frames == 0
    assert len({score.matrix.counts.tobytes() for score in results.scores}) == 1


def test_masks_have_the_labels_size():
    clip = make_clip(3)
    clip.labels = {index: np.repeat(np.repeat(label, 2, 0), 2, 1) for index, label in clip.labels.items()}
    results, _ = run([clip], Schedule("causal", interval=1))
    masks = [upsampled_argmax(logits_of(frame, (frame,)), (128, 192)) for frame in range(3)]
    assert np.array_equal(results.scores[0].matrix.counts, counts_of(masks, clip.labels.values()))


@pytest.mark.parametrize("exact", [False, True])
def test_exact_inputs_have_the_models_size_whatever_the_images_shape(exact):
    clip, backend, sizes = make_clip(3, size=(96, 96)), NotingBackend(), set()
    shallow = backend.shallow
    backend.shallow = lambda image: (sizes.add(image.shape[:2]), shallow(image))[1]
    results, _ = run([clip], Schedule("causal", interval=2), backend=backend, exact_size=exact)
    assert sizes == {SIZE if exact else input_size((96, 96), SIZE)} and input_size((96, 96), SIZE) != SIZE
    # two phases, masks of the label's size
    assert results.scores[0].matrix.counts.sum() == 2 * 3 * (96 - 3) * 96


@pytest.mark.parametrize(
    "interval, delay, length, too_soon", [(2, 4, 12, 5), (4, 4, 12, 0), (1, 2, 5, 3), (4, 2, 12, 0)]
)
def test_keyframes_that_come_too_soon_are_counted(interval, delay, length, too_soon):
    """Of one phase: the second clip of two starts at 1, with frame 0 as a keyframe that serves at once."""
    clips = [make_clip(1, 0, labelled=[]), make_clip(length, 1)] if interval > 1 else [make_clip(length)]
    results, _ = run(
        clips, Schedule("async", interval=interval, delay=delay), Schedule("causal", interval=interval)
    )
    assert [score.keyframes_too_soon for score in results.scores] == [too_soon, 0]


@pytest.mark.parametrize(
    "shallow_on, zeroed",
    [("all", []), ("nonkey", [(0, (0,)), (3, (3,))]), ("key", [(1, (0,)), (2, (0,)), (4, (3,))])],
)
def test_ablations_take_the_shallow_feature_away(shallow_on, zeroed):
    clip = MemoryClip(make_clip(5).images, make_clip(5).labels)
    _, backend = run([clip, clip], Schedule("causal", interval=3), shallow_on=shallow_on)
    wanted = [(frame, (3 * (frame // 3),)) for frame in range(5)]
    assert backend.decoded[:5] == [(-1 if pair in zeroed else pair[0], pair[1]) for pair in wanted]


def test_a_per_frame_network_is_its_own_keyframe_everywhere():
    model = tiny_model(CLASSES, architecture="per_frame")
    backend = TorchBackend(model)
    clip = make_clip(4)
    results, _ = run([clip], Schedule("per_frame", interval=1), backend=backend)
    masks = []
    for image in clip.images:
        shallow = backend.shallow(image)
        masks.append(upsampled_argmax(backend.decode(shallow, [backend.deep(shallow)]), SIZE))
    assert np.array_equal(results.scores[0].matrix.counts, counts_of(masks, clip.labels.values()))
    assert results.by_age == {"none": []}


def test_masks_and_labels_are_mapped_before_they_are_compared():
    merged = ClassMap((MappedClass(9, "a", (0, 0, 0), (0, 2)), MappedClass(4, "b", (0, 0, 0), (1,))), CLASSES)
    clip, schedule = make_clip(6), Schedule("causal", interval=2)
    plain, found = (
        run([clip], schedule, class_map=class_map)[0].scores[0].matrix.counts
        for class_map in (own_classes(CLASSES), merged)
    )
    rows = np.stack([plain[0] + plain[2], plain[1]])
    assert (
        np.array_equal(found, np.stack([rows[:, 0] + rows[:, 2], rows[:, 1], rows[:, 3] + rows[:, 4]], 1))
        and found.all()
    )


def test_every_labelled_frame_is_reported():
    clips = [make_clip(5), make_clip(4, labelled=[2])]
    done = []
    Protocol([Schedule("causal", interval=2)]).run(
        Network(NotingBackend(), SIZE, own_classes(CLASSES)), clips, lambda: done.append(1)
    )
    assert len(done) == 6


def test_a_wrong_label_is_named():
    clip = make_clip(3, name="drive 7")
    clip.labels[1][5, 5] = 9
    with pytest.raises(ValueError, match="drive 7, frame 1: label holds the id 9, but there are 4 classes"):
        run([clip], Schedule("causal", interval=1))


def test_frames_of_different_sizes_are_named():
    clip = make_clip(4, name="drive 7")
    clip.images[2] = np.zeros((96, 64, 3), np.uint8)
    with pytest.raises(ValueError, match="drive 7: frame 2 is not of the size of the frames before it"):
        run([clip], Schedule("causal", interval=1))


def test_an_unreadable_image_ends_the_run_with_its_message():
    class Broken(MemoryClip):
        def image(self, index):
            if index == 2:
                raise ValueError("images/2.png cannot be read")
            return super().image(index)

    whole = make_clip(5)
    with pytest.raises(ValueError, match="images/2.png cannot be read"):
        run([Broken(whole.images, whole.labels)], Schedule("causal", interval=1))
