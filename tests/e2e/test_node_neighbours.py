# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""The node path beside others: the edge path, the agent itself, containers, listeners."""

import json
import subprocess

import pytest
from lab import (FAIRLEAD, PORT, VIP4, Agent, Net, endpoints4, labnet, service, services,
                 wait_until)
from nodes import in_cgroup
from test_node_path import TALKER

WEIGHTS = {1: 1, 2: 2, 3: 1}
LOOPBACK = "127.0.0.77"  # a frontend of the balancer's own
CLIENT = "198.51.100.7:4242"
CONTAINER, CONTAINER_ADDRESS, BRIDGE_ADDRESS = "container", "10.88.0.2", "10.88.0.1"


@pytest.fixture(scope="module")
def agent(net, cgroup):
    """Both paths over one registry."""
    net.serve(3)
    agent = Agent(net, more=f"node_path: {{ enabled: true, cgroup: {cgroup} }}\n")
    agent.declare("web.yaml", services(
        service("web", [f"{VIP4}:{PORT}/tcp"], endpoints4(WEIGHTS), "balance: random"),
        service("own", [f"{LOOPBACK}:80/tcp"], endpoints4({1: 1}))))
    agent.start()
    yield agent
    if agent.process.poll() is None:
        agent.stop()
    agent.run_once("--detach")


@pytest.fixture(scope="module")
def container(net):
    """A network namespace of its own whose only way out is a veth, in the same tree of cgroups."""
    labnet.command(["ip", "netns", "add", net.netns(CONTAINER)])
    net.wire((CONTAINER, "eth0"), (Net.BALANCER, "to-container"))
    net.ip(CONTAINER, f"addr add {CONTAINER_ADDRESS}/24 dev eth0", "link set lo up",
           f"route add default via {BRIDGE_ADDRESS}")
    net.ip(Net.BALANCER, f"addr add {BRIDGE_ADDRESS}/24 dev to-container")
    yield CONTAINER
    labnet.command(["ip", "netns", "del", net.netns(CONTAINER)])


