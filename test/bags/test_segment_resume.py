# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Masks of a recording that was stopped and gone on with: the same as those of one that was not."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from bags_helpers import CAMERA, read_bag, write_bag
from helpers import write_tiny_model
from segmenting_helpers import CAMERAS, CORRUPT, FRAMES, PART, content, segment, stop_at

from dcfm_ros import cli
from dcfm_ros.bags.errors import BagError
from dcfm_ros.bags.finding import is_bag
from dcfm_ros.bags.progress import STATE_FILE, UnfinishedOutput
from dcfm_ros.bags.reading import open_bag
from dcfm_ros.bags.writing import Parts
from dcfm_ros.pipeline.segmenter import Segmenter

ONE, TWO, TWO_SIDED = "one camera", "two cameras", "two cameras, two_sided, all topics"
CASES = {
    ONE: dict(topics=(CAMERA,), changes=dict(alignment="none")),
    TWO: dict(topics=CAMERAS, changes={}),
    TWO_SIDED: dict(topics=CAMERAS, changes=dict(mode="two_sided", all_topics=True, storage="sqlite3")),
}


class Case:
    """A recording, how it is segmented, and what that gives where nothing stops it."""

    def __init__(self, folder: Path, topics, changes):
        self.model = write_tiny_model(folder / "tiny")
        # Sizes and stamps that make cameras begin anew, and images that cannot be used, are among those that
        # are stopped at.
        self.bag = write_bag(
            folder / "drive",
            FRAMES,
            topics,
            corrupt=CORRUPT,
            sizes={16: (48, 64)},
            stamps={21: 0, 22: 10**7},
            extra=("/chatter",),
            motion=0.5,
            cut=9,
        )
        self.changes = changes
        self.images = FRAMES * len(topics)
        self.report = self.segment(folder / "whole")
        self.content = content(folder / "whole")
        moved = {
            message["alignment"]
            for topic, messages in self.content.items()
            if topic.endswith("mask_info")
            for _, message in messages
        }
        assert ("flow" in moved) == (changes.get("alignment") != "none")

    def segment(self, out, on_frame=lambda: None, on_start=lambda images: None, **changes):
        return segment(self.bag, out, self.model, on_frame, on_start, **{**self.changes, **changes})

    def stop(self, out, at, error=KeyboardInterrupt) -> None:
        with pytest.raises(error):
            self.segment(out, stop_at(at, error))

    def check(self, out, report) -> None:
        """Is this output that of a run that was not stopped?"""
        assert content(out) == self.content
        assert report["cameras"] == self.report["cameras"] and report["topics"] == self.report["topics"]
        assert not partial(out).exists() and not (out / STATE_FILE).exists()
        files = {file.name for file in out.iterdir()} - {"metadata.yaml"}
        assert files == {f"{out.name}_{number}{file_ending(files)}" for number in range(len(files))}


@pytest.fixture(scope="module")
def cases(tmp_path_factory):
    """By name, each made once."""
    made: dict[str, Case] = {}

    def case_of(name: str) -> Case:
        if name not in made:
            made[name] = Case(tmp_path_factory.mktemp("case"), **CASES[name])
        return made[name]

    return case_of


@pytest.fixture
def case(request, cases):
    """For `indirect` parameters."""
    return cases(request.param)


@pytest.fixture
def two(cases):
    return cases(TWO)


def partial(out: Path) -> Path:
    return out.with_name(f"{out.name}.partial")


def file_ending(files) -> str:
    return Path(min(files)).suffix


# Stopped in order


@pytest.mark.slow
@pytest.mark.parametrize(
    "case, at",
    [
        (ONE, 22),  # after stamps have jumped back
        (TWO, PART),  # a part was just closed
        (TWO, 38),  # after another size
        (TWO_SIDED, 1),
        (TWO_SIDED, PART + 1),
        (TWO_SIDED, 38),
    ],
    indirect=["case"],
)
def test_stopped_once(case, tmp_path, at, capsys):
    out = tmp_path / "out"
    case.stop(out, at)
    done = int(capsys.readouterr().err.split(" of ")[0])
    assert partial(out).is_dir() and not out.exists() and at <= done <= at + 1
    begun, frames = [], []
    report = case.segment(out, lambda: frames.append(1), begun.append)
    assert report["resumed_at_image"] == done and begun == [len(frames)] == [case.images - done]
    case.check(out, report)


@pytest.mark.slow
@pytest.mark.parametrize("case", [TWO, TWO_SIDED], indirect=True)
def test_stopped_again_and_again(case, tmp_path):
    out, stops = tmp_path / "out", 0
    while True:
        try:
            report = case.segment(out, stop_at(13))
            break
        except KeyboardInterrupt:
            stops += 1
    assert stops == case.images // 13
    case.check(out, report)


