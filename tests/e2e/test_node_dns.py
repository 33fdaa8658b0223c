# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""A real name server behind a frontend: clients that are strict about who answers are content."""

import subprocess

import pytest
from lab import VIP4, VIP6, Agent, Net, endpoints4, endpoints6, service, services, wait_until
from nodes import in_cgroup

SERVERS = 2
NAME, ADDRESS = "name.test", "203.0.113.77"

# Resolvers as programs have them: argv: address, connected or not. dnspython refuses an answer from elsewhere.
ASKER = r"""
import socket, sys
import dns.message, dns.query
address, connected = sys.argv[1], sys.argv[2] == "connected"
question = dns.message.make_query("name.test", "A")
sock = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
if connected:
    sock.connect((address, 53))
    sock.send(question.to_wire())
    sock.settimeout(20)
    answer = dns.message.from_wire(sock.recv(4096))
    assert sock.getpeername()[:2] == (address, 53), sock.getpeername()
else:
    answer = dns.query.udp(question, address, timeout=20, sock=sock, ignore_unexpected=False)
print(answer.answer[0][0].address)
"""


def inside(net, cgroup, argv):
    """Run a program on the balancer, in the cgroup; what it printed."""
    done = subprocess.run(
        in_cgroup(cgroup, net.inside(Net.BALANCER, argv)),
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, (argv, done.stdout, done.stderr)
    return done.stdout.strip()


@pytest.fixture(scope="module")
def node(net, cgroup):
    """dnsmasq on two servers, and an agent with a node path."""
    for number in (1, 2):
        log = open(net.run_dir / f"dnsmasq-{number}.log", "wb")
        net.spawn(f"web-{number}", ["dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--no-resolv",
                                    "--no-hosts", "--pid-file", f"--address=/{NAME}/{ADDRESS}", "--user=root",
                                    "--log-queries", "--log-facility=-"], stdout=log, stderr=log)
    agent = Agent(net, interfaces=(), more=f"node_path: {{ enabled: true, cgroup: {cgroup} }}\n")
    agent.declare("dns.yaml", services(
        service("dns", [f"{VIP4}:53/udp", f"{VIP4}:53/tcp"], endpoints4({1: 1, 2: 1}, 53)),
        service("dns6", [f"[{VIP6}]:53/udp", f"[{VIP6}]:53/tcp"], endpoints6({1: 1, 2: 1}, 53))))
    agent.start()
    wait_until(lambda: all(subprocess.run(
        net.inside(Net.BALANCER, ["dig", "+short", "+time=1", "+tries=1", f"@{Net.server4(n)}", NAME]),
        capture_output=True, text=True, check=False).stdout.strip() == ADDRESS for n in (1, 2)), "dnsmasq answers")
    yield agent
    agent.stop()
    agent.run_once("--detach")


@pytest.mark.parametrize("address", [VIP4, VIP6, f"::ffff:{VIP4}"])
@pytest.mark.parametrize("how", ["connected", "unconnected"])
def test_a_resolver_gets_its_answer_from_whom_it_asked(net, cgroup, node, address, how):
    for _ in range(5):
        assert inside(net, cgroup, ["/usr/bin/python3", "-c", ASKER, address, how]) == ADDRESS


@pytest.mark.parametrize("address", [VIP4, VIP6])
def test_dig_is_content(net, cgroup, node, address):
    """It warns of every reply that comes from an unexpected source."""
    said = inside(net, cgroup, ["dig", "+time=5", f"@{address}", NAME])
    assert "unexpected source" not in said and f"SERVER: {address}#53({address}) (UDP)" in said, said
    assert ADDRESS in said
    said = inside(net, cgroup, ["dig", "+tcp", "+time=5", f"@{address}", NAME])
    assert f"SERVER: {address}#53({address}) (TCP)" in said, said


def test_both_servers_have_a_share(net, cgroup, node):
    for _ in range(24):
        inside(net, cgroup, ["dig", "+short", f"@{VIP4}", NAME])
    for number in (1, 2):
        asked = (net.run_dir / f"dnsmasq-{number}.log").read_text().count(f"query[A] {NAME} from 192.0.2.1")
        assert asked > 1, f"web-{number} was asked {asked} times"


def test_without_it_the_frontend_is_nowhere(net, cgroup, node):
    """What made the other stories work was the node path: a process outside of its cgroup gets no answer."""
    done = subprocess.run(net.inside(Net.BALANCER, ["dig", "+time=1", "+tries=1", f"@{VIP4}", NAME]),
                          capture_output=True, text=True, check=False)
    assert done.returncode != 0 and ADDRESS not in done.stdout
