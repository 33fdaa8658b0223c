#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Both ends of a conversation, for stories that need to see inside it.

peers.py serve NAME PORT
    TCP and UDP on every address. Says NAME as soon as it has accepted, and answers a
    line `ID WORDS` with `NAME ID WORDS`. Every connection carries one ID for life; a
    second one on it means that two connections were confused: `CROSSED`.

peers.py clients
    Opens, uses and closes connections as JSON lines on standard input say, one answer
    a line; see `Clients` for the commands. A connection is broken when it is reset,
    closed, crossed, answered by somebody else, or silent for longer than the patience.
"""

import collections
import errno
import functools
import json
import resource
import selectors
import socket
import sys
import time

READ_SIZE = 65536
UDP_RESEND_S = 1


def use_all_descriptors():
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


# ------------------------------------------------------------------- server

class Server:
    def __init__(self, name, port):
        self.name = name
        self.selector = selectors.EpollSelector()
        tcp = socket.create_server(("::", port), family=socket.AF_INET6, backlog=4096,
                                   dualstack_ipv6=True)
        udp = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        udp.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        udp.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
        udp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        udp.bind(("::", port))
        for sock, handler in ((tcp, self.accept), (udp, self.datagram)):
            sock.setblocking(False)
            self.selector.register(sock, selectors.EVENT_READ, handler)

    def accept(self, listener):
        while True:
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            sock.setblocking(False)
            try:
                sock.send(f"{self.name}\n".encode())
            except OSError:
                pass  # a probe that is gone already; the read tells
            self.selector.register(sock, selectors.EVENT_READ, functools.partial(
                self.converse, {"rest": b"", "id": None}))

    def converse(self, talk, sock):
        try:
            data = sock.recv(READ_SIZE)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self.selector.unregister(sock)
            sock.close()
            return
        *lines, talk["rest"] = (talk["rest"] + data).split(b"\n")
        for line in lines:
            ident = line.split(b" ", 1)[0]
            talk["id"] = talk["id"] or ident
            word = b"" if talk["id"] == ident else b"CROSSED "
            try:
                sock.send(b"%s%s %s\n" % (word, self.name.encode(), line))
            except OSError:
                pass  # the next read tells

    def datagram(self, sock):
        """Answer from the address that was asked: a frontend's, behind a tunnel."""
        while True:
            try:
                data, ancillary, _, peer = sock.recvmsg(READ_SIZE, 64)
                asked = [(level, kind, value[:16] + bytes(4)) for level, kind, value in ancillary
                         if (level, kind) == (socket.IPPROTO_IPV6, socket.IPV6_PKTINFO)]
                sock.sendmsg([b"%s %s" % (self.name.encode(), data)], asked, 0, peer)
            except BlockingIOError:
                return
            except OSError:
                pass  # an ICMP error of an earlier answer

    def run(self):
        print("ready", flush=True)
        while True:
            for key, _ in self.selector.select():
                key.data(key.fileobj)


# ------------------------------------------------------------------ clients

class Connection:
    """One flow. `server` is who answered first; `broken` says what went wrong."""

    def __init__(self, ident, to, udp, sport):
        family = socket.AF_INET6 if ":" in to[0] else socket.AF_INET
        self.ident, self.udp = ident, udp
        self.server = self.broken = None
        self.rest = b""
        self.awaited = self.awaited_since = None
        self.sock = socket.socket(family, socket.SOCK_DGRAM if udp else socket.SOCK_STREAM)
        self.sock.setblocking(False)
        if sport:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self.sock.bind(("", sport))
        code = self.sock.connect_ex(tuple(to))
        if code not in (0, errno.EINPROGRESS):
            self.broken = errno.errorcode[code]
        elif udp:
            self.say("hello")

    def say(self, words):
        """Send a line and await its answer."""
        self.awaited = f"{self.ident} {words}"
        self.send()

    def send(self):
        self.awaited_since = time.monotonic()
        try:
            self.sock.send(self.awaited.encode() + (b"" if self.udp else b"\n"))
        except BlockingIOError:
            self.broken = "its send buffer is full"
        except OSError as e:
            if not self.udp:  # an ICMP error of before; the datagram is sent again later
                self.broken = errno.errorcode[e.errno]

    def settled(self):
        return self.broken or (self.server and not self.awaited)

    def on_readable(self):
        try:
            data = self.sock.recv(READ_SIZE)
        except BlockingIOError:
            return
        except OSError as e:
            if not self.udp:
                self.broken = errno.errorcode[e.errno]
            return
        if not data and not self.udp:
            self.broken = "closed by the other side"
            return
        lines = [data] if self.udp else (self.rest + data).split(b"\n")
        if not self.udp:
            self.rest = lines.pop()
        for line in lines:
            self.on_line(line.decode())

    def on_line(self, line):
        server, _, words = line.partition(" ")
        if self.server is None:
            self.server = server
        if server == "CROSSED" or server != self.server:
            self.broken = f"expected {self.server}, got {line}"
        elif words and words == self.awaited:
            self.awaited = None
        elif words and not self.udp:  # a datagram's answer may come twice
            self.broken = f"asked '{self.awaited}', got '{words}'"


