# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Services declared by command, without a file."""

import signal

import pytest

from lab import PORT, VIP4, Agent, service, services, wait_until

pytestmark = pytest.mark.sanitised
TO = [VIP4, PORT]
FRONTEND = f"{VIP4}:{PORT}/tcp"
ONE, TWO, THREE = (f"192.0.2.1{n}:{PORT}" for n in (1, 2, 3))


@pytest.fixture(scope="module")
def agent(net):
    net.serve(3)
    agent = Agent(net)
    agent.declare("other.yaml", services(service("other", ["10.200.0.99:80/tcp"], [("192.0.2.13:80", 1)])))
    return agent.start()


@pytest.fixture(autouse=True)
def nothing_declared(agent):
    yield
    for found in agent.cli("service", "list"):
        if found["registry"] == "local":
            agent.cli("service", "delete", found["name"])


def declared(agent):
    return {e["address"]: e["weight"] for e in agent.cli("endpoint", "list", "web")}


def local(agent):
    return next(r for r in agent.cli("registry", "list") if r["name"] == "local")


def test_what_is_declared_by_command_gets_traffic_at_once(agent, clients):
    assert agent.cli("service", "add", "web", FRONTEND, "check={ tcp: true, interval: 1s }", "slots=1021") == {
        "change": "add", "service": "web", "address": None}
    assert agent.cli("endpoint", "add", "web", ONE, "weight=2") == {
        "change": "add", "service": "web", "address": ONE}
    agent.cli("endpoint", "add", "web", TWO)
    assert declared(agent) == {ONE: 2, TWO: 1}, "what a command did is there when it returns"
    wait_until(lambda: set(clients.spread_amid_change(TO, 60)) == {"web-1", "web-2"}, "both serve")

    agent.cli("endpoint", "set", "web", ONE, "weight=0")
    wait_until(lambda: set(clients.spread_amid_change(TO, 60)) == {"web-2"}, "one has no weight any more")
    agent.cli("endpoint", "weight", "web", ONE, "3")
    assert declared(agent)[ONE] == 3, "the operator's word beats what is declared, by command too"
    agent.cli("endpoint", "delete", "web", ONE)
    agent.cli("endpoint", "add", "web", ONE, "weight=7")
    assert declared(agent) == {ONE: 7, TWO: 1}, "what was said of an endpoint goes with it"

    agent.cli("service", "set", "web", "panic=30", "check={ interval: 500ms }")
    found = local(agent)
    assert (found["services"], found["endpoints"], found["up"]) == (1, 2, True)
    agent.cli("service", "delete", "web")
    assert agent.cli("service", "show", "web", code=1)["error"]["message"] == 'no service is called "web"'


def test_it_outlives_the_agent(agent, clients):
    agent.cli("service", "add", "web", FRONTEND)
    agent.cli("endpoint", "add", "web", ONE)
    agent.cli("endpoint", "add", "web", TWO, "weight=5")
    wait_until(lambda: clients.spread_amid_change(TO, 30), "it is served")
    clients.open(TO, 50)
    assert agent.stop(signal.SIGKILL) == -signal.SIGKILL
    agent.start()
    assert declared(agent) == {ONE: 1, TWO: 5}
    assert clients.ask("talk")["broken"] == 0
    kept = (agent.state / "registries/local/snapshot.yaml").read_text()
    assert "weight: 5" in kept and "not used" in kept, "people can read it, and are told not to edit it"


def test_what_is_refused_changes_nothing(agent):
    agent.cli("service", "add", "web", FRONTEND)
    agent.cli("endpoint", "add", "web", ONE)
    generation = agent.cli("status")["generation"]
    for arguments, code, words in (
            (("service", "add", "web", FRONTEND), 1, 'service "web" is there already'),
            (("service", "add", "more", FRONTEND), 1, "belongs to another service (web"),
            (("service", "add", "other", "10.200.0.98:80/tcp"), 1, 'declared by registry file, and is changed there'),
            (("endpoint", "add", "other", TWO), 1, 'declared by registry file, and is changed there'),
            (("service", "add", "more", "10.200.0.99:80/tcp"), 1, "belongs to another service (other"),
            (("service", "set", "web", "check={ exec: [/bin/true] }"), 2, "from which no command is run"),
            (("service", "set", "web", "panic=x"), 2, "services.panic: x is no integer"),
            (("service", "set", "web", "nonsense=1"), 2, "services.nonsense: unknown key"),
            (("endpoint", "add", "web", "nowhere"), 2, '"nowhere" is no endpoint'),
            (("endpoint", "set", "web", ONE, "weight"), 2, 'expected KEY=VALUE'),
            (("endpoint", "delete", "web", TWO), 1, 'service "web" has no endpoint'),
            (("service", "delete", "nobody"), 1, 'no service "nobody" was declared by command')):
        assert words in agent.cli(*arguments, code=code)["error"]["message"], arguments
    assert declared(agent) == {ONE: 1}
    assert agent.cli("status")["generation"] == generation
    assert agent.cli("status")["conflicts"] == []


def test_a_file_that_comes_later_wins(agent):
    """What an operator writes into a file counts; the command's service waits, and is told."""
    agent.cli("service", "add", "web", FRONTEND)
    agent.cli("endpoint", "add", "web", ONE)
    agent.declare("web.yaml", services(service("web", [FRONTEND], [(THREE, 1)])))
    wait_until(lambda: declared(agent) == {THREE: 1}, "the file counts")
    assert any("web" in line and "local" in line for line in agent.cli("status")["conflicts"])
    (agent.services_d / "web.yaml").unlink()
    wait_until(lambda: declared(agent) == {ONE: 1}, "the command's service is back")


def test_what_was_harmed_is_set_aside(agent):
    agent.cli("service", "add", "web", FRONTEND)
    assert agent.stop() == 0
    path = agent.state / "registries/local/snapshot.yaml"
    path.write_text(path.read_text().replace("web", "wob"))
    agent.start()
    assert "its checksum does not fit" in local(agent)["last_error"]
    assert not local(agent)["up"]
    assert path.with_name("snapshot.yaml.bad").exists()
    agent.cli("service", "add", "web", FRONTEND)
    assert local(agent)["up"] and local(agent)["last_error"] is None
