# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""The agent may come and go: connections do not notice, until --detach removes everything."""

import signal

import pytest

from lab import PORT, VIP4, Agent, Clients, wait_until, web

pytestmark = pytest.mark.sanitised
TO = [VIP4, PORT]
OPEN = 200
WEIGHTS = {1: 1, 2: 2, 3: 1}


@pytest.fixture(scope="module")
def agent(net):
    net.serve(4)
    agent = Agent(net)
    agent.declare("web.yaml", web(WEIGHTS))
    return agent.start()


@pytest.mark.parametrize("number, code", [(signal.SIGTERM, 0), (signal.SIGINT, 0), (signal.SIGKILL, -9)],
                         ids=["TERM", "INT", "KILL"])
def test_restart_under_traffic(net, agent, number, code):
    clients = Clients(net)
    clients.open(TO, OPEN)
    before = clients.talk()
    flows = agent.reasons()["forwarded"]
    assert agent.stop(number) == code
    assert clients.talk() == before, "no agent, and old connections go on"
    assert sum(clients.spread(TO, 100).values()) == 100, "and new ones are made"

    agent.start(wait=False)
    while not agent.is_ready():
        assert clients.talk() == before, "while it starts"
        clients.spread(TO, 10)
    assert clients.talk() == before, "and after"
    assert agent.reasons()["forwarded"] > flows, "counters went on where they were"
    clients.process.kill()


def test_what_changed_meanwhile_is_applied(net, agent):
    clients = Clients(net)
    clients.open(TO, OPEN)
    before = clients.talk()
    agent.stop(signal.SIGKILL)
    agent.declare("web.yaml", web({2: 2, 3: 1, 4: 1}))
    agent.start()
    wait_until(lambda: set(clients.spread(TO, 100)) == {"web-2", "web-3", "web-4"}, "the new endpoints")
    clients.close(server="web-1")
    del before["web-1"]
    assert clients.talk() == before
    agent.declare_web(WEIGHTS)
    assert set(clients.spread(TO, 100)) == {"web-1", "web-2", "web-3"}


def test_the_second_of_two_agents_ends(agent):
    second = agent.run_once()
    assert second.returncode == 4, second
    assert second.stderr
    assert agent.is_ready()


def test_detach(net, agent):
    """Refused while an agent holds the lock; afterwards nothing is left of it."""
    clients = Clients(net)
    clients.open(TO, 10)
    refused = agent.run_once("--detach")
    assert refused.returncode == 4 and refused.stderr, refused
    clients.talk()

    agent.stop()
    assert net.bpffs.is_dir()
    assert agent.run_once("--detach").returncode == 0
    assert not net.bpffs.exists()
    assert agent.state.is_dir(), "the state directory stays"
    for name in ("to-clients", "to-servers"):
        assert "xdp" not in net.run(net.BALANCER, ["ip", "-o", "link", "show", name])
    assert agent.run_once("--detach").returncode == 0, "nothing to do is no error"

    agent.start()
    assert sum(Clients(net).spread(TO, 20).values()) == 20


def test_detach_needs_no_sound_configuration(net, agent):
    agent.stop()
    text = agent.config.read_text()
    agent.config.write_text(text + "nonsense: [1, 2\n")
    assert agent.run_once().returncode == 1
    assert agent.run_once("--detach").returncode == 0
    assert not net.bpffs.exists()
    agent.config.write_text(text)
