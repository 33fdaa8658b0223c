#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""churn.py ADDRESS PORT RATE [FILE]: short connections, one after the other, until standard input ends.

Each connects to a server of peers.py, hears its name, says a line, hears the answer, and is
reset, which leaves no port waiting. About RATE are begun a second, however many are open; one that
hears nothing for PATIENCE_S has failed. At the end a JSON line tells what became of all:
{"begun", "done", "seconds", "servers": {NAME: N}, "failed": {WHY: N}, "slowest_ms"}. A FILE gets a line for
each: [when it was begun, when it ended (CLOCK_MONOTONIC), who answered or null, why it failed or null].
"""

import collections
import errno
import json
import resource
import selectors
import socket
import struct
import sys
import time

PATIENCE_S = 30  # a first packet that is lost is sent again after 1, 3, 7 and 15 s
RESET = struct.pack("ii", 1, 0)
OPEN_MAX = 4000


class Call:
    """One connection on its way: `stage` says what it waits for."""

    def __init__(self, sock):
        self.sock, self.began, self.stage, self.heard = sock, time.monotonic(), "connect", b""
        self.server = None


class Churn:
    def __init__(self, to, rate, log=None):
        self.to, self.rate, self.log = to, rate, log
        self.selector = selectors.EpollSelector()
        self.calls = collections.OrderedDict()  # oldest first
        self.begun = self.done = 0
        self.slowest = 0.0
        self.servers, self.failed = collections.Counter(), collections.Counter()

    def begin(self):
        sock = socket.socket(socket.AF_INET6 if ":" in self.to[0] else socket.AF_INET)
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        self.begun += 1
        call = Call(sock)
        code = sock.connect_ex(self.to)
        if code not in (0, errno.EINPROGRESS):
            self.end(call, f"connect: {errno.errorcode[code]}", known=False)
            return
        self.calls[sock] = call
        self.selector.register(sock, selectors.EVENT_READ)

    def end(self, call, why=None, known=True):
        if known:
            self.selector.unregister(call.sock)
            del self.calls[call.sock]
        call.sock.close()
        if self.log:
            self.log.write(json.dumps([call.began, time.monotonic(), call.server, why]) + "\n")
        if why:
            self.failed[why] += 1
        else:
            self.done += 1
            self.slowest = max(self.slowest, time.monotonic() - call.began)

    def go_on(self, call):
        try:
            data = call.sock.recv(4096)
        except BlockingIOError:
            return
        except OSError as e:
            self.end(call, f"{call.stage}: {errno.errorcode[e.errno]}")
            return
        if not data:
            self.end(call, f"{call.stage}: closed")
            return
        call.heard += data
        if not call.heard.endswith(b"\n"):
            return
        if call.stage == "connect":
            call.stage = "talk"
            call.server = call.heard.strip().decode()
            call.heard = b""
            call.sock.send(b"7 hello\n")
        elif call.heard == call.server.encode() + b" 7 hello\n":
            self.servers[call.server] += 1
            self.end(call)
        else:
            self.end(call, f"talk: {call.heard[:60]}")

    def drop_silent(self, now):
        while self.calls:
            call = next(iter(self.calls.values()))
            if now - call.began < PATIENCE_S:
                return
            self.end(call, f"{call.stage}: silent")

    def run(self):
        self.selector.register(sys.stdin, selectors.EVENT_READ)
        print("ready", flush=True)
        began, ending = time.monotonic(), False
        seconds = 0.0
        due = began
        while not ending or self.calls:
            now = time.monotonic()
            if now - due > 0.25:  # after a standstill of the machine: no burst of all that was missed
                due = now - 0.25
            while not ending and due <= now and len(self.calls) < OPEN_MAX:
                self.begin()
                due += 1 / self.rate
            for key, _ in self.selector.select(0.002 if not ending else 0.1):
                if key.fileobj is sys.stdin:
                    self.selector.unregister(sys.stdin)
                    ending, seconds = True, time.monotonic() - began
                else:
                    self.go_on(self.calls[key.fileobj])
            self.drop_silent(now)
        return {"begun": self.begun, "done": self.done, "seconds": round(seconds, 2),
                "servers": self.servers, "failed": self.failed,
                "slowest_ms": round(self.slowest * 1000)}


def main():
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    to, rate = (sys.argv[1], int(sys.argv[2])), float(sys.argv[3])
    log = open(sys.argv[4], "w", encoding="ascii") if len(sys.argv) > 4 else None
    told = Churn(to, rate, log).run()
    if log:
        log.close()
    print(json.dumps(told), flush=True)


if __name__ == "__main__":
    main()
