# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Probes that take the road of the data: an endpoint whose tunnel is broken is found, though it
answers whoever asks it straight."""

import signal

import pytest
from lab import (PORT, VIP4, VIP6, Agent, Clients, endpoints4, endpoints6, service, services, start_targets,
                 wait_until)

pytestmark = pytest.mark.sanitised
PACE = "interval: 200ms, timeout: 400ms, rise: 1, fall: 2"


@pytest.fixture(scope="module")
def targets(net):
    net.serve(2)
    return start_targets(net, 2)


@pytest.fixture
def agent(net, targets):
    agent = Agent(net)
    yield agent
    if agent.process.poll() is None:
        agent.stop()
    agent.run_once("--detach")


def states(agent, name="web"):
    return [e["state"] for e in agent.cli("endpoint", "list", name)]


def reasons(agent, name="web"):
    return [e["reason"] for e in agent.cli("endpoint", "list", name)]


def wait_for(agent, *wanted):
    wait_until(lambda: states(agent) == list(wanted), f"{wanted}")


def remains(net):
    """What the road is made of, as far as it is there."""
    found = net.run(net.BALANCER, ["sh", "-c", "ip rule; ip -6 rule; tc filter show dev lo egress; "
                                   "ip route show table 16391853; ip -6 route show table 16391853"])
    return [line for line in found.splitlines() if "16391853" in line or "bpf" in line or "default dev" in line]


@pytest.mark.parametrize("vip, endpoints", [(VIP4, endpoints4), (f"[{VIP6}]", endpoints6)])
@pytest.mark.parametrize("kind", ["tcp: true, contains: web", "udp: true, send: 'c1 x', contains: c1"])
def test_an_endpoint_that_takes_nothing_out_of_its_tunnel_is_down(agent, targets, vip, endpoints, kind):
    proto = kind[:3]
    agent.declare("web.yaml", services(service("web", [f"{vip}:{PORT}/{proto}"], endpoints({1: 1, 2: 1}), "forward: ipip",
                                               f"check: {{ {kind}, through: tunnel, {PACE} }}")))
    agent.start()
    wait_until(lambda: all("probe" in r and "not probed" not in r for r in reasons(agent)), "both were probed")
    wait_for(agent, "up", "up")
    targets[0].stop()
    targets[0].run_once("--detach")
    wait_for(agent, "down", "up")
    targets[0].start()
    wait_for(agent, "up", "up")


def test_asked_straight_it_seems_well(agent, targets):
    """Why there is another road."""
    agent.declare("web.yaml", services(service("web", [f"{VIP4}:{PORT}/tcp"], endpoints4({1: 1, 2: 1}), "forward: ipip",
                                               f"check: {{ tcp: true, {PACE} }}")))
    agent.start()
    targets[0].stop()
    targets[0].run_once("--detach")
    probes = agent.metric("fairlead_check_probes_total")
    wait_until(lambda: agent.metric("fairlead_check_probes_total") >= probes + 10, "it is probed some times")
    assert states(agent) == ["up", "up"]
    agent.declare("web.yaml", services(service("web", [f"{VIP4}:{PORT}/tcp"], endpoints4({1: 1, 2: 1}), "forward: ipip",
                                               f"check: {{ tcp: true, through: tunnel, {PACE} }}")))
    wait_for(agent, "down", "up")
    targets[0].start()
    wait_for(agent, "up", "up")


def test_the_road_is_taken_over_and_taken_away(net, agent):
    agent.declare("web.yaml", services(service("web", [f"{VIP4}:{PORT}/tcp"], endpoints4({1: 1, 2: 1}), "forward: ipip",
                                               f"check: {{ tcp: true, through: tunnel, {PACE} }}")))
    assert remains(net) == []
    agent.start()
    wait_until(lambda: len(remains(net)) == 6, "the road is made")
    there = remains(net)
    agent.stop(signal.SIGKILL)
    assert remains(net) == there
    agent.start()
    probes = agent.metric("fairlead_check_probes_total")
    wait_until(lambda: agent.metric("fairlead_check_probes_total") >= probes + 6, "probes go on")
    assert states(agent) == ["up", "up"]
    assert [line.split(" id ")[0].split("[")[0] for line in remains(net)] == \
        [line.split(" id ")[0].split("[")[0] for line in there], "nothing stands there twice"
    assert Clients(net).spread([VIP4, PORT], 20)
    agent.stop()
    assert remains(net) == []

    agent.start()
    wait_until(lambda: len(remains(net)) == 6, "it is made again")
    agent.stop(signal.SIGKILL)
    agent.run_once("--detach")
    assert remains(net) == []


def test_where_there_is_no_tunnel_it_says_so(net, targets):
    """That says nothing of the endpoint, which stays as it was."""
    agent = Agent(net, "no-edge", interfaces=())
    agent.declare("web.yaml", services(service("web", [f"{VIP4}:{PORT}/tcp"], endpoints4({1: 1}), "forward: ipip",
                                               f"check: {{ tcp: true, through: tunnel, {PACE} }}")))
    agent.start()
    wait_until(lambda: "not through the tunnel: there is no edge path" in agent.log(), "the log says why")
    assert states(agent) == ["up"]
    agent.stop()
    agent.run_once("--detach")
