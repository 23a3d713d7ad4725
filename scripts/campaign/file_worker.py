# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The process of the files campaign that reads: makes case after case, and tells what came of each over a
pipe, one JSON object a line.

Usage: file_worker.py FOLDER FIRST SEED MODULE:ATTRIBUTE of the kinds. `files.py` starts it.

It reads in this process, as the command line does, under a limit of address space; who started it ends it if
a case takes too long. FOLDER/samples holds the kinds' samples, and is filled where it is not there.
"""

from __future__ import annotations

import importlib
import json
import logging
import os
import random
import resource
import shutil
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

from campaign.file_changes import RAN, Change
from campaign.file_kind import Kind
from campaign.mutations import mutated

MOST_S = 2.0  # of processor time for a file
MOST_MIB = 1024.0  # that the memory in use may grow by
_ADDRESSES = 6 << 30  # bytes of address space beyond those in use at the start
_LONGEST = 100_000  # signs of a message, which may hold a value of the file


class Watch:
    """Folders that reading must leave as they are: the working folder, the temporary one, home, and all
    above."""

    def __init__(self, root: Path):
        self.root = root
        for name in ("here", "tmp", "home", "cache", "out", "samples", "work"):
            (root / name).mkdir(exist_ok=True)
        os.chdir(root / "here")
        os.environ.update(
            TMPDIR=str(root / "tmp"), HOME=str(root / "home"), XDG_CACHE_HOME=str(root / "cache")
        )
        tempfile.tempdir = None
        self._expected = self._look()

    def unexpected(self) -> str:
        """Return what is there now that was not, and remove it; empty if all is as it was."""
        found = self._look() - self._expected
        for path in found:
            shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)
        return ", ".join(sorted(str(path.relative_to(self.root.parents[1])) for path in found))

    def _look(self) -> set[Path]:
        folders = [self.root / name for name in ("here", "tmp", "home")]
        folders += [self.root, self.root.parent, self.root.parents[1]]
        return {Path(entry.path) for folder in folders for entry in os.scandir(folder)}


class Worker:
    """Makes cases of the kinds' samples, of which it has a copy."""

    def __init__(self, root: Path, seed: int, kinds: Sequence[Kind]):
        self.watch, self.seed, self.kinds = Watch(root), seed, kinds
        self._weights = [kind.weight for kind in kinds]
        self._out = root / "out" / "out"
        shutil.rmtree(self._out, ignore_errors=True)
        for kind in kinds:
            _make(kind, root / "samples" / kind.name)
        shutil.rmtree(root / "work")  # of a worker that was killed
        shutil.copytree(root / "samples", root / "work")
        self._folders = {kind.name: root / "work" / kind.name for kind in kinds}
        for kind in kinds:  # libraries are loaded here
            if found := self._read(kind):
                raise RuntimeError(f"a valid sample of {kind.name} gives: {found}")
        self.watch.unexpected()

    def choice(self, number: int) -> tuple[Kind, str, Change, random.Random]:
        """Return what a case is: the kind, the file in its sample, and how that is changed."""
        rng = random.Random(f"{self.seed}:{number}")
        kind = rng.choices(self.kinds, self._weights)[0]
        file = rng.choice(sorted(kind.changes))
        return kind, file, rng.choice(kind.changes[file]), rng

    def case(self, number: int) -> dict[str, Any]:
        """Make a case and read it; return what came of it."""
        kind, file, change, rng = self.choice(number)
        folder = self._folders[kind.name]
        path, before = folder / file, _names(folder)
        original = path.read_bytes()
        path.write_bytes(_changed(original, change, rng))
        reset_peak()
        start_mib, start_s = memory_mib("VmRSS"), time.process_time()
        try:
            found = self._read(kind)
        finally:
            path.write_bytes(original)
        about: dict[str, Any] = {"s": time.process_time() - start_s, "mib": memory_mib("VmHWM") - start_mib}
        left, new = self.watch.unexpected(), _names(folder) - before
        for name in new:
            (folder / name).unlink()
        if left or new - kind.leaves:
            where = left or ", ".join(new)
            found = f"code ran: {where}" if RAN in where.split("/") else f"wrote {where}"
        elif about["mib"] > MOST_MIB:  # first, for so much takes its time
            found = f"took {about['mib']:.0f} MiB"
        elif about["s"] > MOST_S:
            found = f"took {about['s']:.1f} s"
        elif found.startswith("refused"):
            return about | {"outcome": "refused"}
        return about | ({"outcome": "fault", "what": found} if found else {"outcome": "read"})

    def _read(self, kind: Kind) -> str:
        """Read the kind's folder as it is. Return what is wrong; "refused: ..." for a proper refusal."""
        self._out.mkdir()
        folder = self._folders[kind.name]
        try:
            kind.read(folder, self._out)
            return ""
        except kind.refusals as error:
            return f"refused: {error}"
        except Exception as error:
            return judged(error, folder)
        finally:
            shutil.rmtree(self._out.parent)
            self._out.parent.mkdir()


