# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Services by name, as `dig` and an independent resolver library see them."""

import ctypes
import os
import random
import socket
import struct
import subprocess

import dns.flags
import dns.message
import dns.query
import dns.rcode
import dns.rdatatype
import dns.resolver
import pytest

from lab import PATIENCE_S, PORT, VIP4, VIP6, Agent, Clients, endpoints4, endpoints6, labnet, service, services, \
    wait_until

pytestmark = pytest.mark.sanitised
SERVERS = 2
AT, AT_PORT = "127.0.0.1", 8653
MANY = 500
CONNECTIONS_MAX = 128
CLONE_NEWNET = 0x40000000


class Inside:
    """`with` it, this process makes its sockets on the balancer."""

    def __init__(self, net):
        self.libc = ctypes.CDLL(None, use_errno=True)
        self.ours = os.open("/proc/self/ns/net", os.O_RDONLY)
        self.theirs = os.open(net.netns_path(net.BALANCER), os.O_RDONLY)

    def enter(self, namespace):
        assert self.libc.setns(namespace, CLONE_NEWNET) == 0, os.strerror(ctypes.get_errno())

    def __enter__(self):
        self.enter(self.theirs)

    def __exit__(self, *_):
        self.enter(self.ours)

    def close(self):
        os.close(self.ours)
        os.close(self.theirs)


@pytest.fixture(scope="module")
def inside(net):
    balancer = Inside(net)
    yield balancer
    balancer.close()


def declare_web(agent, second="weight: 2"):
    """The service web; `second`: the words of its second endpoint."""
    text = services(service("web", [f"{VIP4}:{PORT}/tcp", f"[{VIP6}]:{PORT}/tcp"],
                            endpoints4({1: 1, 2: 2}) + endpoints6({1: 1})))
    assert "weight: 2" in text
    agent.declare("web.yaml", text.replace("weight: 2", second))


@pytest.fixture(scope="module")
def agent(net):
    net.serve(SERVERS)
    agent = Agent(net, more=f"dns: {{ listen: \"{AT}:{AT_PORT}\" }}\n")
    declare_web(agent)
    agent.declare("many.yaml", services(service(
        "many", ["10.200.0.9:80/tcp"], [(f"198.18.{i // 250}.{i % 250 + 1}:80", 1) for i in range(MANY)])))
    agent.declare("others.yaml", services(
        service("shop.eu", ["10.200.0.7:80/udp"], [("192.0.2.12:80", 1)]),
        service("team/db", ["10.200.0.8:5432/tcp"], [("192.0.2.12:5432", 1)])))
    return agent.start()


def dig(net, *words):
    """What `dig` prints, as a sorted list of lines."""
    printed = net.run(net.BALANCER, ["dig", f"@{AT}", "-p", AT_PORT, "+time=10", "+tries=6", *words])
    return sorted(line for line in printed.splitlines() if line and not line.startswith(";; Truncated"))


def ask(inside, name, kind="A", over=dns.query.udp, port=AT_PORT, **options):
    """The answer to a question, as the library reads it."""
    query = name if isinstance(name, dns.message.Message) else dns.message.make_query(name, kind, **options)
    with inside:
        return over(query, AT, timeout=PATIENCE_S, port=port)


def code(answer):
    return dns.rcode.to_text(answer.rcode())


# ------------------------------------------------------------------- names

