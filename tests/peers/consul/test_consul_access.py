# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Tokens, certificates and other ways to a Consul: what is wrong is said, and mends itself."""

import pathlib
import subprocess

import pytest

from consul_server import Consul, consul_registry, registry_of
from lab import PORT, VIP4, Agent, Clients, wait_until

SERVERS = 2
TALK = [VIP4, PORT]
ROOT_TOKEN = "11111111-1111-1111-1111-111111111111"
RULES = """
service_prefix "" { policy = "read" }
node_prefix "" { policy = "read" }
key_prefix "fairlead/" { policy = "read" }
"""


@pytest.fixture(scope="module")
def papers(net, program):
    """Certificates of a CA of this run, made by Consul's own CLI; and another CA's."""
    program = program("consul")

    def make(where):
        folder = pathlib.Path(net.run_dir) / where
        folder.mkdir()
        for words in (["ca", "create"], ["cert", "create", "-server"], ["cert", "create", "-client"]):
            subprocess.run([program, "tls", *words], cwd=folder, check=True, stdin=subprocess.DEVNULL,
                           capture_output=True)
        return {"ca": str(folder / "consul-agent-ca.pem"),
                **{f"{side}_{part}": str(folder / f"dc1-{side}-consul-0{end}.pem")
                   for side in ("server", "client") for part, end in (("cert", ""), ("key", "-key"))}}
    return make("papers"), make("other-papers")


@pytest.fixture(scope="module")
def consul(net, program, papers):
    """ACLs are on and deny; TLS is on and wants certificates. This process has the Unix socket."""
    ours, _ = papers
    consul = Consul(net, program("consul"), data=True, token=ROOT_TOKEN, config={
        "acl": {"enabled": True, "default_policy": "deny",
                "tokens": {"initial_management": ROOT_TOKEN, "agent": ROOT_TOKEN}},
        "ports": {"https": 8501},
        "tls": {"defaults": {"ca_file": ours["ca"], "cert_file": ours["server_cert"],
                             "key_file": ours["server_key"], "verify_incoming": True}}}).start()
    consul.put("/v1/acl/policy", {"Name": "fairlead", "Rules": RULES})
    for n in (1, 2):
        consul.register(f"talk-{n}", "talk", f"192.0.2.{10 + n}", PORT,
                        Meta={"fairlead-frontends": f"{VIP4}:{PORT}/tcp"})
    wait_until(lambda: len(consul.instances("talk")) == 2, "two instances")
    net.serve(SERVERS)
    return consul


def new_token(consul):
    made = consul.put("/v1/acl/token", {"Policies": [{"Name": "fairlead"}]}).json
    return made["SecretID"], made["AccessorID"]


@pytest.fixture
def token_file(net, consul):
    """A file with a good token"""
    path = net.run_dir / "token"
    path.write_text(new_token(consul)[0] + "\n")
    return path


@pytest.fixture
def reader(net):
    """reader(REGISTRY): an agent that forwards nothing, only reads"""
    started = []

    def start(registry):
        number = len(net.agents) + 1
        agent = Agent(net, f"reader-{number}", interfaces=(), http="off", registries=registry,
                      bpffs=f"/sys/fs/bpf/{net.prefix}-reader-{number}").start(wait=False)
        started.append(agent)
        wait_until(lambda: agent.get("/api/v1/status", check=False), "it listens")
        return agent

    yield start
    for agent in started:
        agent.stop()


def has_both(agent):
    return registry_of(agent)["up"] and agent.service("talk").get("endpoints") == {"total": 2, "up": 2}


def complains(agent, *words):
    """The registry is not up, and says something with one of these words."""
    registry = registry_of(agent)
    return not registry["up"] and any(word in (registry["last_error"] or "") for word in words)


# ---------------------------------------------------------------------- tokens

def test_a_token_is_mended_while_the_agent_runs(net, consul):
    """Wrong, then right, then revoked, then another: said each time, followed each time, and
    what is known stays in force."""
    path = net.run_dir / "changing-token"
    path.write_text("33333333-3333-3333-3333-333333333333\n")
    # A catalogue that is asked for when the token is revoked answers when the wait is over.
    agent = Agent(net, registries=consul_registry(token_file=str(path), wait="5s")).start(wait=False)
    wait_until(lambda: agent.get("/api/v1/status", check=False), "it listens")
    wait_until(lambda: complains(agent, "ACL not found", "403"), "a wrong token is said")
    assert not agent.service("talk")

    secret, accessor = new_token(consul)
    path.write_text(secret)
    wait_until(lambda: has_both(agent), "the right one is taken from the file")
    agent.wait_ready()
    clients = Clients(net)
    assert set(clients.open(TALK, 40)) == {"web-1", "web-2"}
    before = clients.talk()

    consul.delete(f"/v1/acl/token/{accessor}")
    wait_until(lambda: complains(agent, "ACL not found", "403"), "a revoked one is said")
    assert clients.talk() == before
    assert set(clients.spread(TALK, 40)) == {"web-1", "web-2"}, "traffic goes on"

    path.write_text(new_token(consul)[0])
    wait_until(lambda: has_both(agent), "another one is taken")
    consul.set_status("talk-2", "critical")
    wait_until(lambda: set(clients.spread_amid_change(TALK, 40)) == {"web-1"}, "changes are followed again")
    consul.set_status("talk-2", "passing")
    wait_until(lambda: set(clients.spread_amid_change(TALK, 40)) == {"web-1", "web-2"}, "also back")
    assert secret not in agent.log() + agent.get("/metrics") + agent.run_once("--print-config").stdout
    clients.process.kill()
    agent.stop()


