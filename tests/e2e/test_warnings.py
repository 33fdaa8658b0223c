# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""`fairlead status` tells what an operator would look for in vain."""

import pytest

from lab import PORT, VIP4, Agent, Clients, endpoints4, service, services, wait_until

SERVERS = 2
WEIGHTS = {1: 1, 2: 1}


@pytest.fixture(scope="module")
def agent(net):
    net.serve(SERVERS)
    agent = Agent(net, interfaces=("to-clients", "not-yet"))
    agent.declare("web.yaml", services(
        service("web", [f"{VIP4}:{PORT}/tcp", f"198.51.100.99:{PORT}/tcp"], endpoints4(WEIGHTS)),
        service("asleep", [f"{VIP4}:{PORT + 1}/tcp"], endpoints4({1: 0})),
        service("far", [f"{VIP4}:{PORT + 2}/tcp"], [("203.0.113.9:80", 1)])))
    return agent.start()


def warnings(agent):
    return "\n".join(agent.cli("status")["warnings"])


def test_answers_that_nat_does_not_see(net, agent):
    wait_until(lambda: "service web: answers of its endpoints arrive on to-servers" in warnings(agent),
               "it is said once the endpoints are reached")
    assert "service far: answers" not in warnings(agent)


def test_a_frontend_that_nobody_answers_for(agent):
    said = warnings(agent)
    assert "198.51.100.99 lies in the subnet of to-clients" in said
    assert VIP4 not in said, "it is routed to the balancer"


def test_a_service_without_anybody_to_serve(agent):
    said = warnings(agent)
    assert "service asleep: no endpoint takes new flows" in said
    assert "service web: no endpoint" not in said


def test_an_interface_that_is_absent(agent):
    rows = {i["name"]: i for i in agent.cli("status")["interfaces"]}
    assert rows["to-clients"]["mode"] in ("native", "generic")
    assert rows["not-yet"]["mode"] == "none" and rows["not-yet"]["reason"]


def test_reasons_of_endpoints(agent):
    def reasons():
        return {(e["service"], e["address"]): e["reason"] for e in agent.cli("endpoint", "list")}

    wait_until(lambda: reasons()["web", endpoints4(WEIGHTS)[0][0]] == "declared up", "its next hop is known")
    assert reasons()["far", "203.0.113.9:80"] == "no route"
    assert reasons()["asleep", endpoints4({1: 0})[0][0]] == "weight 0: takes no new flows"


def test_a_packet_without_a_way_is_counted_and_told(net, agent):
    before = agent.reasons()["no_route"]
    Clients(net).ask("open", to=[VIP4, PORT + 2], count=1, patience=1)
    wait_until(lambda: agent.reasons()["no_route"] > before, "the packet is counted")
