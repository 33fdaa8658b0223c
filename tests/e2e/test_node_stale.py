# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Connections of this node to an endpoint that went are closed, as the service says, and no others."""

import json
import subprocess
import time

import pytest
from lab import PORT, VIP4, Agent, Net, endpoints4, service, services, wait_until
from nodes import in_cgroup

SERVERS = 2
PYTHON = "/usr/bin/python3"

# Opens connections and waits for their end. argv: kind, address, port, count. Prints, as JSON lines, "open" and
# then for each socket that ended its error and when (CLOCK_MONOTONIC).
HOLDER = r"""
import json, select, socket, sys, time
kind, to, count = sys.argv[1], (sys.argv[2], int(sys.argv[3])), int(sys.argv[4])
poll, held = select.epoll(), {}
for _ in range(count):
    s = socket.socket(socket.AF_INET, socket.SOCK_STREAM if kind == "tcp" else socket.SOCK_DGRAM)
    s.settimeout(30)
    if kind == "loose":
        s.sendto(b"1 hello", to)
        assert s.recvfrom(100)[1] == to
    else:
        s.connect(to)
        if kind == "udp":
            s.send(b"1 hello")
        s.recv(100)
    s.setblocking(False)
    held[s.fileno()] = s
    poll.register(s, select.EPOLLIN)
print(json.dumps("open"), flush=True)
poll.register(sys.stdin, select.EPOLLIN)
while True:
    for fd, _ in poll.poll():
        if fd == sys.stdin.fileno():
            print(json.dumps({"held": len(held)}), flush=True)
            sys.exit()
        code = held[fd].getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        print(json.dumps({"error": code, "at": time.monotonic()}), flush=True)
        poll.unregister(fd)
        held.pop(fd).close()
"""


@pytest.fixture(scope="module")
def served(net):
    net.serve(SERVERS)


class Holder:
    """A process in the cgroup that holds connections to a frontend."""

    def __init__(self, net, cgroup, kind, port, count, role=Net.BALANCER):
        inside = net.inside(role, [PYTHON, "-c", HOLDER, kind, VIP4, port, count])
        self.process = subprocess.Popen(
            in_cgroup(cgroup, inside), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert json.loads(self.process.stdout.readline()) == "open"

    def ended(self, count):
        """Wait until so many have ended: [(error, when)]."""
        rows = [json.loads(self.process.stdout.readline()) for _ in range(count)]
        return [(row["error"], row["at"]) for row in rows]

    def leave(self):
        """End the process. How many it still held; none must have ended unseen."""
        self.process.stdin.close()
        last = json.loads(self.process.stdout.readline())
        self.process.wait(30)
        return last["held"]


def declared(one, two, other):
    return services(service("one", [f"{VIP4}:{PORT}/tcp", f"{VIP4}:{PORT}/udp"], endpoints4(one), "stale: close"),
                    service("two", [f"{VIP4}:7001/tcp"], endpoints4(two), "stale: drain 3s"),
                    service("other", [f"{VIP4}:7002/tcp", f"{VIP4}:7002/udp"], endpoints4(other)))


@pytest.fixture
def node(net, cgroup, served):
    agent = Agent(net, interfaces=(), more=f"log: {{ level: debug }}\nnode_path: {{ enabled: true, cgroup: {cgroup} }}\n")
    agent.declare("web.yaml", declared({1: 1}, {1: 1}, {1: 1}))
    agent.start()
    yield agent
    if agent.process.poll() is None:
        agent.stop()
    agent.run_once("--detach")


def test_the_clients_of_an_endpoint_that_was_removed(net, cgroup, node, record_property):
    tcp = Holder(net, cgroup, "tcp", PORT, 1000)
    udp = Holder(net, cgroup, "udp", PORT, 100)
    elsewhere = Holder(net, cgroup, "tcp", PORT, 10, role="web-2")  # another network namespace
    loose = Holder(net, cgroup, "loose", PORT, 10)
    others = Holder(net, cgroup, "tcp", 7002, 50), Holder(net, cgroup, "udp", 7002, 50)

    began = time.monotonic()
    node.declare("web.yaml", declared({2: 1}, {1: 1}, {2: 1}))
    ends = tcp.ended(1000) + udp.ended(100) + elsewhere.ended(10)
    record_property("1110 sockets closed within", f"{max(at for _, at in ends) - began:.2f} s")
    assert {error for error, _ in ends} == {103}, "ECONNABORTED"

    assert loose.leave() == 10, "sockets that are not connected stay"
    assert [holder.leave() for holder in others] == [50, 50], "the other service keeps its connections"
    assert [holder.leave() for holder in (tcp, udp, elsewhere)] == [0, 0, 0]
    wait_until(lambda: "are closed service=one endpoint=192.0.2.11 closed=1110" in node.log(), "it is told")
    assert node.log().count("stale connection closed service=one") == 1110
    assert node.metric("fairlead_node_closed_total", service="one") == 1110
    assert node.metric("fairlead_node_closed_total", service="other") == 0
    assert Holder(net, cgroup, "tcp", PORT, 5).leave() == 5, "a new connection goes to the one that is there"


def test_they_are_given_time_to_end_and_one_that_returns_keeps_them(net, cgroup, node):
    held = Holder(net, cgroup, "tcp", 7001, 20)
    node.declare("web.yaml", declared({1: 1}, {2: 1}, {1: 1}))
    wait_until(lambda: [e["address"] for e in node.cli("endpoint", "list", "two")] == ["192.0.2.12:7000"], "it is gone")
    node.declare("web.yaml", declared({1: 1}, {1: 1, 2: 1}, {1: 1}))
    time.sleep(5)
    assert "service=two" not in node.log(), "it came back in time"

    began = time.monotonic()
    node.declare("web.yaml", declared({1: 1}, {2: 1}, {1: 1}))
    assert all(at - began > 2 for _, at in held.ended(20)), "not before their time"
    assert held.leave() == 0


def test_one_that_drains_keeps_them_and_one_that_is_down_does_not(net, cgroup, node):
    held = Holder(net, cgroup, "tcp", PORT, 20)

    def state(word):
        node.declare("web.yaml", declared({2: 1}, {1: 1}, {1: 1}).replace(
            '      - { address: "192.0.2.12:7000", weight: 1 }',
            f'      - {{ address: "192.0.2.11:7000", state: {word} }}\n      - {{ address: "192.0.2.12:7000" }}', 1))

    state("draining")
    wait_until(lambda: {e["state"] for e in node.cli("endpoint", "list", "one")} == {"draining", "up"}, "it drains")
    assert Holder(net, cgroup, "tcp", PORT, 5).leave() == 5
    state("down")
    assert {error for error, _ in held.ended(20)} == {103}
    assert held.leave() == 0


def test_what_was_removed_while_the_agent_was_away(net, cgroup, node):
    held, kept = Holder(net, cgroup, "tcp", PORT, 20), Holder(net, cgroup, "tcp", 7002, 20)
    node.stop(9)
    node.declare("web.yaml", declared({2: 1}, {1: 1}, {2: 1}))
    node.start()
    assert {error for error, _ in held.ended(20)} == {103}
    assert (held.leave(), kept.leave()) == (0, 20)
