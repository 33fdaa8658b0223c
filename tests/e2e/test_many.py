# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""A change so large that it is applied in slices, and what comes in between."""

import signal

import pytest

from lab import PORT, VIP4, Agent, Clients, service, services, wait_until, web

pytestmark = pytest.mark.sanitised
MANY = 1500
OPEN = 50
TO = [VIP4, PORT]


@pytest.fixture(scope="module")
def agent(net):
    net.serve(4)
    agent = Agent(net)
    agent.declare("web.yaml", web({1: 1, 2: 1}))
    return agent.start()


def many(endpoint):
    """Services that nobody uses, each with two endpoints of which one can be chosen."""
    return services(*(service(f"many-{i:04}", [f"10.220.{i // 250}.{i % 250 + 1}:80/tcp"],
                              [("192.0.2.101:80", 1), (f"192.0.2.{endpoint}:80", 1)])
                      for i in range(MANY)))


def names(agent):
    return [row["name"] for row in agent.cli("service", "list")]


def has_all(agent, endpoint):
    """Whether all are in force, with this endpoint."""
    if len(names(agent)) != MANY + 1:
        return False
    addresses = {row["address"] for row in agent.cli("endpoint", "list", f"many-{MANY - 1:04}")}
    return addresses == {"192.0.2.101:80", f"192.0.2.{endpoint}:80"}


def test_what_is_published_meanwhile_follows(net, agent):
    clients = Clients(net)
    clients.open(TO, OPEN)
    before = clients.talk()
    agent.declare("many.yaml", many(102))
    wait_until(lambda: has_all(agent, 102), "all are there")
    for endpoint in (103, 104, 105):
        agent.declare("many.yaml", many(endpoint))
        agent.declare("web.yaml", web({1: 1, 2: 1, (3 if endpoint % 2 else 4): 9}))
        wait_until(lambda: agent.get("/healthz") and agent.get("/readyz"), "it answers")
    wait_until(lambda: has_all(agent, 105), "the last of the large changes")
    wait_until(lambda: set(clients.spread(TO, 40)) >= {"web-3"}, "the last of the small ones")
    assert "web-4" not in clients.spread(TO, 40)
    assert clients.talk() == before, "each old connection is where it was"
    clients.process.kill()


def test_killed_in_the_middle(net, agent):
    clients = Clients(net)
    clients.open(TO, OPEN)
    before = clients.talk()
    writes = agent.metric("fairlead_map_writes_total", map="endpoints")
    agent.declare("many.yaml", many(106))
    wait_until(lambda: agent.metric("fairlead_map_writes_total", map="endpoints") > writes, "it has begun")
    agent.stop(signal.SIGKILL)
    assert clients.talk() == before
    agent.start()
    wait_until(lambda: has_all(agent, 106), "the next agent finishes it")
    agent.declare("many.yaml", "services: []\n")
    wait_until(lambda: names(agent) == ["web"], "and what goes goes")
    assert clients.talk() == before
    clients.process.kill()


def test_what_does_not_fit_waits_until_it_does(net):
    """Numbers of endpoints that left rest for some seconds, and there are only ten."""
    small = Agent(net, "small", interfaces=(), bpffs=f"{net.bpffs}-small", http="off",
                  more="limits: { endpoints: 10 }\n")

    def declare(addresses):
        small.declare("web.yaml", services(service("web", [f"{VIP4}:{PORT}/tcp"],
                                                   [(f"192.0.2.{i}:80", 1) for i in addresses])))

    def has(addresses):
        rows = small.cli("endpoint", "list")
        return {row["address"] for row in rows} == {f"192.0.2.{i}:80" for i in addresses}

    declare(range(101, 107))
    small.start()
    declare(range(104, 110))
    wait_until(lambda: has(range(104, 110)), "three were replaced")
    declare(range(107, 113))
    wait_until(lambda: "snapshot not applied" in small.log(), "three more are too many")
    assert has(range(104, 110))
    wait_until(lambda: has(range(107, 113)), "not for long")
    assert small.log().count("snapshot not applied") == 1
    small.stop()
