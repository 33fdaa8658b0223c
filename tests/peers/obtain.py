#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""obtain.py [PEER]... - have the programs of real servers, and print where they are

Each peer is a row of PEERS and a folder beside this file. Its program is kept in
${XDG_CACHE_HOME:-~/.cache}/fairlead/peers/PEER-KEY/, where KEY is a hash of what it is
built from; what is there is used as it is. Otherwise it comes from the folder that
FAIRLEAD_PEERS_DIR names (PEER or PEER.xz, checked against the row's sha256), and else it
is built, with its modules from the Go module proxy, checked against go.sum.
Progress goes to standard error. Exit code 1: a peer cannot be had, with the cause.
"""

import dataclasses
import errno
import fcntl
import hashlib
import lzma
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
CHUNK = 1 << 20
PROGRESS_S = 15
GO_MINIMUM = (1, 21)  # the first that fetches the toolchain which go.mod asks for
BUILD_DEADLINE_S = 3600


class Unavailable(Exception):
    """A peer cannot be had; the text says why, and what would help."""


@dataclasses.dataclass(frozen=True)
class Peer:
    """A program that is built by Go from the folder of its name."""

    name: str
    version: str
    sha256: str  # of the program that FAIRLEAD_PEERS_DIR may hold
    built_from: tuple = ("go.mod", "go.sum", "main.go")
    size: str = ""  # in words: what a build costs

    @property
    def folder(self):
        return HERE / self.name

    def key(self):
        digest = hashlib.sha256()
        for name in self.built_from:
            content = (self.folder / name).read_bytes()
            digest.update(f"{name} {len(content)}\n".encode() + content)
        return digest.hexdigest()[:16]


PEERS = {peer.name: peer for peer in (
    Peer("consul", "1.22.7", "508d1663853520154be6c7f2c4d764b553bcdcc159f7e224887947851b169e7f",
         size="300 MB of modules, 6 minutes on two cores"),
)}


def say(text):
    print(text, file=sys.stderr, flush=True)


def cache():
    home = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return pathlib.Path(home) / "fairlead/peers"


def program_of(peer):
    """Where its program is, or will be."""
    return cache() / f"{peer.name}-{peer.key()}" / peer.name


def obtain(peer, may_build=True):
    """Have the program; return where it is, or raise Unavailable. To build it takes minutes."""
    program = program_of(peer)
    if program.exists():
        return program
    try:
        program.parent.mkdir(parents=True, exist_ok=True)
        with open(program.parent / "lock", "w", encoding="ascii") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # one run builds, the others wait for it
            if not program.exists():
                work_on(peer, program, may_build)
    except OSError as e:
        raise Unavailable(f"{peer.name}: {cause_of(e)} ({e.filename or program.parent})") from e
    return program


def work_on(peer, program, may_build):
    given = given_file(peer)
    with tempfile.TemporaryDirectory(dir=program.parent) as work:
        made = pathlib.Path(work) / peer.name
        if given:
            unpack(peer, given, made)
        elif may_build:
            build(peer, made)
        else:
            raise Unavailable(f"{peer.name}: not there yet; tests/peers/obtain.py {peer.name} gets it")
        made.chmod(0o755)
        made.rename(program)  # whole, or not at all


# ----------------------------------------------------------- from a folder

def given_file(peer):
    """What FAIRLEAD_PEERS_DIR has of it; None when it names no folder or one without it."""
    folder = os.environ.get("FAIRLEAD_PEERS_DIR")
    if not folder:
        return None
    for name in (peer.name, peer.name + ".xz"):
        if (pathlib.Path(folder) / name).is_file():
            return pathlib.Path(folder) / name
    say(f"{peer.name}: neither {peer.name} nor {peer.name}.xz is in FAIRLEAD_PEERS_DIR={folder}")
    return None


def unpack(peer, given, made):
    say(f"{peer.name}: taking {given}")
    digest = hashlib.sha256()
    opener = lzma.open if given.suffix == ".xz" else open
    try:
        with opener(given, "rb") as source, open(made, "wb") as out:
            while chunk := source.read(CHUNK):
                digest.update(chunk)
                out.write(chunk)
    except (lzma.LZMAError, EOFError) as e:
        raise Unavailable(f"{peer.name}: {given} is no whole xz file: {e}") from e
    if digest.hexdigest() != peer.sha256:
        raise Unavailable(f"{peer.name}: {given} is not the program that the tests were written with: "
                          f"its sha256 is {digest.hexdigest()}, expected {peer.sha256}")


# ------------------------------------------------------------------ by Go

def build(peer, made):
    go = usable_go(peer)
    say(f"{peer.name}: building {peer.version} ({peer.size}); FAIRLEAD_PEERS_DIR=DIR could give it instead")
    log = program_of(peer).parent / "build.log"
    environment = {**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "-p=2", "GOWORK": "off"}
    argv = [go, "build", "-mod=readonly", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w",
            "-v", "-o", str(made), "."]
    with open(log, "w", encoding="utf-8") as out:
        process = subprocess.Popen(argv, cwd=peer.folder, env=environment, stdin=subprocess.DEVNULL,
                                   stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                   errors="replace")
        alarm = threading.Timer(BUILD_DEADLINE_S, process.kill)
        alarm.start()
        try:
            lines = follow(peer, process.stdout, out)
            code = process.wait()
        except BaseException:
            process.kill()
            process.wait()
            raise
        finally:
            alarm.cancel()
    if code == -9:
        raise Unavailable(f"{peer.name}: not built within {BUILD_DEADLINE_S} s, or killed; see {log}")
    if code != 0:
        raise Unavailable(f"{peer.name}: {why_go_failed(lines)}; all of it is in {log}")


def usable_go(peer):
    go = shutil.which("go")
    needed = f"Go {'.'.join(map(str, GO_MINIMUM))} or newer (Debian 12's own is older)"
    instead = f"or FAIRLEAD_PEERS_DIR must name a folder with {peer.name} or {peer.name}.xz"
    if not go:
        raise Unavailable(f"{peer.name}: there is no program 'go' to build it with: it takes {needed}, {instead}")
    said = subprocess.run([go, "version"], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          check=False, cwd="/").stdout
    version = re.search(r"go(\d+)\.(\d+)", said)
    if not version or tuple(map(int, version.groups())) < GO_MINIMUM:
        raise Unavailable(f"{peer.name}: {go} says '{said.strip()}': it takes {needed}, {instead}")
    return go


def follow(peer, output, log):
    """Pass the builder's output to the log, and now and then a line to whoever waits."""
    started = said = time.monotonic()
    fetched = compiled = 0
    kept = []
    for line in output:
        log.write(line)
        if line.startswith("go: downloading "):
            fetched += 1
        elif re.fullmatch(r"[\w./~-]+\n", line):
            compiled += 1
        else:
            kept.append(line.strip())
        if time.monotonic() - said > PROGRESS_S:
            said = time.monotonic()
            say(f"{peer.name}: {said - started:.0f} s, {fetched} modules fetched, {compiled} packages compiled")
    return kept


# What a builder says, and what it means.
CAUSES = (
    (r"no space left on device", "no space left on the disk"),
    (r"checksum mismatch|SECURITY ERROR|missing go\.sum entry",
     "what the module proxy sent is not what go.sum promises"),
    (r"dial tcp|lookup .*(no such host|server misbehaving|i/o timeout)|connection refused|"
     r"network is unreachable|TLS handshake timeout|i/o timeout|proxyconnect|module lookup disabled",
     "the module proxy cannot be reached"),
    (r"403 Forbidden|404 Not Found|410 Gone", "the module proxy does not have a module"),
    (r"requires go >=|toolchain not available|invalid go version", "this Go is too old"),
)


def why_go_failed(lines):
    text = "\n".join(lines)
    for pattern, meaning in CAUSES:
        found = re.search(pattern, text)
        if found:
            line = next(one for one in lines if re.search(pattern, one))
            return f"{meaning}: {line}"
    return "go build failed: " + " / ".join(lines[-3:])


def cause_of(error):
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "no space left on the disk"
    return os.strerror(error.errno) if error.errno else str(error)


def main():
    unknown = [name for name in sys.argv[1:] if name not in PEERS]
    if unknown:
        print(__doc__, file=sys.stderr)
        return 2
    code = 0
    for name in sys.argv[1:] or PEERS:
        try:
            print(obtain(PEERS[name]))
        except Unavailable as e:
            say(f"cannot be had: {e}")
            code = 1
    return code


if __name__ == "__main__":
    sys.exit(main())
