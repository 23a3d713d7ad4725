# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the values and colours of label pictures mean: class ids."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np

from dcfm_ros.labels import IGNORE_LABEL
from dcfm_ros.sources.classes import ClassTable
from dcfm_ros.sources.errors import SourceError

Colour = tuple[int, int, int]  # RGB

IDS, COLOURS = "ids", "colors"  # kinds of label pictures, as `labels` in classes.yaml says
MAX_VALUE = 65535  # of 16-bit label pictures
_IGNORED = IGNORE_LABEL + 1  # code of what is ignored; that of a class is its id + 1, and 0 means nothing
_MANY = 16  # more colours without a class are no longer slips of the class list
_SHOWN = 8


class MeaningError(SourceError):
    """A label picture with a value or colour that means nothing; the message names both and the pixel."""


@dataclass(frozen=True, eq=False)
class LabelValues:
    """What the pixels of label pictures mean: class ids by value, and by colour.

    A pixel of one channel is a value. One of three channels is a colour, and so is a palette's or a grey one
    where `kind` is COLOURS. 255 is ignored where no class has it.

    values, colours: for each class those that mean it
    rest_ignored: what no class has is ignored, and no error
    kind: IDS or COLOURS where all pictures are the same; empty: their channels tell
    file: which says so; empty: the data set is built in, and its pictures are 8-bit ids
    """

    names: tuple[str, ...]
    values: tuple[tuple[int, ...], ...]
    colours: tuple[tuple[Colour, ...], ...] = ()
    ignored: tuple[int, ...] = ()
    ignored_colours: tuple[Colour, ...] = ()
    rest_ignored: bool = False
    kind: str = ""
    file: str = ""

    @classmethod
    def built_in(cls, table: ClassTable, first: int = 0, rest_ignored: bool = False) -> LabelValues:
        """Return those of a data set whose classes have consecutive values, from `first` on."""
        names = tuple(name for name, _ in table)
        return cls(names, counted(len(names), first), rest_ignored=rest_ignored, kind=IDS)

    @property
    def only_ids(self) -> bool:
        """Whether label pictures must have one channel of 8 bits."""
        return not self.file

    def class_ids(self, pixels: np.ndarray, palette: np.ndarray | None, name: object) -> np.ndarray:
        """Return (H, W) uint8 class ids, 255 where there is none.

        pixels: (H, W) uint8 or uint16, or (H, W, 3 or 4) uint8, of which alpha is left out
        palette: (n, 3) uint8, the colours of which the pixels are indices
        name: of the picture, for errors

        Raises MeaningError for a value or colour that means nothing, and SourceError for a picture of the
        wrong kind.
        """
        if pixels.ndim == 3:
            if self.kind == IDS:
                raise SourceError(
                    f"label {name} has {pixels.shape[2]} channels, but {self.file} says `labels: {IDS}`; "
                    f"save class ids as a single-channel PNG, or write `labels: {COLOURS}`"
                )
            return self._of_colours(_packed(pixels), name)
        if self.kind == COLOURS:
            if pixels.dtype != np.uint8:
                raise SourceError(
                    f"label {name} has 16 bits, but {self.file} says `labels: {COLOURS}`; save colors with "
                    f"8 bits a channel, or write `labels: {IDS}`"
                )
            if palette is not None and pixels.max(initial=0) >= len(palette):
                raise SourceError(
                    f"label {name} holds the index {pixels.max()}, but its palette has {len(palette)} "
                    "colors; export it again"
                )
            return self._of_colours(_colours_of_indices(palette)[pixels], name)
        if palette is not None and not self.kind:
            self._refuse_contradiction(pixels, palette, name)
        return self._of_values(pixels, palette, name)

    def shared_colour(self) -> str:
        """Return which colour means two things, in words; empty if none does."""
        for colour, ids in self._ids_by_colour.items():
            if len(ids) > 1:
                return f"the color {list(colour)} is that of {self._name(ids[0])} and of {self._name(ids[1])}"
        return ""

    def _of_values(self, pixels, palette, name):
        # OpenCV's look-up of 8 bits is several times as fast as NumPy's.
        is_short = pixels.dtype == np.uint8
        codes = cv2.LUT(pixels, self._codes[:256]) if is_short else self._codes.take(pixels)
        if not self.rest_ignored and not codes.all():
            raise MeaningError(self._no_value(pixels, codes == 0, palette, name))
        return _ids(codes)

    def _of_colours(self, packed, name):
        codes = self._colour_codes.take(packed)
        if not self.rest_ignored and not codes.all():
            raise MeaningError(self._no_colour(packed, codes == 0, name))
        return _ids(codes)

    @cached_property
    def _codes(self) -> np.ndarray:
        """(65536,) uint16: the code of every value."""
        codes = np.zeros(MAX_VALUE + 1, np.uint16)
        codes[[IGNORE_LABEL, *self.ignored]] = _IGNORED
        for number, values in enumerate(self.values):
            codes[list(values)] = number + 1
        return codes

    @cached_property
    def _colour_codes(self) -> np.ndarray:
        """(2**24,) uint16: the code of every packed colour. Memory that is not written to takes no room."""
        if shared := self.shared_colour():
            raise SourceError(
                f"{self.file}: {shared}, so label pictures in colors cannot tell them apart; give each "
                "class its own color, or save class ids"
            )
        codes = np.zeros(1 << 24, np.uint16)
        for colour, (number, *_) in self._ids_by_colour.items():
            codes[_packed_one(colour)] = _IGNORED if number == IGNORE_LABEL else number + 1
        return codes

    @cached_property
    def _ids_by_colour(self) -> dict[Colour, list[int]]:
        """What each colour means; several ids if the class list does not decide."""
        found: defaultdict[Colour, list[int]] = defaultdict(list)
        for number, colours in (*enumerate(self.colours), (IGNORE_LABEL, self.ignored_colours)):
            for colour in dict.fromkeys(colours):
                found[colour].append(number)
        return dict(found)

    def _refuse_contradiction(self, pixels, palette, name):
        """Raise SourceError if an index means one class and its colour another: which counts, nobody can
        tell."""
        for index, colour in enumerate(map(tuple, palette.tolist())):
            meant = self._ids_by_colour.get(colour)
            if meant is None or colour == (index,) * 3:  # a palette of greys is no palette of classes
                continue
            code = int(self._codes[index])
            if code and code - 1 not in meant and (pixels == index).any():
                raise SourceError(
                    f"label {name} has a palette whose index {index} is {self._name(code - 1)} as a label "
                    f"value, but {self._name(meant[0])} by its color {list(colour)}; say which counts in "
                    f"{self.file}: `labels: {IDS}` or `labels: {COLOURS}`"
                )

    def _no_value(self, pixels, wrong, palette, name) -> str:
        row, column = np.argwhere(wrong)[0]
        what = f"label {name} holds {pixels[row, column]} at row {row}, column {column}"
        if (
            palette is not None
            and not self.kind
            and pixels.max() < len(palette)
            and all(tuple(colour) in self._ids_by_colour for colour in palette[np.unique(pixels)].tolist())
        ):
            return (
                f"{what}, which no class has, but its palette has the colors of the classes; if they count, "
                f"write `labels: {COLOURS}` into {self.file}"
            )
        if self.values == counted(len(self.names)):
            return (
                f"{what}, but there are {len(self.names)} classes; use 0 to {len(self.names) - 1}, or "
                f"{IGNORE_LABEL} for no class"
                + (f", or say in {self.file} what it means" if self.file else "")
            )
        others = [str(value) for value in np.unique(pixels[wrong]) if value != pixels[row, column]]
        return (
            f"{what}{_and(others)}, which no class of {self.file or 'the data set'} has; add it to `values` "
            "of its class, or to `ignore` (`ignore: rest` leaves out all such values)"
        )

    def _no_colour(self, packed, wrong, name) -> str:
        row, column = np.argwhere(wrong)[0]
        colour = _unpacked(packed[row, column])
        others = [
            str(list(_unpacked(other))) for other in np.unique(packed[wrong]) if other != packed[row, column]
        ]
        what = f"label {name} has the color {list(colour)} at row {row}, column {column}"
        known = [(one, ids[0]) for one, ids in self._ids_by_colour.items() if ids[0] != IGNORE_LABEL]
        nearest = ""
        if known:
            near, number = min(known, key=lambda one: sum((a - b) ** 2 for a, b in zip(one[0], colour)))
            nearest = f"; the nearest is {list(near)} of {self.names[number]}"
        if len(others) >= _MANY:
            return (
                f"{what} and {len(others)} others that no class of {self.file} has{nearest}. A picture that "
                "was scaled, smoothed or saved as JPEG has such colors: export it again without"
            )
        return (
            f"{what}{_and(others)}, which no class of {self.file} has{nearest}. Correct `color`, or add it "
            "to `values` of its class or to `ignore` (`ignore: rest` leaves out all such colors)"
        )

    def _name(self, number: int) -> str:
        return "what is ignored" if number == IGNORE_LABEL else self.names[number]


