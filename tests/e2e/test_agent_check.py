# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Endpoints whose own agents say what traffic they want, in the words of HAProxy's agent-check."""

import pytest

from lab import PATIENCE_S, PORT, PYTHON, VIP4, Agent, Clients, wait_until, web

pytestmark = pytest.mark.sanitised
TO = [VIP4, PORT]
AGENT_PORT = 7777
ADDRESS = {n: f"192.0.2.1{n}:{PORT}" for n in (1, 2)}
CHECK = f"check: {{ agent: true, port: {AGENT_PORT}, interval: 100ms }}"
# Says what stands in a file. argv: port, file
SPEAKER = """
import socketserver, sys
class Say(socketserver.BaseRequestHandler):
    def handle(self):
        self.request.sendall(open(sys.argv[2], "rb").read())
socketserver.TCPServer.allow_reuse_address = True
socketserver.TCPServer(("", int(sys.argv[1])), Say).serve_forever()
"""


class Speaker:
    """The agent beside an endpoint."""

    def __init__(self, net, number):
        self.net, self.number, self.process = net, number, None
        self.file = net.run_dir / f"words-{number}"
        self.say("up")
        self.start()

    def start(self):
        self.process = self.net.spawn(f"web-{self.number}", [PYTHON, "-c", SPEAKER, AGENT_PORT, self.file])

    def stop(self):
        self.process.kill()
        self.process.wait(PATIENCE_S)

    def say(self, words):
        aside = self.file.with_suffix(".new")
        aside.write_text(words + "\r\n")
        aside.rename(self.file)


@pytest.fixture(scope="module")
def speakers(net):
    net.serve(2)
    return {n: Speaker(net, n) for n in (1, 2)}


@pytest.fixture(scope="module")
def agent(net, speakers):
    agent = Agent(net)
    agent.declare("web.yaml", web({1: 10, 2: 10}, CHECK))
    agent.start()
    wait_until(lambda: [e["reason"] for e in agent.cli("endpoint", "list", "web")] == ["agent-check: up"] * 2, "both speak")
    return agent


def wait_for(agent, number, **fields):
    def is_so():
        found = next(e for e in agent.cli("endpoint", "list", "web") if e["address"] == ADDRESS[number])
        return all(found[key] == value for key, value in fields.items())
    wait_until(is_so, f"web-{number} has {fields}")


def test_weights_by_share_and_by_number(net, agent, speakers):
    clients = Clients(net)
    speakers[2].say("weight:30")
    wait_for(agent, 2, state="up", weight=30)
    found = clients.spread(TO, 800)
    assert 520 < found["web-2"] < 680, found
    speakers[2].say("UP 50%")
    wait_for(agent, 2, state="up", weight=5)
    agent.cli("endpoint", "weight", "web", ADDRESS[2], "20")
    wait_for(agent, 2, weight=20)
    speakers[2].say("weight:0")
    agent.cli("endpoint", "weight", "web", ADDRESS[2], "declared")
    wait_for(agent, 2, state="up", weight=0)
    assert set(clients.spread(TO, 100)) == {"web-1"}
    speakers[2].say("100%")
    wait_for(agent, 2, weight=10)


def test_who_drains_keeps_its_connections(net, agent, speakers):
    clients = Clients(net)
    clients.open(TO, 40)
    before = clients.talk()
    assert set(before) == {"web-1", "web-2"}
    speakers[2].say("drain # backup runs")
    wait_for(agent, 2, state="draining", reason="agent-check: drain: backup runs")
    assert set(clients.spread(TO, 100)) == {"web-1"}
    assert clients.talk() == before
    speakers[2].say("ready")
    wait_for(agent, 2, state="up")


def test_what_was_said_stands_until_something_else_is(net, agent, speakers):
    """Over a change of the check, a restart, and while the agent beside it cannot be asked."""
    speakers[2].say("down #disk full")
    wait_for(agent, 2, state="down", reason="agent-check: down: disk full")
    speakers[2].say("75%")
    wait_for(agent, 2, state="down", weight=7)
    agent.declare("web.yaml", web({1: 10, 2: 10}, CHECK.replace("100ms", "150ms")))
    wait_until(lambda: agent.cli("status")["registries"][0]["updates"] > 1, "the file is read")
    speakers[2].say("ready")
    wait_for(agent, 2, state="down", weight=7, reason="agent-check: down: disk full")
    speakers[2].stop()
    wait_until(lambda: "agent=down,75%" in (agent.state / "health").read_text(), "it is kept")
    agent.stop()
    agent.start()
    wait_for(agent, 2, state="down", weight=7)
    assert set(Clients(net).spread(TO, 100)) == {"web-1"}
    speakers[2].say("up 100%")
    speakers[2].start()
    wait_for(agent, 2, state="up", weight=10)
