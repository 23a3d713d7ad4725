# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Changes that damage bytes, and trees of plain values (JSON, YAML); they depend on a `random.Random`
alone."""

from __future__ import annotations

import copy
import math
import struct
from collections.abc import Callable
from random import Random
from typing import Any

_EDGES = (0, 1, 0x7F, 0x80, 0xFF)
_LENGTHS = (0, 1, 0x7FFF, 0xFFFF, 0x10000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 2**40, 2**63 - 1, 2**64 - 1)
_WORDS = ("<H", ">H", "<I", ">I", "<Q", ">Q")
_LONGEST = 4096  # bytes that are inserted, removed or repeated at once


def mutated(data: bytes, random: Random) -> bytes:
    """Return the bytes with one to four changes: flipped, cut, inserted, removed, repeated, or lengths and
    other numbers overwritten by huge ones."""
    for _ in range(random.choice((1, 1, 1, 2, 3, 4))):
        data = random.choice(_CHANGES)(data, random)
    return data


def mutated_head(data: bytes, random: Random) -> bytes:
    """The same in the first 256 bytes, where headers are."""
    head = min(len(data), 256)
    return mutated(data[:head], random) + data[head:]


def mutated_tree(tree: Any, random: Random) -> Any:
    """Return a copy of plain values (dicts, lists, text, numbers) with one to three changes of structure:
    values replaced by odd ones, entries removed, repeated, renamed or exchanged."""
    tree = copy.deepcopy(tree)
    for _ in range(random.choice((1, 1, 2, 3))):
        places = list(_places(tree))
        if not places:
            return odd_value(random)
        holder, key = random.choice(places)
        change = random.randrange(6)
        if change <= 2:
            holder[key] = odd_value(random)
        elif change == 3:
            del holder[key]
        elif change == 4 and isinstance(holder, list):
            holder.insert(key, copy.deepcopy(random.choice(holder)))
        elif change == 4:
            holder[random.choice((f"{key}x", "", " ", "__class__", 7, None))] = holder.pop(key)
        else:
            other, other_key = random.choice(places)
            try:
                holder[key] = copy.deepcopy(other[other_key])
            except (KeyError, IndexError):  # it lay in what was replaced
                holder[key] = None
    return tree


def odd_value(random: Random) -> Any:
    """Return a value that a reader may not expect."""
    return random.choice(_ODD)(random)


def _places(tree: Any) -> Any:
    """Yield each place in a tree: what holds it, and its key or index."""
    for key in list(tree) if isinstance(tree, dict) else range(len(tree)) if isinstance(tree, list) else ():
        yield tree, key
        yield from _places(tree[key])


def _nested(random: Random) -> Any:
    value: Any = 1
    for _ in range(random.choice((3, 30, 300))):
        value = [value] if random.random() < 0.5 else {"a": value}
    return value


_ODD: tuple[Callable[[Random], Any], ...] = (
    lambda random: None,
    lambda random: random.choice((True, False)),
    lambda random: random.choice((0, 1, -1, 2, 255, 256, 65536, -(2**31), 2**31, 2**63, 2**64, 10**400)),
    lambda random: random.choice((0.0, -0.5, 0.5, 1e-320, 1e308, -1e308)),
    lambda random: random.choice((math.nan, math.inf, -math.inf)),
    lambda random: random.choice(
        ("", " ", "\0", "a\nb", "\ud800", "é" * 300, "x" * 5000, "nan", "1e9", "-1")
    ),
    lambda random: random.choice(
        ("../../escaped", "/etc/passwd", "~", ".", "..", "a/b", "%s%n", "{0}", "$HOME")
    ),
    lambda random: random.choice(([], {}, [[]], [{}], {"": ""}, [None], [1, 2, 3], [0, 0], ["a"], [-1, 1e9])),
    lambda random: [random.choice((0, 1.5, "a", None))] * random.choice((1, 5, 300, 5000)),
    _nested,
)


def _span(data: bytes, random: Random) -> tuple[int, int]:
    """Return where a span of these bytes begins and ends; most are short."""
    begin = random.randrange(len(data) + 1)
    longest = min(_LONGEST, len(data) - begin)
    return begin, begin + min(longest, random.choice((1, 2, 4, 8, 16, 64, 256, random.randint(0, _LONGEST))))


def _flip(data: bytes, random: Random) -> bytes:
    if not data:
        return data
    changed = bytearray(data)
    for _ in range(random.choice((1, 1, 2, 8))):
        changed[random.randrange(len(changed))] ^= 1 << random.randrange(8)
    return bytes(changed)


def _edge(data: bytes, random: Random) -> bytes:
    if not data:
        return data
    changed = bytearray(data)
    changed[random.randrange(len(changed))] = random.choice(_EDGES)
    return bytes(changed)


def _number(data: bytes, random: Random) -> bytes:
    """Overwrite what may be a length, an offset or a count."""
    word = random.choice(_WORDS)
    size = struct.calcsize(word)
    if len(data) < size:
        return data
    at = random.randrange(len(data) - size + 1)
    if random.random() < 0.3:
        at = at // size * size
    near = struct.unpack_from(word, data, at)[0] + random.choice((-1, 1, -16, 16))
    value = random.choice((*_LENGTHS, near)) % (1 << 8 * size)
    return data[:at] + struct.pack(word, value) + data[at + size :]


def _cut(data: bytes, random: Random) -> bytes:
    return data[: random.randrange(len(data) + 1)]


def _remove(data: bytes, random: Random) -> bytes:
    begin, end = _span(data, random)
    return data[:begin] + data[end:]


def _insert(data: bytes, random: Random) -> bytes:
    at, length = random.randrange(len(data) + 1), random.choice((1, 2, 4, 16, 256))
    kind = random.randrange(3)
    new = random.randbytes(length) if kind == 0 else bytes([random.choice(_EDGES)]) * length
    return data[:at] + new + data[at:]


def _repeat(data: bytes, random: Random) -> bytes:
    begin, end = _span(data, random)
    return data[:end] + data[begin:end] * random.choice((1, 1, 2, 30)) + data[end:]


def _blank(data: bytes, random: Random) -> bytes:
    begin, end = _span(data, random)
    return data[:begin] + bytes([random.choice(_EDGES)]) * (end - begin) + data[end:]


def _move(data: bytes, random: Random) -> bytes:
    begin, end = _span(data, random)
    rest, part = data[:begin] + data[end:], data[begin:end]
    at = random.randrange(len(rest) + 1)
    return rest[:at] + part + rest[at:]


_CHANGES = (_flip, _flip, _edge, _number, _number, _number, _cut, _remove, _insert, _repeat, _blank, _move)