def test_dig_finds_services(net, agent):
    web1, web2 = (net.server4(n) for n in (1, 2))
    rows = {
        "web.service.fairlead A": [web1, web2],
        "WEB.Service.fairLEAD. A": [web1, web2],
        "web.service.fairlead AAAA": [net.server6(1)],
        "web.service.fairlead SRV": [
            f"1 1 {PORT} 20010db8000100000000000000000011.addr.fairlead.",
            f"1 1 {PORT} c000020b.addr.fairlead.", f"1 2 {PORT} c000020c.addr.fairlead."],
        "_web._tcp.virtual.fairlead SRV": [
            f"1 1 {PORT} 0ac80001.addr.fairlead.", f"1 1 {PORT} 20010db8020000000000000000000001.addr.fairlead."],
        "web.virtual.fairlead A": [VIP4],
        "web.virtual.fairlead AAAA": [VIP6],
        "shop.eu.service.fairlead A": [web2],
        "_shop.eu._udp.service.fairlead SRV": ["1 1 80 c000020c.addr.fairlead."],
        "team/db.virtual.fairlead A": ["10.200.0.8"],
        "c000020b.addr.fairlead A": [web1],
        "ns.fairlead A": [AT],
        "fairlead NS": ["ns.fairlead."],
        "web.service.fairlead ANY": ['"RFC8482" ""'],
        "eu.service.fairlead A": [],
        "web.service.fairlead MX": [],
    }
    for row, wanted in rows.items():
        for over in ("+notcp", "+tcp"):
            assert dig(net, "+short", over, *row.split()) == sorted(wanted), (row, over)


@pytest.mark.parametrize("words, status, flags", [
    ("web.service.fairlead", "NOERROR", "qr aa rd"),
    ("web.service.fairlead +norec", "NOERROR", "qr aa"),
    ("eu.service.fairlead", "NOERROR", "qr aa rd"),
    ("nobody.service.fairlead", "NXDOMAIN", "qr aa rd"),
    ("web.service.fairlead MX", "NOERROR", "qr aa rd"),
    ("www.example.com", "REFUSED", "qr rd"),
    (". NS", "REFUSED", "qr rd"),
    ("version.bind CH TXT", "REFUSED", "qr rd"),
    ("-x 192.0.2.11", "REFUSED", "qr rd"),
    ("web.service.fairlead +opcode=notify", "NOTIMP", "qr rd"),
    ("web.service.fairlead +edns=1 +noednsneg", "BADVERS", "qr rd"),
    ("web.service.fairlead +noedns", "NOERROR", "qr aa rd"),
    ("web.service.fairlead +cookie +nsid +subnet=192.0.2.0/24 +dnssec", "NOERROR", "qr aa rd"),
    ("many.service.fairlead +ignore", "NOERROR", "qr aa tc rd"),
])
def test_status_and_flags_that_dig_sees(net, agent, words, status, flags):
    printed = "\n".join(dig(net, "+comments", *words.split()))
    assert f"status: {status}," in printed and f"flags: {flags};" in printed, printed
    assert "malformed" not in printed.lower() and "WARNING: Message parser" not in printed, printed
    if status in ("NXDOMAIN",) or "MX" in words:
        assert "SOA" in printed


def test_a_transfer_is_refused(net, agent):
    assert "; Transfer failed." in dig(net, "fairlead", "AXFR")


def test_a_resolver_library_follows_the_names(net, agent, inside):
    resolver = dns.resolver.Resolver(configure=False)
    resolver.nameservers, resolver.port = [AT], AT_PORT
    resolver.timeout = resolver.lifetime = PATIENCE_S
    with inside:
        found = {}
        for record in resolver.resolve("_web._tcp.service.fairlead", "SRV"):
            kind = "AAAA" if len(record.target.labels[0]) == 32 else "A"
            address, = resolver.resolve(record.target, kind)
            found[address.to_text()] = (record.priority, record.weight, record.port)
        assert found == {net.server4(1): (1, 1, PORT), net.server4(2): (1, 2, PORT), net.server6(1): (1, 1, PORT)}
        with pytest.raises(dns.resolver.NXDOMAIN):
            resolver.resolve("nobody.service.fairlead", "A")
        with pytest.raises(dns.resolver.NoAnswer):
            resolver.resolve("shop.eu.service.fairlead", "AAAA")
        with pytest.raises(dns.resolver.NoAnswer):  # a name that lies above another
            resolver.resolve("eu.service.fairlead", "A")


