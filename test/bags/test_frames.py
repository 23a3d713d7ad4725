# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`dcfm bag frames`: from recordings to a folder of frames to label, and what cannot be used."""

import json
import shutil

import cv2
import numpy as np
import pytest
import yaml
from bags_helpers import START_NS, cut_file, drive, read_bag, write_bag
from helpers import own_mask, write_tiny_model

from dcfm_ros.bags.errors import BagError
from dcfm_ros.bags.options import FramesOptions
from dcfm_ros.bags.to_label import frames as frames_module
from dcfm_ros.bags.to_label.describing import Describer
from dcfm_ros.bags.to_label.frames import bag_frames
from dcfm_ros.bags.to_label.summary import summary
from dcfm_ros.cli import main
from dcfm_ros.model.folder import load_model
from dcfm_ros.sources.clips import open_clips
from dcfm_ros.sources.errors import SourceError
from dcfm_ros.sources.to_label import read_to_label
from dcfm_ros.training.pairs import ClipPairs

PERIOD_S = 1 / 15


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return write_tiny_model(tmp_path_factory.mktemp("model") / "tiny")


@pytest.fixture
def options(model, tmp_path):
    def make(*recordings, out="to_label", **changes):
        given = {
            "frames": 6,
            "every_s": 0.2,
            "neighbours": 2,
            "model": str(model),
            "backend": "torch",
            **changes,
        }
        return FramesOptions(tuple(map(str, recordings)), str(tmp_path / out), **given)

    return make


def pictures(count, seed):
    """Brighter than noise, and with detail."""
    return drive(count, seed, cut=10)


