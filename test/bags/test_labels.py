# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Labels by stamp: of topics and of folders; what cannot be used says why."""

import cv2
import numpy as np
import pytest
from bags_helpers import CAMERA, PERIOD_NS, START_NS, drive, image_of, labels_of, write_bag
from rosbags.rosbag2 import StoragePlugin, Writer

from dcfm_ros.bags.errors import BagError
from dcfm_ros.bags.labels import open_labels
from dcfm_ros.bags.make import image_message
from dcfm_ros.bags.reading import open_bag
from dcfm_ros.bags.topics import choose_cameras
from dcfm_ros.bags.types import COMPRESSED_IMAGE, IMAGE, typestore
from dcfm_ros.pipeline.frames import InputError
from dcfm_ros.sources.errors import SourceError

SIZE = (64, 96)


MODEL = ("sky", "road", "car")
CLASSES = """classes:
- {name: road, color: [128, 64, 128], values: 7}
- {name: sky, color: [70, 130, 180], values: 8}
"""


def opened(path, *labels):
    bag = open_bag(path)
    return open_labels(bag, choose_cameras(bag, labels=labels), labels, MODEL)


def label_bag(folder, messages, kind=IMAGE):
    """A camera image, and label messages 0, 1, ... of these."""
    store = typestore()
    with Writer(folder, version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        camera = writer.add_connection(CAMERA, IMAGE, typestore=store)
        writer.write(camera, 0, store.serialize_cdr(image_of(0, "eye", drive(1)[0], "rgb8"), IMAGE))
        labels = writer.add_connection("/labels", kind, typestore=store)
        for number, message in enumerate(messages):
            writer.write(labels, number, store.serialize_cdr(message, kind))
    return folder


def test_a_topic_by_stamp(tmp_path):
    labels = opened(write_bag(tmp_path / "bag", 6, labels="/labels", labelled=(0, 2, 5)), "/labels")[""]
    expected = labels_of(drive(6))
    assert labels.unused == 3
    for number in (2, 0, 1, 5, 5):
        found = labels.take(START_NS + number * PERIOD_NS, SIZE)
        if number == 1:
            assert found is None
        elif found is not None:
            np.testing.assert_array_equal(found, expected[number])
    assert labels.unused == 0 and labels.take(START_NS, SIZE) is None  # each once


@pytest.mark.parametrize(
    "ending, cut, text",
    [
        (
            ".jpg",
            None,
            "a label on /labels of format 'mono8; .jpg compressed ' is not a PNG: publish class ids as PNG, "
            "as other formats alter them, or as mono8 or 8UC1",
        ),
        (".png", 60, "label on /labels cannot be read as a PNG; it is damaged or not what its name says"),
    ],
)
def test_compressed_labels_that_cannot_be_used(tmp_path, ending, cut, text):
    mask = np.random.default_rng(0).integers(0, 4, SIZE).astype(np.uint8)
    header = image_message(7, "eye", mask, "mono8").header
    message = typestore().types[COMPRESSED_IMAGE](
        header=header,
        format=f"mono8; {ending} compressed ",
        data=cv2.imencode(ending, mask)[1].reshape(-1)[:cut],
    )
    labels = opened(label_bag(tmp_path / "bag", [message], COMPRESSED_IMAGE), "/labels")[""]
    with pytest.raises(InputError) as caught:
        labels.take(7, SIZE)
    assert str(caught.value) == text


def test_equal_stamps_take_turns(tmp_path):
    masks = [np.full(SIZE, value, np.uint8) for value in (3, 1)]
    labels = opened(
        label_bag(tmp_path / "bag", [image_message(7, "eye", mask, "mono8") for mask in masks]), "/labels"
    )[""]
    assert [labels.take(7, SIZE)[0, 0], labels.take(7, SIZE)[0, 0], labels.take(7, SIZE)] == [3, 1, None]


def test_padded_rows_and_png(tmp_path):
    mask = np.random.default_rng(0).integers(0, 4, SIZE).astype(np.uint8)
    padded = image_message(7, "eye", np.pad(mask, ((0, 0), (0, 5)), constant_values=9), "mono8")
    padded.width = SIZE[1]
    labels = opened(label_bag(tmp_path / "raw", [padded]), "/labels")[""]
    np.testing.assert_array_equal(labels.take(7, SIZE), mask)
    png = typestore().types[COMPRESSED_IMAGE](
        header=padded.header, format="mono8; png compressed ", data=cv2.imencode(".png", mask)[1].reshape(-1)
    )
    labels = opened(label_bag(tmp_path / "png", [png], COMPRESSED_IMAGE), "/labels")[""]
    np.testing.assert_array_equal(labels.take(7, SIZE), mask)


def spoilt(kind):
    message = image_message(7, "eye", np.zeros(SIZE, np.uint8), "mono8")
    if kind == "colour":
        message = image_message(7, "eye", np.zeros((*SIZE, 3), np.uint8), "rgb8")
    elif kind == "short":
        message.data = message.data[:100]
    elif kind == "size":
        message = image_message(7, "eye", np.zeros((10, 20), np.uint8), "mono8")
    return message


@pytest.mark.parametrize(
    "kind, text",
    [
        (
            "colour",
            "a label on /labels has encoding 'rgb8': publish class ids as mono8 or 8UC1, or put a "
            "classes.yaml into the recording's folder that says what their values and colors mean",
        ),
        ("short", "a label on /labels of 96x64 pixels has 100 bytes and step 96: it is truncated"),
        ("size", "a label on /labels is 20x10 but its image 96x64: make both the same size"),
    ],
)
def test_a_label_message_that_cannot_be_used(tmp_path, kind, text):
    labels = opened(label_bag(tmp_path / "bag", [spoilt(kind)]), "/labels")[""]
    with pytest.raises(InputError, match=text) as caught:
        labels.take(7, SIZE)
    assert caught.value.kind == "label"


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "labels"
    folder.mkdir()
    return folder


def test_a_folder_by_stamp(tmp_path, folder):
    for number, name in enumerate(
        [f"{START_NS}", f"{START_NS // 10**9}_{PERIOD_NS:09d}", f"{START_NS // 10**9}.{2 * PERIOD_NS:09d}"]
    ):
        cv2.imwrite(str(folder / f"{name}.png"), np.full(SIZE, number, np.uint8))
    labels = opened(write_bag(tmp_path / "bag", 3), str(folder))[""]
    assert labels.unused == 3
    assert [labels.take(START_NS + number * PERIOD_NS, SIZE)[0, 0] for number in range(3)] == [0, 1, 2]
    assert labels.take(START_NS, SIZE) is None and labels.unused == 0


def test_a_folder_for_each_of_several_cameras(tmp_path, folder):
    for name, value in (("front", 1), ("rear", 2)):
        (folder / name).mkdir()
        cv2.imwrite(str(folder / name / "5.png"), np.full(SIZE, value, np.uint8))
    labels = opened(write_bag(tmp_path / "bag", 1, topics=("/front/image", "/rear/image")), str(folder))
    assert {name: one.take(5, SIZE)[0, 0] for name, one in labels.items()} == {"front": 1, "rear": 2}


def test_a_label_file_that_cannot_be_used(tmp_path, folder):
    (folder / "5.png").write_bytes(b"no picture")
    cv2.imwrite(str(folder / "6.png"), np.zeros((*SIZE, 3), np.uint8))
    labels = opened(write_bag(tmp_path / "bag", 1), str(folder))[""]
    with pytest.raises(InputError, match="5.png cannot be read as a PNG"):
        labels.take(5, SIZE)
    with pytest.raises(InputError, match=r"6.png has 3 channel\(s\)"):
        labels.take(6, SIZE)


@pytest.mark.parametrize(
    "labels, text",
    [
        (("nowhere",), "labels nowhere: there is no such folder, and .*bag has no such topic"),
        (("/nowhere",), "bag has no topic /nowhere: its image topics are"),
        (
            ("/labels", "/labels"),
            r"2 label topics for 1 cameras \(/camera/image_raw\): give one for each, in their order, or one "
            r"folder",
        ),
        (("/notes",), "topic /notes of .* is of type std_msgs/msg/String, not an image"),
    ],
)
def test_labels_that_are_not_there(tmp_path, labels, text):
    path = write_bag(tmp_path / "bag", 1, labels="/labels", extra=("/notes",))
    with pytest.raises(BagError, match=text):
        bag = open_bag(path)
        open_labels(bag, choose_cameras(bag, [CAMERA]), labels)


def test_a_folder_whose_names_are_no_stamps(tmp_path, folder):
    path = write_bag(tmp_path / "bag", 1)
    with pytest.raises(BagError, match="the folder of labels .* contains no PNG files"):
        opened(path, str(folder))
    cv2.imwrite(str(folder / "frame_1.png"), np.zeros(SIZE, np.uint8))
    with pytest.raises(
        BagError, match="frame_1.png is not named by a stamp: name it <nanoseconds>.png or <seconds>_"
    ):
        opened(path, str(folder))


ROAD_AND_SKY = np.full((*SIZE, 3), (128, 64, 128), np.uint8)
ROAD_AND_SKY[:30] = (70, 130, 180)


@pytest.mark.parametrize("place", ["labels", ".", "labels/front"])
def test_a_folder_with_its_own_classes(tmp_path, folder, place):
    """Colours and values are matched to the model's classes by name."""
    cameras = ("/front/image", "/rear/image") if place == "labels/front" else (CAMERA,)
    pictures = folder / "front" if len(cameras) == 2 else folder
    for name in ("front", "rear") if len(cameras) == 2 else ():
        (folder / name).mkdir()
        cv2.imwrite(str(folder / name / "6.png"), np.full(SIZE, 1, np.uint8))
    (tmp_path / place / "classes.yaml").write_text(CLASSES)
    cv2.imwrite(str(pictures / "5.png"), ROAD_AND_SKY[..., ::-1])
    cv2.imwrite(str(pictures / "7.png"), np.full(SIZE, 7, np.uint8))
    labels = opened(write_bag(tmp_path / "bag", 1, topics=cameras), str(folder))
    front = labels["front" if len(cameras) == 2 else ""]
    found = front.take(5, SIZE)
    assert (found[:30] == 0).all() and (found[30:] == 1).all()
    assert (front.take(7, SIZE) == 1).all()
    if len(cameras) == 2:
        assert (labels["rear"].take(6, SIZE) == 1).all()  # its folder has none: the model's ids


@pytest.mark.parametrize("encoding", ["rgb8", "bgr8", "rgba8", "bgra8", "mono8", "16UC1", "mono16", "png"])
def test_a_topic_with_classes_in_the_folder_of_the_recording(tmp_path, encoding):
    ids = np.where(ROAD_AND_SKY[..., 0] == 128, 7, 8)
    pixels = {
        "bgr8": ROAD_AND_SKY[..., ::-1],
        "rgba8": cv2.cvtColor(ROAD_AND_SKY, cv2.COLOR_RGB2RGBA),
        "bgra8": cv2.cvtColor(ROAD_AND_SKY, cv2.COLOR_RGB2BGRA),
        "mono8": ids.astype(np.uint8),
        "16UC1": ids.astype("<u2").view(np.uint8).reshape(*SIZE, 2),
        "mono16": ids.astype(">u2").view(np.uint8).reshape(*SIZE, 2),
    }.get(encoding, ROAD_AND_SKY)
    if encoding == "png":
        path = label_bag(tmp_path / "bag", [image_of(7, "eye", pixels, "png")], COMPRESSED_IMAGE)
    else:
        message = image_message(7, "eye", pixels, encoding)
        message.is_bigendian = int(encoding == "mono16")
        path = label_bag(tmp_path / "bag", [message])
    (path / "classes.yaml").write_text(CLASSES)
    found = opened(path, "/labels")[""].take(7, SIZE)
    assert (found[:30] == 0).all() and (found[30:] == 1).all() and found.dtype == np.uint8


def test_labels_that_their_classes_do_not_explain(tmp_path, folder):
    """They are no accident of one file, so that none is left out: an error."""
    (folder / "classes.yaml").write_text(CLASSES)
    cv2.imwrite(str(folder / "5.png"), np.full(SIZE, 9, np.uint8))
    path = label_bag(tmp_path / "bag", [image_message(7, "eye", ROAD_AND_SKY[..., ::-1].copy(), "rgb8")])
    with pytest.raises(
        SourceError, match="5.png holds 9 at row 0, column 0, which no class of .*classes.yaml"
    ):
        opened(path, str(folder))[""].take(5, SIZE)
    (path / "classes.yaml").write_text(CLASSES)
    with pytest.raises(
        SourceError, match=r"label on /labels has the color \[180, 130, 70\] at row 0, column 0"
    ):
        opened(path, "/labels")
    (path / "classes.yaml").write_text(CLASSES.replace("sky", "heaven"))
    with pytest.raises(
        BagError,
        match="classes.yaml has the class heaven, which the model does not have; name its classes as in "
        r"the model \(sky, road, car\), or take out those",
    ):
        opened(path, "/labels")


def test_encodings_that_even_classes_do_not_explain(tmp_path):
    message = image_message(7, "eye", np.zeros((*SIZE, 4), np.uint8), "32FC1")
    path = label_bag(tmp_path / "bag", [message])
    (path / "classes.yaml").write_text(CLASSES)
    with pytest.raises(InputError, match="encoding '32FC1': publish them as one of mono8, 8UC1, mono16"):
        opened(path, "/labels")[""].take(7, SIZE)
