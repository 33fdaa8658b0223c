# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Stories for kernels other than this machine's: what only they have.

The network is the e2e ring's, but the client's cable is a pair of virtio_net cards
with several queues, and the kernel's own tunnel devices and netem are there. One network
and one agent for all stories, in order: starting processes is what takes long here.
"""

import contextlib
import re
import subprocess
import time

import lab
from lab import PORT, VIP4, VIP6, Agent, Clients, endpoints4, endpoints6, service, services, wait_until

SERVERS = 2
ALL = {"web-1", "web-2"}
TUNNELLED4 = ["10.200.0.2", "10.200.0.3"]  # frontends whose endpoints are behind tunnels
TUNNELLED6 = ["2001:db8:200::2", "2001:db8:200::3"]


class Cards(lab.Net):
    """The client is reached by a network card, not by a veth."""

    def connect_client(self):
        for card, role, name in (("eth0", self.CLIENT, "eth0"), ("eth1", self.BALANCER, "to-clients")):
            self.ip(None, f"link set {card} netns {self.netns(role)} name {name}")
            self.ip(role, f"link set {name} up")
        # As for veth: a sum that the sender leaves to the card would be missing.
        self.run(self.CLIENT, ["ethtool", "-K", "eth0", "tx", "off"])
        self.addresses(self.BALANCER, "to-clients", "198.51.100.1/24", "2001:db8:2::1/64")
        self.addresses(self.CLIENT, "eth0", self.CLIENT4 + "/24", self.CLIENT6 + "/64")
        self.ip(self.CLIENT, "route add default via 198.51.100.1", "route add default via 2001:db8:2::1")


class World:
    """The network, the agent and the clients, for the time of all stories."""

    def __init__(self):
        self.net = Cards("fl-kernels")
        self.agent = self.clients = None

    def __enter__(self):
        self.net.up(SERVERS)
        self.net.serve(SERVERS)
        self.clients = Clients(self.net)
        self.agent = Agent(self.net)
        self.agent.declare("web.yaml", services(service(
            "web", [f"{VIP4}:{PORT}/tcp", f"{VIP4}:{PORT}/udp", f"[{VIP6}]:{PORT}/tcp"],
            endpoints4({1: 1, 2: 1}) + endpoints6({1: 1, 2: 1}))))
        self.agent.start()
        return self

    def __exit__(self, *exception):
        self.net.down()

    def tell(self):
        """What helps to understand a failure."""
        return "log of the agent:\n" + "\n".join(self.agent.log().splitlines()[-60:])


def interface(world, name):
    return next(i for i in world.agent.cli("status")["interfaces"] if i["name"] == name)


def queue_packets(world):
    """Packets that each receive queue of the balancer's card has handed to XDP."""
    text = world.net.run(world.net.BALANCER, ["ethtool", "-S", "to-clients"])
    return [int(n) for n in re.findall(r"rx(?:_queue_)?\d+_xdp_packets: (\d+)", text)]


def native_on_virtio_net_with_several_queues(world):
    """XDP in the driver of the card, on more than one queue, and redirects into it."""
    assert interface(world, "to-clients")["mode"] == "native", interface(world, "to-clients")
    assert interface(world, "to-servers")["mode"] == "native", interface(world, "to-servers")
    before = queue_packets(world)
    assert set(world.clients.spread([VIP4, PORT], 100)) == ALL
    grown = [b - a for a, b in zip(before, queue_packets(world))]
    assert sum(1 for n in grown if n > 0) >= 2, f"packets by queue: {grown}"


def nat_of_every_kind(world):
    for address, udp in ((VIP4, True), (VIP6, False)):
        counts = world.clients.spread([address, PORT], 40, udp=udp)
        assert set(counts) == ALL, (address, udp, counts)
    reasons = world.agent.reasons()
    assert reasons["forwarded"] > 0 and reasons["reply"] > 0, reasons
    assert reasons["internal"] == 0, reasons


def open_connections_survive_changes(world):
    """Weights change and the agent is killed and started again: nothing breaks."""
    world.clients.open([VIP4, PORT], 30)
    before = world.clients.talk()
    web = services(service("web", [f"{VIP4}:{PORT}/tcp", f"{VIP4}:{PORT}/udp", f"[{VIP6}]:{PORT}/tcp"],
                           endpoints4({1: 0, 2: 1}) + endpoints6({1: 0, 2: 1})))
    world.agent.declare("web.yaml", web)
    wait_until(lambda: set(world.clients.spread([VIP4, PORT], 10)) == {"web-2"}, "web-1 gets nothing new")
    assert world.clients.talk() == before
    world.agent.process.kill()
    world.agent.process.wait()
    assert world.clients.talk() == before, "without an agent"
    world.agent.start()
    assert world.clients.talk() == before, "with a new agent"
    world.clients.close()


