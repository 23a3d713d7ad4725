# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The program `rerun` that comes with the library: its window, and the page of the web viewer.

Started here rather than by the library, which has it listen on every address of the machine, and send usage
data.
"""

from __future__ import annotations

import os
import socket
import subprocess
import time
from pathlib import Path

import rerun_cli

ADDRESS = "127.0.0.1"
_PROGRAM = Path(rerun_cli.__file__).with_name("rerun")
_START_S = 30.0  # timeout for a program to listen
_LOOK_S = 0.05  # between two looks whether it does
# Ends the program when its own input ends: that is when this process ends, however it does.
_UNTIL_INPUT_ENDS = '"$@" & read -r _; kill $!'
_LISTENS = "0A"  # in /proc/net/tcp

_pages: list[subprocess.Popen] = []  # their inputs stay open until this process ends


def open_window(port: int, memory: str) -> None:
    """Open the viewer's window, which listens on this port, and stays when this process ends. Raises
    OSError."""
    window = _start(
        [
            str(_PROGRAM),
            *("--bind", ADDRESS, "--port", str(port)),
            *("--memory-limit", memory, "--server-memory-limit", memory),
            *("--hide-welcome-screen", "--expect-data-soon"),
        ]
    )
    _wait_until_it_listens(window, port)


def serve_page(port: int) -> None:
    """Serve the web viewer's page on this port until this process ends. Raises OSError."""
    # With an address it serves the page alone; the page is told by its own address where the data is.
    program = [str(_PROGRAM), "--serve-web", "--bind", ADDRESS, "--web-viewer-port", str(port)]
    page = _start(
        ["/bin/sh", "-c", _UNTIL_INPUT_ENDS, "sh", *program, f"rerun+http://{ADDRESS}:1/proxy"],
        subprocess.PIPE,
    )
    _pages.append(page)
    _wait_until_it_listens(page, port)


def is_our_own(port: int) -> bool:
    """Whether a program of this user listens on a port of this machine: another's would get the pictures."""
    with open("/proc/net/tcp") as file:
        rows = [line.split() for line in file][1:]
    owners = [int(row[7]) for row in rows if row[3] == _LISTENS and int(row[1].split(":")[1], 16) == port]
    return owners == [os.getuid()]


def _start(words: list[str], stdin: int = subprocess.DEVNULL) -> subprocess.Popen:
    return subprocess.Popen(
        words,
        stdin=stdin,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # Ctrl-C is for this process
        env={**os.environ, "CI": "1"},  # how it is told by its environment to send no usage data
    )


def _wait_until_it_listens(program: subprocess.Popen, port: int) -> None:
    deadline = time.monotonic() + _START_S
    while time.monotonic() < deadline and program.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex((ADDRESS, port)) == 0:
                return
        time.sleep(_LOOK_S)
    ended = program.poll()
    raise OSError(f"the program ended with status {ended}" if ended is not None else f"waited {_START_S:g} s")
