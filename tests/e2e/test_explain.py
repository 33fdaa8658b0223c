# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""`fairlead explain` says where a connection will go, and that is where it goes."""

import pytest

from lab import (PORT, VIP4, VIP6, Agent, Clients, endpoints4, endpoints6, service, services,
                 start_targets, wait_until)

SERVERS = 3
WEIGHTS = {1: 1, 2: 2, 3: 1}
FIRST_PORT, FLOWS = 21_000, 12
CLIENT = {VIP4: "198.51.100.7", VIP6: "[2001:db8:2::7]"}


@pytest.fixture(scope="module")
def agent(net):
    net.serve(SERVERS)
    start_targets(net, SERVERS)
    return Agent(net).start()


def explain(agent, vip, port, *more):
    name = f"[{vip}]" if ":" in vip else vip
    return agent.cli("--bpffs", agent.bpffs, "explain", "tcp", f"{CLIENT[vip]}:{port}", f"{name}:{PORT}", *more)


@pytest.mark.parametrize("vip, endpoints", [(VIP4, endpoints4), (VIP6, endpoints6)], ids=["IPv4", "IPv6"])
@pytest.mark.parametrize("forward", ["nat", "ipip"])
def test_connections_go_where_it_says(net, agent, forward, vip, endpoints):
    name = f"[{vip}]" if ":" in vip else vip
    agent.declare("web.yaml", services(service("web", [f"{name}:{PORT}/tcp"], endpoints(WEIGHTS),
                                               f"forward: {forward}")))
    wait_until(lambda: (agent.service("web").get("forward"), agent.service("web").get("frontends"))
               == (forward, [f"{name}:{PORT}/tcp"]), "applied")
    wait_until(lambda: all(explain(agent, vip, FIRST_PORT + n)["reason"] != "no_route" for n in range(FLOWS)),
               "next hops are resolved")
    servers = {address: f"web-{n}" for n, (address, _) in zip(WEIGHTS, endpoints(WEIGHTS))}
    forwarded = agent.reasons()["forwarded"]
    told = [explain(agent, vip, FIRST_PORT + n) for n in range(FLOWS)]
    assert agent.reasons()["forwarded"] == forwarded, "explain counts nothing"

    for n, answer in enumerate(told):
        assert (answer["service"], answer["frontend"]) == ("web", f"{name}:{PORT}/tcp")
        assert (answer["forward"], answer["reason"], answer["path"]) == (forward, "forwarded", "edge")
        assert (answer["moving"], answer["pinned"], answer["state"]) == (False, False, "up")
        clients = Clients(net)
        found = clients.open([vip, PORT], 1, sports=[FIRST_PORT + n, FIRST_PORT + n])
        assert found == {servers[answer["endpoint"]]: 1}, answer
        old = explain(agent, vip, FIRST_PORT + n, "old")
        assert old["endpoint"] == answer["endpoint"]
        assert old["pinned"] == (forward == "nat"), "nat has a table of connections"
        clients.close(reset=True)
        clients.process.kill()


def test_doctor_looks_at_the_agents_interfaces(agent):
    rows = agent.cli("doctor")
    assert {row["result"] for row in rows} <= {"ok", "warn", "fail"}
    assert not [row for row in rows if row["result"] == "fail" and row["check"] in ("capabilities", "xdp", "bpffs")
                and not row["subject"]], rows
    assert {"capabilities", "bpffs", "cgroup2"} <= {row["check"] for row in rows}
