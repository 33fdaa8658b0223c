# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""The programs of real servers are had once, checked, or refused with the cause."""

import hashlib
import lzma
import os

import pytest

import obtain

PROGRAM = b"#!/bin/sh\necho a server\n" * 1000


@pytest.fixture
def peer(tmp_path, monkeypatch):
    """A peer of its own, with an empty cache, no folder of programs, and a PATH without Go."""
    (tmp_path / "peers/toy").mkdir(parents=True)
    (tmp_path / "bin").mkdir()
    (tmp_path / "given").mkdir()
    monkeypatch.setattr(obtain, "HERE", tmp_path / "peers")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", f"{tmp_path}/bin")
    monkeypatch.delenv("FAIRLEAD_PEERS_DIR", raising=False)
    for name in ("go.mod", "go.sum", "main.go"):
        (tmp_path / "peers/toy" / name).write_text(f"{name} of toy\n")
    return obtain.Peer("toy", "1.0", hashlib.sha256(PROGRAM).hexdigest())


@pytest.fixture
def give(tmp_path, monkeypatch):
    """give(NAME, BYTES): a file in the folder that FAIRLEAD_PEERS_DIR names"""
    monkeypatch.setenv("FAIRLEAD_PEERS_DIR", str(tmp_path / "given"))
    return lambda name, content: (tmp_path / "given" / name).write_bytes(content)


@pytest.fixture
def go(tmp_path):
    """go(WORDS of `go version`, what `go build` does as a shell script)"""
    def install(version, script="exit 1"):
        path = tmp_path / "bin/go"
        path.write_text('#!/bin/sh\nPATH=/usr/bin:/bin\n[ "$1" = version ] && echo "go version '
                        f'{version} linux/amd64" && exit\n'
                        'while [ "$1" != -o ]; do shift; done\nout=$2\n' + script + "\n")
        path.chmod(0o755)
    return install


def refused(peer):
    with pytest.raises(obtain.Unavailable) as caught:
        obtain.obtain(peer)
    assert not obtain.program_of(peer).exists()
    assert [p.name for p in obtain.program_of(peer).parent.iterdir() if p.is_dir()] == [], "no half of it"
    return str(caught.value)


@pytest.mark.parametrize("name, content", [("toy", PROGRAM), ("toy.xz", lzma.compress(PROGRAM))],
                         ids=["plain", "xz"])
def test_given_is_checked_and_kept(peer, give, tmp_path, name, content):
    give(name, content)
    program = obtain.obtain(peer)
    assert program.read_bytes() == PROGRAM and os.access(program, os.X_OK)
    (tmp_path / "given" / name).unlink()
    assert obtain.obtain(peer) == program, "the second time it is there"


@pytest.mark.parametrize("name, content, words", [
    ("toy", PROGRAM + b"x", "sha256"),
    ("toy.xz", lzma.compress(PROGRAM + b"x"), "sha256"),
    ("toy.xz", lzma.compress(PROGRAM)[:-20], "no whole xz file"),
    ("toy.xz", b"no xz at all", "no whole xz file"),
])
def test_given_is_not_what_it_should_be(peer, give, name, content, words):
    give(name, content)
    text = refused(peer)
    assert words in text and name in text and "FAIRLEAD_PEERS_DIR" not in text


def test_no_go(peer):
    text = refused(peer)
    assert "there is no program 'go'" in text and "FAIRLEAD_PEERS_DIR" in text


def test_a_folder_without_it_does_not_help(peer, give, capfd):
    give("another", b"")
    assert "there is no program 'go'" in refused(peer)
    assert "neither toy nor toy.xz" in capfd.readouterr().err


@pytest.mark.parametrize("version", ["go1.19.8", "go1.20", "devel"])
def test_go_is_too_old(peer, go, version):
    go(version)
    assert "Go 1.21 or newer" in refused(peer)


@pytest.mark.parametrize("said, meaning", [
    ("toy: write /tmp/x.o: no space left on device", "no space left on the disk"),
    ("verifying a@v1: checksum mismatch", "not what go.sum promises"),
    ('Get "…/@v/v1.zip": dial tcp: lookup proxy: no such host', "the module proxy cannot be reached"),
    ('Get "…/@v/v1.zip": dial tcp 192.0.2.1:443: i/o timeout', "the module proxy cannot be reached"),
    ("reading …/@v/v1.mod: 403 Forbidden", "does not have a module"),
    ("go.mod requires go >= 1.25.9 (running go 1.21.0)", "this Go is too old"),
    ("main.go:3:1: syntax error", "go build failed: "),
])
def test_why_a_build_failed(peer, go, said, meaning):
    go("go1.26.1", f"echo 'go: downloading a v1'; echo crypto/tls; echo '{said}' >&2; exit 1")
    text = refused(peer)
    assert meaning in text and said in text


def test_built_once(peer, go, tmp_path):
    go("go1.21.0", 'echo "$CGO_ENABLED" >> ../../builds; echo program > "$out"')
    assert obtain.obtain(peer) == obtain.obtain(peer)
    assert (tmp_path / "builds").read_text() == "0\n"
    assert os.access(obtain.obtain(peer), os.X_OK)


def test_nothing_is_built_unasked(peer, go):
    go("go1.26.1", 'echo program > "$out"')
    with pytest.raises(obtain.Unavailable, match="obtain.py toy gets it"):
        obtain.obtain(peer, may_build=False)


def test_what_it_is_built_from_names_it(peer):
    before = obtain.program_of(peer)
    (obtain.HERE / "toy/go.sum").write_text("another\n")
    assert obtain.program_of(peer) != before


def test_every_row_has_its_folder():
    for peer in obtain.PEERS.values():
        assert peer.key() and list(peer.folder.glob("test_*.py")), peer.name
