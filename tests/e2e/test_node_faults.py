# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Very many sockets come and go while endpoints flap and the agent dies: none fails that would have
been connected without us, and nothing of them is left in the kernel.

FAIRLEAD_SOCKETS says how many (`make chaos`: 100 000).
"""

import json
import os
import random
import signal
import subprocess
import time

import pytest
from lab import VIP4, Agent, Net, endpoints4, service, services, wait_until
from nodes import in_cgroup

pytestmark = pytest.mark.chaos
SERVERS = 4
LONG = os.environ.get("FAIRLEAD_CHAOS") == "long"
SOCKETS = int(os.environ.get("FAIRLEAD_SOCKETS", "100000" if LONG else "24000"))
BALANCES = {"p2c": 7001, "least-connections": 7002, "round-robin": 7003, "maglev": 7004}
BATCH = 2000

# Opens `batch` connections at once, waits until each is made, drops them all, and begins again. argv: address,
# port, total, batch. Prints what failed.
OPENER = r"""
import collections, errno, json, resource, select, socket, struct, sys, time
to, total, batch = (sys.argv[1], int(sys.argv[2])), int(sys.argv[3]), int(sys.argv[4])
hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
failed = collections.Counter()
for _ in range(total // batch):
    poll, waiting, made = select.epoll(), {}, []
    for i in range(batch):
        s = socket.socket()
        s.setblocking(False)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        code = s.connect_ex(to)
        if code not in (0, errno.EINPROGRESS):
            failed[errno.errorcode[code]] += 1
            s.close()
            continue
        waiting[s.fileno()] = s
        poll.register(s, select.EPOLLOUT)
    until = time.monotonic() + 60
    while waiting and time.monotonic() < until:
        for fd, _ in poll.poll(1):
            s = waiting.pop(fd)
            poll.unregister(fd)
            code = s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if code:
                failed[errno.errorcode[code]] += 1
            made.append(s)
    failed["silent"] += len(waiting)
    for s in [*made, *waiting.values()]:
        s.close()
print(json.dumps({k: n for k, n in failed.items() if n}), flush=True)
"""


def declared(dice):
    """Endpoints flap: some are gone, some drain, at least one takes connections."""
    text = []
    for balance, port in BALANCES.items():
        there = {n: dice.choice((0, 1, 3)) for n in range(1, SERVERS + 1) if dice.random() < 0.8}
        there[dice.randint(1, SERVERS)] = 1
        text.append(service(balance, [f"{VIP4}:{port}/tcp"], endpoints4(there), f"balance: {balance}"))
    return services(*text)


def calm():
    """What is declared before and after."""
    return services(*(service(balance, [f"{VIP4}:{port}/tcp"], endpoints4({1: 1, 2: 1}), f"balance: {balance}")
                      for balance, port in BALANCES.items()))


def entries(agent):
    """How full the maps of the node path are; the kernel keeps what sockets remember with the sockets."""
    return {m["name"]: m["entries"] for m in agent.cli("--bpffs", agent.bpffs, "map", "list")
            if m["name"] in ("frontends", "vips", "pools", "node_services", "stale", "affinity")}


def dump(agent, name):
    """The rows of a map of the node path, by somebody else's tool."""
    return json.loads(subprocess.run(["bpftool", "-j", "map", "dump", "pinned", agent.bpffs / "node" / name],
                                     capture_output=True, text=True, check=True).stdout)


def value(row):
    return row.get("formatted", row)["value"]


def still_open(agent):
    """Connections that the kernel still counts, over all endpoints."""
    return sum(value(row)["open"] for row in dump(agent, "live"))


def test_nothing_fails_and_nothing_is_left(net, cgroup, record_property):
    seed = int(os.environ.get("FAIRLEAD_SEED", str(random.randrange(1 << 30))))
    print(f"FAIRLEAD_SEED={seed}")
    dice = random.Random(seed)
    net.serve(SERVERS)
    agent = Agent(net, interfaces=(), more=f"limits: {{ endpoints: 300, services: 20 }}\n"
                                           f"node_path: {{ enabled: true, cgroup: {cgroup} }}\n")
    agent.declare("web.yaml", calm())
    agent.start()
    before = entries(agent)
    assert before["pools"] > 0, before
    began = time.monotonic()
    openers = [subprocess.Popen(
        in_cgroup(cgroup, net.inside(Net.BALANCER, ["/usr/bin/python3", "-c", OPENER, VIP4, port,
                                             SOCKETS // len(BALANCES), BATCH])),
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True) for port in BALANCES.values()]
    kills = changes = 0
    try:
        while any(opener.poll() is None for opener in openers):
            agent.declare("web.yaml", declared(dice))
            time.sleep(dice.uniform(0.05, 0.4))
            changes += 1
            if dice.random() < 0.1 or changes == 3:  # once in any case
                agent.stop(signal.SIGKILL)
                kills += 1
                agent.start(wait=False)
        told = [json.loads(opener.stdout.readline()) for opener in openers]
    finally:
        for opener in openers:
            opener.kill()
            opener.wait()
    assert told == [{}] * len(BALANCES), "no connection failed"
    assert kills > 0, "it was over before the agent could be killed: raise FAIRLEAD_SOCKETS"
    record_property("sockets", f"{SOCKETS} in {time.monotonic() - began:.0f} s, {kills} kills of the agent")

    agent.declare("web.yaml", calm())
    agent.wait_ready()
    wait_until(lambda: still_open(agent) == 0, "all that were opened are counted as closed")
    wait_until(lambda: entries(agent) == before, f"as before: {before}")
    assert sum(value(row)["connects"] for row in dump(agent, "live")) > 0, "they were counted at all"
    agent.stop()
    assert agent.run_once("--detach").returncode == 0
    assert not (agent.bpffs / "node").exists()
