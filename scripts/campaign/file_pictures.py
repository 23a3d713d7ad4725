# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Kinds of files: images, labels, data sets and video files, as `dcfm segment`, `train` and `evaluate` read
them."""

from __future__ import annotations

import io
import struct
from functools import partial
from pathlib import Path
from random import Random

import av
import numpy as np
from PIL import Image

from campaign.file_changes import json_tree, yaml_text, yaml_tree, zip_entries
from campaign.file_kind import Kind
from campaign.mutations import mutated, mutated_head
from campaign.png_changes import png_chunks, png_pixels
from dcfm_ros.distillation.store import SoftLabelStore
from dcfm_ros.model.config import ClassSpec
from dcfm_ros.sources.clips.open import open_clips
from dcfm_ros.sources.clips.soft_labels import packed
from dcfm_ros.sources.open import open_source
from dcfm_ros.sources.to_label import LabelFrame, ToLabel, read_to_label, write_to_label

_SIZE = (8, 12)
_CLASSES = "classes:\n- name: road\n  color: [128, 64, 128]\n- name: car\n  color: [0, 0, 142]\n"


def picture(number: int = 0, size: tuple[int, int] = _SIZE) -> np.ndarray:
    """Return a picture (H, W, 3) uint8."""
    return np.random.default_rng(number).integers(0, 256, (*size, 3), dtype=np.uint8)


def _images(folder: Path, ending: str, mode: str = "RGB", **options: object) -> None:
    for number in range(2):
        Image.fromarray(picture(number)).convert(mode).save(folder / f"{number}{ending}", **options)


def _read_source(folder: Path, out: Path) -> None:
    source = open_source(str(folder), tell=lambda text: None)
    for index in range(min(source.length or 4, 4)):
        source.frame(index)


def _video(folder: Path, name: str, codec: str, count: int = 6) -> None:
    with av.open(str(folder / name), "w") as container:
        stream = container.add_stream(codec, rate=10)
        stream.width, stream.height = 32, 32
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        for number in range(count):
            container.mux(
                stream.encode(av.VideoFrame.from_ndarray(picture(number, (32, 32)), format="rgb24"))
            )
        container.mux(stream.encode(None))


def _read_video(folder: Path, out: Path) -> None:
    (path,) = folder.iterdir()
    source = open_source(str(path), tell=lambda text: None)
    for index in {0, 1, min(source.length or 4, 4) - 1}:
        if source.length is None or index < source.length:
            source.frame(index)


def _data(folder: Path, extra: str = "") -> None:
    (folder / "images").mkdir()
    (folder / "labels").mkdir()
    (folder / "classes.yaml").write_text(_CLASSES + extra)
    for number in range(2):
        Image.fromarray(picture(number)).save(folder / "images" / f"{number}.jpg")
        label = Image.fromarray((picture(number)[..., 0] % 2).astype(np.uint8))
        if extra:
            label.putpalette([128, 64, 128, 0, 0, 142])
        label.save(folder / "labels" / f"{number}.png")


def _read_data(folder: Path, out: Path) -> None:
    clips = open_clips(str(folder), "train")
    for clip in clips.clips:
        for index in range(clip.length):
            clip.image(index)
        for index in clip.labelled:
            clip.label(index)


def _frames(folder: Path) -> None:
    for part in ("images", "prelabels", "neighbours/a"):
        (folder / part).mkdir(parents=True)
    frames = []
    for name in ("a", "b"):
        Image.fromarray(picture()).save(folder / "images" / f"{name}.jpg")
        frames.append(LabelFrame(f"images/{name}.jpg", f"prelabels/{name}.png", "drive", "/camera", 5, 12, 8))
    Image.fromarray(picture(1)).save(folder / "neighbours/a/001.jpg")
    frames[0] = LabelFrame(
        "images/a.jpg",
        "prelabels/a.png",
        "drive",
        "/camera",
        5,
        12,
        8,
        0,
        ("neighbours/a/001.jpg",),
        {"rank": 1},
    )
    table = (("road", (128, 64, 128)), ("car", (0, 0, 142)))
    write_to_label(folder, ToLabel(table, 15.0, tuple(frames), {"options": {"model": "street11"}}))


def _read_frames(folder: Path, out: Path) -> None:
    found = read_to_label(folder)
    for frame in found.frames:
        frame.clip_files()
        str(frame.label_name), found.frame(frame.name)


def _soft(folder: Path) -> None:
    classes = (ClassSpec("road", (128, 64, 128)), ClassSpec("car", (0, 0, 142)))
    store = SoftLabelStore(folder, {"format": 1, "terms": "own"}, classes, resume=False)
    shares = np.random.default_rng(0).random((2, 2, 3)).astype(np.float32)
    for key in ("a", "b"):
        store.add(key, picture(), packed(shares))
    store.finish({"train": [{"name": "one", "rate_hz": 15.0, "frames": ["a", "b"]}]})


def _read_soft(folder: Path, out: Path) -> None:
    for clip in open_clips(str(folder), "train").clips:
        for index in range(clip.length):
            clip.image(index)
            clip.label(index)  # type: ignore[attr-defined]


def _resume_soft(folder: Path, out: Path) -> None:
    classes = (ClassSpec("road", (128, 64, 128)), ClassSpec("car", (0, 0, 142)))
    SoftLabelStore(folder, {"format": 1, "terms": "own"}, classes, resume=True)


def picture_sizes(data: bytes, random: Random) -> bytes:
    """Write huge sizes where a picture has its own."""
    at = [
        number
        for number in range(min(len(data), 300) - 1)
        if data[number : number + 2] in (b"\x0c\0", b"\0\x0c", b"\x08\0", b"\0\x08")
    ]
    changed = bytearray(data)
    for place in random.sample(at, min(len(at), random.choice((1, 2, 4)))):
        changed[place : place + 2] = random.choice(
            (b"\xff\xff", b"\x40\x00", b"\x00\x40", b"\x50\xc3", b"\xc3\x50")
        )
    return bytes(changed)


def animation(data: bytes, random: Random) -> bytes:
    """Return a GIF of several pictures, or a huge one of a few bytes."""
    buffer = io.BytesIO()
    frames = [Image.fromarray(picture(number)).convert("P") for number in range(random.choice((1, 2, 30)))]
    frames[0].save(buffer, "GIF", save_all=True, append_images=frames[1:])
    found = bytearray(buffer.getvalue())
    if random.random() < 0.5:
        struct.pack_into("<HH", found, 6, *(random.choice((1, 12, 16_000, 50_000, 65_535)) for _ in range(2)))
    return bytes(found) if random.random() < 0.5 else mutated(bytes(found), random)


def _source(
    name: str, ending: str, *more: object, mode: str = "RGB", weight: float = 1.0, **options: object
) -> Kind:
    changes = {f"0{ending}": (mutated, mutated_head, picture_sizes, *more)}
    return Kind(name, partial(_images, ending=ending, mode=mode, **options), changes, _read_source, weight)  # type: ignore[arg-type]


def _of_video(name: str, file: str, codec: str) -> Kind:
    return Kind(
        name, partial(_video, name=file, codec=codec), {file: (mutated, mutated, mutated_head)}, _read_video
    )


_CLASS_CHANGES = (mutated, yaml_tree, yaml_tree, yaml_text, yaml_text)
KINDS = (
    _source("PNG", ".png", png_chunks, png_chunks, png_pixels, weight=2),
    _source("JPEG", ".jpg", weight=2),
    _source("progressive JPEG", ".jpg", progressive=True),
    _source("GIF", ".gif", animation),
    _source("BMP", ".bmp"),
    _source("TIFF", ".tif", weight=2),
    _source("TIFF by deflate", ".tif", compression="tiff_adobe_deflate"),
    _source("WebP", ".webp"),
    _source("PPM", ".ppm", weight=0.5),
    _of_video("MP4", "a.mp4", "libx264"),
    _of_video("AVI", "a.avi", "mjpeg"),
    _of_video("Matroska", "a.mkv", "libx264"),
    Kind(
        "label PNG",
        _data,
        {"labels/0.png": (mutated, png_chunks, png_chunks), "images/0.jpg": (mutated,)},
        _read_data,
    ),
    Kind(
        "label PNG with a palette",
        partial(_data, extra="labels: colors\n"),
        {"labels/0.png": (mutated, png_chunks)},
        _read_data,
    ),
    Kind(
        "classes.yaml",
        partial(_data, extra="ignore: [[0, 0, 0]]\nvideo: {rate_hz: 10}\n"),
        {"classes.yaml": _CLASS_CHANGES},
        _read_data,
        weight=2,
    ),
    Kind(
        "frames.json",
        _frames,
        {"frames.json": (mutated, json_tree, json_tree, json_tree)},
        _read_frames,
        weight=2,
    ),
    Kind(
        "soft labels",
        _soft,
        {
            "soft_labels.json": (mutated, json_tree, json_tree),
            "frames/a.npz": (mutated, zip_entries),
            "classes.yaml": (yaml_text,),
        },
        _read_soft,
    ),
    Kind(
        "plan of soft labels", _soft, {"plan.json": (mutated, json_tree, json_tree)}, _resume_soft, weight=0.5
    ),
)
