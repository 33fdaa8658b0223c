# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Forward mode ipip: endpoints get the client's own packets, and answer it directly."""

import json
import subprocess
import time

import pytest

from lab import (FAIRLEAD, PATIENCE_S, PORT, VIP4, VIP6, Agent, Clients, Net, endpoints4, endpoints6, service, services,
                 start_targets, wait_until)

pytestmark = pytest.mark.sanitised
SERVERS = 3
WEIGHTS = {1: 1, 2: 2, 3: 1}
SAMPLE = 400
FAMILIES = {"over IPv4": endpoints4, "over IPv6": endpoints6}


def frontends(vip):
    name = f"[{vip}]" if ":" in vip else vip
    return [f"{name}:{PORT}/tcp", f"{name}:{PORT}/udp"]


@pytest.fixture(scope="module")
def agent(net):
    net.serve(SERVERS)
    agent = Agent(net)
    agent.targets = start_targets(net, SERVERS)
    return agent.start()


@pytest.mark.parametrize("udp", [False, True], ids=["tcp", "udp"])
@pytest.mark.parametrize("vip", [VIP4, VIP6], ids=["IPv4", "IPv6"])
@pytest.mark.parametrize("family", FAMILIES)
def test_flows_reach_endpoints_by_weight(net, agent, family, vip, udp):
    """Each family inside each family. Only the tunnel's source is a balancer's: what
    answers are the servers behind it."""
    agent.declare("web.yaml", services(service("web", frontends(vip), FAMILIES[family](WEIGHTS),
                                               "forward: ipip")))
    wanted = [address for address, _ in FAMILIES[family](WEIGHTS)]
    wait_until(lambda: agent.service("web").get("frontends") == frontends(vip)
               and [e["address"] for e in agent.cli("endpoint", "list", "web")] == wanted, "applied")
    before = agent.reasons()["forwarded"]
    clients = Clients(net)
    found = clients.spread([vip, PORT], SAMPLE, udp=udp)
    assert set(found) == {"web-1", "web-2", "web-3"}
    assert 0.35 < found["web-2"] / SAMPLE < 0.65, found
    assert agent.reasons()["forwarded"] >= before + SAMPLE
    taken = sum(target.cli("stats")["target_reasons"]["decapsulated"] for target in agent.targets)
    assert taken >= SAMPLE


def test_who_is_no_balancer_is_refused(net, agent):
    """The same packets from another address stay outside."""
    agent.declare("web.yaml", services(service("web", frontends(VIP4), endpoints4(WEIGHTS),
                                               "forward: ipip")))
    net.ip(Net.BALANCER, "addr add 192.0.2.250/24 dev to-servers")
    agent.config.write_text(agent.config.read_text().replace(
        "edge:\n", "edge:\n  tunnel_source: 192.0.2.250\n"))
    assert agent.stop() == 0
    agent.start()
    target = agent.targets[0]
    refused = target.cli("stats")["target_reasons"]["not_allowed"]
    clients = Clients(net)

    def is_counted():
        """Openings of the first moments may find no way yet."""
        answer = clients.ask("spread", to=[VIP4, PORT], count=20, patience=1)
        assert answer["servers"] == {}, answer
        return target.cli("stats")["target_reasons"]["not_allowed"] > refused

    wait_until(is_counted, "it is counted")
    agent.config.write_text(agent.config.read_text().replace("  tunnel_source: 192.0.2.250\n", ""))
    assert agent.stop() == 0
    agent.start()


def test_a_frontend_asks_for_a_family_that_no_endpoint_has(agent):
    """nat cannot cross families, and says so; ipip can."""
    done = agent.run_once("--check")
    assert done.returncode == 0, done.stdout
    (agent.services_d / "bad.yaml").write_text(services(
        service("bad", [f"[{VIP6}]:81/tcp"], [(f"{Net.server4(1)}:81", 1)])))
    try:
        done = agent.run_once("--check")
        assert done.returncode == 1 and "bad.yaml:3:" in done.stdout, done.stdout
    finally:
        (agent.services_d / "bad.yaml").unlink()


def test_a_drain_ends_when_no_flow_is_seen(agent, net):
    """Nobody counts connections in ipip: silence is taken for emptiness, and said to be an estimate."""
    agent.declare("web.yaml", services(service("web", [f"{VIP4}:{PORT}/tcp"], endpoints4({1: 1, 2: 1}),
                                               "forward: ipip")))
    two = f"192.0.2.12:{PORT}"
    wait_until(lambda: [e["connections"] for e in agent.cli("endpoint", "list")] == [None, None], "applied")
    clients = Clients(net)
    clients.open([VIP4, PORT], 20)
    before = clients.talk()
    assert "web-2" in before
    drain = subprocess.Popen([FAIRLEAD, "-j", "--socket", agent.socket, "endpoint", "drain", "web", two, "--wait",
                              "--quiet", "8s"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    wait_until(lambda: agent.cli("endpoint", "list", "web")[1]["state"] == "draining", "it drains")
    began = time.monotonic()
    while time.monotonic() < began + 12:  # longer than --quiet, and never silent for as long
        assert clients.talk() == before
        assert drain.poll() is None, "flows are seen"
        time.sleep(0.5)
    out, _ = drain.communicate(timeout=PATIENCE_S)
    said = json.loads(out)
    assert drain.returncode == 0 and said["estimate"] is True and said["connections"] is None, said
    assert said["waited"] >= 8
    agent.cli("endpoint", "undrain", "web", two)