def test_addresses_of_targets_come_along(net, agent, inside):
    answer = ask(inside, "web.service.fairlead", "SRV", payload=1232)
    targets = {record.target for record in answer.answer[0]}
    assert {rrset.name for rrset in answer.additional} == targets and len(targets) == 3
    assert {record.to_text() for rrset in answer.additional for record in rrset} \
        == {net.server4(1), net.server4(2), net.server6(1)}


def test_what_a_name_gives_is_reached(net, agent):
    address, = dig(net, "+short", "web.virtual.fairlead", "A")
    assert set(Clients(net).spread([address, PORT], 50)) == {"web-1", "web-2"}


# ----------------------------------------------------------------- changes

@pytest.mark.parametrize("words", ["weight: 0", "weight: 2, state: down", "weight: 2, state: draining",
                                   "weight: 2, state: maintenance"])
def test_only_who_takes_new_flows_is_named(net, agent, words):
    both = sorted([net.server4(1), net.server4(2)])
    declare_web(agent, words)
    wait_until(lambda: dig(net, "+short", "web.service.fairlead") == [net.server4(1)], f"{words}: gone")
    assert len(dig(net, "+short", "web.service.fairlead", "SRV")) == 2
    declare_web(agent)
    wait_until(lambda: dig(net, "+short", "web.service.fairlead") == both, "back again")


def test_a_service_without_endpoints_exists(net, agent, inside):
    agent.declare("idle.yaml", services(service("idle", ["10.200.0.6:80/tcp"], [])))
    wait_until(lambda: code(ask(inside, "idle.service.fairlead")) == "NOERROR", "the service is known")
    answer = ask(inside, "idle.service.fairlead")
    assert not answer.answer and answer.authority[0].rdtype == dns.rdatatype.SOA
    assert ask(inside, "idle.virtual.fairlead").answer[0][0].address == "10.200.0.6"
    (agent.services_d / "idle.yaml").unlink()
    wait_until(lambda: code(ask(inside, "idle.virtual.fairlead")) == "NXDOMAIN", "it is gone")


def test_the_serial_grows_with_changes(net, agent, inside):
    before = ask(inside, "fairlead", "SOA").answer[0][0].serial
    declare_web(agent, "weight: 3")
    wait_until(lambda: ask(inside, "fairlead", "SOA").answer[0][0].serial > before, "another serial")
    declare_web(agent)


# -------------------------------------------------------------------- size

@pytest.mark.parametrize("payload, limit", [(None, 512), (100, 512), (700, 700), (1232, 1232), (65535, 1232)])
def test_udp_gives_what_fits_and_says_so(agent, inside, payload, limit):
    options = {"use_edns": False} if payload is None else {"payload": payload}
    answer = ask(inside, "many.service.fairlead", **options)
    assert answer.flags & dns.flags.TC
    assert limit - 16 < len(answer.to_wire()) <= limit  # the library compresses as we do
    assert ask(inside, "web.service.fairlead", **options).flags & dns.flags.TC == 0


def test_the_whole_comes_over_tcp(net, agent, inside):
    assert len(dig(net, "+short", "many.service.fairlead")) == MANY, "dig asks again by itself"
    whole = {f"198.18.{i // 250}.{i % 250 + 1}" for i in range(MANY)}
    for kind in ("A", "SRV"):
        answer = ask(inside, "many.service.fairlead", kind, over=dns.query.tcp)
        assert len(answer.answer[0]) == MANY and not answer.flags & dns.flags.TC
    assert {record.address for record in ask(inside, "many.service.fairlead", over=dns.query.tcp).answer[0]} == whole


def test_answers_come_in_another_order(net, agent, inside):
    firsts = [ask(inside, "web.service.fairlead").answer[0] for _ in range(64)]
    wires = {tuple(record.address for record in rrset) for rrset in firsts}
    assert len(wires) == 2, "64 tosses of a coin do not all show the same side"


# ---------------------------------------------------------------- hostility

