# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""What our own file declares stands in a real Consul, with its verdict, for as long as it is declared."""

import json
import signal

import pytest

from consul_server import Consul, consul_registry, registry_of
from lab import PORT, VIP4, Agent, Clients, service, services, wait_until

SERVERS = 3
TALK = [VIP4, PORT]
NODES = "fairlead/nodes"


@pytest.fixture(scope="module")
def consul(net, program):
    consul = Consul(net, program("consul"), data=True).start()
    consul.register("foreign-1", "foreign", "192.0.2.99", 99)
    return consul


def registries(net, name, **options):
    return (f"  - file: {{ path: {net.run_dir / name / 'services.d'} }}\n"
            + consul_registry(nodes=NODES, **options))


@pytest.fixture(scope="module")
def agent(net, consul):
    net.serve(SERVERS)
    agent = Agent(net, registries=registries(net, "agent", register={"ttl": "3s"}))
    agent.declare("shop.yaml", shop({1: "", 2: "weight: 5", 3: ""}))
    return agent.start()


@pytest.fixture(autouse=True)
def all_is_well(consul, agent):
    """Before each story: three endpoints, weight 1, 5, 1."""
    agent.declare("shop.yaml", shop({1: "", 2: "weight: 5", 3: ""}))
    wait_until(lambda: statuses(consul) == {11: "passing", 12: "passing", 13: "passing"}, "all pass")


def shop(endpoints, *more):
    """{NUMBER: WORDS}: the service with its endpoints, each with further words"""
    lines = "\n".join(f'      - {{ address: "192.0.2.{10 + n}:{PORT}"{", " if words else ""}{words} }}'
                      for n, words in endpoints.items())
    head = service("shop", [f"{VIP4}:{PORT}/tcp"], [], "register: consul", "tags: [ blue ]",
                   "meta: { team: carts }", *more)
    return services(head.replace("endpoints: []", "endpoints:") + lines + "\n")


def instances(consul, name="shop"):
    """{LAST BYTE OF THE ADDRESS: entry}"""
    return {int(e["Service"]["Address"].split(".")[3]): e for e in consul.instances(name).values()}


def worst(entry):
    states = [check["Status"] for check in entry["Checks"]]
    if any("maintenance" in check["CheckID"] for check in entry["Checks"]):
        return "maintenance"
    return next(s for s in ("critical", "warning", "passing") if s in states)


def statuses(consul, name="shop"):
    return {number: worst(entry) for number, entry in instances(consul, name).items()}


def test_consul_s_own_tools_see_it(consul, agent):
    assert "shop" in consul.cli("catalog", "services").split()
    assert "blue" in consul.cli("catalog", "services", "-tags")
    entry = json.loads(consul.cli("kv", "get", f"{NODES}/agent"))
    assert entry["node"] == "agent" and entry["services"] == 1 and entry["endpoints"] == 3, entry
    ports = {(r[4], r[5], r[6]) for r in consul.dig("shop.service.consul", "SRV")}
    assert ports == {("1", "1", str(PORT)), ("1", "5", str(PORT))}, "SRV: priority, weight, port"
    assert {r[4] for r in consul.dig("shop.service.consul", "A")} == {f"192.0.2.{10 + n}" for n in (1, 2, 3)}
    assert len(consul.dig("blue.shop.service.consul", "A")) == 3, "by its tag"
    assert {e["Service"]["Meta"]["team"] for e in instances(consul).values()} == {"carts"}


def test_it_serves_meanwhile_and_does_not_read_itself(net, agent):
    clients = Clients(net)
    assert set(clients.spread(TALK, 90)) == {"web-1", "web-2", "web-3"}
    assert agent.service("shop")["endpoints"]["total"] == 3 and agent.service("shop")["registry"] == "file"
    clients.process.kill()


def test_the_verdict_is_what_consul_says(consul, agent):
    agent.declare("shop.yaml", shop({1: "state: draining", 2: "state: down", 3: "state: maintenance"}))
    wait_until(lambda: statuses(consul) == {11: "warning", 12: "critical", 13: "maintenance"}, "each of them")
    assert {r[4] for r in consul.dig("shop.service.consul", "A")} == {"192.0.2.11"}
    agent.declare("shop.yaml", shop({1: "weight: 0", 2: "", 3: ""}))
    wait_until(lambda: statuses(consul) == {11: "warning", 12: "passing", 13: "passing"}, "weight 0 is a warning")
    assert sorted(r[5] for r in consul.dig("shop.service.consul", "SRV")) == ["0", "1", "1"]


def test_what_is_declared_no_more_is_deregistered(consul, agent):
    agent.declare("shop.yaml", shop({1: "", 2: ""}))
    wait_until(lambda: set(instances(consul)) == {11, 12}, "one is gone")
    agent.declare("shop.yaml", "services: []\n")
    wait_until(lambda: not instances(consul), "all are")
    assert instances(consul, "foreign"), "what others registered is none of ours"


def test_a_check_is_carried_out_by_consul(consul, agent):
    """web-1 listens, nobody does on .14; both are up for us."""
    agent.declare("shop.yaml", shop({1: "", 4: ""}, "check: { tcp: true, interval: 1s, rise: 1, fall: 1 }"))
    wait_until(lambda: statuses(consul) == {11: "passing", 14: "critical"}, "Consul found out")
    checks = {c["Name"]: c["Status"] for c in instances(consul)[14]["Checks"] if c["ServiceID"]}
    assert checks["probe"] == "critical" and checks["Fairlead's verdict"] == "passing", checks


def test_an_agent_that_dies_is_noticed(consul, agent):
    agent.stop(signal.SIGKILL)
    wait_until(lambda: set(statuses(consul).values()) == {"critical"}, "its heartbeats fail to come")
    agent.start()
    wait_until(lambda: set(statuses(consul).values()) == {"passing"}, "and come again")
    assert len(instances(consul)) == 3, "as the same instances"


def test_a_consul_that_forgot_is_told_again(consul, agent):
    consul.stop()
    consul.forget()
    consul.start()
    wait_until(lambda: set(statuses(consul)) == {11, 12, 13}, "all are registered again")
    wait_until(lambda: set(statuses(consul).values()) == {"passing"}, "and pass")
    wait_until(lambda: registry_of(agent)["up"], "the registry is up")


def test_one_of_many_registers(net, consul):
    """Two more agents share a service and a lock: one registers; when it dies the other does."""
    pair = []
    for name in ("one", "two"):
        lock = {"lock": "fairlead/locks/till", "ttl": "3s"}
        agent = Agent(net, name, interfaces=(), http="off", bpffs=f"/sys/fs/bpf/{net.prefix}-{name}",
                      registries=registries(net, name, register=lock))
        agent.declare("till.yaml", services(service("till", [f"{VIP4}:7500/tcp"], [("192.0.2.11:7500", 1)],
                                                    "register: consul")))
        pair.append(agent.start())

    def owners():
        return [e["Service"]["Meta"]["fairlead-owner"] for e in instances(consul, "till").values()]

    wait_until(lambda: len(owners()) == 1, "one registers")
    held = consul.get("/v1/kv/fairlead/locks/till").json[0]
    assert held.get("Session"), held
    first = next(agent for agent in pair if agent.name in owners()[0])
    other = next(agent for agent in pair if agent is not first)
    first.stop(signal.SIGKILL)
    wait_until(lambda: any(other.name in owner for owner in owners()), "the other takes over", 180)
    other.stop()
