# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""What the network says of packets of nat flows reaches who sent them, and is heard by the agent."""

import subprocess

import pytest
from lab import PATIENCE_S, PORT, VIP4, VIP6, Agent, endpoints4, endpoints6, service, services, wait_until

pytestmark = pytest.mark.sanitised
CLOSED = PORT + 1


@pytest.fixture(scope="module")
def agent(net):
    net.serve(2)
    return Agent(net).start()


def declare(agent, *texts):
    wanted = agent.cli("status")["generation"] + 1
    agent.declare("web.yaml", services(*texts))
    wait_until(lambda: agent.cli("status")["generation"] >= wanted, "it is applied")


def client(net, code, *arguments):
    """Python in the client's namespace; what it printed."""
    done = subprocess.run(net.inside(net.CLIENT, ["/usr/bin/python3", "-c", code, *arguments]),
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE_S,
                          check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


ASK_DATAGRAM = """
import socket, sys
s = socket.socket(socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(1)
s.connect((sys.argv[1], int(sys.argv[2])))
for i in range(20):
    s.send(b"c1 hello")
    try:
        print(s.recv(100).decode())
        break
    except TimeoutError:
        pass  # the first one may be what finds the way
    except OSError as e:
        print(type(e).__name__)
        break
"""


@pytest.mark.parametrize("vip, endpoints", [(VIP4, endpoints4), (VIP6, endpoints6)])
def test_a_datagram_for_a_closed_port_is_refused_at_once(net, agent, vip, endpoints):
    host = f"[{vip}]" if ":" in vip else vip
    declare(agent, service("dns", [f"{host}:{PORT}/udp"], endpoints({1: 1}, CLOSED), "forward: nat"))
    before = agent.reasons()["nat_icmp"]
    assert client(net, ASK_DATAGRAM, vip, str(PORT)) == "ConnectionRefusedError"
    assert agent.reasons()["nat_icmp"] == before + 1
    declare(agent, service("dns", [f"{host}:{PORT}/udp"], endpoints({1: 1}), "forward: nat"))
    assert client(net, ASK_DATAGRAM, vip, str(PORT)) == "web-1 c1 hello"


def test_an_endpoint_whose_datagrams_are_refused_is_left_out(net, agent):
    declare(agent, service("dns", [f"{VIP4}:{PORT}/udp"], [(f"192.0.2.11:{CLOSED}", 1), (f"192.0.2.12:{PORT}", 1)],
                           "forward: nat", "max_fails: 3", "fail_timeout: 30s"))

    def refused():
        for _ in range(10):
            client(net, ASK_DATAGRAM, VIP4, str(PORT))
        return agent.cli("endpoint", "list", "dns")[0]

    wait_until(lambda: refused()["state"] == "draining", "who refuses is left out")
    assert "passive" in agent.cli("endpoint", "list", "dns")[0]["reason"]
    assert {client(net, ASK_DATAGRAM, VIP4, str(PORT)) for _ in range(10)} == {"web-2 c1 hello"}


SEND_MUCH = """
import socket, sys
s = socket.create_connection((sys.argv[1], int(sys.argv[2])), 10)
s.settimeout(20)
lines = [b"c1 %d " % i + b"x" * 1000 + b"\\n" for i in range(10)]
s.sendall(b"".join(lines))
got = b""
while got.count(b"\\n") < 1 + len(lines):
    more = s.recv(65536)
    assert more
    got += more
assert all(line in got for line in lines)
print("whole", s.getsockopt(socket.IPPROTO_IP, 14))  # IP_MTU
"""


def test_what_is_too_big_for_the_way_is_sent_smaller(net, agent):
    """An endpoint behind a router, whose link to it takes 1280 bytes: the client must hear of that. The
    endpoint says (advmss) that it takes more, as one would whose own link is not the narrow one."""
    net.ip("web-1", "link add inner type veth peer name outer")
    net.ip("web-1", "link set outer netns " + net.netns("web-2"), "link set inner up mtu 1280",
           "addr add 192.0.3.1/24 dev inner")
    net.ip("web-2", "link set outer up mtu 1280", "addr add 192.0.3.2/24 dev outer",
           "route replace 192.0.2.1/32 via 192.0.3.1 advmss 1460")
    net.run("web-1", ["sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv4.conf.all.rp_filter=0"])
    net.run("web-2", ["sysctl", "-qw", "net.ipv4.conf.all.rp_filter=0"])
    for role, name in (("web-1", "inner"), ("web-2", "outer")):
        net.run(role, ["ethtool", "-K", name, "tx", "off", "gso", "off", "tso", "off", "gro", "on"])
    net.ip(net.BALANCER, "route add 192.0.3.0/24 via 192.0.2.11")
    declare(agent, service("web", [f"{VIP4}:{PORT}/tcp"], [(f"192.0.3.2:{PORT}", 1)], "forward: nat"))
    before = agent.reasons()["nat_icmp"]
    assert client(net, SEND_MUCH, VIP4, str(PORT)) == "whole 1280"
    assert agent.reasons()["nat_icmp"] > before
