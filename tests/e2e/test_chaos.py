# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Endpoints, links and the agent's own world break in many ways, while clients on both paths open
short connections without end. An oracle says of each connection what its client should have seen:

    begun while nothing is wrong, or after the endpoint was seen to be left out: it succeeds
    begun while the endpoint is left out: another one answers
    begun between the fault and then: it may fail, since somebody has to find out
    begun while a link is down: it may fail if its path uses that link, and not otherwise

FAIRLEAD_CHAOS=long (`make chaos`) tells the story three times, each in another order.
"""

import dataclasses
import json
import math
import os
import random
import signal
import subprocess
import time

import pytest
from lab import PORT, VIP4, Agent, Clients, Net, endpoints4, service, services, wait_until
from nodes import Churn

pytestmark = pytest.mark.chaos
SERVERS = 4
ROUNDS = 3 if os.environ.get("FAIRLEAD_CHAOS") == "long" else 1
RATE = 100
INTERVAL_S, TIMEOUT_S, FALL, RISE = 0.3, 0.4, 2, 2
CHECK = (f'check: {{ tcp: true, contains: "web-", interval: {INTERVAL_S * 1000:.0f}ms, '
         f"timeout: {TIMEOUT_S * 1000:.0f}ms, fall: {FALL}, rise: {RISE} }}")


def declared():
    return services(service("web", [f"{VIP4}:{PORT}/tcp"], endpoints4({n: 1 for n in range(1, SERVERS + 1)}), CHECK))


class Recorded(Churn):
    """What became of each connection as well."""

    def __init__(self, net, role, cgroup=None):
        self.file = net.run_dir / f"churn-{role}"
        super().__init__(net, role, RATE, cgroup, file=[self.file])

    def end(self):
        """[(begun, ended, server or None, why it failed or None)]"""
        super().end()
        return [json.loads(line) for line in self.file.read_text().splitlines()]


@dataclasses.dataclass
class Fault:
    """What was broken when; times are CLOCK_MONOTONIC."""
    what: str
    broken: float
    mended: float
    back: float               # everything is as before
    server: str = None        # that was left out
    out: float = math.inf     # since then
    paths: tuple = ("edge", "node")  # whose connections may notice


class World:
    """What can be broken, and what was broken when."""

    def __init__(self, net, agent, dice):
        self.net, self.agent, self.dice = net, agent, dice
        self.servers = {n: net.peer(f"web-{n}", "serve", f"web-{n}", PORT) for n in range(1, SERVERS + 1)}
        self.client = Clients(net)
        self.faults = []

    def state(self, number):
        address = f"{Net.server4(number)}:{PORT}"
        return next(e["state"] for e in self.agent.cli("endpoint", "list", "web") if e["address"] == address)

    def endpoint_fault(self, what, breaks):
        """Break an endpoint, see it out, live with it, mend it, see it back."""
        number = self.dice.randint(1, SERVERS)
        broken = time.monotonic()
        mend = breaks(number)
        wait_until(lambda: self.state(number) == "down", f"{what}: web-{number} is out")
        out = time.monotonic()
        time.sleep(0.8)
        mended = time.monotonic()
        mend()
        wait_until(lambda: self.state(number) == "up", f"{what}: web-{number} is back")
        self.faults.append(Fault(what, broken, mended, time.monotonic(), f"web-{number}", out))
        time.sleep(0.5)

    def link_fault(self, what, breaks):
        """Take a link away, and see everything back by itself once it is there again."""
        broken, told = time.monotonic(), self.said()
        interface, paths, mend = breaks()
        wait_until(lambda: not self.works(interface), f"{what}: the agent knows it of {interface}")
        time.sleep(1)
        mended = time.monotonic()
        mend()
        wait_until(lambda: all(map(self.works, ("to-clients", "to-servers"))), f"{what}: {interface} is back")
        wait_until(lambda: {self.state(n) for n in self.servers} == {"up"}, f"{what}: all are up")
        # Who sent while there was no carrier asks for its neighbour once a second.
        assert self.client.spread([VIP4, PORT], 1)
        self.faults.append(Fault(what, broken, mended, time.monotonic(), paths=paths))
        assert self.said() > told, f"{what}: the log tells of {interface}"
        time.sleep(0.5)

    def works(self, name):
        interface = next(i for i in self.agent.cli("status")["interfaces"] if i["name"] == name)
        return interface["up"] and interface["mode"] == "native"

    def said(self):
        log = self.agent.log()
        return min(log.count("interface is down") + log.count("no program on interface"),
                   log.count("interface is up again") + log.count("program on interface interface="))

    # ------------------------------------------------------------ endpoints

    def killed(self, number):
        self.servers[number].kill()
        self.servers[number].wait()

        def mend():
            self.servers[number] = self.net.peer(f"web-{number}", "serve", f"web-{number}", PORT)
        return mend

    def paused(self, number):
        pid = self.inner_pid(number)
        os.kill(pid, signal.SIGSTOP)
        return lambda: os.kill(pid, signal.SIGCONT)

    def blackholed(self, number):
        self.net.ip(f"web-{number}", "route add blackhole 192.0.2.1/32")
        return lambda: self.net.ip(f"web-{number}", "route del blackhole 192.0.2.1/32")

    def unplugged(self, number):
        self.net.ip(f"web-{number}", "link set eth0 down")

        def mend():
            self.net.ip(f"web-{number}", "link set eth0 up",
                        f"addr add {Net.server6(number)}/64 dev eth0 nodad", "route add default via 192.0.2.1")
        return mend

    # ---------------------------------------------------------------- links

    def clients_link(self):
        """The balancer's own interface, by which clients come. IPv6 addresses go with it."""
        self.net.ip(Net.BALANCER, "link set to-clients down")
        return "to-clients", ("edge",), lambda: self.net.ip(
            Net.BALANCER, "link set to-clients up", "addr add 2001:db8:2::1/64 dev to-clients nodad")

    def servers_link(self):
        """The one by which all endpoints are reached."""
        self.net.ip(Net.BALANCER, "link set to-servers down")
        return "to-servers", ("edge", "node"), lambda: self.net.ip(
            Net.BALANCER, "link set to-servers up", "addr add 2001:db8:1::1/64 dev to-servers nodad")

    def servers_cable(self):
        """It is pulled at the switch."""
        self.net.ip(Net.SWITCH, "link set uplink down")
        return "to-servers", ("edge", "node"), lambda: self.net.ip(Net.SWITCH, "link set uplink up")

    def clients_own_link(self):
        self.net.ip(Net.CLIENT, "link set eth0 down")
        return "to-clients", ("edge",), lambda: self.net.ip(
            Net.CLIENT, "link set eth0 up", f"addr add {Net.CLIENT6}/64 dev eth0 nodad",
            "route add default via 198.51.100.1", "route add default via 2001:db8:2::1")

    def clients_card(self):
        """The balancer's interface is taken out, and another one by its name put in."""
        self.net.ip(Net.BALANCER, "link delete to-clients")
        return "to-clients", ("edge",), self.net.connect_client

    def inner_pid(self, number):
        return self.servers[number].pid  # nsenter has become the server

    # ------------------------------------------------------ the agent's world

    def quiet(self, what, breaks):
        """Break something that no client may notice."""
        mend = breaks()
        time.sleep(1)
        mend()
        time.sleep(0.3)
        assert {self.state(n) for n in self.servers} == {"up"}, what

    def slow(self):
        """A server that works a quarter of the time is slow, not down."""
        pid = self.inner_pid(1)
        for _ in range(8):
            os.kill(pid, signal.SIGSTOP)
            time.sleep(0.15)
            os.kill(pid, signal.SIGCONT)
            time.sleep(0.05)
        return lambda: None

    def registry_broken(self):
        generation = self.agent.cli("status")["generation"]
        for garbage in ("services: [", "\0\1\2", "services: [ { name: web, frontends: [] } ]\n", "- {}"):
            self.agent.declare("web.yaml", garbage)
            time.sleep(0.25)
        assert self.agent.cli("status")["generation"] == generation, "what was read last is in force"
        return lambda: self.agent.declare("web.yaml", declared())

    def registry_gone(self):
        """The directory is not there any more: as one that was not mounted."""
        aside = self.agent.services_d.with_name("aside")
        self.agent.services_d.rename(aside)
        aside.rename(self.agent.services_d)
        return lambda: None

    def memory_short(self):
        """No more than it has: 50 000 endpoints more do not fit, whatever is free in its heap, and
        nothing else changes."""
        status = open(f"/proc/{self.agent.process.pid}/status", encoding="ascii").read()
        kib = int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmSize")))
        self.limit_memory((kib << 10) + (1 << 20))
        self.agent.declare("many.yaml", services(*(
            service(f"more-{n}", [f"10.200.{4 + n // 250}.{1 + n % 250}:80/tcp"],
                    [(f"192.0.2.11:{port}", 1) for port in range(10_000, 10_100)])
            for n in range(500))))

        def mend():
            assert self.agent.process.poll() is None, "it lives on"
            assert "emory" in self.agent.log(), "it was short, and that was said"
            (self.agent.services_d / "many.yaml").unlink()
            self.limit_memory("unlimited")
        return mend

    def limit_memory(self, limit):
        subprocess.run(["prlimit", f"--pid={self.agent.process.pid}", f"--as={limit}:unlimited"], check=True)

    def disk_full(self):
        """The state directory takes nothing more."""
        filler = self.agent.state / "filler"
        with open(filler, "wb") as out:
            try:
                while True:
                    out.write(bytes(65536))
                    out.flush()
            except OSError:
                pass
        return filler.unlink

    def agent_killed(self):
        self.agent.stop(signal.SIGKILL)
        time.sleep(0.3)
        self.agent.start()
        return lambda: None

    def clock_jumps(self):
        """A day on, a day back: the wall clock is for people alone."""
        clock = self.agent.home / "clock"
        for port, offset in enumerate(("+1d", "-1d", "+0")):
            frontend = f"{VIP4}:{9000 + port}/tcp"
            clock.write_text(offset + "\n")
            self.agent.declare("clock.yaml", services(service("clock", [frontend], endpoints4({1: 1}))))
            wait_until(lambda: frontend in self.agent.service("clock").get("frontends", ()), "it goes on")
        tomorrow = time.strftime("%Y-%m-%dT", time.gmtime(time.time() + 86400))
        assert tomorrow in self.agent.log(), "its clock did jump"
        return lambda: None