@contextlib.contextmanager
def bad_line(world):
    """Loss, reordering and duplicates on the client's line and on a server's."""
    netem = "qdisc add dev eth0 root netem delay 3ms 2ms reorder 30% loss 3% duplicate 2%"
    roles = (world.net.CLIENT, "web-2")
    for role in roles:
        world.net.run(role, ["tc", *netem.split()])
    try:
        yield
    finally:
        for role in roles:
            subprocess.run(world.net.inside(role, ["tc", "qdisc", "del", "dev", "eth0", "root"]), check=False)


def loss_and_reordering(world):
    """TCP repairs a bad line, and nothing of ours confuses it."""
    with bad_line(world):
        world.clients.open([VIP4, PORT], 30)
        before = world.clients.talk()
        for _ in range(5):
            assert world.clients.talk() == before
    world.clients.close()


def tunnel_devices(world):
    """The kernel's own decapsulation on the endpoints, as somebody sets it up without us."""
    for n in range(1, SERVERS + 1):
        v4, v6 = world.net.server4(n), world.net.server6(n)
        world.net.ip(f"web-{n}",
                     f"link add ipip-in type ipip local {v4} remote 192.0.2.1",
                     f"link add sit-in type sit local {v4} remote 192.0.2.1",
                     f"link add ip6-in type ip6tnl mode any local {v6} remote 2001:db8:1::1",
                     *(f"link set {name} up" for name in ("ipip-in", "sit-in", "ip6-in")),
                     *(f"addr add {vip}/32 dev lo" for vip in TUNNELLED4),
                     *(f"addr add {vip}/128 dev lo nodad" for vip in TUNNELLED6))


def tunnelled(weights, check=""):
    """Services whose packets travel in every combination of families. check: how they are probed;
    the source is of the frontend's family, which the tunnel's is not always."""
    sources = {"inside-4": ", source: '2001:db8:1::1'", "inside-6": ", source: 192.0.2.1"}
    kinds = [("same", TUNNELLED4[0], TUNNELLED6[0], endpoints4(weights) + endpoints6(weights)),
             ("inside-4", None, TUNNELLED6[1], endpoints4(weights)),
             ("inside-6", TUNNELLED4[1], None, endpoints6(weights))]
    return services(*(service(
        name, [f"{v4}:{PORT}/{proto}" for proto in ("tcp", "udp") if v4]
        + [f"[{v6}]:{PORT}/{proto}" for proto in ("tcp", "udp") if v6], endpoints,
        "forward: ipip", *([f"check: {{ {check}{sources.get(name, '')} }}"] if check else []))
        for name, v4, v6, endpoints in kinds))


def endpoints_behind_the_kernels_own_tunnels(world):
    """ipip, sit, and ip6_tunnel in both modes take what we encapsulate."""
    tunnel_devices(world)
    world.agent.declare("tunnelled.yaml", tunnelled({1: 1, 2: 1}))
    names = {"same", "inside-4", "inside-6"}
    wait_until(lambda: names <= {s["name"] for s in world.agent.cli("service", "list")}, "services are there")
    for address in TUNNELLED4 + TUNNELLED6:
        for udp in (False, True):
            counts = world.clients.spread([address, PORT], 40, udp=udp)
            assert set(counts) == ALL, (address, udp, counts)
    assert world.agent.reasons()["internal"] == 0


def probes_take_the_same_road(world):
    """Nobody is up before a probe has come out of its tunnel; who takes nothing out of it goes down."""
    def states():
        return [e["state"] for name in ("same", "inside-4", "inside-6")
                for e in world.agent.cli("endpoint", "list", name)]

    check = "tcp: true, contains: web-, through: tunnel, interval: 1s, timeout: 4s, fall: 2, rise: 1"
    world.agent.declare("tunnelled.yaml", tunnelled({1: 1, 2: 1}, check))
    wait_until(lambda: states() == ["up"] * 8 and {e["reason"] for e in world.agent.cli("endpoint", "list", "same")}
               == {"probe: connected, the answer fits"}, "all are up")
    # sit takes IPv4 in IPv4 as well, where ipip does not.
    for devices, name in ((("ipip-in", "sit-in"), "same"), (("sit-in",), "inside-4"), (("ip6-in",), "inside-6")):
        world.net.ip("web-2", *(f"link set {device} down" for device in devices))
        wait_until(lambda: "down" in [e["state"] for e in world.agent.cli("endpoint", "list", name)], f"{name} is down")
        world.net.ip("web-2", *(f"link set {device} up" for device in devices))
        wait_until(lambda: states() == ["up"] * 8, f"{name} is up again")
    world.agent.declare("tunnelled.yaml", tunnelled({1: 1, 2: 1}))