@pytest.mark.slow
def test_an_error_while_reading_keeps_what_is_done(two, tmp_path):
    out = tmp_path / "out"
    two.stop(out, 10, RuntimeError)
    report = two.segment(out)
    assert report["resumed_at_image"] == 10
    two.check(out, report)


@pytest.mark.slow
def test_what_is_done_is_not_computed_again(two, tmp_path, monkeypatch):
    out = tmp_path / "out"
    two.stop(out, 36)
    processed = []
    process = Segmenter.process
    monkeypatch.setattr(
        Segmenter, "process", lambda self, frame: (processed.append(frame), process(self, frame))[1]
    )
    two.check(out, two.segment(out))
    left = two.images - 36
    # from each camera's last keyframe on, MaxK at most
    assert left - len(CORRUPT) <= len(processed) <= left + 2 * 10


def command(case, out):
    return [
        "bag",
        "segment",
        str(case.bag),
        "-o",
        str(out),
        "--model",
        str(case.model),
        "--backend",
        "torch",
        "--precision",
        "f32",
        "--part",
        str(PART),
    ]


@pytest.mark.slow
@pytest.mark.parametrize("write", [1, 50])
def test_ctrl_c_in_the_middle_of_a_write(two, tmp_path, monkeypatch, capsys, write):
    """It waits for the end of what belongs together. `dcfm` ends with 130, and the same command goes on."""
    arguments = command(two, tmp_path / "out")
    written, whole = [], Parts.write

    def interrupted(self, *message):
        written.append(message)
        if len(written) == write:
            signal.raise_signal(signal.SIGINT)
        whole(self, *message)

    monkeypatch.setattr(Parts, "write", interrupted)
    before = signal.getsignal(signal.SIGINT)
    assert cli.main(arguments) == 130
    assert signal.getsignal(signal.SIGINT) is before
    monkeypatch.undo()
    done = int(capsys.readouterr().err.split(" of ")[0])
    assert done > 0
    assert cli.main([*arguments, "--json", str(tmp_path / "report.json")]) == 0
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["resumed_at_image"] == done and f"\ngone on from image {done}\n" in capsys.readouterr().out
    two.check(tmp_path / "out", report)


@pytest.mark.slow
@pytest.mark.parametrize("owner, name", [(Parts, "finish"), (UnfinishedOutput, "conclude")])
def test_ctrl_c_while_the_last_is_written(two, tmp_path, monkeypatch, capsys, owner, name):
    """It waits, too, and the output is finished."""
    out, whole = tmp_path / "out", getattr(owner, name)

    def interrupted(self):
        if name == "finish":
            signal.raise_signal(signal.SIGINT)
        whole(self)
        if name == "conclude":
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(owner, name, interrupted)
    assert cli.main(command(two, out)) == 130
    told = capsys.readouterr().err
    assert f"{out} is finished\n" in told and "again to resume" not in told
    assert content(out) == two.content and not partial(out).exists() and not (out / STATE_FILE).exists()


@pytest.mark.slow
@pytest.mark.parametrize("all_topics", [False, True])
def test_a_recording_that_is_damaged_on_the_way(two, tmp_path, all_topics):
    """What was made before the damage stays, however often it is tried, and is finished once the recording is
    mended."""
    bag, out = (
        write_bag(
            tmp_path / "drive", 16, CAMERAS, compression="storage", extra=("/chatter",), sizes={0: (128, 192)}
        ),
        tmp_path / "out",
    )
    file, part_images = bag / "drive.mcap", 1000
    whole = file.read_bytes()
    at = int(0.7 * len(whole))
    file.write_bytes(whole[:at] + b"\xff" * 3000 + whole[at + 3000 :])  # in the second chunk
    done = []
    for _ in range(2):
        with pytest.raises(BagError, match=f"{bag}/drive.mcap is damaged"):
            segment(bag, out, two.model, all_topics=all_topics, part_images=part_images)
        state = json.loads((partial(out) / STATE_FILE).read_text())
        done.append(sum(camera["record"]["masks"] for camera in state["cameras"].values()))
    assert 5 < done[0] == done[1] < 32
    file.write_bytes(whole)
    report = segment(bag, out, two.model, all_topics=all_topics)
    assert report["resumed_at_image"] == done[0]
    segment(bag, tmp_path / "whole", two.model, all_topics=all_topics)
    assert content(out) == content(tmp_path / "whole")