def talk(net, cgroup, role, **do):
    """Run the talker in a namespace, in the cgroup; what it saw."""
    done = subprocess.run(
        in_cgroup(cgroup, net.inside(role, ["/usr/bin/python3", "-c", TALKER, json.dumps(do)])),
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def fairlead(net, agent, *arguments):
    """The CLI on the balancer, as people see it."""
    done = subprocess.run(net.inside(Net.BALANCER, [FAIRLEAD, "--socket", agent.socket, "--bpffs", agent.bpffs,
                                                    *arguments]),
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, (arguments, done.stdout, done.stderr)
    return done.stdout


def ask(net, agent, *arguments):
    return json.loads(fairlead(net, agent, "-j", *arguments))


def test_explain_tells_of_both_paths(net, cgroup, agent):
    before = agent.cli("stats")["node_reasons"]
    answer = ask(net, agent, "explain", "tcp", CLIENT, f"{VIP4}:{PORT}")
    node = answer["node"]
    assert (answer["path"], node["path"]) == ("edge", "node")
    assert answer["service"] == node["service"] == "web"
    assert answer["frontend"] == node["frontend"] == f"{VIP4}:{PORT}/tcp"
    addresses = dict(endpoints4(WEIGHTS))
    assert answer["endpoint"] in addresses and node["endpoint"] in addresses
    assert {c["endpoint"]: (c["weight"], c["share"]) for c in node["candidates"]} == {
        address: (weight, weight / 4) for address, weight in addresses.items()}
    assert (node["balance"], node["chance"], node["reason"]) == ("random", True, "forwarded")

    assert ask(net, agent, "explain", "tcp", "node", f"{VIP4}:{PORT}")["candidates"] == node["candidates"]
    assert ask(net, agent, "explain", "tcp", "node", f"{VIP4}:9")["reason"] == "no_service"
    assert ask(net, agent, "explain", "tcp", "node@127.0.0.1", f"{VIP4}:{PORT}")["reason"] == "source"
    text = fairlead(net, agent, "explain", "tcp", CLIENT, f"{VIP4}:{PORT}")
    assert "a process of this node, now" in text and "50.0 %" in text, text
    assert agent.cli("stats")["node_reasons"] == before, "asking counts nothing"


def test_one_service_is_counted_on_both_paths(net, cgroup, agent):
    def flows():
        return next(s["new_flows"] for s in agent.cli("stats", "web")["services"])

    before, reasons = flows(), agent.cli("stats")
    for _ in range(4):
        talk(net, cgroup, Net.BALANCER, do="stream", to=[VIP4, PORT], family=4)
    talk(net, cgroup, Net.CLIENT, do="refused", to=["198.51.100.1", 9])  # nothing of ours
    after = agent.cli("stats")
    assert flows() == before + 4
    assert after["node_reasons"]["forwarded"] == reasons["node_reasons"]["forwarded"] + 4
    # Over the network, outside of the cgroup: the edge path's.
    net.run(Net.CLIENT, ["/usr/bin/python3", "-c", TALKER,
                         json.dumps({"do": "stream", "to": [VIP4, PORT], "family": 4})])
    assert flows() == before + 5
    assert agent.cli("stats")["node_reasons"]["forwarded"] == after["node_reasons"]["forwarded"]
    text = fairlead(net, agent, "stats")
    assert "edge path" in text and "node path" in text and "CONNECTS" in text, text


def test_maps_of_the_node_path_are_shown(net, agent):
    maps = {m["name"]: m for m in ask(net, agent, "map", "list")}
    assert {"frontends", "pools", "live", "affinity", "node"} <= maps.keys()
    assert maps["pools"]["entries"] == 2 and maps["sockets"]["entries"] is None, maps
    pools = {row["key"]["service"]: row["value"] for row in ask(net, agent, "map", "dump", "pools")}
    assert {m["endpoint"]: m["weight"] for m in pools["web"]["members"]} == dict(endpoints4(WEIGHTS))
    assert ask(net, agent, "map", "dump", "node")[0]["value"]["agent"] > 0
    live = {row["key"]: row["value"] for row in ask(net, agent, "map", "dump", "live")}
    assert set(live) <= set(dict(endpoints4(WEIGHTS)))


def test_probes_of_the_agent_meet_what_is_really_there(net, cgroup, agent):
    """A probed endpoint whose address is the frontend of another service: nobody listens there, and the
    endpoints behind that frontend would answer."""
    net.ip(Net.BALANCER, f"addr add {VIP4}/32 dev lo")
    try:
        (cgroup / "cgroup.procs").write_text(str(agent.process.pid))
        agent.declare("probed.yaml", services(
            service("probed", ["10.200.0.99:80/tcp"], [(f"{VIP4}:{PORT}", 1)],
                    "check: { tcp: true, interval: 200ms, fall: 2, rise: 2 }")))
        wait_until(lambda: any(e["service"] == "probed" and e["reason"] == "probe: Connection refused"
                               for e in agent.cli("endpoint", "list")), "the probe was refused")
        assert agent.metric("fairlead_packets_total", path="node", reason="exempt") > 0
        # Anybody else who connects there gets an endpoint.
        seen = talk(net, cgroup, Net.BALANCER, do="stream", to=[VIP4, PORT], family=4)
        assert seen["server"].startswith("web-"), seen
    finally:
        agent.declare("probed.yaml", "services: []\n")
        net.ip(Net.BALANCER, f"addr del {VIP4}/32 dev lo")


def test_a_container_with_its_own_network_is_served(net, cgroup, agent, container):
    seen = talk(net, cgroup, container, do="stream", to=[VIP4, PORT], family=4)
    assert seen["server"].startswith("web-") and seen["peer"] == [VIP4, PORT], seen
    # Its loopback is its own; that of the balancer has a frontend.
    assert talk(net, cgroup, container, do="refused", to=[LOOPBACK, 80]) == 111
    assert talk(net, cgroup, Net.BALANCER, do="stream", to=[LOOPBACK, 80], family=4)["server"] == "web-1"


# What MPTCP sockets and those with TCP Fast Open see. argv: kind, address, port.
CONNECTOR = r"""
import json, socket, sys

kind, to = sys.argv[1], (sys.argv[2], int(sys.argv[3]))
IPPROTO_MPTCP, TCP_FASTOPEN_CONNECT = 262, 30
s = socket.socket(socket.AF_INET, socket.SOCK_STREAM, IPPROTO_MPTCP if kind == "mptcp" else 0)
s.settimeout(20)
if kind == "fastopen":
    s.setsockopt(socket.IPPROTO_TCP, TCP_FASTOPEN_CONNECT, 1)
if kind == "sendto":  # connects and sends at once
    s.settimeout(None)
    s.sendto(b"hello\n", socket.MSG_FASTOPEN, to)
else:
    s.connect(to)
    s.sendall(b"hello\n")
print(json.dumps({"server": s.recv(100).decode().split()[0], "peer": list(s.getpeername()[:2])}))
"""


@pytest.mark.parametrize("kind", ["mptcp", "fastopen", "sendto"])
def test_unusual_sockets_are_served_alike(net, cgroup, agent, kind):
    done = subprocess.run(
        in_cgroup(cgroup, net.inside(Net.BALANCER, ["/usr/bin/python3", "-c", CONNECTOR, kind, VIP4, str(PORT)])),
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    assert seen["server"].startswith("web-"), seen
    # The kernel asks about another socket of an MPTCP connection than the one that was connected.
    assert kind == "mptcp" or seen["peer"] == [VIP4, PORT], seen


def test_doctor_mentions_a_listener_where_a_frontend_is(net, agent):
    def listeners():
        return [r for r in ask(net, agent, "doctor", str(agent.config)) if r["check"] == "listeners"]

    assert [r["result"] for r in listeners()] == ["ok"], listeners()
    holder = net.spawn(Net.BALANCER, ["/usr/bin/python3", "-c",
                                      "import socket, sys; s = socket.create_server(('127.0.0.77', 80)); "
                                      "print('up', flush=True); sys.stdin.read()"],
                       stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert holder.stdout.readline() == b"up\n"
    rows = listeners()
    assert [(r["subject"], r["result"]) for r in rows] == [(f"{LOOPBACK}:80/tcp", "warn")], rows
    assert "left alone" in rows[0]["found"]
    holder.stdin.close()
    holder.wait(60)
    names = {r["check"] for r in ask(net, agent, "doctor", str(agent.config))}
    assert {"cgroup2", "hooks", "neighbours"} <= names, names