def files_of(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


@pytest.mark.slow
def test_the_folder(options, tmp_path, model):
    """Names, stamps, pixels, neighbours and masks are those of the recording."""
    write_bag(tmp_path / "drive", 60, pictures=pictures(60, 1))
    report = bag_frames(options(tmp_path / "drive", image_format="png"))
    out = tmp_path / "to_label"
    content = read_to_label(out)
    images = {
        stamp.header.stamp.sec * 10**9 + stamp.header.stamp.nanosec: stamp.data.reshape(64, 96, 3)
        for _, stamp in read_bag(tmp_path / "drive")["/camera/image_raw"]
    }
    stamps = sorted(images)
    assert report["frames"] == len(content.frames) == 6 and content.rate_hz == pytest.approx(15, rel=1e-3)
    for frame in content.frames:
        assert frame.name == f"drive_{frame.stamp_ns}" and frame.topic == "/camera/image_raw"
        assert (frame.width, frame.height) == (96, 64)
        place = stamps.index(frame.stamp_ns)
        around = stamps[max(0, place - 2) : place + 3]
        assert [*frame.clip_files()] == [f"{number:03d}.png" for number in range(len(around))]
        for stamp, path in zip(around, frame.clip_files().values()):
            assert (cv2.imread(str(out / path))[..., ::-1] == images[stamp]).all()
        mask = cv2.imread(str(out / frame.prelabel), cv2.IMREAD_UNCHANGED)
        assert (mask == own_mask(load_model(model), images[frame.stamp_ns])).mean() > 0.99
        in_colors = cv2.imread(str(out / "prelabels_color" / f"{frame.name}.png"))[..., ::-1]
        assert (in_colors == np.array([color for _, color in content.classes])[mask]).all()
    assert sorted(frame.why["rank"] for frame in content.frames) == [*range(1, 7)]
    assert {path.name for path in out.iterdir()} == {
        *("images", "neighbours", "prelabels", "prelabels_color", "classes.yaml", "frames.json"),
        *(
            "cvat_images.zip",
            "cvat_prelabels.zip",
            "cvat_labels.json",
            "label_studio.json",
            "label_studio.xml",
        ),
    }
    assert content.about["model"]["weights_sha256"] and content.about["options"]["every_s"] == 0.2
    assert not (tmp_path / "to_label.partial").exists()


@pytest.mark.slow
def test_two_runs_give_the_same(options, tmp_path):
    write_bag(tmp_path / "a", 40, pictures=pictures(40, 1))
    write_bag(tmp_path / "b", 40, pictures=pictures(40, 2))
    for name in ("one", "two"):
        bag_frames(options(tmp_path / "a", tmp_path / "b", out=f"{name}/to_label"))
    one, two = files_of(tmp_path / "one/to_label"), files_of(tmp_path / "two/to_label")
    own = one.pop("frames.json"), two.pop("frames.json")
    assert one == two
    assert own[0].replace(b"/one/", b"/two/") == own[1]


def test_it_becomes_data_to_train_from(options, tmp_path):
    """With a label in, each folder of neighbours is a clip, and pairs have a neighbour of the recording."""
    write_bag(tmp_path / "drive", 60, pictures=pictures(60, 1))
    bag_frames(options(tmp_path / "drive"))
    content, data = read_to_label(tmp_path / "to_label"), tmp_path / "my_data"
    for frame in content.frames:
        for kind in ("images", "labels"):
            (data / kind / frame.name).mkdir(parents=True)
        for name, path in frame.clip_files().items():
            shutil.copy(tmp_path / "to_label" / path, data / "images" / frame.name / name)
        shutil.copy(tmp_path / "to_label" / frame.prelabel, data / "labels" / frame.name / frame.label_name)
    classes = yaml.safe_load((tmp_path / "to_label" / "classes.yaml").read_text())
    (data / "classes.yaml").write_text(yaml.safe_dump({**classes, "video": {"rate_hz": content.rate_hz}}))
    clips = open_clips(str(data))
    assert [clip.labelled for clip in clips.clips] == [(frame.position,) for frame in content.frames]
    pairs, rng = ClipPairs(clips, radius=2), np.random.default_rng(0)
    for _ in range(10):
        pair = pairs.pair(rng)
        assert "(still)" not in pair.origin and pair.neighbour_label is None
        assert (pair.image != pair.neighbour).any()


@pytest.mark.slow
def test_a_standing_robot_is_taken_once(options, tmp_path):
    standing = [pictures(1, 3)[0]] * 60
    write_bag(tmp_path / "standing", 60, pictures=standing)
    write_bag(tmp_path / "moving", 60, pictures=pictures(60, 4))
    report = bag_frames(options(tmp_path / "standing", tmp_path / "moving", frames=8))
    assert [one["chosen"] for one in report["recordings"]] == [1, 7]


def test_fewer_frames_than_wanted_are_said(options, tmp_path):
    write_bag(tmp_path / "standing", 30, pictures=[pictures(1, 3)[0]] * 30)
    report = bag_frames(options(tmp_path / "standing", frames=50))
    assert report["frames"] == 1
    assert report["notes"] == [
        "1 frames instead of 50: of 10 that could be chosen 0 are blurred, and 9 show nearly the same as a "
        "chosen one; a smaller --every offers more"
    ]
    assert "note: 1 frames instead of 50" in summary(report) and "dcfm data import" in summary(report)


def test_blurred_and_black_images_are_not_chosen(options, tmp_path):
    some = pictures(45, 5)
    for number in range(45):
        if number % 3:  # a sharp image in each stretch of 3
            some[number] = cv2.blur(some[number], (25, 1))
    some[30:36] = [np.zeros_like(some[0])] * 6
    write_bag(tmp_path / "drive", 45, pictures=some)
    report = bag_frames(options(tmp_path / "drive", frames=20, every_s=3 * PERIOD_S))
    assert report["recordings"][0]["dark"] == 6
    numbers = {
        round((frame.stamp_ns - START_NS) / 1e9 / PERIOD_S)
        for frame in read_to_label(tmp_path / "to_label").frames
    }
    assert numbers and all(number % 3 == 0 and number not in (30, 33) for number in numbers)


def test_neighbours_end_at_gaps_sizes_and_damaged_images(options, tmp_path):
    """At an image of another size, and at a damaged one."""
    some = pictures(15, 6)
    write_bag(tmp_path / "drive", 15, pictures=some, corrupt=[4], sizes={10: (64, 128)})
    bag_frames(options(tmp_path / "drive", frames=15, every_s=PERIOD_S, neighbours=15))
    lengths = {
        round((frame.stamp_ns - START_NS) / 1e9 / PERIOD_S): (frame.position, 1 + len(frame.neighbours))
        for frame in read_to_label(tmp_path / "to_label").frames
    }
    runs = [range(4), range(5, 10), range(10, 15)]
    assert lengths and all(
        lengths[number] == (number - run.start, len(run))
        for run in runs
        for number in run
        if number in lengths
    )


def test_frames_far_apart_are_no_neighbours(options, tmp_path):
    (tmp_path / "stills").mkdir()
    for number, image in enumerate(pictures(4, 7)[:4]):
        cv2.imwrite(str(tmp_path / "stills" / f"{number}.png"), image)
    report = bag_frames(options(tmp_path / "stills", rate_hz=1.0, every_s=0.5))
    assert report["frames"] >= 2 and report["neighbours"] == 0
    assert not (tmp_path / "to_label" / "neighbours").exists()


@pytest.mark.slow
def test_folders_of_images_and_videos_beside_recordings(options, tmp_path):
    write_bag(tmp_path / "run" / "bag", 20, pictures=pictures(20, 1))
    video = cv2.VideoWriter(str(tmp_path / "run" / "clip.mp4"), cv2.VideoWriter_fourcc(*"mp4v"), 15, (96, 64))
    (tmp_path / "run" / "stills").mkdir()
    for number, image in enumerate(pictures(20, 2)):
        video.write(image)
        cv2.imwrite(str(tmp_path / "run" / "stills" / f"{number}.png"), image[:, ::-1])
    video.release()
    report = bag_frames(options(f"{tmp_path}/run/*", frames=9))
    assert {one["name"]: one["images"] for one in report["recordings"]} == {
        "bag": 20,
        "clip": 20,
        "stills": 20,
    }
    assert all(one["chosen"] for one in report["recordings"])
    assert {frame.topic for frame in read_to_label(tmp_path / "to_label").frames} == {"", "/camera/image_raw"}
    assert any("taken as consecutive frames" in note for note in report["recordings"][2]["notes"])


def test_several_cameras(options, tmp_path):
    write_bag(tmp_path / "drive", 20, topics=("/front/image_raw", "/rear/image_raw"))
    bag_frames(options(tmp_path / "drive", frames=10))
    frames = read_to_label(tmp_path / "to_label").frames
    assert {frame.topic for frame in frames} == {"/front/image_raw", "/rear/image_raw"}
    assert all(frame.name == f"drive_{frame.topic.split('/')[1]}_{frame.stamp_ns}" for frame in frames)


def test_equal_stamps_have_names_of_their_own(options, tmp_path):
    write_bag(tmp_path / "drive", 20, pictures=pictures(20, 1), stamps=dict.fromkeys(range(20), 5))
    bag_frames(options(tmp_path / "drive", frames=4))
    names = [frame.name for frame in read_to_label(tmp_path / "to_label").frames]
    assert len(names) == len(set(names)) == 4 and f"drive_{START_NS + 5}_2" in names


def test_a_recording_that_cannot_be_read_does_not_stop_the_others(options, tmp_path, capsys):
    write_bag(tmp_path / "good", 20, pictures=pictures(20, 1))
    (tmp_path / "bad.mcap").write_bytes(b"\x89MCAP0\r\nnothing")
    write_bag(tmp_path / "sounds", 20, topics=(), extra=("/sound",))
    report = bag_frames(options(tmp_path / "good", tmp_path / "bad.mcap", tmp_path / "sounds"))
    status = {one["name"]: (one["status"], one["reason"]) for one in report["recordings"]}
    assert status["good"] == ("done", "") and status["bad"][0] == status["sounds"][0] == "failed"
    assert "none of its 1 topics carries images" in status["sounds"][1]
    assert "sounds is left out: " in capsys.readouterr().err
    assert "left out: sounds: " in summary(report)


def test_a_folder_of_recordings_of_which_one_cannot_be_used(options, tmp_path):
    write_bag(tmp_path / "all" / "good", 20, pictures=pictures(20, 1))
    write_bag(tmp_path / "all" / "sounds", 20, topics=(), extra=("/sound",))
    report = bag_frames(options(tmp_path / "all", out="all/to_label"))
    assert [one["status"] for one in report["recordings"]] == ["done", "failed"]


def test_recordings_none_of_which_can_be_used(options, tmp_path):
    for name in ("a", "b"):
        write_bag(tmp_path / name, 5, topics=(), extra=("/sound",))
    with pytest.raises(BagError, match=r"none of the 2 recordings can be used: a: .* holds no camera images"):
        bag_frames(options(tmp_path / "a", tmp_path / "b"))
    with pytest.raises(BagError, match=r"a holds no camera images"):
        bag_frames(options(tmp_path / "a"))
    assert not (tmp_path / "to_label").exists() and not (tmp_path / "to_label.partial").exists()


def test_all_images_damaged_or_black(options, tmp_path):
    some = [np.zeros((64, 96, 3), np.uint8)] * 10
    write_bag(tmp_path / "drive", 10, pictures=some, corrupt=range(5))
    with pytest.raises(
        BagError,
        match=r"none of the 10 images looked at can be used: 5 are damaged, 5 black or blank; .*bytes",
    ):
        bag_frames(options(tmp_path / "drive", every_s=PERIOD_S))
    assert not (tmp_path / "to_label").exists()


def test_damaged_images_are_counted(options, tmp_path):
    write_bag(tmp_path / "drive", 30, pictures=pictures(30, 1), corrupt=[3, 4])
    report = bag_frames(options(tmp_path / "drive", every_s=PERIOD_S))
    assert report["recordings"][0]["damaged"] == 2
    assert report["notes"][0].startswith("drive: 2 of 30 images looked at are damaged; the first: ")


def test_a_damaged_image_of_a_folder(options, tmp_path):
    (tmp_path / "images").mkdir()
    for number, image in enumerate(pictures(8, 2)):
        cv2.imwrite(str(tmp_path / "images" / f"{number}.png"), image)
    cut_file(tmp_path / "images" / "3.png")
    report = bag_frames(options(tmp_path / "images", rate_hz=1.0))
    assert report["recordings"][0]["damaged"] == 1 and report["frames"] >= 2


def test_an_output_that_exists(options, tmp_path):
    write_bag(tmp_path / "drive", 10, pictures=pictures(10, 1))
    (tmp_path / "to_label").mkdir()
    (tmp_path / "to_label" / "mine").write_text("x")
    with pytest.raises(
        BagError, match=r"to_label exists already: remove it, or give another folder with --out"
    ):
        bag_frames(options(tmp_path / "drive"))
    (tmp_path / "to_label" / "mine").unlink()
    assert bag_frames(options(tmp_path / "drive"))["frames"] > 0  # an empty folder is taken


def test_an_output_inside_what_is_read(options, tmp_path):
    write_bag(tmp_path / "drive", 10, pictures=pictures(10, 1))
    with pytest.raises(BagError, match=r"lies in .*drive, which is read"):
        bag_frames(options(tmp_path / "drive", out="drive/to_label"))


@pytest.mark.parametrize("name", ["missing", "missing/*.mcap"])
def test_nothing_found(options, tmp_path, name):
    with pytest.raises(BagError, match="nothing found; give a recording"):
        bag_frames(options(tmp_path / name))


def test_scenes_without_an_end(options):
    with pytest.raises(
        SourceError, match="synthetic:7 has no end: give some of the scenes, as in synthetic:1-3"
    ):
        bag_frames(options("synthetic:7"))


@pytest.mark.parametrize(
    "changes, text",
    [
        ({"frames": 0}, "frames 0: use 1 to 10000"),
        ({"neighbours": -1}, "neighbours -1: use 0 to 100"),
        ({"every_s": 0.0}, "every_s 0.0: use 0.02 to 3600 seconds"),
        ({"image_format": "bmp"}, "image_format 'bmp': use one of jpg, png"),
        ({"classes": "a", "class_map": "b"}, "--classes and --class-map both say"),
    ],
)
def test_options_that_cannot_be_used(options, changes, text):
    with pytest.raises(ValueError, match=text):
        options("a", **changes)


@pytest.mark.slow
def test_an_interrupted_run_goes_on(options, tmp_path, monkeypatch, capsys):
    """What was computed before is not computed again, and the result is the same."""
    write_bag(tmp_path / "drive", 60, pictures=pictures(60, 1))
    bag_frames(options(tmp_path / "drive", out="whole/to_label"))
    described, describe = [], Describer.describe

    def counted(self, image):
        described.append(image)
        if len(described) == 12:
            raise KeyboardInterrupt
        return describe(self, image)

    monkeypatch.setattr(Describer, "describe", counted)
    with pytest.raises(KeyboardInterrupt):
        bag_frames(options(tmp_path / "drive", out="cut/to_label"))
    assert "run the same command again to go on" in capsys.readouterr().err
    assert not (tmp_path / "cut/to_label").exists() and (tmp_path / "cut/to_label.partial").is_dir()
    bag_frames(options(tmp_path / "drive", out="cut/to_label"))
    assert len(described) == 12 + 20 - 11  # of 20 stretches of 0.2 s
    whole, cut = files_of(tmp_path / "whole/to_label"), files_of(tmp_path / "cut/to_label")
    assert whole.keys() == cut.keys() and whole["label_studio.json"] == cut["label_studio.json"]
    assert not (tmp_path / "cut/to_label.partial").exists()


def test_another_number_of_frames_after_an_interruption_needs_no_network(options, tmp_path, monkeypatch):
    write_bag(tmp_path / "drive", 30, pictures=pictures(30, 1))

    def full(*arguments):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(frames_module, "write_folder", full)
        with pytest.raises(OSError, match="could not be written"):
            bag_frames(options(tmp_path / "drive"))
    assert not (tmp_path / "to_label").exists()
    monkeypatch.setattr(Describer, "describe", None)
    assert bag_frames(options(tmp_path / "drive", frames=3))["frames"] == 3


def test_what_is_kept_of_other_options_is_not_used(options, tmp_path, monkeypatch):
    write_bag(tmp_path / "drive", 30, pictures=pictures(30, 1))
    with monkeypatch.context() as patch:
        patch.setattr(frames_module, "choose", lambda *arguments: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            bag_frames(options(tmp_path / "drive"))
    (kept,) = (tmp_path / "to_label.partial").iterdir()
    described, describe = [], Describer.describe
    monkeypatch.setattr(
        Describer, "describe", lambda self, image: described.append(1) or describe(self, image)
    )
    cut_file(kept)  # a damaged one, too
    bag_frames(options(tmp_path / "drive", every_s=0.4))
    assert len(described) == 5


def test_the_command(tmp_path, model, capsys):
    write_bag(tmp_path / "drive", 20, pictures=pictures(20, 1))
    words = f"bag frames {tmp_path}/drive -n 3 --out {tmp_path}/out --model {model} --backend torch"
    assert main(f"{words} --every 0.2 --json {tmp_path}/r.json".split()) == 0
    printed = capsys.readouterr().out
    assert "3 frames to label are in" in printed and f"--frames {tmp_path}/out --out my_data" in printed
    assert json.loads((tmp_path / "r.json").read_text())["frames"] == 3
    assert main(words.split()) == 2 and "exists already" in capsys.readouterr().err
    assert main(f"{words} -n 0".split()) == 2 and "--frames 0: use 1 to 10000" in capsys.readouterr().err