def counted(count: int, first: int = 0) -> tuple[tuple[int, ...], ...]:
    """Return the values of classes that are numbered from `first` on."""
    return tuple((first + number,) for number in range(count))


def ids_by_name(found: Sequence[str], wanted: Sequence[str]) -> np.ndarray | None:
    """Return (256,) uint8: for the id of each class of `found` that of the class of this name in `wanted`.
    None if a class is not there."""
    if not set(found) <= set(wanted):
        return None
    ids = np.full(256, IGNORE_LABEL, np.uint8)
    ids[: len(found)] = [wanted.index(name) for name in found]
    return ids


def _ids(codes: np.ndarray) -> np.ndarray:
    """Return the class ids of codes; that of code 0 is 255, as ignored."""
    return (codes - np.uint16(1)).astype(np.uint8)


def _packed(pixels: np.ndarray) -> np.ndarray:
    """Pack (H, W, 3 or 4) uint8 into (H, W): red in the lowest 8 bits, then green and blue."""
    if pixels.shape[2] == 3:
        pixels = cv2.cvtColor(pixels, cv2.COLOR_RGB2RGBA)
    return np.ascontiguousarray(pixels).view("<u4")[..., 0] & np.uint32(0xFFFFFF)


def _packed_one(colour: Sequence[int]) -> int:
    red, green, blue = colour
    return red | green << 8 | blue << 16


def _unpacked(packed) -> Colour:
    value = int(packed)
    return value & 255, value >> 8 & 255, value >> 16


def _colours_of_indices(palette: np.ndarray | None) -> np.ndarray:
    """Return (256,) uint32: the packed colour of every index, or of every grey if there is no palette."""
    if palette is None:
        palette = np.arange(256, dtype=np.uint8)[:, None].repeat(3, axis=1)
    full = np.zeros((256, 3), np.uint8)
    full[: len(palette)] = palette
    return _packed(full[None])[0]


def _and(others: Sequence[str]) -> str:
    if not others:
        return ""
    rest = f" and {len(others) - _SHOWN} more" if len(others) > _SHOWN else ""
    return f" (also {', '.join(others[:_SHOWN])}{rest})"
