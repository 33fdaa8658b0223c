# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""ICMP errors: clients and endpoints hear what becomes of their packets."""

import labnet
import pytest
from lab import PORT, PYTHON, VIP4, VIP6, Agent, Net, service, services, start_targets

SERVERS = 1
TUNNELLED = 9000
SMALL = 1280  # MTU of a path beyond a router
BIG = 30000  # bytes each way, so that packets are as large as may be; the server sends them in one go

# Addresses of the hosts beyond the routers.
BEHIND = {4: ("203.0.113.1/24", "203.0.113.2/24"), 6: ("2001:db8:3::1/64", "2001:db8:3::2/64")}

# Datagrams to a port until something comes back: what a connected socket hears of it.
KNOCK = """
import socket, sys
s = socket.socket(socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(1)
s.connect((sys.argv[1], int(sys.argv[2])))
said = "silence"
for _ in range(30):
    try:
        s.send(b"hello")
        s.recv(100)
        said = "answered"
    except ConnectionRefusedError:
        said = "refused"
    except TimeoutError:
        continue  # the balancer looks for its endpoint, perhaps
    break
print(said)
"""

# A long line, which the server says again (peers.py).
TALK = """
import socket, sys
s = socket.create_connection((sys.argv[1], int(sys.argv[2])), 20)
s.settimeout(20)
s.recv(100)
s.sendall(b"c1 " + b"x" * int(sys.argv[3]) + b"\\n")
got = b""
while not got.endswith(b"\\n"):
    more = s.recv(65536)
    if not more:
        break
    got += more
print(len(got))
"""


@pytest.fixture(scope="module")
def agent(net):
    agent = Agent(net)
    agent.declare("all.yaml", services(
        service("closed", [f"{VIP4}:{PORT}/udp", f"[{VIP6}]:{PORT}/udp"],
                [(f"{Net.server4(1)}:9", 1), (f"[{Net.server6(1)}]:9", 1)], "forward: nat"),
        service("near", [f"{VIP4}:{PORT}/tcp", f"[{VIP6}]:{PORT}/tcp"],
                [(f"{Net.server4(1)}:{PORT}", 1), (f"[{Net.server6(1)}]:{PORT}", 1)], "forward: nat"),
        service("far", [f"{VIP4}:8000/tcp", f"[{VIP6}]:8000/tcp"],
                [(f"203.0.113.2:{PORT}", 1), (f"[2001:db8:3::2]:{PORT}", 1)], "forward: nat"),
        service("tunnelled", [f"{VIP4}:{TUNNELLED}/tcp", f"[{VIP6}]:{TUNNELLED}/tcp"],
                [(f"{Net.server4(1)}:{TUNNELLED}", 1), (f"[{Net.server6(1)}]:{TUNNELLED}", 1)], "forward: ipip")))
    yield agent.start()
    agent.stop()
    agent.run_once("--detach")


def behind(net, router, gateways, name):
    """A host beyond `router`, whose packets to it must not be larger than SMALL. The link itself could
    carry more, and neither end knows, so that only ICMP tells."""
    labnet.command(["ip", "netns", "add", net.netns(name)])
    net.wire((router, "beyond"), (name, "eth0"))
    net.addresses(router, "beyond", BEHIND[4][0], BEHIND[6][0])
    net.addresses(name, "eth0", BEHIND[4][1], BEHIND[6][1])
    net.ip(name, "route add default via 203.0.113.1", "route add default via 2001:db8:3::1")
    net.run(router, ["sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1"])
    net.ip(router, f"route add 203.0.113.2 dev beyond mtu lock {SMALL}",
           f"route add 2001:db8:3::2 dev beyond mtu lock {SMALL}")
    net.ip(Net.BALANCER, f"route add 203.0.113.0/24 via {gateways[0]}",
           f"route add 2001:db8:3::/64 via {gateways[1]}")


def remove(net, router, name):
    net.ip(Net.BALANCER, "route del 203.0.113.0/24", "route del 2001:db8:3::/64")
    net.ip(router, "link del beyond")
    labnet.command(["ip", "netns", "delete", net.netns(name)])


def talk(net, role, address, port):
    """How many bytes come back of those that were sent."""
    return int(net.run(role, [PYTHON, "-c", TALK, address, port, BIG]))


def errors(agent):
    return agent.reasons()["icmp_error"]


@pytest.mark.parametrize("address", [VIP4, VIP6])
def test_a_closed_port_refuses_datagrams(net, agent, address):
    before = errors(agent)
    assert net.run(Net.CLIENT, [PYTHON, "-c", KNOCK, address, PORT]) == "refused\n"
    assert errors(agent) > before


def test_a_narrow_path_to_an_endpoint(net, agent):
    behind(net, "web-1", (Net.server4(1), Net.server6(1)), "far")
    server = net.peer("far", "serve", "far", PORT)
    for address in (VIP4, VIP6):
        before = errors(agent)
        assert talk(net, Net.CLIENT, address, 8000) > BIG
        assert errors(agent) > before, "the path was not too narrow"
    server.kill()
    server.wait()
    remove(net, "web-1", "far")


def narrow_path_to_a_client(net, agent, port):
    behind(net, Net.CLIENT, (Net.CLIENT4, Net.CLIENT6), "remote")
    for address in (VIP4, VIP6):
        before = errors(agent)
        assert talk(net, "remote", address, port) > BIG
        assert errors(agent) > before, "the path was not too narrow"
    remove(net, Net.CLIENT, "remote")


def test_a_narrow_path_to_a_client(net, agent):
    net.serve_one(1)
    narrow_path_to_a_client(net, agent, PORT)


def test_a_narrow_path_to_a_client_of_an_endpoint_behind_a_tunnel(net, agent):
    start_targets(net, 1)
    net.serve_one(1, TUNNELLED)
    for role, links in ((Net.BALANCER, ("to-servers",)), (Net.SWITCH, ("uplink", "port-1", "br0")), ("web-1", ("eth0",))):
        net.ip(role, *(f"link set {link} mtu 1600" for link in links))  # room for the tunnel
    narrow_path_to_a_client(net, agent, TUNNELLED)
