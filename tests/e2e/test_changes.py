# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Editing the registry moves new connections at once and breaks no old one."""

import time

import pytest

from lab import PORT, VIP4, Agent, Clients, service, services, wait_until, web

pytestmark = pytest.mark.sanitised
OPEN = 200
SAMPLE = 400
TO = [VIP4, PORT]


@pytest.fixture(scope="module")
def agent(net):
    net.serve(4)
    agent = Agent(net)
    agent.declare("web.yaml", web({1: 1, 2: 2, 3: 1}))
    return agent.start()


@pytest.fixture
def clients(net, agent):
    """OPEN connections over web-1, web-2, web-3, that live through the story."""
    agent.declare_web({1: 1, 2: 2, 3: 1})
    clients = Clients(net)
    assert set(clients.open(TO, OPEN)) == {"web-1", "web-2", "web-3"}
    yield clients
    clients.process.kill()


def test_add_an_endpoint(agent, clients, record_property):
    before = clients.talk()
    began = time.monotonic()
    agent.declare("web.yaml", web({1: 1, 2: 2, 3: 1, 4: 4}))
    wait_until(lambda: "web-4" in clients.spread(TO, 20), "web-4 gets new connections")
    record_property("seconds until traffic moved", round(time.monotonic() - began, 3))
    assert 0.35 < clients.spread(TO, SAMPLE)["web-4"] / SAMPLE < 0.65
    assert clients.talk() == before, "each old connection is where it was"


def test_change_a_weight(agent, clients):
    before = clients.talk()
    agent.declare("web.yaml", web({1: 98, 2: 1, 3: 1}))
    wait_until(lambda: clients.spread(TO, SAMPLE).get("web-1", 0) > SAMPLE * 0.9, "web-1 gets nearly all")
    assert clients.talk() == before


def test_weight_0_takes_no_new_connections(agent, clients):
    before = clients.talk()
    agent.declare("web.yaml", web({1: 0, 2: 1, 3: 1}))
    wait_until(lambda: "web-1" not in clients.spread(TO, SAMPLE), "web-1 gets nothing new")
    assert clients.talk() == before, "but keeps what it has"


def test_remove_an_endpoint(agent, clients):
    before = clients.talk()
    agent.declare("web.yaml", web({2: 2, 3: 1}))
    wait_until(lambda: "web-1" not in clients.spread(TO, SAMPLE), "web-1 gets nothing new")
    assert clients.close(server="web-1") == before.pop("web-1")
    assert clients.talk() == before, "the others' connections go on"


def test_the_last_endpoint_goes_and_comes_back(agent, clients):
    agent.declare("web.yaml", services(service("web", [f"{VIP4}:{PORT}/tcp"], [])))
    wait_until(lambda: agent.cli("service", "show", "web")["endpoints"] == [], "no endpoint is left")
    before = agent.reasons()["no_endpoint"]
    answer = clients.ask("spread", to=TO, count=5, patience=2)
    assert answer["servers"] == {}
    assert agent.reasons()["no_endpoint"] >= before + 5
    agent.declare_web({1: 1})
    assert clients.spread(TO, 20) == {"web-1": 20}


def test_garbage_keeps_the_last_good_content(agent, clients):
    before = clients.talk()
    for garbage in ("services: [", "services:\n  - name: web\n    weight: many\n", "\x00\x01\x02", "a: *b\n"):
        agent.declare("web.yaml", garbage)
        wait_until(lambda: agent.cli("registry", "list")[0]["last_error"], "the error is shown")
        assert "web.yaml" in agent.cli("registry", "list")[0]["last_error"]
        assert set(clients.spread(TO, 50)) == {"web-1", "web-2", "web-3"}
        agent.declare("web.yaml", web({1: 1, 2: 2, 3: 1}))
        wait_until(lambda: not agent.cli("registry", "list")[0]["last_error"], "the error is gone")
    assert clients.talk() == before


def test_a_file_written_in_two_halves(agent, clients):
    """Not everybody renames: half a file is an error until the other half is there."""
    text = web({4: 1})
    with open(agent.services_d / "web.yaml", "w", encoding="utf-8") as out:
        out.write(text[:len(text) // 2])
        out.flush()
        clients.talk()
        out.write(text[len(text) // 2:])
    wait_until(lambda: set(clients.spread(TO, 20)) == {"web-4"}, "the whole file is in force")


def test_a_file_that_goes_takes_its_services_along(agent, clients):
    agent.declare("more.yaml", services(service("more", [f"{VIP4}:{PORT + 1}/tcp"], [("192.0.2.14:7000", 1)])))
    wait_until(lambda: len(agent.cli("service", "list")) == 2, "a second service")
    assert clients.spread([VIP4, PORT + 1], 10) == {"web-4": 10}
    (agent.services_d / "more.yaml").unlink()
    wait_until(lambda: [s["name"] for s in agent.cli("service", "list")] == ["web"], "it is gone")
    before = agent.reasons()["no_service"]
    assert clients.ask("spread", to=[VIP4, PORT + 1], count=5, patience=2)["servers"] == {}
    assert agent.reasons()["no_service"] >= before + 5, "its frontend is nobody's again"
