# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Changes by the operator's hand: what is said of an endpoint, and what becomes of its connections."""

import json
import subprocess

import pytest

from lab import FAIRLEAD, PATIENCE_S, PORT, VIP4, Agent, wait_until, web

pytestmark = pytest.mark.sanitised
TO = [VIP4, PORT]
ONE, TWO, THREE = (f"192.0.2.1{n}:{PORT}" for n in (1, 2, 3))


@pytest.fixture(scope="module")
def agent(net):
    net.serve(3)
    agent = Agent(net)
    agent.declare("web.yaml", web({1: 1, 2: 1, 3: 1}))
    return agent.start()


@pytest.fixture(autouse=True)
def unsaid(agent):
    """Each story begins and ends without words."""
    yield
    for address in (ONE, TWO, THREE):
        agent.cli("endpoint", "undrain", "web", address)
        agent.cli("endpoint", "weight", "web", address, "declared")
    wait_until(lambda: [e["state"] for e in agent.cli("endpoint", "list", "web")] == ["up"] * 3,
               "all are up")


def endpoint(agent, address):
    return next(e for e in agent.cli("endpoint", "list", "web") if e["address"] == address)


def wait_for(agent, address, **fields):
    def is_so():
        found = endpoint(agent, address)
        return all(found[key] == value for key, value in fields.items())
    wait_until(is_so, f"{address} has {fields}")


def start_drain(agent, *options):
    return subprocess.Popen([FAIRLEAD, "-j", "--socket", agent.socket, "endpoint", "drain", "web", TWO,
                             "--wait", *options], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, text=True)


def test_a_drained_endpoint_keeps_its_connections_and_is_empty_when_they_end(agent, clients):
    clients.open(TO, 30)
    wait_until(lambda: sum(e["connections"] for e in agent.cli("endpoint", "list", "web")) >= 30,
               "connections are counted")
    before = clients.talk()
    assert "web-2" in before
    drain = start_drain(agent, "--note", "new disk")
    wait_for(agent, TWO, state="draining", reason="operator: drain, new disk")
    assert set(clients.spread(TO, 100)) == {"web-1", "web-3"}, "nothing new for it"
    assert clients.talk() == before, "its connections go on"
    assert drain.poll() is None, "it has connections still"
    clients.close(server="web-2")
    out, err = drain.communicate(timeout=PATIENCE_S)
    assert drain.returncode == 0, (out, err)
    said = json.loads(out)
    assert said["connections"] == 0 and said["estimate"] is False and said["word"] == "drain", said
    agent.cli("endpoint", "undrain", "web", TWO)
    wait_for(agent, TWO, state="up", reason="declared up")
    wait_until(lambda: "web-2" in clients.spread_amid_change(TO, 50), "it gets new connections again")


def test_words_outlive_the_agent(agent, clients):
    agent.cli("endpoint", "drain", "web", TWO)
    agent.cli("endpoint", "weight", "web", THREE, "5")
    agent.cli("endpoint", "maintenance", "web", ONE)
    agent.stop()
    agent.start()
    wait_for(agent, TWO, state="draining", reason="operator: drain")
    wait_for(agent, THREE, state="up", weight=5, reason="operator: weight 5")
    wait_for(agent, ONE, state="maintenance", reason="operator: maintenance")
    wait_until(lambda: set(clients.spread_amid_change(TO, 30)) == {"web-3"}, "the one that is left")


def test_words_that_cannot_be_read_are_set_aside(agent):
    agent.cli("endpoint", "drain", "web", TWO)
    agent.stop()
    kept = agent.state / "words"
    kept.write_text(kept.read_text().replace("word=drain", "word=down "))
    agent.start()
    wait_for(agent, TWO, state="up")
    assert not kept.exists() and kept.with_name("words.bad").exists()
    assert "the operator's words on endpoints are lost" in agent.log()


def test_a_deadline_ends_a_drain(agent, clients):
    clients.open(TO, 30)
    wait_until(lambda: endpoint(agent, TWO)["connections"], "connections are counted")
    drain = start_drain(agent, "--deadline", "2s")
    out, err = drain.communicate(timeout=PATIENCE_S)
    assert drain.returncode == 1, (out, err)
    assert "connections left" in json.loads(out)["error"]["message"]
    wait_for(agent, TWO, state="down",
             reason="operator: down, since the deadline of its drain has passed")


def test_up_and_down_overrule_what_is_seen(agent, clients):
    agent.declare("web.yaml", web({1: 1, 2: 1, 3: 1}, "check: { tcp: true, port: 9, interval: 200ms }"))
    wait_for(agent, TWO, state="down", reason="probe: Connection refused")
    agent.cli("endpoint", "up", "web", TWO)
    wait_for(agent, TWO, state="up", reason="operator: up")
    wait_until(lambda: set(clients.spread_amid_change(TO, 30)) == {"web-2"}, "it is used")
    agent.declare("web.yaml", web({1: 1, 2: 1, 3: 1}))
    agent.cli("endpoint", "down", "web", TWO)
    wait_for(agent, TWO, state="down", reason="operator: down")


def test_what_is_refused(agent):
    for arguments, code, words in (
            (("drain", "web", "192.0.2.99:7000"), 1, 'service "web" has no endpoint 192.0.2.99:7000'),
            (("drain", "wbe", TWO), 1, 'service "wbe" has no endpoint'),
            (("drain", "web", "there"), 2, '"there" is no endpoint'),
            (("weight", "web", TWO, "70000"), 2, '"70000" is no weight, expected 0-65535'),
            (("weight", "web", TWO, "x"), 2, '"x" is no weight'),
            (("drain", "web", TWO, "--deadline", "700d"), 2, "at most a year")):
        answer = agent.cli("endpoint", *arguments, code=code)
        assert words in answer["error"]["message"], answer
    url = f"http://{agent.http}/api/v1/words?service=web&endpoint={TWO}&word=down"
    answer = subprocess.run(agent.net.inside(agent.role, ["curl", "-s", "-X", "POST", url]), capture_output=True,
                            text=True, timeout=PATIENCE_S, check=False).stdout
    assert "changes are made over the Unix socket only" in answer
    assert endpoint(agent, TWO)["state"] == "up"


def test_an_endpoint_that_comes_back_starts_slowly(agent, clients):
    """Out of 100 weights it gets some 5 at once, and its whole share in the end."""
    def updates():
        return sum(registry["updates"] for registry in agent.cli("registry", "list"))
    before = updates()
    agent.declare("web.yaml", web({1: 1, 2: 1, 3: 1}, "slow_start: { window: 1h, min_weight: 5 }"))
    wait_until(lambda: updates() > before, "the file is read")
    agent.cli("endpoint", "drain", "web", TWO)
    wait_for(agent, TWO, state="draining")
    agent.cli("endpoint", "undrain", "web", TWO)
    wait_for(agent, TWO, state="up", weight=1, reason="slow start: 5.0 % of its weight")
    found = clients.spread(TO, 400)
    assert found.get("web-2", 0) < 60 and min(found["web-1"], found["web-3"]) > 120, found
    agent.declare("web.yaml", web({1: 1, 2: 1, 3: 1}, "slow_start: { window: 10s, min_weight: 5 }"))
    wait_for(agent, TWO, reason="declared up")
    found = clients.spread(TO, 400)
    assert found["web-2"] > 80, found
    agent.declare("web.yaml", web({1: 1, 2: 1, 3: 1}))
