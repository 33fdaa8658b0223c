# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""A cgroup of a story's own, so that nothing else on the machine meets the node path: pytest's
fixture `cgroup` (hooks.py), who is in it, and what goes on in it."""

import contextlib
import json
import os
import pathlib
import subprocess
import time

from lab import PORT, VIP4

CHURN = pathlib.Path(__file__).with_name("churn.py")


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


def in_cgroup(cgroup, argv):
    """The command line that runs argv as a process of the cgroup."""
    return ["sh", "-c", 'echo $$ > "$0"/cgroup.procs && exec "$@"', str(cgroup), *map(str, argv)]


class Churn:
    """Short connections to VIP4:PORT without end; see churn.py."""

    def __init__(self, net, role, rate, cgroup=None, file=()):
        """cgroup: None = where the stories are; file: where each connection is written down"""
        argv = net.inside(role, ["/usr/bin/python3", CHURN, VIP4, PORT, rate, *file])
        self.process = subprocess.Popen(in_cgroup(cgroup, argv) if cgroup else argv,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout.readline() == "ready\n"

    def end(self):
        """What became of them all."""
        self.process.stdin.close()
        told = json.loads(self.process.stdout.readline())
        self.process.wait(60)
        return told

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
