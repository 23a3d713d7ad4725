# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Pipe to a file, for a library that cannot handle a full disk."""

from __future__ import annotations

import os
import shutil
import threading
from pathlib import Path


class PipedFile:
    """Writes the data of a pipe to `path` until the other end is closed; a write error is stored in `error`,
    and the pipe is drained regardless.

    Rerun 0.41's own file writer ends at the first failing write; disconnecting from it then blocks for ever,
    and so does the exit of the process. Usage: let the library open the name `pipe`, call `connected`, let
    the library close it, call `join`.
    """

    def __init__(self, path: Path):
        """Raises OSError, with the remedy, if the file cannot be created."""
        self.error: OSError | None = None
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("wb")
        except OSError as error:
            raise OSError(f"cannot write {path} ({error.strerror}): name another file") from error
        self._path = path
        read, self._write = os.pipe()
        self.pipe = f"/proc/self/fd/{self._write}"
        self._thread = threading.Thread(
            target=self._run, args=(os.fdopen(read, "rb", buffering=0),), name="dcfm-file", daemon=True
        )
        self._thread.start()

    def connected(self) -> None:
        """Close this process's own end, after the library has opened the pipe."""
        os.close(self._write)

    def join(self) -> None:
        self._thread.join()

    def _run(self, pipe) -> None:
        with pipe:
            try:
                with self._file:
                    shutil.copyfileobj(pipe, self._file)
            except OSError as error:
                self.error = OSError(
                    f"cannot continue writing {self._path} ({error.strerror}): the file is incomplete"
                )
                with open(os.devnull, "wb") as nowhere:
                    shutil.copyfileobj(pipe, nowhere)