def test_two_questions_are_malformed(agent, inside):
    query = dns.message.make_query("web.service.fairlead", "A", use_edns=False)
    query.question.append(dns.message.make_query("web.service.fairlead", "AAAA").question[0])
    with inside, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.settimeout(PATIENCE_S)
        s.sendto(query.to_wire(), (AT, AT_PORT))
        answer = s.recv(65535)
    assert answer[:2] == struct.pack(">H", query.id) and answer[3] & 0xf == dns.rcode.FORMERR


def test_garbage_is_survived(net, agent, inside):
    """Random datagrams, and queries with bytes changed; then the next question is answered."""
    chance = random.Random(5)
    good = dns.message.make_query("web.service.fairlead", "A", payload=1232).to_wire()
    before = agent.metric("fairlead_dns_dropped_total", reason="no_query")
    with inside, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        for i in range(3000):
            if i % 2:
                datagram = chance.randbytes(chance.randrange(0, 2000))
            else:
                datagram = bytearray(good)
                for _ in range(chance.randrange(1, 6)):
                    datagram[chance.randrange(len(datagram))] = chance.randrange(256)
            s.sendto(datagram, (AT, AT_PORT))
            if i % 50 == 49:  # let it keep up: what is lost tests nothing
                ask(inside, "web.service.fairlead")
        s.sendto(b"", (AT, AT_PORT))
        s.sendto(b"\x12\x34\x81\x00" + bytes(8), (AT, AT_PORT))  # an answer is not answered
    assert len(ask(inside, "web.service.fairlead").answer[0]) == 2
    wait_until(lambda: agent.metric("fairlead_dns_dropped_total", reason="no_query") > before + 100, "counted")


def test_garbage_over_tcp(agent, inside):
    chance = random.Random(6)
    for i in range(100):
        with inside, socket.create_connection((AT, AT_PORT), PATIENCE_S) as s:
            s.sendall(chance.randbytes(chance.randrange(1, 5000)) if i % 2 else b"GET / HTTP/1.1\r\n\r\n")
            if i % 2 == 0:
                with pytest.raises((ConnectionError, AssertionError)):
                    assert s.recv(1)  # its end, and nothing before it
    assert len(ask(inside, "web.service.fairlead", over=dns.query.tcp).answer[0]) == 2
    assert agent.metric("fairlead_dns_connections_closed_total", reason="invalid") >= 50


def test_many_connections(agent, inside):
    """More than there may be: each new one is served, and the oldest make room."""
    query = dns.message.make_query("web.service.fairlead", "A").to_wire()
    framed = struct.pack(">H", len(query)) + query
    open_ones = []
    with inside:
        for _ in range(3 * CONNECTIONS_MAX):
            s = socket.create_connection((AT, AT_PORT), PATIENCE_S)
            s.sendall(framed)
            assert len(s.recv(2, socket.MSG_WAITALL)) == 2
            open_ones.append(s)
    def closed(*reasons):
        return sum(agent.metric("fairlead_dns_connections_closed_total", reason=r) for r in reasons)

    assert agent.metric("fairlead_dns_connections") <= CONNECTIONS_MAX
    assert closed("room") > 0
    assert closed("room", "idle") >= 2 * CONNECTIONS_MAX  # idle: this machine may be slow
    for s in open_ones:
        s.close()
    wait_until(lambda: agent.metric("fairlead_dns_connections") == 0, "all are gone")


def test_questions_without_waiting(agent, inside):
    """A thousand on one connection, 8 MB of answers, taken only after the last question."""
    query = dns.message.make_query("many.service.fairlead", "A").to_wire()
    framed = struct.pack(">H", len(query)) + query
    with inside, socket.create_connection((AT, AT_PORT), PATIENCE_S) as s:
        for _ in range(1000):
            s.sendall(framed)
        s.shutdown(socket.SHUT_WR)
        with s.makefile("rb") as stream:
            for _ in range(1000):
                length, = struct.unpack(">H", stream.read(2))
                assert struct.unpack(">H", stream.read(length)[6:8]) == (MANY,)
            assert stream.read(1) == b""


