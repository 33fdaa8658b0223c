# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""How processes of this node are given an endpoint: an operator edits the way a service
chooses, and the servers' own logs say who was chosen.
"""

import time

import pytest
from lab import PORT, VIP4, Agent, Clients, Net, service, services, wait_until

SERVERS = 3


@pytest.fixture(scope="module")
def node(net, cgroup):
    net.serve(SERVERS)
    agent = Agent(net, interfaces=(), more=f"node_path: {{ enabled: true, cgroup: {cgroup} }}\n")
    agent.config.write_text(agent.config.read_text().replace("node: { name: agent }",
                                                             "node: { name: agent, zone: a }"))
    agent.declare("web.yaml", web("balance: maglev"))
    agent.start()
    yield agent
    agent.stop()
    agent.run_once("--detach")


@pytest.fixture
def clients(net, cgroup, node):
    clients = Clients(net, Net.BALANCER)
    (cgroup / "cgroup.procs").write_text(str(clients.process.pid))
    yield clients
    clients.process.stdin.close()
    clients.process.wait(60)


def web(*more, zones=("a", "b", "b"), states=("up", "up", "up"), ports=(PORT, PORT, PORT)):
    lines = [f'- {{ address: "{Net.server4(n + 1)}:{ports[n]}", zone: {zones[n]}, state: {states[n]} }}'
             for n in range(SERVERS)]
    text = service("web", [f"{VIP4}:{PORT}/tcp"], [], *more, "endpoints:",
                   *(f"  {line}" for line in lines))
    return services(text.replace("    endpoints: []\n", ""))


def choose(agent, *more, **places):
    """Edit the service; wait until that is in force."""
    before = agent.cli("status")["generation"]
    agent.declare("web.yaml", web(*more, **places))
    wait_until(lambda: agent.cli("status")["generation"] > before, f"{more} is applied")


def spread(clients, count=300):
    return clients.spread([VIP4, PORT], count)


def test_the_way_to_choose_is_edited(node, clients):
    choose(node, "balance: round-robin")
    assert node.service("web")["balance"] == "round-robin"
    assert spread(clients) == {"web-1": 100, "web-2": 100, "web-3": 100}

    choose(node, "balance: p2c")
    seen = spread(clients)
    assert set(seen) == {"web-1", "web-2", "web-3"}, seen

    # A word that is none changes nothing, and says what could stand there.
    node.declare("web.yaml", web("balance: fair"))
    wait_until(lambda: "balance: fair is none of what it can be" in node.log(), "the log tells")
    assert node.service("web")["balance"] == "p2c"
    choose(node, "balance: random")


def test_the_idlest_gets_the_next_connections(node, clients):
    choose(node, "balance: least-connections")
    to = [VIP4, PORT]
    assert clients.open(to, 30) == {"web-1": 10, "web-2": 10, "web-3": 10}
    assert clients.close(server="web-1", reset=True) == 10
    assert clients.open(to, 10) == {"web-1": 10}
    assert clients.open(to, 3) == {"web-1": 1, "web-2": 1, "web-3": 1}
    clients.close(reset=True)


def test_what_refuses_at_once_is_no_attraction(node, clients):
    for balance in ("p2c", "least-connections"):
        choose(node, f"balance: {balance}", "max_fails: 0", ports=(PORT, PORT, 1))
        to, began = [VIP4, PORT], time.monotonic()
        while time.monotonic() < began + 1:
            clients.ask("spread", to=to, count=50)
        seen = clients.ask("spread", to=to, count=400)
        assert seen["broken"] < 20 and seen["waiting"] == 0, (balance, seen)
        assert seen["servers"]["web-1"] + seen["servers"]["web-2"] == 400 - seen["broken"], seen


def test_near_endpoints_are_preferred(node, clients):
    choose(node, "balance: round-robin", "locality: zone")
    assert spread(clients, 60) == {"web-1": 60}
    assert node.cli("service", "show", "web")["choice"]["locality"] == "zone"
    choose(node, "balance: round-robin", "locality: zone", states=("down", "up", "up"))
    assert spread(clients, 60) == {"web-2": 30, "web-3": 30}

    # The node moves to the other zone: no restart.
    choose(node, "balance: round-robin", "locality: zone")
    before = node.cli("status")["generation"]
    node.config.write_text(node.config.read_text().replace("zone: a", "zone: b"))
    wait_until(lambda: spread(clients, 20) == {"web-2": 10, "web-3": 10}, "zone b is near")
    assert node.cli("status")["generation"] >= before
    node.config.write_text(node.config.read_text().replace(", zone: b", ""))
    wait_until(lambda: any("node.zone is not set" in w for w in node.cli("status")["warnings"]),
               "status says that nobody is near")
    assert spread(clients, 60) == {"web-1": 20, "web-2": 20, "web-3": 20}
    node.config.write_text(node.config.read_text().replace("name: agent", "name: agent, zone: a"))
    wait_until(lambda: spread(clients, 20) == {"web-1": 20}, "zone a is near again")


def test_a_client_keeps_its_endpoint(node, clients):
    choose(node, "balance: round-robin", "affinity: 1h")
    seen = spread(clients, 50)
    assert len(seen) == 1, seen
    (first,) = seen
    number = int(first[-1]) - 1

    # It stays with it over a restart of the agent, and leaves when it has to.
    node.stop(9)
    node.start()
    assert spread(clients, 20) == {first: 20}
    states = ["up"] * SERVERS
    states[number] = "draining"
    choose(node, "balance: round-robin", "affinity: 1h", states=states)
    seen = spread(clients, 20)
    assert len(seen) == 1 and first not in seen, seen


def test_the_key_leads_to_the_same_endpoint(node, clients):
    choose(node, "balance: maglev", "key: cgroup")
    seen = spread(clients, 50)
    assert len(seen) == 1, seen
