# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""What the stories speak of: a network, an agent on its balancer, clients, servers.

The network itself is scripts/labnet.py, the same that `make run` uses.
"""

import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "scripts"))
import labnet  # noqa: E402

BUILD = pathlib.Path(os.environ.get("FAIRLEAD_BUILD", ROOT / "build")).absolute()
FAIRLEADD, FAIRLEAD = BUILD / "fairleadd", BUILD / "fairlead"
PEERS = ROOT / "tests/e2e/peers.py"
PYTHON = "/usr/bin/python3"
PREFIX = "fl-e2e-"
RUN = pathlib.Path("/run")

VIP4, VIP6 = "10.200.0.1", "2001:db8:200::1"
PORT = 7000  # of the peers' servers
# How long a condition may take on a machine that does much else; an emulator takes longer.
PATIENCE_S = int(os.environ.get("FAIRLEAD_PATIENCE_S", "60"))


def wait_until(condition, what, patience_s=PATIENCE_S):
    """Poll until condition() is true; return its value. Fails with what was awaited."""
    deadline = time.monotonic() + patience_s
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < deadline, f"not within {patience_s} s: {what}"
        time.sleep(0.02)


def clear_leftovers():
    """Remove what crashed runs left: labs of ours whose lock nobody holds."""
    for run_dir in RUN.glob(PREFIX + "*"):
        net = Net(run_dir.name)
        try:
            net.acquire()
        except labnet.LabError:
            continue  # alive, in another checkout perhaps
        net.down()


class Net(labnet.Lab):
    """The network of one module of stories."""

    def __init__(self, name=f"{PREFIX}{os.getpid()}"):
        super().__init__(name, RUN / name, labnet.BPFFS / name)
        self.agents = []

    def serve(self, servers, port=PORT):
        """Start a talking server (peers.py) on each of web-1 … web-`servers`."""
        return {n: self.serve_one(n, port) for n in range(1, servers + 1)}

    def serve_one(self, n, port=PORT):
        return self.peer(f"web-{n}", "serve", f"web-{n}", port)

    def peer(self, role, *arguments):
        """Start peers.py in a namespace, and wait until a server is ready."""
        child = self.spawn(role, [PYTHON, PEERS, *arguments], stdin=subprocess.PIPE,
                           stdout=subprocess.PIPE, text=True)
        if arguments[0] == "serve":
            assert child.stdout.readline() == "ready\n", f"{role}: {' '.join(map(str, arguments))}"
        return child

    def clear(self):
        super().clear()
        for other in labnet.BPFFS.glob(self.prefix + "*"):  # of a second agent
            shutil.rmtree(other)

    def left_behind(self):
        """What of this lab is still there, as text."""
        found = [f"namespace {n}" for n in self.namespaces()]
        found += [str(p) for p in (self.run_dir, *labnet.BPFFS.glob(self.prefix + "*")) if p.exists()]
        links = labnet.command(["ip", "-o", "link"])
        found += [line for line in links.splitlines() if self.prefix in line]
        return found


def start_targets(net, servers, addresses=(f"{VIP4}/32", f"{VIP6}/128")):
    """On web-1 … web-`servers`: the frontends' addresses, and an agent that takes what the
    balancer sends out of its tunnel."""
    targets = []
    for n in range(1, servers + 1):
        role = f"web-{n}"
        net.ip(role, *(f"addr add {address} dev lo" for address in addresses))
        target = Agent(net, f"target-{n}", interfaces=(), role=role, http="off",
                       bpffs=labnet.BPFFS / f"{net.prefix}-target-{n}",
                       more="target:\n  interfaces: [eth0]\n"
                            "  from: [192.0.2.1/32, 2001:db8:1::1/128]\n")
        targets.append(target.start(wait=False))
    for target in targets:
        target.wait_ready()
    return targets


class Clients:
    """A process in the client's namespace that opens and keeps connections; see peers.py."""

    def __init__(self, net, role=labnet.Lab.CLIENT):
        self.process = net.peer(role, "clients")

    def ask(self, do, **arguments):
        self.process.stdin.write(json.dumps({"do": do, **arguments}) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        assert answer, f"the clients' process died of {do} {arguments}"
        return json.loads(answer)

    def open(self, to, count, **more):
        """Open and keep `count` connections; all must be answered."""
        answer = self.ask("open", to=to, count=count, patience=PATIENCE_S, **more)
        assert answer["waiting"] == 0 and answer["broken"] == 0, answer
        return answer["servers"]

    def spread(self, to, count, **more):
        """Open and close `count` connections; all must be answered. {server: how many}"""
        answer = self.ask("spread", to=to, count=count, patience=PATIENCE_S, **more)
        assert answer["waiting"] == 0 and answer["broken"] == 0, answer
        return answer["servers"]

    def spread_amid_change(self, to, count):
        """The same while endpoints change. A connection that was given one in the moment in which
        that left may never be answered: then {} is returned, and the caller looks again."""
        answer = self.ask("spread", to=to, count=count, patience=10)
        assert answer["broken"] == 0, answer
        return {} if answer["waiting"] else answer["servers"]

    def talk(self):
        """A round trip on every kept connection; none may be broken."""
        answer = self.ask("talk", patience=PATIENCE_S)
        assert answer["broken"] == 0, answer
        return answer["servers"]

    def close(self, **which):
        return self.ask("close", **which)["closed"]


class Agent:
    """fairleadd on the balancer, with its files below the lab's run directory."""

    def __init__(self, net, name="agent", interfaces=("to-clients", "to-servers"), edge="",
                 bpffs=None, http="127.0.0.1:9707", more="", role=labnet.Lab.BALANCER, registries=None):
        """edge: lines below `edge:`; bpffs: not the lab's own; more: further top-level lines;
        role: whose namespace it runs in; registries: in place of the file registry of declare()"""
        self.net, self.name, self.process, self.role = net, name, None, role
        self.home = net.run_dir / name
        self.config = self.home / "fairlead.yaml"
        self.services_d = self.home / "services.d"
        self.socket = self.home / "fairleadd.sock"
        self.log_file = self.home / "fairleadd.log"
        self.state = self.home / "state"
        self.bpffs = bpffs or net.bpffs
        self.http = http
        self.services_d.mkdir(parents=True, exist_ok=True)
        lines = [f"node: {{ name: {name} }}", f"state_dir: {self.state}",
                 f"bpffs: {self.bpffs}", f"control: {{ socket: {self.socket}, group: root }}",
                 f"http: {{ listen: {http} }}",
                 "registries:", registries or f"  - file: {{ path: {self.services_d} }}"]
        if interfaces:
            lines += ["edge:", f"  interfaces: [{', '.join(interfaces)}]", *(f"  {e}" for e in edge.splitlines())]
        self.config.write_text("\n".join(lines) + "\n" + more)
        net.agents.append(self)

    # ---------------------------------------------------------------- life

    def start(self, wait=True):
        with open(self.log_file, "ab") as log:
            self.process = self.net.spawn(self.role, [FAIRLEADD, "-c", self.config],
                                          stdout=log, stderr=log)
        if wait:
            self.wait_ready()
        return self

    def is_ready(self):
        assert self.process.poll() is None, f"the agent ended with {self.process.returncode}"
        return self.get("/readyz", check=False) is not None

    def wait_ready(self):
        wait_until(self.is_ready, "the agent is ready")

    def stop(self, number=signal.SIGTERM):
        """End it; return its exit code (negative: the signal that killed it)."""
        self.process.send_signal(number)
        return self.process.wait(PATIENCE_S)

    def run_once(self, *arguments):
        """fairleadd with other arguments, to its end."""
        return subprocess.run(self.net.inside(self.role, [FAIRLEADD, "-c", self.config, *arguments]),
                              stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=PATIENCE_S, check=False)

    def log(self):
        return self.log_file.read_text(errors="replace") if self.log_file.exists() else ""

    # ------------------------------------------------------------ registry

    def declare(self, file, text):
        """Put a file into the registry as careful people do: written aside, then renamed."""
        aside = self.services_d / f".{file}.new"
        aside.write_text(text)
        aside.rename(self.services_d / file)

    def declare_web(self, weights):
        """Declare the service `web` and wait until it is what the agent has applied."""
        self.declare("web.yaml", web(weights))
        wanted = dict(endpoints4(weights))
        wait_until(lambda: {e["address"]: e["weight"] for e in self.cli("endpoint", "list", "web")} == wanted,
                   f"web with {weights} is applied")

    # --------------------------------------------------------------- looks

    def get(self, path, check=True):
        """Body of an HTTP answer over the socket; None when it was not a 200."""
        done = subprocess.run(["curl", "-sf", "--max-time", str(PATIENCE_S), "--unix-socket",
                               self.socket, f"http://localhost{path}"],
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        if done.returncode == 0:
            return done.stdout
        assert not check, f"GET {path}: curl exit code {done.returncode}"
        return None

    def cli(self, *arguments, code=0):
        """`fairlead -j …` with its expected exit code; the decoded answer."""
        done = subprocess.run([FAIRLEAD, "-j", "--socket", self.socket, *arguments],
                              stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=PATIENCE_S, check=False)
        assert done.returncode == code, (arguments, done.returncode, done.stdout, done.stderr)
        return json.loads(done.stdout)

    def service(self, name):
        """What `service list` says of one service; {} when it does not know it."""
        return next((s for s in self.cli("service", "list") if s["name"] == name), {})

    def reasons(self):
        return self.cli("stats")["reasons"]

    def metric(self, name, **labels):
        """Sum of the rows of /metrics with this name and, among others, these labels."""
        total = 0
        for row in self.get("/metrics").splitlines():
            match = re.fullmatch(r"(\w+)(?:\{(.*)\})? (\S+)", row)
            if match and match.group(1) == name:
                found = dict(re.findall(r'(\w+)="([^"]*)"', match.group(2) or ""))
                if labels.items() <= found.items():
                    total += float(match.group(3))
        return total


def service(name, frontends, endpoints, *more):
    """One service as YAML. endpoints: (address, weight) pairs; more: further lines."""
    lines = [f"  - name: {name}", "    frontends: [ " + ", ".join(f'"{f}"' for f in frontends) + " ]"]
    lines += [f"    {line}" for line in more]
    lines.append("    endpoints:" if endpoints else "    endpoints: []")
    lines += [f'      - {{ address: "{address}", weight: {weight} }}' for address, weight in endpoints]
    return "\n".join(lines) + "\n"


def services(*texts):
    return "services:\n" + "".join(texts)


def endpoints4(weights, port=PORT):
    """{1: 2} -> [("192.0.2.11:7000", 2)]"""
    return [(f"{Net.server4(n)}:{port}", weight) for n, weight in weights.items()]


def endpoints6(weights, port=PORT):
    return [(f"[{Net.server6(n)}]:{port}", weight) for n, weight in weights.items()]


def web(weights, *more):
    """The service of most stories: IPv4 TCP on VIP4:PORT."""
    return services(service("web", [f"{VIP4}:{PORT}/tcp"], endpoints4(weights), *more))
