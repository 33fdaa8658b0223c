# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""A real Consul in a namespace of the lab, and the ways to talk to it."""

import http.client
import json
import socket
import subprocess
import urllib.parse

from lab import PATIENCE_S, Net, wait_until

NODE = "consul-1"  # what the server calls the node it runs on
NEVER = "24h"  # of a TTL check that nobody feeds: it stays as it was last set


class Answer:
    """One HTTP answer. `json` is None when the body is none."""

    def __init__(self, response):
        self.status = response.status
        self.names = [name for name, value in response.getheaders()]
        self.headers = {name.lower(): value for name, value in response.getheaders()}
        self.body = response.read()

    @property
    def text(self):
        return self.body.decode(errors="replace").strip()

    @property
    def json(self):
        return json.loads(self.body) if self.body.strip() else None

    @property
    def index(self):
        return int(self.headers["x-consul-index"])

    @property
    def backend(self):
        return self.headers.get("x-consul-query-backend")

    def __repr__(self):
        return f"<{self.status} {self.headers} {self.text[:300]}>"


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path, timeout):
        super().__init__("localhost", timeout=timeout)
        self.path = str(path)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Consul:
    """One server, alone in its datacenter dc1, on the loopback addresses of a namespace with
    Consul's usual ports, and on a Unix socket, by which this process speaks to it.

    data: keep its state over restarts (else the fast development mode, which forgets all);
    config: further settings; token: what this process and the CLI show."""

    def __init__(self, net, program, name="consul", data=False, config=None, token=None,
                 role=Net.BALANCER, leads=True):
        self.net, self.program, self.role, self.token, self.leads = net, program, role, token, leads
        self.home = net.run_dir / name
        self.socket = self.home / "http.sock"
        self.log_file = self.home / "consul.log"
        self.data = self.home / "data" if data else None
        self.process = None
        self.home.mkdir(parents=True)
        settings = {
            "node_name": NODE, "bind_addr": "127.0.0.1", "log_level": "warn",
            "addresses": {"http": f"127.0.0.1 unix://{self.socket}"},
            "performance": {"raft_multiplier": 1},
            "disable_update_check": True,
        }
        if data:
            settings |= {"server": True, "bootstrap_expect": 1, "data_dir": str(self.data)}
        (self.home / "consul.json").write_text(json.dumps(settings | (config or {})))

    # ---------------------------------------------------------------- life

    def start(self):
        with open(self.log_file, "ab") as log:
            mode = [] if self.data else ["-dev"]
            self.process = self.net.spawn(
                self.role, [self.program, "agent", *mode, "-config-file", self.home / "consul.json"],
                stdout=log, stderr=log)
        wait_until(self.is_ready, "Consul answers")
        return self

    def is_ready(self):
        assert self.process.poll() is None, f"Consul ended: {self.log_file.read_text()[-2000:]}"
        try:
            leader = self.api("GET", "/v1/status/leader")
            if not self.leads:
                return leader.status == 200
            # Its own registration is the last thing that it does by itself.
            return leader.json and self.api("GET", f"/v1/catalog/node/{NODE}").json["Services"]
        except (OSError, http.client.HTTPException, ValueError, TypeError, KeyError):
            return False

    def ensure(self):
        """Start it unless it runs."""
        if self.process is None or self.process.poll() is not None:
            self.start()

    def stop(self):
        """End it by a kill, the honest failure; what it was told to keep stays."""
        self.process.kill()
        self.process.wait(PATIENCE_S)

    def forget(self):
        """Between stop and start: it comes back without any data."""
        if self.data:
            subprocess.run(["rm", "-rf", self.data], check=True)

    # ------------------------------------------------------------- talking

    def api(self, method, path, body=None, token=None, headers=None, timeout=PATIENCE_S, **query):
        """One request over the Unix socket. Query values of None are bare keys."""
        if query:
            words = [k.replace("_", "-") + ("" if v is None else "=" + urllib.parse.quote(str(v), safe=""))
                     for k, v in query.items()]
            path += "?" + "&".join(words)
        headers = dict(headers or {})
        token = self.token if token is None else token
        if token:
            headers["X-Consul-Token"] = token
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
        connection = UnixConnection(self.socket, timeout)
        try:
            try:
                connection.request(method, path, body, headers)
            except BrokenPipeError:
                pass  # answered before it had read the whole body
            return Answer(connection.getresponse())
        finally:
            connection.close()

    def get(self, path, **more):
        return self.api("GET", path, **more)

    def put(self, path, body=None, code=200, **more):
        """A PUT that must be answered with this code."""
        answer = self.api("PUT", path, body, **more)
        assert answer.status == code, answer
        return answer

    def delete(self, path, **more):
        answer = self.api("DELETE", path, **more)
        assert answer.status == 200, answer
        return answer

    def cli(self, *arguments, **more):
        """`consul …` as an operator runs it; what it printed."""
        env = {"CONSUL_HTTP_ADDR": f"unix://{self.socket}", "PATH": "/usr/bin:/bin", "HOME": "/"}
        if self.token:
            env["CONSUL_HTTP_TOKEN"] = self.token
        done = subprocess.run([self.program, *map(str, arguments)], env=env, stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=PATIENCE_S, check=False, **more)
        assert done.returncode == 0, (arguments, done.stdout, done.stderr)
        return done.stdout

    def dig(self, name, kind, *options):
        """What Consul's DNS answers; the lines of `dig +noall +answer` split into fields."""
        out = self.net.run(self.role, ["dig", "@127.0.0.1", "-p", "8600", "+noall", "+answer", "+tries=3",
                                       *options, name, kind])
        return [line.split() for line in out.splitlines() if line and not line.startswith(";")]

    # ------------------------------------------------------------ services

    def register(self, ident, name, address, port, weight=1, warning=None, status="passing", **more):
        """A service of this node's agent with one check that changes only when told. It is told
        once more here: only what was told outlives a restart, the rest begins critical."""
        self.put("/v1/agent/service/register", {
            "ID": ident, "Name": name, "Address": address, "Port": port,
            "Weights": {"Passing": weight, "Warning": weight if warning is None else warning},
            "Check": {"CheckID": check_of(ident), "TTL": NEVER, "Status": status}, **more},
            replace_existing_checks="true")
        self.set_status(ident, status)

    def deregister(self, ident):
        self.put(f"/v1/agent/service/deregister/{ident}")

    def set_status(self, ident, status):
        """passing, warning or critical"""
        self.put(f"/v1/agent/check/update/{check_of(ident)}", {"Status": status, "Output": f"said to be {status}"})

    def maintain(self, ident, on, reason="tea"):
        self.put(f"/v1/agent/service/maintenance/{ident}", enable=str(on).lower(), reason=reason)

    def instances(self, name, **query):
        """{ID: entry} of the health endpoint"""
        return {e["Service"]["ID"]: e for e in self.get(f"/v1/health/service/{name}", **query).json}


def check_of(ident):
    return f"{ident}-check"


def consul_registry(url="http://127.0.0.1:8500", **options):
    """The lines below `registries:` of an agent that reads it."""
    words = "".join(f", {key}: {json.dumps(value)}" for key, value in options.items())
    return f"  - consul: {{ url: {json.dumps(url)}{words} }}"


def registry_of(agent, name="consul"):
    return next(r for r in agent.cli("registry", "list") if r["name"] == name)


def states_of(agent, service):
    """{ADDRESS: (STATE, WEIGHT)} of a service's endpoints as the agent has them in force"""
    return {e["address"]: (e["state"], e["weight"]) for e in agent.cli("endpoint", "list", service)}
