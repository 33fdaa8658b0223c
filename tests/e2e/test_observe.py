# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""What the agent shows is true, and cheap."""

import json
import pathlib
import re
import subprocess
import time

import pytest

from lab import PORT, VIP4, VIP6, Agent, Clients, endpoints4, endpoints6, service, services, wait_until

TO = [VIP4, PORT]
WEIGHTS = {1: 1, 2: 2, 3: 1}


@pytest.fixture(scope="module")
def agent(net):
    net.serve(4)
    agent = Agent(net)
    agent.declare("web.yaml", services(
        service("web", [f"{VIP4}:{PORT}/tcp", f"{VIP4}:{PORT}/udp"], endpoints4(WEIGHTS)),
        service("web6", [f"[{VIP6}]:{PORT}/tcp"], endpoints6(WEIGHTS))))
    return agent.start()


@pytest.mark.sanitised
def test_promtool_likes_the_metrics(net, agent):
    Clients(net).spread(TO, 100)
    done = subprocess.run(["promtool", "check", "metrics"], input=agent.get("/metrics"),
                          capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


@pytest.mark.sanitised
def test_metrics_count_what_was_sent(net, agent):
    def look():
        frontend = {"service": "web", "frontend": f"{VIP4}:{PORT}/tcp"}
        found = {f"web-{n}": agent.metric("fairlead_endpoint_new_flows_total", service="web",
                                          endpoint=f"{net.server4(n)}:{PORT}") for n in WEIGHTS}
        found["flows"] = agent.metric("fairlead_service_new_flows_total", **frontend)
        for unit in ("packets", "bytes"):
            name = f"fairlead_service_{unit}_total"
            found[f"reply {unit}"] = agent.metric(name, direction="reply", **frontend)
            found[unit] = agent.metric(name, **frontend) - found[f"reply {unit}"]
        return found

    before = look()
    counts = Clients(net).spread(TO, 500)
    after = look()
    grew = {name: after[name] - before[name] for name in after}
    assert {name: grew[name] for name in counts} == counts
    assert grew["flows"] == 500
    # SYN, ACK, ACK of the greeting, FIN at least; each of at least an IP and a TCP header.
    assert grew["packets"] >= 4 * 500 and grew["bytes"] >= 40 * grew["packets"]
    # SYN+ACK, greeting, ACK of the FIN.
    assert grew["reply packets"] >= 3 * 500 and grew["reply bytes"] >= 40 * grew["reply packets"]


def driver_packets(net):
    """Packets that the driver gave to XDP on both interfaces."""
    total = 0
    for name in ("to-clients", "to-servers"):
        statistics = net.run(net.BALANCER, ["ethtool", "-S", name])
        total += sum(map(int, re.findall(r"rx_queue_\d+_xdp_packets: (\d+)", statistics)))
    return total


def test_reasons_add_up_to_the_packets_that_came(net, agent):
    def both():
        """(packets, sum over reasons), when nothing moved between the two looks."""
        packets = driver_packets(net)
        counted = sum(agent.reasons().values())
        return (packets, counted) if driver_packets(net) == packets else None

    packets, counted = wait_until(both, "a quiet moment")
    clients = Clients(net)
    clients.spread(TO, 300)
    clients.spread(TO, 300, udp=True)
    clients.spread([VIP6, PORT], 300)
    later, counted_later = wait_until(both, "a quiet moment again")
    assert later - packets >= 3 * 600
    assert counted_later - counted == later - packets


def test_prometheus_scrapes_it(net, agent):
    home = net.run_dir / "prometheus"
    home.mkdir()
    (home / "prometheus.yml").write_text(f"""
global: {{ scrape_interval: 1s }}
scrape_configs:
  - job_name: fairlead
    static_configs: [ {{ targets: ["{agent.http}"] }} ]
""")
    command = ["prometheus", f"--config.file={home}/prometheus.yml", f"--storage.tsdb.path={home}/data",
               "--web.listen-address=127.0.0.1:9090"]
    with open(home / "log", "wb") as log:
        prometheus = net.spawn(net.BALANCER, command, stdout=log, stderr=log)
    Clients(net).spread(TO, 100)

    def ask(query):
        done = subprocess.run(net.inside(net.BALANCER, ["curl", "-sfG", "--data-urlencode", f"query={query}",
                                                        "http://127.0.0.1:9090/api/v1/query"]),
                              capture_output=True, text=True, check=False)
        result = json.loads(done.stdout)["data"]["result"] if done.returncode == 0 else []
        return float(result[0]["value"][1]) if result else None

    wait_until(lambda: ask('up{job="fairlead"}') == 1, "Prometheus has scraped the agent")
    wait_until(lambda: (ask('sum(fairlead_service_new_flows_total{service="web"})') or 0) >= 100,
               "and counts the connections")
    prometheus.kill()  # an agent that is scraped every second is not idle
    prometheus.wait()


def test_an_idle_agent_sleeps(agent):
    """Fewer than 5 wake-ups a second, threads of the loop included."""
    def wakeups():
        return sum(int(re.search(r"^voluntary_ctxt_switches:\s+(\d+)", task.read_text(), re.M).group(1))
                   for task in pathlib.Path(f"/proc/{agent.process.pid}/task").glob("*/status"))

    before, began = wakeups(), time.monotonic()
    time.sleep(10)
    assert (wakeups() - before) / (time.monotonic() - began) < 5


def test_memory(agent):
    """Kernel maps and the agent with one or two services: at most 30 MB."""
    status = pathlib.Path(f"/proc/{agent.process.pid}/status").read_text()
    resident = int(re.search(r"^RssAnon:\s+(\d+) kB", status, re.M).group(1)) * 1024
    maps = {}
    for info in pathlib.Path(f"/proc/{agent.process.pid}/fdinfo").iterdir():
        found = dict(re.findall(r"^(map_id|memlock):\s+(\d+)", info.read_text(), re.M))
        if "map_id" in found:
            maps[found["map_id"]] = int(found["memlock"])
    assert maps and resident + sum(maps.values()) <= 30e6, (resident, maps)


@pytest.mark.sanitised
def test_the_cli_shows_it(net, agent):
    rows = {s["name"]: s for s in agent.cli("service", "list")}
    assert rows["web"]["frontends"] == [f"{VIP4}:{PORT}/tcp", f"{VIP4}:{PORT}/udp"]
    assert rows["web"]["forward"] == "nat" and rows["web"]["balance"] == "maglev"
    assert rows["web"]["endpoints"] == {"total": 3, "up": 3}
    assert (rows["web"]["slots"]["size"], rows["web"]["slots"]["moving"]) == (1021, 0)

    endpoints = agent.cli("endpoint", "list", "web")
    assert [(e["address"], e["weight"], e["state"]) for e in endpoints] \
        == [(address, weight, "up") for address, weight in endpoints4(WEIGHTS)]
    shown = [{**e, "connections": None} for e in agent.cli("service", "show", "web")["endpoints"]]
    assert [e.pop("history") for e in shown] == [[], [], []], "nobody said anything of them"
    assert shown == [{**e, "connections": None} for e in endpoints], "but for what counts on meanwhile"
    assert "error" in agent.cli("service", "show", "nobody", code=1)

    status = agent.cli("status")
    assert status["version"] and status["generation"] > 0
    assert [i["name"] for i in status["interfaces"]] == ["to-clients", "to-servers"]
    assert status["registries"][0]["type"] == "file"
    registry = agent.cli("registry", "list")[0]
    assert (registry["up"], registry["services"], registry["endpoints"]) == (True, 2, 6)

    stats = {(s["name"], s["frontend"]): s for s in agent.cli("stats")["services"]}
    Clients(net).spread(TO, 50)
    later = {(s["name"], s["frontend"]): s for s in agent.cli("stats", "web")["services"]}
    key = "web", f"{VIP4}:{PORT}/tcp"
    assert later[key]["new_flows"] - stats[key]["new_flows"] == 50


def test_connections_are_counted(net, agent):
    """On a service of its own, since closed connections of others linger."""
    agent.declare("quiet.yaml", services(service("quiet", [f"{VIP4}:{PORT + 1}/tcp"], endpoints4(WEIGHTS))))
    wait_until(lambda: len(agent.cli("service", "list")) == 3, "the service quiet")
    counts = Clients(net).open([VIP4, PORT + 1], 60)
    shown = {e["address"]: e["connections"] for e in agent.cli("endpoint", "list", "quiet")}
    assert shown == {f"{net.server4(n)}:{PORT}": counts[f"web-{n}"] for n in WEIGHTS}
    (agent.services_d / "quiet.yaml").unlink()
    wait_until(lambda: len(agent.cli("service", "list")) == 2, "it is gone")


@pytest.mark.sanitised
def test_health_pages(net, agent):
    for path in ("/healthz", "/readyz"):
        code = net.run(net.BALANCER, ["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}",
                                      f"http://{agent.http}{path}"])
        assert code == "200"
