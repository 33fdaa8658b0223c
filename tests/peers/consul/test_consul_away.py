# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""A Consul that stops, comes back, or comes back empty breaks nothing."""

import signal
import time

from consul_server import registry_of
from lab import Clients, wait_until
from twelve import (ALL, HTTP, SAMPLE, SERVERS, TALK, agent, clients, consul, describe_all, follows,  # noqa: F401
                    name, states_of_all)


def goes_on(clients, before):
    """Traffic is as before: what is open is, and new connections find all servers."""
    assert clients.talk() == before
    assert set(clients.spread(TALK, SAMPLE)) == set(map(name, ALL))


def is_away(agent):
    registry = registry_of(agent)
    return registry["up"] is False and registry["last_error"]


def is_kept(agent):
    kept = "".join(file.read_text() for file in agent.state.rglob("snapshot.yaml"))
    return all(f"192.0.2.{10 + n}:{port}" in kept for n in ALL for port in (HTTP, TALK[1]))


def comes_back(consul, agent):
    """Consul is started; the agent finds it by itself."""
    consul.start()
    wait_until(lambda: registry_of(agent)["up"], "the agent finds it")


def test_consul_stops_and_traffic_goes_on(consul, agent, clients, record_property):
    before = clients.talk()
    consul.stop()
    wait_until(lambda: is_away(agent), "it is said to be away, and why")
    assert agent.metric("fairlead_registry_up", registry="consul") == 0
    age = registry_of(agent)["age"]
    wait_until(lambda: registry_of(agent)["age"] >= age + 2, "what is known grows older")
    assert agent.metric("fairlead_registry_snapshot_age_seconds", registry="consul") >= age + 2
    goes_on(clients, before)

    comes_back(consul, agent)
    wait_until(lambda: registry_of(agent)["age"] < age + 2, "and is young again")
    goes_on(clients, before)
    follows(clients, lambda: consul.deregister("talk-1"), lambda got: "web-1" not in got,
            "changes are followed again", record_property)


def test_an_agent_that_starts_without_consul_serves_what_it_knew(net, consul, agent, clients):
    """Not from the maps: they are gone. From its last snapshot, which is written a little later."""
    wait_until(lambda: is_kept(agent), "all twelve are on disk")
    consul.stop()
    agent.stop(signal.SIGKILL)
    assert agent.run_once("--detach").returncode == 0
    assert not net.bpffs.exists()
    agent.start()
    wait_until(lambda: len(states_of_all(agent)) == 2 * SERVERS, "all are known")
    wait_until(lambda: is_away(agent), "Consul is away")
    registry = registry_of(agent)
    assert registry["restored"] is True and registry["age"] > 0, registry
    others = Clients(net)
    assert set(others.spread(TALK, SAMPLE)) == set(map(name, ALL))
    others.process.kill()
    comes_back(consul, agent)


def test_an_empty_consul_is_held_back_until_it_is_whole_again(consul, agent, clients, record_property):
    before = clients.talk()
    consul.stop()
    consul.forget()
    began = time.monotonic()
    consul.start()
    wait_until(lambda: registry_of(agent)["held"], "the guard holds")
    record_property("seconds until an emptied Consul was held back", round(time.monotonic() - began, 3))
    assert registry_of(agent)["held"]["of"] == 2 * SERVERS
    assert len(states_of_all(agent)) == 2 * SERVERS
    goes_on(clients, before)

    describe_all(consul)
    wait_until(lambda: not registry_of(agent)["held"], "nothing to hold back any more")
    goes_on(clients, before)


def test_what_was_held_back_is_accepted(consul, agent, clients):
    consul.stop()
    consul.forget()
    consul.start()
    wait_until(lambda: registry_of(agent)["held"], "the guard holds")
    agent.cli("registry", "accept", "consul")
    wait_until(lambda: not states_of_all(agent), "now it is so")
    assert not registry_of(agent)["held"]
    before = agent.reasons()["no_service"]
    assert clients.ask("spread", to=TALK, count=5, patience=2)["servers"] == {}
    assert agent.reasons()["no_service"] > before
    describe_all(consul)
    wait_until(lambda: len(states_of_all(agent)) == 2 * SERVERS, "and what comes is taken at once")
    assert set(clients.spread(TALK, SAMPLE)) == set(map(name, ALL))


def test_a_restart_of_both_in_any_order(net, consul, agent, clients):
    before = clients.talk()
    agent.stop()
    consul.stop()
    assert clients.talk() == before, "nobody is at home"
    consul.start()
    agent.start()
    wait_until(lambda: registry_of(agent)["up"] and len(states_of_all(agent)) == 2 * SERVERS, "all is well")
    goes_on(clients, before)
