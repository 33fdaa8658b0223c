# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Processes of the balancing node itself reach endpoints without a balancer in between.

The programs sit on a cgroup of the test's own, so that nothing else on the machine meets them.
"""

import json
import subprocess

import pytest
from lab import (PORT, VIP4, VIP6, Agent, Clients, Net, endpoints4, endpoints6, service, services,
                 wait_until)
from nodes import in_cgroup

SERVERS = 3

# Talks to frontends as programs do, and tells what it saw. argv: actions as JSON.
TALKER = r"""
import json, socket, sys

def stream(to, family):
    s = socket.create_connection(to, 20) if family == 4 else socket.socket(socket.AF_INET6)
    if family != 4:
        s.settimeout(20)
        s.connect(to)
    s.sendall(b"hello\n")
    seen = s.recv(100).decode().split()[0]
    return {"server": seen, "peer": list(s.getpeername()[:2])}

def datagrams(to, count):
    s = socket.socket(socket.AF_INET6 if ":" in to[0] else socket.AF_INET, socket.SOCK_DGRAM)
    s.settimeout(20)
    answers = []
    for _ in range(count):
        s.sendto(b"hello", to)
        data, sender = s.recvfrom(100)
        answers.append([data.decode().split()[0], list(sender[:2])])
    return answers

def refused(to):
    try:
        socket.create_connection(to, 20)
    except OSError as e:
        return e.errno
    return 0

do = json.loads(sys.argv[1])
print(json.dumps(globals()[do.pop("do")](**{k: tuple(v) if k == "to" else v for k, v in do.items()})))
"""


@pytest.fixture(scope="module")
def served(net):
    net.serve(SERVERS)


@pytest.fixture
def node(net, cgroup, served):
    """An agent with a node path and no other, and endpoints that listen."""
    agent = Agent(net, interfaces=(), more=f"node_path: {{ enabled: true, cgroup: {cgroup} }}\n")
    agent.declare("web.yaml", services(
        service("web", [f"{VIP4}:{PORT}/tcp", f"{VIP4}:53/udp"], endpoints4({1: 1, 2: 2, 3: 1})),
        service("web6", [f"[{VIP6}]:{PORT}/tcp", f"[{VIP6}]:53/udp"], endpoints6({1: 1, 2: 1})),
        service("gone", [f"{VIP4}:9/tcp"], [(f"{Net.server4(1)}:{PORT}", 0)])))
    agent.start()
    yield agent
    if agent.process.poll() is None:
        agent.stop()
    agent.run_once("--detach")


def talk(net, cgroup, **do):
    """Run the talker on the balancer, in the cgroup; what it saw."""
    done = subprocess.run(
        in_cgroup(cgroup, net.inside(Net.BALANCER, ["/usr/bin/python3", "-c", TALKER, json.dumps(do)])),
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_process_of_this_node_is_connected_to_an_endpoint(net, cgroup, node):
    status = node.cli("status")["node_path"]
    assert (status["enabled"], status["cgroup"], status["reason"]) == (True, str(cgroup), None)
    assert status["closes_by"] in ("bpf_sock_destroy", "sock_diag")

    # The frontend's address is nowhere: only the connect hook makes this work; the socket shows it.
    seen = talk(net, cgroup, do="stream", to=[VIP4, PORT], family=4)
    assert seen["server"].startswith("web-") and seen["peer"] == [VIP4, PORT], seen
    seen = talk(net, cgroup, do="stream", to=[VIP6, PORT], family=6)
    assert seen["server"] in ("web-1", "web-2") and seen["peer"] == [VIP6, PORT], seen
    seen = talk(net, cgroup, do="stream", to=[f"::ffff:{VIP4}", PORT], family=6)
    assert seen["server"].startswith("web-") and seen["peer"] == [f"::ffff:{VIP4}", PORT], seen

    # An unconnected datagram socket stays with one endpoint, and answers come from the frontend.
    for vip in (VIP4, VIP6):
        answers = talk(net, cgroup, do="datagrams", to=[vip, 53], count=5)
        assert len({server for server, _ in answers}) == 1, answers
        assert all(sender == [vip, 53] for _, sender in answers), answers

    # Nobody takes it: refused at once, not after a timeout.
    assert talk(net, cgroup, do="refused", to=[VIP4, 9]) == 111
    assert node.metric("fairlead_packets_total", path="node", reason="forwarded") >= 5
    assert node.metric("fairlead_packets_total", path="node", reason="no_endpoint") == 1
    flows = node.metric("fairlead_service_new_flows_total", service="web")
    assert flows >= 3, flows


def test_shares_are_what_weights_say(net, cgroup, node):
    clients = Clients(net, Net.BALANCER)
    (cgroup / "cgroup.procs").write_text(str(clients.process.pid))
    servers = clients.spread([VIP4, PORT], 2000)
    assert sum(servers.values()) == 2000
    # 1:2:1; five standard deviations of the binomial distribution.
    for name, share in (("web-1", 0.25), ("web-2", 0.5), ("web-3", 0.25)):
        assert abs(servers[name] - 2000 * share) < 5 * (2000 * share * (1 - share)) ** 0.5, servers
    clients.process.stdin.close()
    clients.process.wait(60)


def test_it_follows_changes_and_outlives_the_agent(net, cgroup, node):
    def servers(count=30):
        return {talk(net, cgroup, do="stream", to=[VIP4, PORT], family=4)["server"] for _ in range(count)}

    node.declare_web({2: 1})
    assert servers(5) == {"web-2"}
    node.stop(9)
    assert servers(5) == {"web-2"}  # without an agent
    node.start()
    node.declare_web({3: 1})
    assert servers(5) == {"web-3"}

    # Not enabled any more: the next start takes the programs away.
    node.stop()
    node.config.write_text(node.config.read_text().replace("enabled: true", "enabled: false"))
    node.start()
    assert node.cli("status")["node_path"]["enabled"] is False
    assert talk(net, cgroup, do="refused", to=[VIP4, PORT]) != 0


def test_what_keeps_it_from_working_is_said(net):
    agent = Agent(net, "other", interfaces=(), bpffs=net.bpffs.parent / f"{net.prefix}-other",
                  more="node_path: { enabled: true, cgroup: /proc }\n")
    agent.start()
    status = agent.cli("status")["node_path"]
    assert status["enabled"] is False and "node_watch" in status["reason"], status
    wait_until(lambda: "no node path" in agent.log(), "the log tells")
    agent.stop()
    agent.run_once("--detach")
