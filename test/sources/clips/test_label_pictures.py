# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Label pictures of a data folder: class ids by value, by palette and by colour, as classes.yaml says."""

import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from dcfm_ros.sources.clips import open_clips
from dcfm_ros.sources.errors import SourceError
from dcfm_ros.sources.label_values import LabelValues, MeaningError, counted

FLOOR, SHELF, BLACK = (128, 64, 128), (70, 70, 90), (0, 0, 0)
CLASSES = """classes:
- {name: floor, color: [128, 64, 128]}
- {name: shelf, color: [70, 70, 90]}
"""
# ADE20K: 0 is ignored, classes count from 1.
ADE20K = """classes:
- {name: wall, color: [120, 120, 120], values: 1}
- {name: floor, color: [80, 50, 50], values: [4, 29]}
ignore: 0
"""
# Cityscapes' label ids as train ids
CITYSCAPES = """classes:
- {name: road, color: [128, 64, 128], values: 7}
- {name: sidewalk, color: [244, 35, 232], values: 8}
ignore: rest
"""


@pytest.fixture
def label(tree):
    """Reads a label picture of (H, W) or (H, W, 3 or 4) pixels, or a PIL image, by a classes.yaml."""

    def read(text, pixels):
        picture = pixels if isinstance(pixels, Image.Image) else Image.fromarray(np.asarray(pixels))
        tree.text("classes.yaml", text)
        tree.image("images/a.png", size=(picture.height, picture.width))
        tree.text("labels/a.png", "")
        picture.save(tree.root / "labels/a.png")
        return open_clips(tree.root).clips[0].label(0)

    return read


def values(*rows, dtype=np.uint8):
    return np.array(rows, dtype)


def palette_picture(indices, *colours):
    picture = Image.fromarray(np.asarray(indices, np.uint8), "P")
    picture.putpalette([value for colour in colours for value in colour])
    return picture


def same(found, *rows):
    assert found.dtype == np.uint8 and found.tolist() == list(map(list, rows))


def test_three_channels_are_colours(label):
    same(label(CLASSES, values([SHELF, FLOOR], [FLOOR, FLOOR])), [1, 0], [0, 0])


def test_alpha_is_left_out(label):
    pixels = values([(*SHELF, 0), (*FLOOR, 255)])
    same(label(CLASSES, pixels), [1, 0])


@pytest.mark.parametrize("ignore", ["[0, 0, 0]", "[[0, 0, 0], [255, 255, 255]]", "rest"])
def test_colours_may_be_ignored(label, ignore):
    text = f"{CLASSES}labels: colors\nignore: {ignore}\n"
    same(label(text, values([SHELF, BLACK, FLOOR])), [1, 255, 0])


def test_several_colours_may_mean_one_class(label):
    text = CLASSES.replace("[70, 70, 90]}", "[70, 70, 90], values: [[1, 2, 3], [4, 5, 6]]}")
    same(label(text, values([FLOOR, (4, 5, 6), (1, 2, 3)])), [0, 1, 1])
    with pytest.raises(SourceError, match=r"the color \[70, 70, 90\] at row 0, column 0"):
        label(text, values([SHELF]))


def test_a_palette_is_class_ids_unless_the_file_says_colours(label):
    greys = [(10 * number,) * 3 for number in range(3)]
    same(label(CLASSES + "ignore: 2", palette_picture([[1, 0, 2]], *greys)), [1, 0, 255])
    turned = palette_picture([[1, 0]], SHELF, FLOOR)
    same(label(CLASSES + "labels: ids", turned), [1, 0])
    same(label(CLASSES + "labels: colors", turned), [0, 1])
    same(label(CLASSES, palette_picture([[1, 0]], FLOOR, SHELF)), [1, 0])  # both say the same


def test_greys_are_colours_where_the_file_says_so(label):
    text = CLASSES.replace("[70, 70, 90]", "[70, 70, 70]") + "labels: colors"
    same(label(text, values([70, 70])), [1, 1])


def test_ade20k(label):
    same(label(ADE20K, values([0, 1, 4, 29, 255])), [255, 0, 1, 1, 255])


def test_label_ids_of_cityscapes(label):
    same(label(CITYSCAPES, values([0, 7, 8, 33])), [255, 0, 1, 255])