@pytest.mark.slow
@pytest.mark.parametrize("case, write", [(TWO, 45), (TWO_SIDED, 1), (TWO_SIDED, 77)], indirect=["case"])
def test_an_error_in_the_middle_of_a_write_costs_its_part_only(case, tmp_path, monkeypatch, write):
    out = tmp_path / "out"
    with monkeypatch.context() as patch:
        patch.setattr(Parts, "write", failing(Parts.write, write, KeyboardInterrupt()))
        with pytest.raises(KeyboardInterrupt):
            case.segment(out)
    state = json.loads((partial(out) / STATE_FILE).read_text()) if write > 1 else None
    kept = {*state["metadata"]["relative_file_paths"], STATE_FILE} if state else set()
    assert {path.name for path in partial(out).glob("*")} == kept
    report = case.segment(out)
    assert report["resumed_at_image"] % PART == 0
    case.check(out, report)


def failing(function, at, error):
    """`function`, whose at-th call raises."""
    stop = iter(range(at - 1))

    def call(*arguments):
        if next(stop, None) is None:
            raise error
        return function(*arguments)

    return call


# Killed

_SEGMENTING = """
import os
import signal
import sys

import torch
from segmenting_helpers import segment

from dcfm_ros.bags.progress import UnfinishedOutput
from dcfm_ros.bags.types import typestore
from dcfm_ros.bags.writing import Parts

typestore()     # is made once, too
torch.set_num_threads(1)
for line in sys.stdin:
    bag, out, model, where, count, changes = eval(line)
    if os.fork():       # before any network has run
        print("ended", os.waitstatus_to_exitcode(os.wait()[1]), flush=True)
        continue
    owner, name = where.split(".")
    owner = globals()[owner]
    function, calls = getattr(owner, name), []

    def stop(*arguments):
        calls.append(1)
        if len(calls) == count:
            print("here", os.getpid(), flush=True)
            signal.pause()      # until we are killed
        return function(*arguments)

    setattr(owner, name, stop)
    segment(bag, out, model, **changes)
    sys.exit(0)
"""


@pytest.fixture(scope="module")
def segmenting():
    """A process that segments in processes of its own; its libraries are loaded once."""
    with subprocess.Popen(
        [sys.executable, "-c", _SEGMENTING],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"},
    ) as process:
        yield process


@pytest.mark.slow
@pytest.mark.parametrize(
    "case, points",
    [
        (
            TWO,
            [
                ("Parts.write", 1),  # before anything is there
                ("UnfinishedOutput.save", 3),  # a part is closed, and the state does not know it
                ("UnfinishedOutput.conclude", 1),
            ],
        ),  # all is there but the name
        (
            TWO_SIDED,
            [
                ("Parts.write", 100),  # in the middle of a part
                ("Parts.finish", 1),
            ],
        ),  # all is there but metadata.yaml
    ],
    indirect=["case"],
)
def test_killed_again_and_again(case, segmenting, tmp_path, points):
    out = tmp_path / "out"
    for where, count in points:
        kill(segmenting, case, out, where, count)
        assert partial(out).is_dir() and not out.exists()
    case.check(out, case.segment(out))


def kill(segmenting, case, out, where, count):
    """Segment in a process that is killed when this is called for the count-th time."""
    print(
        (str(case.bag), str(out), str(case.model), where, count, case.changes),
        file=segmenting.stdin,
        flush=True,
    )
    word, number = segmenting.stdout.readline().split()
    assert word == "here", f"{where} was not called {count} times"
    try:
        with pytest.raises(BagError, match=f"another process is writing to {partial(out)}: wait for its end"):
            case.segment(out)
    finally:
        os.kill(int(number), signal.SIGKILL)
    assert segmenting.stdout.readline() == f"ended {-signal.SIGKILL}\n"


@pytest.mark.slow
def test_an_unfinished_output_is_no_recording(two, tmp_path):
    out = tmp_path / "out"
    two.stop(out, 30)
    assert [path.name for path in tmp_path.iterdir()] == ["out.partial"] and not is_bag(partial(out))
    with pytest.raises(
        BagError, match="out.partial is an unfinished output: run the command that started it again"
    ):
        open_bag(partial(out))


