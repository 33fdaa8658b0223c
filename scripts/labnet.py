# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""A small network on one machine: clients, a balancer, a switch and servers.

    client ───────── balancer ───────── switch ──┬── web-1
    198.51.100.0/24            192.0.2.0/24      ├── web-2
    2001:db8:2::/64            2001:db8:1::/64   └── ...
                     10.200.0.0/16 and 2001:db8:200::/48 are routed to the
                     balancer: frontends live there

`make run` and the e2e tests use it under different names. Each namespace is
called PREFIX-ROLE. Everything a lab starts is written down in its run directory
(pid and start time) before it runs, so that a later run can clear what a crashed
one left, and nothing else.
"""

import fcntl
import os
import pathlib
import shutil
import signal
import subprocess
import time
import zlib

BPFFS = pathlib.Path("/sys/fs/bpf")


class LabError(Exception):
    pass


def command(argv, **options):
    """Run a program that must succeed; return what it printed."""
    done = subprocess.run([str(a) for a in argv], capture_output=True, text=True,
                          stdin=None if "input" in options else subprocess.DEVNULL, **options)
    if done.returncode != 0:
        raise LabError(f"{' '.join(map(str, argv))}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


def start_time(pid):
    """When a process began, in clock ticks since boot; None when there is none (or a zombie)."""
    try:
        stat = pathlib.Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    fields = stat.rsplit(")", 1)[1].split()  # the name before it may hold blanks
    return None if fields[0] == "Z" else fields[19]


class Lab:
    """The network and the processes in it.

    prefix   first part of the names of its namespaces
    run_dir  its files: sockets, configurations, the list of its processes
    bpffs    the agent's pins
    """

    CLIENT, BALANCER, SWITCH = "client", "balancer", "switch"
    CLIENT4, CLIENT6 = "198.51.100.7", "2001:db8:2::7"
    MANAGEMENT_HOST, MANAGEMENT_BALANCER = "169.254.97.1", "169.254.97.2"

    def __init__(self, prefix, run_dir, bpffs):
        self.prefix = prefix
        self.run_dir = pathlib.Path(run_dir)
        self.bpffs = pathlib.Path(bpffs)
        self.lock = None
        self.children = []

    # -------------------------------------------------------------- names

    def netns(self, role):
        return f"{self.prefix}-{role}"

    def netns_path(self, role):
        return f"/run/netns/{self.netns(role)}"

    @staticmethod
    def server4(number):
        return f"192.0.2.{10 + number}"

    @staticmethod
    def server6(number):
        return f"2001:db8:1::{10 + number}"

    def namespaces(self):
        """Those of this lab that exist now, whoever made them."""
        try:
            names = os.listdir("/run/netns")
        except FileNotFoundError:
            return []
        return sorted(n for n in names if n.startswith(self.prefix + "-"))

    # ---------------------------------------------------------- processes

    def inside(self, role, argv):
        """The command line that runs argv in a namespace. Not `ip netns exec`: that
        mounts a new /sys, which hides the pins of the bpffs."""
        return ["nsenter", f"--net={self.netns_path(role)}", *map(str, argv)]

    def run(self, role, argv, **options):
        return command(self.inside(role, argv), **options)

    def spawn(self, role, argv, **options):
        """Start a process in a namespace (role None: here); it ends with the lab."""
        name = f"{role or 'host'}:{os.path.basename(str(argv[0]))}"
        argv = self.inside(role, argv) if role else [str(a) for a in argv]
        pids = self.run_dir / "pids"

        def write_down():
            with open(pids, "a", encoding="ascii") as out:
                out.write(f"{os.getpid()} {start_time('self')} {name}\n")

        options.setdefault("stdin", subprocess.DEVNULL)
        child = subprocess.Popen(argv, preexec_fn=write_down, start_new_session=True, **options)
        self.children.append(child)
        return child

    def kill_processes(self):
        """End what this lab, or a crashed one before it, started; only that."""
        try:
            lines = (self.run_dir / "pids").read_text().splitlines()
        except OSError:
            lines = []
        ours = [(int(f[0]), f[1]) for f in map(str.split, lines) if len(f) >= 2 and f[0].isdigit()]
        for number, patience_s in ((signal.SIGTERM, 5), (signal.SIGKILL, 20)):
            alive = [(pid, began) for pid, began in ours if start_time(pid) == began]
            for pid, _ in alive:
                os.kill(pid, number)
            deadline = time.monotonic() + patience_s
            while any(start_time(p) == began for p, began in alive) and time.monotonic() < deadline:
                self.reap()
                time.sleep(0.02)
        self.reap()
        self.children = [c for c in self.children if c.returncode is None]

    def reap(self):
        for child in self.children:
            child.poll()

    # ------------------------------------------------------------ network

    def acquire(self):
        """Be the only one who uses these names, until down() or the end of this process."""
        if self.lock:
            return
        self.run_dir.mkdir(parents=True, exist_ok=True)
        while True:
            lock = open(self.run_dir / "lock", "w", encoding="ascii")
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as e:
                raise LabError(f"{self.prefix}: in use by another run (lock {lock.name})") from e
            try:  # whoever held it before may have removed the file
                if os.stat(lock.name).st_ino == os.fstat(lock.fileno()).st_ino:
                    self.lock = lock
                    return
            except FileNotFoundError:
                self.run_dir.mkdir(parents=True, exist_ok=True)

    def up(self, servers, management=False):
        """Clear leftovers, then build the network with `servers` servers."""
        self.acquire()
        self.clear()
        roles = [self.CLIENT, self.BALANCER, self.SWITCH] + [f"web-{n + 1}" for n in range(servers)]
        for role in roles:
            command(["ip", "netns", "add", self.netns(role)])
        self.run(self.BALANCER, ["sysctl", "-qw", "net.ipv4.ip_forward=1",
                                 "net.ipv6.conf.all.forwarding=1"])

        self.connect_client()
        self.ip(self.SWITCH, "link add br0 type bridge", "link set br0 up")
        self.connect_switch()
        for n in range(1, servers + 1):
            self.connect_server(n)
        if management:
            self.wire((None, self.prefix), (self.BALANCER, "management"))
            self.ip(None, f"addr add {self.MANAGEMENT_HOST}/30 dev {self.prefix}")
            self.ip(self.BALANCER, f"addr add {self.MANAGEMENT_BALANCER}/30 dev management")

    def connect_client(self):
        self.wire((self.CLIENT, "eth0"), (self.BALANCER, "to-clients"))
        self.addresses(self.BALANCER, "to-clients", "198.51.100.1/24", "2001:db8:2::1/64")
        self.addresses(self.CLIENT, "eth0", self.CLIENT4 + "/24", self.CLIENT6 + "/64")
        self.ip(self.CLIENT, "route add default via 198.51.100.1", "route add default via 2001:db8:2::1")

    def connect_switch(self):
        self.wire((self.SWITCH, "uplink"), (self.BALANCER, "to-servers"))
        self.ip(self.SWITCH, "link set uplink master br0")
        self.addresses(self.BALANCER, "to-servers", "192.0.2.1/24", "2001:db8:1::1/64")

    def connect_server(self, n):
        name = f"web-{n}"
        self.wire((name, "eth0"), (self.SWITCH, f"port-{n}"))
        self.ip(self.SWITCH, f"link set port-{n} master br0")
        self.addresses(name, "eth0", self.server4(n) + "/24", self.server6(n) + "/64")
        self.ip(name, "route add default via 192.0.2.1", "route add default via 2001:db8:1::1")

    def ip(self, role, *lines):
        """Run `ip` commands inside a namespace (None: here)."""
        where = ["-n", self.netns(role)] if role else []
        command(["ip", *where, "-batch", "-"], input="\n".join(lines) + "\n")

    def wire(self, one, other):
        """A cable: a veth pair between (role, interface) and (role, interface).

        Ends whose stack sends packets into XDP must fill in checksums themselves, as
        hardware would; ends that receive what XDP sends or redirects need GRO, which is
        what makes a veth without an XDP program of its own take such frames. MAC addresses
        are fixed, so that a cable which is pulled and plugged again is still the same.
        """
        a, b = (f"name {name} address {self.mac(role, name)}"
                + (f" netns {self.netns(role)}" if role else "") for role, name in (one, other))
        command(["ip", "-batch", "-"], input=f"link add {a} type veth peer {b}\n")
        for role, name in (one, other):
            self.ip(role, f"link set {name} up")
        end = ["ethtool", "-K", one[1], "tx", "off", "gro", "on"]
        command(self.inside(one[0], end) if one[0] else end)

    @staticmethod
    def mac(role, name):
        """A local address made from the place of an interface."""
        return "02:00:" + zlib.crc32(f"{role}/{name}".encode()).to_bytes(4, "big").hex(":")

    def addresses(self, role, name, address4, address6):
        self.ip(role, f"addr add {address4} dev {name}", f"addr add {address6} dev {name} nodad",
                "link set lo up")

    # ------------------------------------------------------------ the end

    def clear(self):
        """Remove processes, pins, namespaces and files of this lab, this run's or an older one's."""
        self.kill_processes()
        if self.bpffs.is_dir():
            shutil.rmtree(self.bpffs)  # a pin that goes takes its link or map with it
        for name in self.namespaces():
            command(["ip", "netns", "delete", name])
        for entry in self.run_dir.iterdir() if self.run_dir.is_dir() else ():
            if entry.name == "lock":
                continue
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry)
            else:
                entry.unlink()

    def down(self):
        self.clear()
        shutil.rmtree(self.run_dir, ignore_errors=True)
        if self.lock:
            self.lock.close()
            self.lock = None

    # -------------------------------------------------------------- nginx

    def nginx(self, number, log):
        """A real HTTP server on server `number`, one process, that answers its name."""
        name = f"web-{number}"
        home = self.run_dir / name
        home.mkdir(parents=True, exist_ok=True)
        temporary = "\n".join(f"    {kind}_temp_path {home}/{kind};" for kind in
                              ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        (home / "nginx.conf").write_text(f"""
daemon off;
master_process off;
pid {home}/nginx.pid;
error_log {home}/error.log;
events {{ worker_connections 4096; }}
http {{
{temporary}
    log_format plain '$remote_addr $connection "$request" $status';
    access_log {log} plain;
    server {{
        listen 80 backlog=4096;
        listen [::]:80 backlog=4096;
        default_type text/plain;
        location / {{ return 200 "{name}\\n"; }}
    }}
}}
""")
        with open(home / "output", "wb") as output:
            return self.spawn(name, ["nginx", "-e", home / "error.log", "-c", home / "nginx.conf"],
                              stdout=output, stderr=output)
