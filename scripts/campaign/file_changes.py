# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Changes of files by their structure, where damaged bytes alone do not reach deep: YAML, JSON, XML, zip,
safetensors, pickles. Each is a function of the file's bytes and a `random.Random`.

What would run a program if a reader let it makes the file RAN in the working folder.
"""

from __future__ import annotations

import copy
import io
import json
import math
import os
import pickle
import struct
import warnings
import zipfile
from collections.abc import Callable
from random import Random
from xml.etree import ElementTree

import yaml

from campaign.mutations import mutated, mutated_tree, odd_value

Change = Callable[[bytes, Random], bytes]

RAN = "ran"  # is made in the working folder by code that came with a file

_TEN = ", ".join(["x"] * 10)
_BOMB = [("a", f"&a [{_TEN}]")] + [
    (name, f"&{name} [{', '.join([f'*{before}'] * 10)}]") for before, name in zip("abcdefgh", "bcdefghi")
]
_YAML_LINES = (
    "a: &a [*a]",
    "? [1, 2]\n: 3",
    "<<: 1",
    "!!python/object/apply:os.system ['touch ran']",
    "x: !!python/object/apply:os.system ['touch ran']",
    "x: !!python/name:os.system",
    "x: !!timestamp 2024-13-45",
    "x: !!bool maybe",
    "x: !!int ''",
    "x: !!binary é",
    "--- 1\n--- 2",
    "\t- a",
    '"\\ud800"',
)
_YAML_VALUES = (
    "2024-13-45",
    "2024-01-01",
    "1:60:60",
    "0x" + "f" * 5000,
    "9" * 5000,
    "1e400",
    ".nan",
    ".inf",
    "-.inf",
    "0o777",
    "on",
    "~",
    '"\\ud800"',
    '"\\0"',
    "&a [*a]",
    "*a",
    "!!set {a, b}",
    "!!omap [a: 1]",
    "!!python/object/apply:os.system ['touch ran']",
    "!!timestamp x",
    "{}",
    "[]",
    "'",
    "|",
)
_DEEP = ("[", "{a: ", "- ", "? ")
_XML_BOMB = (
    '<!DOCTYPE bomb [<!ENTITY a "aaaaaaaaaa">'
    + "".join(f'<!ENTITY {name} "{f"&{before};" * 10}">' for before, name in zip("abcdefgh", "bcdefghi"))
    + "]>"
)
_XML_FILE = '<!DOCTYPE x [<!ENTITY i SYSTEM "file:///etc/passwd">]>'


class Calls:
    """Pickled as a call that makes the file RAN."""

    def __init__(self, kind: int):
        self._kind = kind

    def __reduce__(self) -> tuple:
        if self._kind == 0:
            return os.system, (f"touch {RAN}",)
        return (eval if self._kind == 1 else exec), (f"open({RAN!r}, 'w').close()",)


def yaml_tree(data: bytes, random: Random) -> bytes:
    """Change values and keys of a YAML file."""
    tree = mutated_tree(yaml.safe_load(data), random)
    try:
        return yaml.safe_dump(tree, sort_keys=False).encode("utf-8", "surrogatepass")
    except (yaml.YAMLError, RecursionError, UnicodeError, ValueError):
        return mutated(data, random)


def yaml_text(data: bytes, random: Random) -> bytes:
    """Change the text of a YAML file: odd values and tags, bombs of aliases, deep nesting."""
    lines = data.decode().splitlines()
    at = random.randrange(len(lines))
    change = random.randrange(6)
    if change == 0:
        bomb = [f"{name}: {value}" for name, value in _BOMB], "*i"
        if random.random() < 0.7:
            bomb = [], f"{{{', '.join(f'{name}: {value}' for name, value in _BOMB)}}}"
        return "\n".join([*bomb[0], *lines[:at], _valued(lines[at], bomb[1]), *lines[at + 1 :]]).encode()
    if change == 1:
        deep = random.choice(_DEEP) * random.choice((50, 2000, 100_000))
        return "\n".join([*lines[:at], _valued(lines[at], deep), *lines[at + 1 :]]).encode()
    if change == 2:
        line = random.choice(_YAML_LINES)
        return "\n".join([*lines[:at], line, *lines[at:]]).encode("utf-8", "surrogatepass")
    if change == 3:
        return "\n".join([*lines[:at], *lines[at + 1 :]]).encode()
    return "\n".join(
        [*lines[:at], _valued(lines[at], random.choice(_YAML_VALUES)), *lines[at + 1 :]]
    ).encode()


def _valued(line: str, value: str) -> str:
    key, colon, _ = line.partition(":")
    if colon:
        return f"{key}: {value}"
    indent = line[: len(line) - len(line.lstrip(" -"))]
    return f"{indent}{value}"


def json_tree(data: bytes, random: Random) -> bytes:
    """Change values and keys of a JSON file."""
    text = json.dumps(mutated_tree(json.loads(data), random))
    if random.random() < 0.1:
        text = text.replace("1", random.choice(("1e999", "9" * 5000, "-0", "[" * 100_000, '"\\ud800"')), 1)
    return text.encode()


def xml_text(data: bytes, random: Random) -> bytes:
    """Change an XML file: bombs of entities, files of others, deep nesting, odd attributes."""
    text = data.decode()
    head, body = (text[: text.find("?>") + 2], text[text.find("?>") + 2 :]) if "?>" in text else ("", text)
    change = random.randrange(10)
    if change == 0:
        entity, name = random.choice(((_XML_BOMB, "i"), (_XML_FILE, "i")))
        at = body.find(">", random.randrange(len(body))) + 1
        return (head + entity + body[:at] + f"&{name};" + body[at:]).encode()
    if change == 1:
        return (head + "<a>" * random.choice((100, 100_000)) + body).encode()
    root = ElementTree.fromstring(data)
    for _ in range(random.choice((1, 1, 3))):
        element = random.choice(list(root.iter()))
        value = _xml_value(random)
        change = random.randrange(5)
        if change <= 1 and element.attrib:
            element.set(random.choice(list(element.attrib)), value)
        elif change == 2 and element.attrib:
            del element.attrib[random.choice(list(element.attrib))]
        elif change == 3 and len(element):
            element.remove(random.choice(list(element)))
        elif change == 4 and len(element):
            element.append(copy.deepcopy(random.choice(list(root.iter()))))
        else:
            element.text = value
    return ElementTree.tostring(root)


def _xml_value(random: Random) -> str:
    """Return a value as text that XML can hold."""
    text = (
        str(odd_value(random))[:5000]
        if random.random() < 0.5
        else random.choice(("1e9", "nan", "1;2", "0,0"))
    )
    return "".join(sign for sign in text if sign.isprintable() and not "\ud800" <= sign <= "\udfff")


def zip_entries(data: bytes, random: Random) -> bytes:
    """Change a zip: entries outside, links, names twice, bombs, sizes that are not so, damaged entries."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        entries = [(info.filename, archive.read(info)) for info in archive.infolist()]
    at = random.randrange(len(entries))
    name, content = entries[at]
    change = random.randrange(7)
    link = False
    if change == 0:
        name = random.choice(
            (f"../{name}", f"../../../{name}", f"/tmp/{name}", f"a/../../{name}", f"C:\\{name}", "")
        )
    elif change == 1:
        name, content, link = "link", random.choice((b"/etc/passwd", b"../..", b"link")), True
    elif change == 2:
        name = entries[random.randrange(len(entries))][0]
        entries.append((name, content))
    elif change == 3:
        content = bytes(random.choice((10**6, 3 * 10**7)))
    elif change == 4:
        name = random.choice((name + "/x", name.partition("/")[0], "x" * 300, "é\0.png", "a" + "/a" * 300))
    else:
        content = mutated(content, random)
    entries[at] = (name, content)
    buffer = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        warnings.simplefilter("ignore")
        for entry_name, entry_content in entries:
            info = zipfile.ZipInfo(entry_name)
            info.compress_type = zipfile.ZIP_DEFLATED
            if link and entry_name == "link":
                info.external_attr = 0o120777 << 16
            archive.writestr(info, entry_content)
    found = buffer.getvalue()
    return mutated(found, random) if change == 6 else found


