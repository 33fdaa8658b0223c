# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""2000 source ports for each of three endpoints: 6000 connections, and not one more."""

from lab import PORT, VIP4, Agent, Clients, wait_until, web

SERVERS = 3
PORTS = 2000
TO = [VIP4, PORT]


def no_port(agent):
    return agent.reasons()["no_port"]


def test_port_exhaustion(net):
    net.serve(SERVERS)
    agent = Agent(net, edge=f"nat: {{ ports: 20000-{20000 + PORTS - 1} }}")
    agent.declare("web.yaml", web({1: 1, 2: 1, 3: 1}))
    agent.start()
    clients = Clients(net)

    # Two waves, so that the ports are taken in no particular order.
    clients.open(TO, 3000)
    answer = clients.ask("open", to=TO, count=7000, patience=1)
    assert answer["broken"] == 0, answer
    full = clients.ask("wait", patience=120, want=SERVERS * PORTS)
    assert full["servers"] == {f"web-{n + 1}": PORTS for n in range(SERVERS)}, full
    # All others were refused: at their first try, or, where a burst was too much for the
    # devices between, at a later one.
    wait_until(lambda: no_port(agent) >= 10000 - SERVERS * PORTS, "each of the others was refused")

    # Every byte stream belongs to the connection that began it, and a second look finds no more.
    assert clients.talk() == full["servers"]
    more = clients.ask("open", to=TO, count=100, patience=2)
    assert more["servers"] == {}, more

    # A port that is free again serves the next one.
    clients.close(waiting=True)
    assert clients.close(count=300, server="web-1", reset=True) == 300

    def refilled():
        answer = clients.ask("open", to=TO, count=1200, patience=2)
        assert set(answer["servers"]) <= {"web-1"}, answer
        clients.close(waiting=True)
        return clients.talk() == full["servers"]

    wait_until(refilled, "300 new connections got the ports", patience_s=120)