class Clients:
    """Commands; `to` is [ADDRESS, PORT], answers are JSON objects.

    open   {to, count, udp, sports:[FIRST, LAST], patience}  open and keep; waits until each
           has an answer or is broken or patience is over
           -> {servers:{NAME:n}, waiting:n, broken:n, why:[the first few]}
    spread {to, count, udp, sports, patience}  the same, but closes them again, batch by batch
    wait   {patience, want}               go on waiting for those that have no answer yet
    talk   {patience}                     one round trip on each, a window at a time
           -> {good:n, broken:n, why:[...], said: seconds until the last one spoke}
    close  {count, server, waiting, reset}  close some: so many, of one server, without an answer so far
           (default: all) -> {closed}
    """

    BATCH = 400
    # A veth keeps 256 packets. What is sent beyond that is dropped in the sender's own kernel,
    # which after some such failures gives a connection up (ETIMEDOUT, within a second).
    WINDOW = 100
    WINDOW_S = 1  # so long is waited for the answers of one, if some do not come

    def __init__(self):
        self.selector = selectors.EpollSelector()
        self.kept = []
        self.number = 0

    def begin(self, to, count, udp, sports=None):
        made = []
        for i in range(count):
            self.number += 1
            c = Connection(f"c{self.number}", to, udp, sports[0] + i if sports else None)
            if not c.broken:
                self.selector.register(c.sock, selectors.EVENT_READ, c)
            made.append(c)
        return made

    def wait_for(self, connections, patience, enough=None):
        """Until all have settled, or `enough` have an answer, or patience is over."""
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline:
            waiting = [c for c in connections if not c.settled()]
            if not waiting or (enough and sum(1 for c in connections if c.server) >= enough):
                return
            for key, _ in self.selector.select(0.2):
                key.data.on_readable()
            for c in waiting:
                if c.udp and c.awaited and time.monotonic() - c.awaited_since > UDP_RESEND_S:
                    c.send()

    def pace(self, number, act, patience):
        """act(FIRST, LAST + 1) for all of so many, a window at a time; it returns who is waited for."""
        deadline = time.monotonic() + patience
        for first in range(0, number, self.WINDOW):
            batch = act(first, min(first + self.WINDOW, number))
            self.wait_for(batch, min(self.WINDOW_S, deadline - time.monotonic()))

    def drop(self, connections, reset=False):
        for c in connections:
            if c.sock.fileno() in self.selector.get_map():
                self.selector.unregister(c.sock)
            if reset and not c.udp:
                c.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            c.sock.close()
        gone = set(connections)
        self.kept = [c for c in self.kept if c not in gone]

    @staticmethod
    def report(connections):
        return {
            "servers": collections.Counter(c.server for c in connections if c.server),
            "waiting": sum(1 for c in connections if not c.settled()),
            "broken": sum(1 for c in connections if c.broken),
            "why": [f"{c.ident} of {c.server}: {c.broken}" for c in connections if c.broken][:5],
        }

    def do_open(self, to, count, udp=False, sports=None, patience=30):
        made = []

        def act(first, end):
            some = [sports[0] + first, sports[0] + end - 1] if sports else None
            made.extend(self.begin(to, end - first, udp, some))
            return made[first:]

        self.pace(count, act, patience)
        self.kept += made
        self.wait_for(made, patience)
        return self.report(made)

    def do_spread(self, to, count, udp=False, sports=None, patience=30):
        total = {"servers": collections.Counter(), "waiting": 0, "broken": 0, "why": []}
        for first in range(0, count, self.BATCH):
            made = self.begin(to, min(count - first, self.BATCH), udp, [sports[0] + first] if sports else None)
            self.wait_for(made, patience)
            one = self.report(made)
            for key, value in one.items():
                total[key] += value
            self.drop(made)
        return total

    def do_wait(self, patience=30, want=None):
        self.wait_for(self.kept, patience, want)
        return self.report(self.kept)

    def do_talk(self, patience=30):
        speakers = [c for c in self.kept if c.server and not c.broken]
        self.number += 1
        began = time.monotonic()
        said = 0

        def act(first, end):
            nonlocal said
            for c in speakers[first:end]:
                c.say(words)
            said = time.monotonic() - began
            return speakers[first:end]

        words = f"round {self.number}"
        self.pace(len(speakers), act, patience)
        self.wait_for(speakers, patience)
        for c in speakers:
            if c.awaited and not c.broken:
                c.broken = f"no answer within {patience} s"
        known = [c for c in self.kept if c.server]  # what broke earlier stays broken
        return {**self.report(known), "good": sum(1 for c in known if not c.broken), "said": said}

    def do_close(self, count=None, server=None, waiting=False, reset=False):
        chosen = [c for c in self.kept
                  if server in (None, c.server) and not (waiting and c.settled())][:count]
        self.drop(chosen, reset)
        return {"closed": len(chosen)}

    def run(self):
        for line in sys.stdin:
            arguments = json.loads(line)
            answer = getattr(self, "do_" + arguments.pop("do"))(**arguments)
            print(json.dumps(answer), flush=True)


def main():
    use_all_descriptors()
    if sys.argv[1:2] == ["serve"] and len(sys.argv) == 4:
        Server(sys.argv[2], int(sys.argv[3])).run()
    elif sys.argv[1:] == ["clients"]:
        Clients().run()
    else:
        print(__doc__, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
