# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""What becomes of this node's connections is counted, and an endpoint that refuses them is left out."""

import re
import subprocess

import pytest
from lab import PORT, VIP4, Agent, Clients, Net, endpoints4, service, services, wait_until

SERVERS = 4
TO = [VIP4, PORT]
ONE = f"{Net.server4(1)}:{PORT}"


@pytest.fixture(scope="module")
def servers(net):
    return {n: net.peer(f"web-{n}", "serve", f"web-{n}", PORT) for n in range(1, SERVERS + 1)}


@pytest.fixture
def agent(net, cgroup, servers):
    agent = Agent(net, interfaces=(), more=f"node_path: {{ enabled: true, cgroup: {cgroup} }}\n")
    agent.declare("web.yaml", services(service(
        "web", [f"{VIP4}:{PORT}/tcp", f"{VIP4}:53/udp"],
        endpoints4({n: 1 for n in range(1, SERVERS + 1)}), "fail_timeout: 10s")))
    agent.start()
    yield agent
    if agent.process.poll() is None:
        agent.stop()
    agent.run_once("--detach")


@pytest.fixture
def clients(net, cgroup, agent):
    clients = Clients(net, Net.BALANCER)
    (cgroup / "cgroup.procs").write_text(str(clients.process.pid))
    yield clients
    clients.process.stdin.close()
    clients.process.wait(60)


def shown(agent, key):
    return {e["address"]: e[key] for e in agent.cli("endpoint", "list", "web")}


@pytest.mark.sanitised
def test_connections_are_counted(net, agent, clients):
    counts = {f"{net.server4(int(name[4:]))}:{PORT}": n for name, n in clients.open(TO, 60).items()}
    expected = {f"{net.server4(n)}:{PORT}": 0 for n in range(1, SERVERS + 1)} | counts
    assert shown(agent, "connections") == expected
    assert agent.metric("fairlead_endpoint_connections", service="web") == 60
    assert agent.metric("fairlead_node_connects_total", service="web") == 60
    assert agent.metric("fairlead_node_established_total", service="web") == 60
    assert agent.metric("fairlead_node_faults_total", service="web") == 0
    for histogram in ("connect", "rtt"):
        name = f"fairlead_node_{histogram}_seconds"
        assert agent.metric(f"{name}_count", service="web") == 60
        assert agent.metric(f"{name}_bucket", service="web", le="+Inf") == 60
        assert 0 < agent.metric(f"{name}_sum", service="web")

    clients.open([VIP4, 53], 10, udp=True)
    assert sum(shown(agent, "connections").values()) == 70
    # The next agent goes on counting.
    agent.stop()
    agent.start()
    assert sum(shown(agent, "connections").values()) == 70
    clients.close()
    wait_until(lambda: set(shown(agent, "connections").values()) == {0}, "none is open")

    done = subprocess.run(["promtool", "check", "metrics"], input=agent.get("/metrics"),
                          capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


@pytest.mark.sanitised
def test_an_endpoint_that_refuses_is_left_out_until_it_answers(net, agent, clients, servers):
    def spread(count):
        answer = clients.ask("spread", to=TO, count=count, patience=60)
        assert answer["waiting"] == 0 and sum(answer["servers"].values()) + answer["broken"] == count, answer
        return answer

    def is_ejected():
        return shown(agent, "reason")[ONE].startswith("ejected on the node path")

    assert spread(100)["broken"] == 0
    servers[1].kill()
    servers[1].wait()
    # Three have to fail within fail_timeout, then nobody is sent there; others of the same four may be
    # on their way by then.
    refused = 0
    while not is_ejected():
        refused += spread(4)["broken"]
    assert 3 <= refused <= 6, refused
    reason = shown(agent, "reason")[ONE]
    assert re.fullmatch(r"ejected on the node path (for \d+ s|until a connect succeeds|while one connection tries it): "
                        r"\d+ connects refused", reason), reason
    assert shown(agent, "state")[ONE] == "up", "the registry's word is another thing"
    wait_until(lambda: re.search(rf"endpoint ejected service=web endpoint={ONE} fails=3 fault=refused seconds=\d+",
                                 agent.log()), "the log tells")
    assert agent.metric("fairlead_node_ejected", endpoint=ONE) == 1
    assert agent.metric("fairlead_node_ejected") == 1
    assert agent.metric("fairlead_node_ejections_total", endpoint=ONE) >= 1
    assert agent.metric("fairlead_node_faults_total", endpoint=ONE, fault="refused") == refused
    # But for the one connection that tries it now and then, nobody is refused.
    assert spread(400)["broken"] < 20

    # Up again: the next one that tries it brings it back.
    servers[1] = net.peer("web-1", "serve", "web-1", PORT)
    wait_until(lambda: spread(40)["servers"].get("web-1"), "web-1 gets connections again")
    wait_until(lambda: not is_ejected(), "it is not ejected any more")
    wait_until(lambda: f"endpoint returned service=web endpoint={ONE}" in agent.log(), "the log tells")
    assert shown(agent, "reason")[ONE] == "declared up"
    assert agent.metric("fairlead_node_ejected") == 0
    answer = spread(400)
    assert answer["broken"] == 0 and answer["servers"]["web-1"] > 40, answer