# ------------------------------------------------------------------- agent

def test_it_is_counted_and_shown(net, agent, inside):
    def count(rcode, transport="udp"):
        return agent.metric("fairlead_dns_queries_total", rcode=rcode, transport=transport)

    before = count("nxdomain"), count("refused", "tcp"), agent.metric("fairlead_dns_truncated_total")
    for _ in range(3):
        ask(inside, "nobody.service.fairlead")
    ask(inside, "example.com", over=dns.query.tcp)
    ask(inside, "many.service.fairlead")
    after = count("nxdomain"), count("refused", "tcp"), agent.metric("fairlead_dns_truncated_total")
    assert tuple(b - a for a, b in zip(before, after)) == (3, 1, 1)
    done = subprocess.run(["promtool", "check", "metrics"], input=agent.get("/metrics"),
                          capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
    assert agent.cli("status")["dns"] == {"listen": f"{AT}:{AT_PORT}", "domain": "fairlead", "reason": None}


def test_domain_and_ttl_follow_the_configuration(net, agent, inside):
    good = agent.config.read_text()
    line = f"dns: {{ listen: \"{AT}:{AT_PORT}\" }}"
    assert line in good
    agent.config.write_text(good.replace(line, line[:-1] + ", domain: lb.example, ttl: 30s }"))
    wait_until(lambda: code(ask(inside, "web.service.lb.example")) == "NOERROR", "the other domain")
    assert ask(inside, "web.service.lb.example").answer[0].ttl == 30
    assert ask(inside, "nobody.service.lb.example").authority[0][0].minimum == 30
    assert code(ask(inside, "web.service.fairlead")) == "REFUSED"
    agent.config.write_text(good)
    wait_until(lambda: code(ask(inside, "web.service.fairlead")) == "NOERROR", "the first domain")


def test_an_address_that_everybody_reaches_is_warned_about(net, agent):
    good = agent.config.read_text()
    try:
        agent.config.write_text(good.replace(f"{AT}:{AT_PORT}", "192.0.2.1:53"))
        checked = agent.run_once("--check")
        assert checked.returncode == 0 and "warning: dns.listen: 192.0.2.1" in checked.stdout
        wait_until(lambda: 'an option needs a restart key=dns.listen' in agent.log(), "it is said")
    finally:
        agent.config.write_text(good)


@pytest.mark.parametrize("kind", [socket.SOCK_DGRAM, socket.SOCK_STREAM], ids=["udp", "tcp"])
def test_a_port_that_is_taken_stops_nothing(net, agent, inside, kind):
    port = AT_PORT + 1
    with inside:
        other = socket.socket(socket.AF_INET, kind)
    other.bind((AT, port))
    if kind == socket.SOCK_STREAM:
        other.listen()
    name = f"second-{kind.name[5:].lower()}"
    second = Agent(net, name, interfaces=(), http="off", bpffs=labnet.BPFFS / f"{net.prefix}-{name}",
                   more=f"dns: {{ listen: \"{AT}:{port}\" }}\n")
    second.declare("web.yaml", services(service("web", [f"{VIP4}:{PORT}/tcp"], endpoints4({1: 1}))))
    second.start()
    reason = second.cli("status")["dns"]["reason"]
    assert f"cannot listen on {AT}:{port}" in reason and "dns.listen" in reason
    assert any("names of services are not answered" in w for w in second.cli("status")["warnings"])
    other.close()
    wait_until(lambda: second.cli("status")["dns"]["reason"] is None, "the port is free, and taken")
    for over in (dns.query.udp, dns.query.tcp):
        assert code(ask(inside, "web.service.fairlead", over=over, port=port)) == "NOERROR"
    assert second.stop() == 0


def test_killed_and_started_again(net, agent, inside):
    agent.stop(9)
    agent.start()
    assert len(ask(inside, "web.service.fairlead").answer[0]) == 2