def _make(kind: Kind, folder: Path) -> None:
    """Write the sample of a kind, unless it is there."""
    if not folder.is_dir():
        part = folder.with_name(f"{folder.name}.part")
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        kind.make(part)
        part.rename(folder)


def _changed(data: bytes, change: Change, rng: random.Random) -> bytes:
    """Return the bytes changed; by bytes alone where they are too short for the change, as after others."""
    try:
        return change(data, rng)
    except Exception:
        return mutated(data, rng)


def judged(error: Exception, folder: Path) -> str:
    """Say whether an error is a refusal: one that `dcfm` prints in one sentence, that the package itself
    raised, and that names the file."""
    text = str(error)
    place = _place(error)
    kind = type(error).__name__
    if not isinstance(error, (ValueError, RuntimeError, OSError)):
        return f"{kind} {place}: {text[:200]}"
    ours = type(error).__module__.startswith("dcfm_ros") or place.endswith("!")
    if not (ours or (isinstance(error, OSError) and error.errno)):
        return f"{kind} of a library {place}: {text[:200]}"
    if len(text) > _LONGEST:
        return f"{kind} {place}: a message of {len(text)} signs: {text[:100]}"
    names = {folder.name, *(path.stem for path in folder.rglob("*"))}
    if not any(name in text for name in names):
        return f"{kind} {place} names no file: {text[:200]}"
    return f"refused: {text}"


def _place(error: BaseException) -> str:
    """Return the innermost place in the package, with `!` if the error was raised there itself."""
    frames = traceback.extract_tb(error.__traceback__)
    for number, frame in enumerate(reversed(frames)):
        if "/dcfm_ros/" in frame.filename:
            path = frame.filename.rpartition("/dcfm_ros/")[2]
            return f"in {path}:{frame.lineno} {frame.name}{'' if number else '!'}"
    return "outside"


def _names(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def reset_peak() -> None:
    """Forget the largest memory so far."""
    Path("/proc/self/clear_refs").write_text("5")


def memory_mib(name: str) -> float:
    """Return the memory of this process: VmRSS, VmHWM (the largest) or VmSize."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(name):
            return int(line.split()[1]) / 1024
    return 0.0


def main(root: Path, first: int, seed: int, table: str, pipe: IO[str]) -> None:
    def tell(about: dict[str, Any]) -> None:
        print(json.dumps(about), file=pipe, flush=True)

    tell({"loading": os.getpid()})
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    module, _, name = table.partition(":")
    kinds = getattr(importlib.import_module(module), name)
    worker = Worker(root, seed, kinds)
    size = int(memory_mib("VmSize") * 2**20) + _ADDRESSES
    resource.setrlimit(resource.RLIMIT_AS, (size, size))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    tell({"ready": [kind.name for kind in kinds]})
    number = first
    while True:
        kind, file, change, _ = worker.choice(number)
        tell({"begins": number, "kind": kind.name, "file": file, "change": change.__name__})
        tell({"case": number, **worker.case(number)})
        number += 1


if __name__ == "__main__":
    lines = os.fdopen(os.dup(1), "w")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # libraries print
    folder, begin, given_seed, kinds_at = sys.argv[1:]
    try:
        main(Path(folder), int(begin), int(given_seed), kinds_at, lines)
    except (KeyboardInterrupt, BrokenPipeError):
        sys.exit(1)