def safetensors_header(data: bytes, random: Random) -> bytes:
    """Change the header of a safetensors file: offsets that overlap or are huge, other types and shapes."""
    length = struct.unpack_from("<Q", data)[0]
    header = json.loads(data[8 : 8 + length])
    names = [name for name in header if name != "__metadata__"]
    entry = header[random.choice(names)]
    change = random.randrange(7)
    if change == 0:
        entry["data_offsets"] = random.choice(
            ([0, 2**63], [2**40, 2**40 + 8], [8, 0], [-1, 8], [0, 1], [0, 0])
        )
    elif change == 1:
        entry["data_offsets"] = header[random.choice(names)]["data_offsets"]
    elif change == 2:
        entry["dtype"] = random.choice(
            (
                "F64",
                "F32",
                "F16",
                "BF16",
                "I64",
                "I8",
                "U8",
                "BOOL",
                "F8_E4M3",
                "F8_E5M2",
                "F4",
                "F8_E8M0",
                "C64",
                "X",
                3,
            )
        )
    elif change == 3:
        entry["shape"] = random.choice(([], [0], [2**32, 2**32], [-1], [1] * 300, [2**62, 4], ["a"], None))
    elif change == 4:
        header[random.choice(("", "x", "\ud800", "../x", "__metadata__"))] = dict(entry)
    elif change == 5:
        header.pop(random.choice(names))
    else:
        header = mutated_tree(header, random)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + data[8 + length :]


def safetensors_values(data: bytes, random: Random) -> bytes:
    """Put numbers that are none among the weights, float32."""
    start = 8 + struct.unpack_from("<Q", data)[0]
    count = (len(data) - start) // 4
    changed = bytearray(data)
    for _ in range(random.choice((1, 1, 5))):
        value = random.choice((math.nan, math.inf, -math.inf, 3e38, 1e-42))
        struct.pack_into("<f", changed, start + 4 * random.randrange(count), value)
    return bytes(changed)


def pickle_that_calls(data: bytes, random: Random) -> bytes:
    """Put a call into the pickle of a file of torch.save, or make a bare pickle of it."""
    payload = Calls(random.randrange(3))
    if not data.startswith(b"PK") or random.random() < 0.3:
        return pickle.dumps({"state_dict": payload}, protocol=random.choice((2, 4)))
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        entries = [(info.filename, archive.read(info)) for info in archive.infolist()]
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, content in entries:
            if name.endswith("data.pkl"):
                content = pickle.dumps(payload if random.random() < 0.5 else {"a": payload}, protocol=2)
            archive.writestr(name, content)
    return buffer.getvalue()


def pickle_in_zip(data: bytes, random: Random) -> bytes:
    """Damage the pickle within a file of torch.save, whose checksums then fit again."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        entries = [(info.filename, archive.read(info)) for info in archive.infolist()]
    at = random.randrange(len(entries))
    if random.random() < 0.8:
        at = next(number for number, (name, _) in enumerate(entries) if name.endswith("data.pkl"))
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for number, (name, content) in enumerate(entries):
            archive.writestr(name, mutated(content, random) if number == at else content)
    return buffer.getvalue()
