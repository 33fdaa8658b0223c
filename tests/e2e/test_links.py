# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""The network changes under a running agent: interfaces, neighbours, MAC addresses."""

import subprocess

import pytest

from lab import PORT, VIP4, Agent, Clients, wait_until, web

TO = [VIP4, PORT]


@pytest.fixture(scope="module")
def agent(net):
    net.serve(4)
    agent = Agent(net)
    agent.declare("web.yaml", web({1: 1, 2: 1}))
    return agent.start()


def interface(agent, name):
    return next(i for i in agent.cli("status")["interfaces"] if i["name"] == name)


def flush_neighbours(net, *names):
    """`ip neigh flush` fails when entries come back while it flushes, as they do here."""
    for name in names:
        subprocess.run(net.inside(net.BALANCER, ["ip", "neigh", "flush", "dev", name]),
                       capture_output=True, check=False)


def test_native_where_the_driver_can(agent):
    for name in ("to-clients", "to-servers"):
        assert interface(agent, name)["mode"] == "native", "veth has native XDP"


def test_an_endpoint_changes_its_mac_address(net, agent):
    """A new network card behind an old address: connections go on once ARP has told."""
    clients = Clients(net)
    clients.open(TO, 50)
    before = clients.talk()
    for mac in ("02:00:00:00:00:a1", "02:00:00:00:00:a2"):
        net.ip("web-1", f"link set eth0 address {mac}")
        flush_neighbours(net, "to-servers")
        assert clients.talk() == before, f"web-1 is {mac} now"
        assert set(clients.spread(TO, 50)) == {"web-1", "web-2"}


def test_neighbours_flushed_under_traffic(net, agent):
    clients = Clients(net)
    clients.open(TO, 50)
    before = clients.talk()
    for _ in range(10):
        flush_neighbours(net, "to-servers", "to-clients")
        assert clients.talk() == before


def test_an_interface_goes_and_comes_back(net, agent):
    clients = Clients(net)
    clients.spread(TO, 10)
    net.ip(net.BALANCER, "link delete to-clients")
    wait_until(lambda: interface(agent, "to-clients")["mode"] == "none", "its absence is seen")
    assert interface(agent, "to-clients")["reason"], "and told"
    assert interface(agent, "to-servers")["mode"] == "native"
    net.connect_client()
    wait_until(lambda: interface(agent, "to-clients")["mode"] == "native", "attached again")
    assert set(clients.spread(TO, 50)) == {"web-1", "web-2"}


def test_an_interface_that_is_not_there_yet(net, agent):
    """No error at the start; attached as soon as it exists."""
    agent.stop()
    net.ip(net.BALANCER, "link delete to-servers")
    agent.start()
    assert interface(agent, "to-servers")["mode"] == "none"
    assert interface(agent, "to-servers")["reason"]
    net.connect_switch()
    wait_until(lambda: interface(agent, "to-servers")["mode"] == "native", "attached")
    assert set(Clients(net).spread(TO, 50)) == {"web-1", "web-2"}


def test_generic_when_asked_for(net, agent):
    agent.stop()
    agent.run_once("--detach")
    generic = Agent(net, "generic", edge="mode: generic")
    generic.declare("web.yaml", web({1: 1, 2: 1}))
    generic.start()
    for name in ("to-clients", "to-servers"):
        assert interface(generic, name)["mode"] == "generic"
    assert set(Clients(net).spread(TO, 50)) == {"web-1", "web-2"}
    generic.stop()
    generic.run_once("--detach")


def test_an_xdp_slot_that_is_taken(net, agent):
    """Somebody else's program stays; the agent says so, and takes over when it goes."""
    agent.stop()
    agent.run_once("--detach")
    other = Agent(net, "other", interfaces=["to-clients"], bpffs=f"{net.bpffs}-other", http="off")
    other.start()
    agent.start()
    assert interface(agent, "to-clients")["mode"] == "none"
    assert interface(agent, "to-clients")["reason"]
    other.stop()
    other.run_once("--detach")
    wait_until(lambda: interface(agent, "to-clients")["mode"] == "native", "attached when it was free")
    assert set(Clients(net).spread(TO, 50)) == {"web-1", "web-2"}