def test_16_bits(label):
    text = CLASSES.replace("90]}", "90], values: 26001}").replace("128]}", "128], values: 7}")
    same(label(text + "ignore: [0, 65535]", values([7, 26001, 0, 65535], dtype=np.uint16)), [0, 1, 255, 255])
    same(label(CLASSES, values([1, 0, 255], dtype=np.uint16)), [1, 0, 255])


def test_255_may_be_a_class(label):
    text = CLASSES.replace("90]}", "90], values: 255}").replace("128]}", "128], values: 0}")
    same(label(text, values([0, 255])), [0, 1])


def test_a_class_may_be_in_no_label(label):
    text = CLASSES.replace("90]}", "90], values: []}").replace("128]}", "128], values: 0}")
    same(label(text, values([0, 255])), [0, 255])
    with pytest.raises(SourceError, match="a.png holds 1 at row 0, column 0, which no class of"):
        label(text, values([1]))


def test_colours_lie_as_the_photograph_is_shown(tree):
    exif = Image.Exif()
    exif[0x0112] = 6  # stored as 1x2, shown as 2x1
    tree.text("classes.yaml", CLASSES)
    tree.text("images/a.jpg", "")
    tree.text("labels/a.png", "")
    Image.fromarray(np.zeros((2, 1, 3), np.uint8)).save(tree.root / "images/a.jpg", exif=exif)
    clip = open_clips(tree.root).clips[0]
    Image.fromarray(values([SHELF, FLOOR])).save(tree.root / "labels/a.png")
    same(clip.label(0), [1, 0])
    Image.fromarray(values([SHELF], [FLOOR])).save(tree.root / "labels/a.png")
    with pytest.raises(SourceError, match="a.png is oriented like .*, which EXIF orientation 6 rotates"):
        clip.label(0)


@pytest.mark.parametrize(
    "text, pixels, message",
    [
        (
            CLASSES,
            values([FLOOR, (127, 64, 128)], [(9, 9, 9), FLOOR]),
            r"labels/a.png has the color \[127, 64, 128\] at row 0, column 1 \(also \[9, 9, 9\]\), which no "
            r"class of .*classes.yaml has; the nearest is \[128, 64, 128\] of floor. Correct `color`, or add "
            r"it to `values` of its class or to `ignore` \(`ignore: rest`",
        ),
        (
            CLASSES,
            values([(128, 64, number) for number in range(100, 140)]),
            r"at row 0, column 0 and 38 others that no class .* has; the nearest is \[128, 64, 128\] of "
            "floor. A picture that was scaled, smoothed or saved as JPEG has such colors: export it again",
        ),
        (
            ADE20K,
            values([1, 4], [2, 3]),
            r"a.png holds 2 at row 1, column 0 \(also 3\), which no class of .*classes.yaml has; add it to "
            r"`values` of its class, or to `ignore` \(`ignore: rest`",
        ),
        (
            CLASSES + "labels: ids",
            values([FLOOR]),
            "a.png has 3 channels, but .*classes.yaml says `labels: ids`; save class ids as a single-channel "
            "PNG, or write `labels: colors`",
        ),
        (
            CLASSES + "labels: colors",
            values([1], dtype=np.uint16),
            "a.png has 16 bits, but .* says `labels: colors`; save colors with 8 bits a channel",
        ),
        (
            CLASSES,
            palette_picture([[1, 0]], SHELF, FLOOR),
            r"a.png has a palette whose index 0 is floor as a label value, but shelf by its color "
            r"\[70, 70, 90\]; say which counts in .*classes.yaml: `labels: ids` or `labels: colors`",
        ),
        (
            CLASSES,
            palette_picture([[5, 4]], BLACK, BLACK, BLACK, BLACK, SHELF, FLOOR),
            "a.png holds 5 at row 0, column 0, which no class has, but its palette has the colors of the "
            "classes; if they count, write `labels: colors` into .*classes.yaml",
        ),
        (
            CLASSES,
            palette_picture([[5, 4]], BLACK, BLACK, BLACK, BLACK, BLACK, FLOOR),
            "a.png holds 5 at row 0, column 0, but there are 2 classes; use 0 to 1, or 255 for no class, or "
            "say in .*classes.yaml what it means",
        ),
        (
            CLASSES.replace("[70, 70, 90]", "[128, 64, 128]"),
            values([FLOOR]),
            r"classes.yaml: the color \[128, 64, 128\] is that of floor and of shelf, so label pictures in "
            "colors cannot tell them apart; give each class its own color, or save class ids",
        ),
        (CLASSES, Image.new("LA", (2, 1)), r"a.png has 2 channel\(s\) of uint8; save class ids as a single-"),
        (
            CLASSES,
            Image.new("1", (2, 1)),
            r"a.png has 1 channel\(s\) of 1 bit\(s\); save class ids as a single-",
        ),
    ],
)
def test_what_means_nothing_is_refused(label, text, pixels, message):
    with pytest.raises(SourceError, match=message):
        label(text, pixels)


