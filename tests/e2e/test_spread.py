# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""New connections spread as the weights say, whoever speaks and whatever the protocol."""

import pytest

from lab import PORT, VIP4, VIP6, Agent, Clients, endpoints4, endpoints6, service, services

SERVERS = 3
CONNECTIONS = 4000
WEIGHTS = {1: 1, 2: 2, 3: 1}
POINTS = 3  # percentage points that a share may miss its promise by


def all_kinds(port, name):
    """A service on TCP and UDP, IPv4 and IPv6."""
    frontends = [f"{vip}:{port}/{protocol}" for vip in (VIP4, f"[{VIP6}]") for protocol in ("tcp", "udp")]
    return services(service(name, frontends, endpoints4(WEIGHTS, port) + endpoints6(WEIGHTS, port)))


@pytest.fixture(scope="module")
def agent(net):
    net.serve(SERVERS)
    for n in range(1, SERVERS + 1):
        net.nginx(n, net.run_dir / f"web-{n}.access.log")
    agent = Agent(net)
    agent.declare("peers.yaml", all_kinds(PORT, "peers"))
    agent.declare("nginx.yaml", services(service("nginx", [f"{VIP4}:80/tcp", f"[{VIP6}]:80/tcp"],
                                                 endpoints4(WEIGHTS, 80) + endpoints6(WEIGHTS, 80))))
    return agent.start()


def assert_spread(counts):
    total = sum(counts.values())
    assert total == CONNECTIONS, counts
    for number, weight in WEIGHTS.items():
        share = 100 * counts.get(f"web-{number}", 0) / total
        promised = 100 * weight / sum(WEIGHTS.values())
        assert abs(share - promised) <= POINTS, counts


@pytest.mark.parametrize("address", [VIP4, VIP6])
@pytest.mark.parametrize("udp", [False, True], ids=["tcp", "udp"])
def test_weights(net, agent, address, udp):
    assert_spread(Clients(net).spread([address, PORT], CONNECTIONS, udp=udp))


@pytest.mark.parametrize("url", [f"http://{VIP4}", f"http://[{VIP6}]"], ids=["ipv4", "ipv6"])
@pytest.mark.sanitised
def test_real_programs(net, agent, url):
    """curl and nginx: every request answered, over connections of their own."""
    path = f"/{'6' if '[' in url else '4'}"
    codes = net.run(net.CLIENT, ["curl", "-s", "-Z", "--parallel-max", "50", "-H", "Connection: close",
                                 "-o", "/dev/null", "-w", "%{http_code}\n", f"{url}{path}?[1-{CONNECTIONS}]"])
    assert codes.split() == ["200"] * CONNECTIONS
    counts = {}
    for n in WEIGHTS:
        log = (net.run_dir / f"web-{n}.access.log").read_text()
        counts[f"web-{n}"] = len({line.split()[1] for line in log.splitlines() if f'"GET {path}?' in line})
    assert_spread(counts)


def test_what_is_not_ours_passes(net, agent):
    """The balancer's own addresses, other ports, and forwarded packets stay with the stack."""
    before = agent.reasons()
    net.run(net.CLIENT, ["curl", "-sf", f"http://{net.server4(1)}/"])
    listener = net.peer(net.BALANCER, "serve", "balancer", PORT)
    counts = Clients(net).spread(["198.51.100.1", PORT], 5)
    assert counts == {"balancer": 5}
    listener.terminate()
    after = agent.reasons()
    assert after["no_service"] > before["no_service"]
    assert after["forwarded"] == before["forwarded"]