def test_a_token_file_that_is_not_there_yet(net, consul, token_file, reader):
    late = net.run_dir / "late-token"
    agent = reader(consul_registry(token_file=str(late)))
    wait_until(lambda: complains(agent, str(late)), "the file is named")
    token_file.rename(late)
    wait_until(lambda: has_both(agent), "it came")


def test_a_token_that_hides_a_part_is_said(net, consul, reader):
    consul.put("/v1/acl/policy", {"Name": "blind", "Rules": 'node_prefix "" { policy = "read" }\n'
                                  'service "other" { policy = "read" }'})
    path = net.run_dir / "blind-token"
    path.write_text(consul.put("/v1/acl/token", {"Policies": [{"Name": "blind"}]}).json["SecretID"])
    agent = reader(consul_registry(token_file=str(path)))
    wait_until(lambda: "ACL" in str(registry_of(agent)["problems"]), "that Consul hides something is said")


# ---------------------------------------------------------------- certificates

HTTPS = "https://127.0.0.1:8501"


def tls(papers, cert="client", **more):
    words = {"ca": papers["ca"], **more}
    if cert:
        words |= {"cert": papers[f"{cert}_cert"], "key": papers[f"{cert}_key"]}
    return words


def test_tls_with_a_client_certificate(papers, token_file, reader):
    agent = reader(consul_registry(HTTPS, token_file=str(token_file), tls=tls(papers[0])))
    wait_until(lambda: has_both(agent), "it reads over TLS")


def test_tls_by_the_name_of_the_server(papers, token_file, reader):
    agent = reader(consul_registry(HTTPS, token_file=str(token_file),
                                   tls=tls(papers[0], server_name="server.dc1.consul")))
    wait_until(lambda: has_both(agent), "it reads over TLS")


@pytest.mark.parametrize("story, words", [
    ("another CA", ("certificate",)),
    ("another name", ("certificate", "name", "subject")),
    ("no certificate of our own", ("certificate", "alert", "SSL", "TLS")),
    ("a certificate of another CA", ("certificate", "alert", "SSL", "TLS")),
])
def test_tls_that_cannot_be_trusted_is_said(papers, token_file, reader, story, words):
    ours, others = papers
    files = {
        "another CA": tls(ours) | {"ca": others["ca"]},
        "another name": tls(ours, server_name="server.dc2.consul"),
        "no certificate of our own": tls(ours, cert=None),
        "a certificate of another CA": tls(others) | {"ca": ours["ca"]},
    }[story]
    agent = reader(consul_registry(HTTPS, token_file=str(token_file), tls=files))
    wait_until(lambda: complains(agent, *words), f"{story} is said")
    assert not agent.service("talk")


# ------------------------------------------------------------------- other ways

def test_over_a_unix_socket(consul, token_file, reader):
    agent = reader(consul_registry(f"unix://{consul.socket}", token_file=str(token_file)))
    wait_until(lambda: has_both(agent), "it reads over the socket")


def test_the_second_of_two_addresses(token_file, reader):
    registry = consul_registry(token_file=str(token_file)).replace(
        'url: "http://127.0.0.1:8500"', "urls: [http://127.0.0.1:8599, http://127.0.0.1:8500]")
    agent = reader(registry)
    wait_until(lambda: has_both(agent), "the first has nobody who listens")


@pytest.mark.parametrize("options, found", [
    ({"pattern": "ta*"}, True), ({"pattern": "x*"}, False), ({"tags": ["blue"]}, True), ({"tags": ["red"]}, False),
    ({"filter": 'Service.Meta.zone == "z1"'}, True),
], ids=str)
def test_selection(consul, token_file, reader, options, found):
    """Of `talk` and `tagged`, what is asked for."""
    consul.register("tagged-1", "tagged", "192.0.2.11", PORT, Tags=["blue"],
                    Meta={"fairlead-frontends": f"{VIP4}:7001/tcp", "zone": "z1"})
    agent = reader(consul_registry(token_file=str(token_file), **options))
    wait_until(lambda: registry_of(agent)["up"], "it reads")
    names = {s["name"]: s["endpoints"]["total"] for s in agent.cli("service", "list")}
    wanted = {str({"pattern": "ta*"}): {"talk": 2, "tagged": 1}, str({"tags": ["blue"]}): {"tagged": 1},
              str({"filter": 'Service.Meta.zone == "z1"'}): {"tagged": 1}}.get(str(options), {})
    wait_until(lambda: {s["name"]: s["endpoints"]["total"] for s in agent.cli("service", "list")
                        if s["endpoints"]["total"]} == wanted, f"{names} becomes {wanted}")


def test_a_filter_that_consul_cannot_read_is_said(token_file, reader):
    agent = reader(consul_registry(token_file=str(token_file), filter="Service.Nope == 1"))
    wait_until(lambda: complains(agent, "Nope"), "with Consul's words")


def test_enterprise_options_of_the_community_edition_are_said(token_file, reader):
    agent = reader(consul_registry(token_file=str(token_file), namespace="default"))
    wait_until(lambda: complains(agent, "Enterprise"), "with Consul's words")
