# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Twelve endpoints: two services of six instances each, in a real Consul and behind an agent
that reads it. Fixtures and words for the stories about them."""

import time

import pytest

from consul_server import Consul, consul_registry, states_of
from lab import PORT, VIP4, Agent, Clients, wait_until

SERVERS = 6
ALL = range(1, SERVERS + 1)
OPEN, SAMPLE = 120, 240  # connections
HTTP = 80
TALK = [VIP4, PORT]


def name(n):
    return f"web-{n}"


def describe(consul, service, port, n, weight=1, **more):
    """Instance n of a service of this lab; its frontend stands in the metadata."""
    consul.register(f"{service}-{n}", service, f"192.0.2.{10 + n}", port, weight=weight,
                    Meta={"fairlead-frontends": f"{VIP4}:{port}/tcp"}, **more)


def describe_all(consul):
    for service, port in (("talk", PORT), ("http", HTTP)):
        for n in ALL:
            describe(consul, service, port, n)


def states_of_all(agent):
    return {(e["service"], e["address"]): e["state"] for e in agent.cli("endpoint", "list")}


@pytest.fixture(scope="module")
def consul(net, program):
    consul = Consul(net, program("consul"), data=True).start()
    describe_all(consul)
    return consul


@pytest.fixture(scope="module")
def agent(net, consul):
    net.serve(SERVERS)
    for n in ALL:
        net.nginx(n, net.run_dir / f"access-{n}.log")
    agent = Agent(net, registries=consul_registry()).start()
    wait_until(lambda: len(states_of_all(agent)) == 2 * SERVERS, "twelve endpoints")
    return agent


@pytest.fixture
def clients(net, consul, agent):
    """OPEN connections over all servers, that live through the story; all is well before it."""
    consul.ensure()
    describe_all(consul)
    for n in ALL:
        consul.maintain(f"talk-{n}", False)
    wait_until(lambda: states_of(agent, "talk") == {f"192.0.2.{10 + n}:{PORT}": ("up", 1) for n in ALL},
               "all are up")
    clients = Clients(net)
    assert set(clients.open(TALK, OPEN)) == set(map(name, ALL))
    yield clients
    clients.process.kill()


def follows(clients, change, condition, what, record_property):
    """Make a change in Consul and wait until new connections show it; the delay is measured,
    with what looking costs."""
    began = time.monotonic()
    change()

    def is_shown():
        got = clients.spread_amid_change(TALK, 60)
        return got and condition(got)

    wait_until(is_shown, what)
    record_property("seconds from Consul to traffic", round(time.monotonic() - began, 3))
