# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Kinds of files for the files campaign whose readers have a fault each, which it must find."""

import os
import signal
import threading
from pathlib import Path

from campaign.file_changes import RAN
from campaign.file_kind import Kind
from campaign.mutations import mutated

VALID = b"valid content of a file"


def _kind(name, misbehave, weight=1.0) -> Kind:
    def make(folder: Path) -> None:
        (folder / "file").write_bytes(VALID)

    def read(folder: Path, out: Path) -> None:
        if (folder / "file").read_bytes() != VALID:
            misbehave(folder / "file")

    return Kind(name, make, {"file": (mutated,)}, read, weight)


def _refuse(path: Path) -> None:
    from dcfm_ros.sources.read import read_image

    read_image(path)


def _refuse_without_name(path: Path) -> None:
    from dcfm_ros.sources.errors import SourceError

    raise SourceError("it is damaged")


def _lose_a_key(path: Path) -> None:
    {}["key"]


def _hang(path: Path) -> None:
    threading.Event().wait()


def _compute(path: Path) -> None:
    from time import process_time

    end = process_time() + 2.1
    while process_time() < end:
        pass


def _die(path: Path) -> None:
    os.kill(os.getpid(), signal.SIGSEGV)


def _allocate(path: Path) -> None:
    len(b"x" * (1100 << 20))


def _write_above(path: Path) -> None:
    (path.parents[3] / "escaped").touch()


def _write_beside(path: Path) -> None:
    path.with_name("more").touch()


def _run_code(path: Path) -> None:
    Path(RAN).touch()


PLANTED = {
    "KeyError": _lose_a_key,
    "hung for": _hang,
    "took 2": _compute,
    "died of SIGSEGV": _die,
    "took 11": _allocate,
    "SourceError": _refuse_without_name,
    "ValueError": lambda path: int("x"),
    "wrote": _write_above,
    "wrote more": _write_beside,
    "code ran": _run_code,
}
_LONG = {"hung for": 0.1, "took 2": 0.3, "took 11": 0.3, "died of SIGSEGV": 0.5}
KINDS = tuple(_kind(name, misbehave, _LONG.get(name, 1.0)) for name, misbehave in PLANTED.items())
GOOD = (_kind("good", lambda path: None), _kind("refusing", _refuse))