def judge(path, calls, faults):
    """What is wrong with what the clients saw. Empty = nothing."""
    wrong = []
    for begun, _, server, why in calls:
        fault = next((f for f in faults if f.broken - 0.05 <= begun <= f.back), None)
        if not fault:
            if why:
                wrong.append((path, "failed while nothing was wrong", begun, server, why))
        elif path not in fault.paths:
            if why:
                wrong.append((path, f"{fault.what}: not its link", begun, server, why))
        elif fault.out + 0.2 <= begun <= fault.mended and (why or server == fault.server):
            wrong.append((path, f"{fault.what}: begun after {fault.server} was left out", begun, server, why))
    return wrong


def fake_clock(agent):
    """Preloaded, the wall clock is what a file says."""
    library = subprocess.run("ls /usr/lib/*/faketime/libfaketime.so.1", shell=True, capture_output=True,
                             text=True, check=True).stdout.split()[0]
    (agent.home / "clock").write_text("+0\n")
    return {"LD_PRELOAD": library, "FAKETIME_TIMESTAMP_FILE": str(agent.home / "clock"), "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1", "DONT_FAKE_MONOTONIC": "1"}


def test_clients_see_what_the_oracle_says(net, cgroup, record_property):
    seed = int(os.environ.get("FAIRLEAD_SEED", str(random.randrange(1 << 30))))
    print(f"FAIRLEAD_SEED={seed}")
    dice = random.Random(seed)
    agent = Agent(net, more=f"node_path: {{ enabled: true, cgroup: {cgroup} }}\n")
    agent.state.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", agent.state], check=True)
    environment = fake_clock(agent)
    os.environ.update(environment)
    churns = {}
    try:
        world = World(net, agent, dice)
        agent.declare("web.yaml", declared())
        agent.start()
        wait_until(lambda: {world.state(n) for n in world.servers} == {"up"}, "all are up")
        churns = {"edge": Recorded(net, Net.CLIENT), "node": Recorded(net, Net.BALANCER, cgroup)}
        for _ in range(ROUNDS):
            told = [("endpoint", w) for w in (world.killed, world.paused, world.blackholed, world.unplugged)]
            told += [("link", w) for w in (world.clients_link, world.servers_link, world.servers_cable,
                                           world.clients_own_link, world.clients_card)]
            told += [("quiet", w) for w in (
                world.slow, world.registry_broken, world.registry_gone, world.memory_short, world.disk_full,
                world.agent_killed, world.clock_jumps)]
            dice.shuffle(told)
            for kind, fault in told:
                {"endpoint": world.endpoint_fault, "link": world.link_fault,
                 "quiet": world.quiet}[kind](fault.__name__, fault)
        calls = {path: churn.end() for path, churn in churns.items()}
    finally:
        for name in environment:
            os.environ.pop(name, None)
        for churn in churns.values():
            churn.kill()
        if agent.process and agent.process.poll() is None:
            agent.stop()
        agent.run_once("--detach")
        subprocess.run(["umount", agent.state], check=True)
    wrong = [w for path, made in calls.items() for w in judge(path, made, world.faults)]
    for f in world.faults:
        record_property(f.what, (f"out after {f.out - f.broken:.2f} s, " if f.server else "")
                        + f"back after {f.back - f.mended:.2f} s")
    record_property("connections", {path: f"{len(made)}, {sum(1 for c in made if c[3])} failed inside of windows"
                                    for path, made in calls.items()})
    for line in [*world.faults, *wrong[:40]] if wrong else ():
        print(line)
    assert not wrong
    assert all(len(made) > 100 for made in calls.values())