def png(width, bits, colour_type, row):
    """A PNG of one row, of a kind that Pillow does not write."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, 1, bits, colour_type, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        (chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(b"\0" + row)), chunk(b"IEND", b""))
    )


@pytest.mark.parametrize(
    "data, kind",
    [
        (png(2, 4, 0, b"\x01"), r"1 channel\(s\) of 4 bit\(s\)"),
        (png(1, 16, 2, bytes(6)), r"3 channel\(s\) of 16 bit\(s\)"),
    ],
)
def test_pictures_whose_values_would_be_scaled_are_refused(tree, data, kind):
    tree.text("classes.yaml", CLASSES)
    tree.image("images/a.png", size=(1, data[19]))
    tree.text("labels/a.png", "")
    (tree.root / "labels/a.png").write_bytes(data)
    with pytest.raises(SourceError, match=f"a.png has {kind}; save class ids as a single-channel 8-bit PNG"):
        open_clips(tree.root).clips[0].label(0)


TWO = "classes: [{name: a, color: [1, 1, 1], values: %s}, {name: b, color: [2, 2, 2]%s}]\n"


@pytest.mark.parametrize(
    "text, message",
    [
        (CLASSES + "labels: colours", "labels is colours; give ids or colors, or leave it out"),
        (
            CLASSES + "ignore: 0",
            "ignore is 0; give a label value that no class has, 2 to 255 .to 65535 in 16-bit",
        ),
        (CLASSES + "ignore: 70000", "ignore is 70000; give label values of 0 to 65535, or colors such as"),
        (CLASSES + "ignore: [254, true]", "ignore is True; give label values"),
        (CLASSES + "ignore: [[1, 2]]", r"ignore is \[1, 2\]; give label values .*, or rest"),
        (CLASSES + "ignore: [0, 0, 0]", "ignore is 0; .*; a color has brackets of its own"),
        (
            TWO % (1, ", values: 2") + "ignore: [0, 0, 0]",
            r"the value 0 is that of ignore and of ignore; a value has one meaning; a color has brackets "
            r"of its own, \[\[0, 0, 0\]\]",
        ),
        (TWO % ("[3, 4]", ", values: 4"), "the value 4 is that of a and of b; a value has one meaning"),
        (TWO % (3, ", values: 4") + "ignore: 4", "the value 4 is that of b and of ignore"),
        (TWO % (3, ""), "b has no values, but other classes have; give values to all classes"),
        (TWO % ("x", ""), "values of a is x; give label values of 0 to 65535, or colors such as"),
        (
            TWO % (3, ", values: 4") + "labels: colors",
            "values of a is 3, but the file says `labels: colors`; give colors",
        ),
        (
            CLASSES + "labels: ids\nignore: [[0, 0, 0]]",
            r"ignore is \[0, 0, 0\], but the file says `labels: ids`; give label values",
        ),
        (
            TWO % ("[[2, 2, 2]]", ""),
            r"the color \[2, 2, 2\] is that of a and of b; in label pictures a color has one meaning",
        ),
        (
            CLASSES + "ignore: [[70, 70, 90]]",
            r"the color \[70, 70, 90\] is that of shelf and of what is ignored",
        ),
    ],
)
def test_bad_meanings_are_refused(tree, text, message):
    tree.text("classes.yaml", text)
    tree.image("images/a.png")
    tree.label("labels/a.png")
    with pytest.raises(SourceError, match=message):
        open_clips(tree.root)


def test_an_index_beyond_the_palette():
    """As of a PNG that has lost its palette."""
    read = LabelValues(("floor", "shelf"), counted(2), ((FLOOR,), (SHELF,)))
    with pytest.raises(MeaningError, match="a.png holds 5 at row 0, column 0, but there are 2 classes"):
        read.class_ids(values([5, 4]), np.zeros((0, 3), np.uint8), "a.png")
