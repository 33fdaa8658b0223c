# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Services, weights and health in a real Consul become packets; changes are followed at once."""

from consul_server import registry_of, states_of
from lab import PORT, VIP4, wait_until
from twelve import (ALL, HTTP, SAMPLE, SERVERS, TALK, agent, clients, consul, describe, follows,  # noqa: F401
                    name)


def answered(net):
    """{server: requests}, from the servers' own logs"""
    logs = {name(n): net.run_dir / f"access-{n}.log" for n in ALL}
    return {n: len(log.read_text().splitlines()) if log.exists() else 0 for n, log in logs.items()}


def test_traffic_flows_as_the_endpoints_logs_say(net, consul, agent):
    describe(consul, "http", HTTP, 6, weight=3)
    wait_until(lambda: states_of(agent, "http")[f"192.0.2.16:{HTTP}"] == ("up", 3), "its weight is known")
    before = answered(net)
    net.run(net.CLIENT, ["curl", "-s", "-S", "-H", "Connection: close", "-o", "/dev/null", "--retry", "5",
                         f"http://{VIP4}:{HTTP}/?[1-{SAMPLE}]"])
    wait_until(lambda: sum(answered(net).values()) - sum(before.values()) >= SAMPLE, "all is in the logs")
    got = {n: count - before[n] for n, count in answered(net).items()}
    assert sum(got.values()) == SAMPLE and min(got.values()) > 0, got
    assert got["web-6"] > max(got[name(n)] for n in range(1, 6)), "weight 3 beside five of 1"


def test_what_is_shown(consul, agent):
    registry = registry_of(agent)
    assert registry["type"] == "consul" and registry["up"] is True and registry["held"] is None
    assert (registry["services"], registry["endpoints"]) == (2, 2 * SERVERS)
    assert agent.service("talk")["registry"] == "consul"
    assert agent.metric("fairlead_registry_up", registry="consul") == 1


# -------------------------------------------------------------------- changes

def test_an_instance_is_added_and_removed(consul, clients, record_property):
    consul.deregister("talk-6")
    wait_until(lambda: "web-6" not in (clients.spread_amid_change(TALK, SAMPLE) or ["web-6"]),
               "it gets nothing new")
    clients.close(server="web-6")
    before = clients.talk()
    follows(clients, lambda: describe(consul, "talk", PORT, 6, weight=5), lambda got: "web-6" in got,
            "the new instance gets connections", record_property)
    assert clients.talk() == before, "no other connection was touched"
    follows(clients, lambda: consul.deregister("talk-6"), lambda got: "web-6" not in got,
            "and none when it is gone", record_property)
    assert clients.talk() == before


def test_a_weight_changes(consul, clients, record_property):
    before = clients.talk()
    follows(clients, lambda: describe(consul, "talk", PORT, 2, weight=200), lambda got: got.get("web-2", 0) > 50,
            "web-2 gets nearly all", record_property)
    assert clients.talk() == before


def test_a_warning_has_a_weight_of_its_own(consul, agent, clients, record_property):
    consul.register("talk-3", "talk", "192.0.2.13", PORT, weight=1, warning=0,
                    Meta={"fairlead-frontends": f"{VIP4}:{PORT}/tcp"})
    before = clients.talk()
    follows(clients, lambda: consul.set_status("talk-3", "warning"), lambda got: "web-3" not in got,
            "0: nothing new", record_property)
    assert states_of(agent, "talk")[f"192.0.2.13:{PORT}"][1] == 0
    assert clients.talk() == before, "what it has goes on"


def test_an_instance_turns_critical_and_comes_back(consul, agent, clients, record_property):
    follows(clients, lambda: consul.set_status("talk-4", "critical"), lambda got: "web-4" not in got,
            "nothing goes to it", record_property)
    assert states_of(agent, "talk")[f"192.0.2.14:{PORT}"][0] == "down"
    clients.close(server="web-4")
    before = clients.talk()
    follows(clients, lambda: consul.set_status("talk-4", "passing"), lambda got: "web-4" in got,
            "it is back", record_property)
    assert clients.talk() == before


def test_maintenance_drains(consul, agent, clients, record_property):
    before = clients.talk()
    follows(clients, lambda: consul.maintain("talk-5", True), lambda got: "web-5" not in got,
            "nothing new", record_property)
    assert states_of(agent, "talk")[f"192.0.2.15:{PORT}"][0] == "draining"
    assert clients.talk() == before, "what it has may end by itself"
    follows(clients, lambda: consul.maintain("talk-5", False), lambda got: "web-5" in got, "it is back",
            record_property)


def test_a_service_comes_and_goes(consul, agent, clients):
    consul.register("guest-1", "guest", "192.0.2.11", PORT, Meta={"fairlead-frontends": f"{VIP4}:7777/tcp"})
    consul.register("quiet-1", "quiet", "192.0.2.11", PORT)
    wait_until(lambda: agent.service("guest"), "it is there")
    assert clients.spread([VIP4, 7777], 10) == {"web-1": 10}
    assert not agent.service("quiet"), "without a frontend it is none of ours"
    consul.deregister("guest-1")
    consul.deregister("quiet-1")
    wait_until(lambda: not agent.service("guest"), "it is gone")


# ---------------------------------------------------------------- key-value store

KV = "/v1/kv/fairlead/services"
OF_ITS_OWN = """
frontends: [ "%s:7070/tcp" ]
endpoints:
  - { address: "192.0.2.11:%d" }
  - { address: "192.0.2.12:%d", weight: 0 }
"""


def test_a_service_that_the_key_value_store_defines(consul, agent, clients):
    consul.put(f"{KV}/own", (OF_ITS_OWN % (VIP4, PORT, PORT)).encode())
    wait_until(lambda: agent.service("own"), "it is there")
    assert clients.spread([VIP4, 7070], 20) == {"web-1": 20}
    consul.put(f"{KV}/own", b'{"frontends": ["%s:7070/tcp"], "endpoints": [{"address": "192.0.2.12:%d"}]}'
               % (VIP4.encode(), PORT))
    wait_until(lambda: clients.spread_amid_change([VIP4, 7070], 20) == {"web-2": 20}, "JSON serves as well")

    consul.put(f"{KV}/own", b"frontends: [ nonsense")
    wait_until(lambda: any("own" in str(p) for p in registry_of(agent)["problems"]), "garbage is said")
    assert clients.spread([VIP4, 7070], 20) == {"web-2": 20}, "and what was before serves on"

    consul.delete(f"{KV}/own")
    wait_until(lambda: not agent.service("own"), "it is gone")
    wait_until(lambda: not registry_of(agent)["problems"], "and so is the complaint")


def test_the_key_value_store_defines_consul_has_the_instances(consul, agent, clients):
    for n in (2, 3):
        consul.register(f"plain-{n}", "plain", f"192.0.2.{10 + n}", PORT)
    consul.put(f"{KV}/plain", b'frontends: [ "%s:7071/tcp" ]' % VIP4.encode())
    wait_until(lambda: agent.service("plain").get("endpoints") == {"total": 2, "up": 2}, "it is whole")
    assert set(clients.spread([VIP4, 7071], 40)) == {"web-2", "web-3"}
    consul.set_status("plain-2", "critical")
    wait_until(lambda: set(clients.spread_amid_change([VIP4, 7071], 40)) == {"web-3"}, "health counts")
    consul.delete(f"{KV}/plain")
    for n in (2, 3):
        consul.deregister(f"plain-{n}")
    wait_until(lambda: not agent.service("plain"), "it is gone")