def tunnelled_connections_survive_changes(world):
    """Slots move under open connections, on a line that loses and reorders."""
    with bad_line(world):
        for address in TUNNELLED4[0], TUNNELLED6[0]:
            world.clients.open([address, PORT], 20)
        before = world.clients.talk()
        for weights in ({1: 0, 2: 1}, {1: 1, 2: 0}, {1: 3, 2: 1}):
            world.agent.declare("tunnelled.yaml", tunnelled(weights))
            wait_until(lambda: {e["weight"] for e in world.agent.cli("endpoint", "list", "inside-4")}
                       == set(weights.values()), f"{weights} are applied")
            assert world.clients.talk() == before, weights
    world.agent.process.kill()
    world.agent.process.wait()
    assert world.clients.talk() == before, "without an agent"
    world.agent.start()
    assert world.clients.talk() == before, "with a new agent"
    moving = {s["name"]: s["slots"]["moving"] for s in world.agent.cli("service", "list")}
    assert moving["same"] > 0 and moving["web"] == 0, moving
    world.clients.close()


# ------------------------------------------------------------------ slow endpoints

WATCHED = ["10.200.0.4", PORT]
TIMEOUT_S = 4  # of a probe; an emulated processor needs a part of a second


def watched_endpoint(world):
    """web-2 as the service whose endpoints are probed has it."""
    return next(e for e in world.agent.cli("endpoint", "list", "watched")
                if e["address"] == f"{world.net.server4(2)}:{PORT}")


def is_watched(world, state, reason):
    endpoint = watched_endpoint(world)
    return endpoint["state"] == state and re.fullmatch(reason, endpoint["reason"])


@contextlib.contextmanager
def netem(world, what):
    """What web-2 sends is late, or lost."""
    world.net.run("web-2", ["tc", "qdisc", "add", "dev", "eth0", "root", "netem", *what.split()])
    try:
        yield
    finally:
        world.net.run("web-2", ["tc", "qdisc", "del", "dev", "eth0", "root"])


def an_endpoint_that_is_too_slow(world):
    """Slower than a probe waits, or silent, it is out, and the reason says so; slow alone it is not."""
    world.agent.declare("watched.yaml", services(service(
        "watched", [f"{WATCHED[0]}:{PORT}/tcp"], endpoints4({1: 1, 2: 1}),
        f'check: {{ tcp: true, contains: "web-", interval: 1s, timeout: {TIMEOUT_S}s, fall: 2, rise: 1, start: down }}')))
    wait_until(lambda: world.agent.service("watched") and is_watched(world, "up", "probe: .*"), "web-2 is up")
    assert set(world.clients.spread(WATCHED, 20)) == ALL

    with netem(world, "delay 400ms"):
        time.sleep(4 * TIMEOUT_S)
        assert is_watched(world, "up", "probe: .*"), watched_endpoint(world)
        assert set(world.clients.spread(WATCHED, 20)) == ALL, "late, but there"

    world.clients.open(WATCHED, 10)
    world.clients.close(server="web-2")  # who is at an endpoint that goes down has to begin anew
    before = world.clients.talk()
    for what in (f"delay {3 * TIMEOUT_S}s", "loss 100%"):
        with netem(world, what):
            wait_until(lambda: is_watched(world, "down", f"probe: no answer within {1000 * TIMEOUT_S} ms"),
                       f"{what}: web-2 is out")
            assert set(world.clients.spread(WATCHED, 20)) == {"web-1"}, what
        wait_until(lambda: is_watched(world, "up", "probe: .*"), f"{what} is over: web-2 is back")
        assert set(world.clients.spread(WATCHED, 20)) == ALL, what
    assert world.clients.talk() == before, "the others have noticed nothing"
    world.clients.close()


STORIES = [native_on_virtio_net_with_several_queues, nat_of_every_kind, open_connections_survive_changes,
           loss_and_reordering, endpoints_behind_the_kernels_own_tunnels, probes_take_the_same_road,
           tunnelled_connections_survive_changes, an_endpoint_that_is_too_slow]
