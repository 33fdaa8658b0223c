# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""An endpoint that nothing answers for is left out by what the edge path sees alone, without probes,
and tried again."""

import pytest
from lab import PORT, VIP4, Agent, Clients, Net, endpoints4, service, services, start_targets, wait_until

pytestmark = pytest.mark.sanitised
SERVERS = 3
WEIGHTS = {1: 1, 2: 1, 3: 1}
TO = [VIP4, PORT]


def declared(forward, proto="tcp"):
    return services(service("web", [f"{VIP4}:{PORT}/{proto}"], endpoints4(WEIGHTS), f"forward: {forward}",
                            "max_fails: 3", "fail_timeout: 6s"))


def row(agent, number):
    address = f"{Net.server4(number)}:{PORT}"
    return next(e for e in agent.cli("endpoint", "list", "web") if e["address"] == address)


def knock(clients, count=60, udp=False):
    """Open connections without waiting long for those that nobody answers; who answered."""
    answer = clients.ask("spread", to=TO, count=count, udp=udp, patience=1)
    return set(answer["servers"])


def mute(net, network):
    """web-1 hears what comes from there, and cannot answer. What undoes that is returned."""
    net.ip("web-1", f"route add blackhole {network}")
    return lambda: net.ip("web-1", f"route del blackhole {network}")


def reject(net, what):
    """A firewall at web-1 answers by ICMP. What undoes that is returned."""
    net.run("web-1", ["nft", "-f", "-"], input=f"""
        table inet story {{
            chain input {{
                type filter hook input priority 0
                {what} reject with icmpx type port-unreachable
            }}
        }}""")
    return lambda: net.run("web-1", ["nft", "delete", "table", "inet", "story"])


def leaves_and_returns(agent, clients, fail, udp=False):
    wait_until(lambda: knock(clients, udp=udp) == {"web-1", "web-2", "web-3"}, "all answer")
    mend = fail()

    def is_out():
        knock(clients, udp=udp)
        return row(agent, 1)["state"] == "draining"

    wait_until(is_out, "web-1 is left out")
    assert "passive" in row(agent, 1)["reason"], row(agent, 1)

    def is_avoided():
        before = row(agent, 1)
        answer = clients.ask("spread", to=TO, count=30, udp=udp, patience=2)
        return before["state"] == "draining" and before == row(agent, 1) and (
            answer["waiting"], answer["broken"], set(answer["servers"])) == (0, 0, {"web-2", "web-3"})

    wait_until(is_avoided, "no new connection meets it while it is left out")
    mend()

    def is_back():
        return "web-1" in knock(clients, udp=udp) and row(agent, 1)["state"] == "up"

    wait_until(is_back, "web-1 is tried again, and stays")
    assert sum(clients.spread(TO, 200, udp=udp).values()) == 200


def test_nat_sees_refusals(net):
    servers = [net.peer(f"web-{n}", "serve", f"web-{n}", PORT) for n in range(1, SERVERS + 1)]
    agent = Agent(net)
    agent.declare("web.yaml", declared("nat"))
    agent.start()

    def fail():
        servers[0].kill()
        servers[0].wait()
        return lambda: net.peer("web-1", "serve", "web-1", PORT)

    leaves_and_returns(agent, Clients(net), fail)
    assert "nothing answers there" in agent.log()
    agent.stop()
    agent.run_once("--detach")


def test_nat_hears_a_firewall(net):
    agent = Agent(net)
    agent.declare("web.yaml", declared("nat"))
    agent.start()
    leaves_and_returns(agent, Clients(net), lambda: reject(net, f"tcp dport {PORT}"))
    assert "openings refused, none answered" in agent.log()
    agent.stop()
    agent.run_once("--detach")


def test_nat_hears_that_a_port_of_udp_is_closed(net):
    agent = Agent(net)
    agent.declare("web.yaml", declared("nat", "udp"))
    agent.start()
    leaves_and_returns(agent, Clients(net), lambda: reject(net, f"udp dport {PORT}"), udp=True)
    assert "flows of UDP refused, none answered" in agent.log()
    agent.stop()
    agent.run_once("--detach")


def test_nat_sees_silence(net):
    agent = Agent(net)
    agent.declare("web.yaml", declared("nat"))
    agent.start()
    leaves_and_returns(agent, Clients(net), lambda: mute(net, "192.0.2.1/32"))
    agent.stop()
    agent.run_once("--detach")


def test_a_tunnel_sees_that_nothing_but_openings_come(net):
    start_targets(net, SERVERS)
    agent = Agent(net)
    agent.declare("web.yaml", declared("ipip"))
    agent.start()
    leaves_and_returns(agent, Clients(net), lambda: mute(net, "198.51.100.0/24"))
    agent.stop()
    agent.run_once("--detach")