@pytest.mark.slow
def test_every_closed_part_is_readable(two, tmp_path):
    """What is in it can be looked at while the rest is made."""
    out = tmp_path / "out"
    two.stop(out, 30)
    state = json.loads((partial(out) / STATE_FILE).read_text())
    parts = [partial(out) / name for name in state["metadata"]["relative_file_paths"]]
    masks = [
        len(messages)
        for part in parts
        for topic, messages in read_bag(part).items()
        if topic.endswith("/mask")
    ]
    assert len(parts) == -(-30 // PART) and sum(masks) == 30 - sum(2 for number in CORRUPT if number < 15)


# Another output than the one that was begun


@pytest.mark.slow
def test_other_options(two, tmp_path):
    out = tmp_path / "out"
    two.stop(out, 10)
    before = {path: path.read_bytes() for path in partial(out).iterdir()}
    for changes, text in [
        (dict(mode="two_sided"), 'mode "sync", now "two_sided"'),
        (dict(all_topics=True), "all topics false, now true"),
        (dict(storage="sqlite3"), 'storage "mcap", now "sqlite3"; compression "zstd", now "none"'),
        (dict(threshold=0.5), "threshold 0.18, now 0.5"),
        (dict(aks_score="paper"), 'aks_score "residual", now "paper"; threshold 0.18, now 0.32'),
        (
            dict(alignment="none"),
            'alignment "flow", now "none"; aks_score "residual", now "paper"; threshold 0.18, now 0.32',
        ),
        (dict(topics=("/rear/image_raw",)), r'cameras \{"front": .*\}, now \{"": "/rear/image_raw"\}'),
    ]:
        with pytest.raises(
            BagError, match=f"out.partial was begun with {text}: finish it as it was begun, remove it to"
        ):
            two.segment(out, **changes)
        assert {path: path.read_bytes() for path in partial(out).iterdir()} == before
    two.check(out, two.segment(out, part_images=9))  # how large parts are changes nothing


@pytest.mark.slow
def test_a_file_of_the_viewer_is_never_emptied(two, tmp_path):
    pytest.importorskip("rerun", reason="rerun-sdk is not installed (there is none for Python 3.10)")
    out, seen = tmp_path / "out", tmp_path / "drive.rrd"
    with pytest.raises(KeyboardInterrupt):
        two.segment(out, stop_at(10), viewer=str(seen))
    before = seen.read_bytes()
    assert len(before) > 1000
    for changes, text in [
        ({}, r"drive.rrd exists already, and this run shows only what follows image \d+: give"),
        (dict(mode="two_sided"), "was begun with"),
    ]:
        with pytest.raises(BagError, match=text):
            two.segment(out, viewer=str(seen), **changes)
        assert seen.read_bytes() == before
    two.check(out, two.segment(out, viewer=str(tmp_path / "rest.rrd")))
    assert (tmp_path / "rest.rrd").stat().st_size > 1000


@pytest.mark.slow
def test_other_weights(two, tmp_path):
    out = tmp_path / "out"
    two.stop(out, 10)
    with pytest.raises(BagError, match='weights_sha256 ".*", now ".*": finish it as it was begun'):
        segment(two.bag, out, write_tiny_model(tmp_path / "other", seed=1))


def test_a_recording_that_has_grown(two, tmp_path):
    out, bag = tmp_path / "out", write_bag(tmp_path / "bag", 12)
    with pytest.raises(KeyboardInterrupt):
        segment(bag, out, two.model, stop_at(9))
    with (bag / "metadata.yaml").open("a") as file:
        file.write("\n")
    with pytest.raises(BagError, match=r"files of the recording \[\[.*, now \[\["):
        segment(bag, out, two.model)


def test_a_state_that_is_damaged(two, tmp_path):
    out = tmp_path / "out"
    two.stop(out, 10)
    (partial(out) / STATE_FILE).write_text('{"cameras"')
    with pytest.raises(
        BagError, match=r"state.json cannot be read \(.*\): remove .*out.partial to start over"
    ):
        two.segment(out)


def test_a_part_that_is_gone(two, tmp_path):
    out = tmp_path / "out"
    two.stop(out, 10)
    (partial(out) / "out_0.mcap").unlink()
    with pytest.raises(BagError, match="out_0.mcap is gone: remove .*out.partial to start over"):
        two.segment(out)


@pytest.mark.slow
def test_an_output_that_appears_meanwhile(two, tmp_path):
    out = tmp_path / "out"
    with pytest.raises(BagError, match="out exists already: remove it, or give another output"):
        two.segment(out, lambda: out.mkdir(exist_ok=True))
    assert not [*out.iterdir()]
    out.rmdir()
    two.check(out, two.segment(out))


@pytest.mark.slow
def test_nothing_is_left_of_what_was_not_begun(two, tmp_path):
    with pytest.raises(BagError, match="no topic /nowhere"):
        two.segment(tmp_path / "out", topics=("/nowhere",))
    with pytest.raises(RuntimeError, match="no model"):
        segment(two.bag, tmp_path / "out", Path("none_of_this_name"))
    assert not [*tmp_path.iterdir()]
    assert UnfinishedOutput(tmp_path / "out").load() is None
