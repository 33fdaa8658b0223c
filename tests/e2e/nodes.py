# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""A cgroup of a story's own, so that nothing else on the machine meets the node path."""

import contextlib
import os
import pathlib
import time


def cgroup2():
    """Where cgroup2 is mounted; None = nowhere."""
    for line in pathlib.Path("/proc/self/mountinfo").read_text().splitlines():
        if " - cgroup2 " in line:
            return pathlib.Path(line.split()[4])
    return None


@contextlib.contextmanager
def make_cgroup():
    root = cgroup2()
    assert root, "no cgroup2 is mounted, and the node path needs one"
    path = root / f"fl-e2e-{os.getpid()}"
    path.mkdir()
    try:
        yield path
    finally:
        deadline = time.monotonic() + 20
        while True:  # who has just died is in it for a moment
            try:
                path.rmdir()
                break
            except OSError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)
