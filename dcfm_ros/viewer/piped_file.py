# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A file for a library that cannot bear a full disk."""

from __future__ import annotations

import os
import shutil
import threading
from pathlib import Path


class PipedFile:
    """Writes to `path` what comes out of a pipe, until the other end is closed; a failing disk is noted in
    `error`, and the pipe is emptied all the same.

    Rerun 0.41's own writer of files ends at the first write that fails; whoever then disconnects from it
    waits for ever, and so does the end of the process. To be given the name `pipe` to open, then told
    `connected`, then closed, then `join`ed.
    """

    def __init__(self, path: Path):
        """Raises OSError, which says what to do, if the file cannot be made."""
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
        """The library has opened the pipe: it alone shall hold it open from now on."""
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
                    f"cannot go on writing {self._path} ({error.strerror}): what is there ends in the middle"
                )
                with open(os.devnull, "wb") as nowhere:
                    shutil.copyfileobj(pipe, nowhere)
