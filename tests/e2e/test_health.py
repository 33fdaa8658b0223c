# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""An endpoint that does not answer gets nothing new, and comes back when it does."""

import signal
import time

import pytest

from lab import PATIENCE_S, PORT, VIP4, Agent, service, services, wait_until, web

pytestmark = pytest.mark.sanitised
TO = [VIP4, PORT]
HTTP_VIP = "10.200.0.2"
PACE = "interval: 200ms, timeout: 500ms, rise: 2, fall: 3"


@pytest.fixture(scope="module")
def servers(net):
    """{n: process} of the talking servers; stories put in what they started."""
    return net.serve(4)


@pytest.fixture(scope="module")
def agent(net, servers):
    return Agent(net).start()


def end(process):
    process.kill()
    process.wait(PATIENCE_S)


def endpoint(agent, name, address):
    return next(e for e in agent.cli("endpoint", "list", name) if e["address"] == address)


def each(agent, name, key):
    """A field of each endpoint; nothing while the agent does not know the service."""
    return [e[key] for e in agent.cli("endpoint", "list") if e["service"] == name]


def states(agent, name="web"):
    return each(agent, name, "state")


def wait_for(agent, name, address, state):
    """Returns how many seconds it took."""
    began = time.monotonic()
    wait_until(lambda: endpoint(agent, name, address)["state"] == state, f"{address} is {state}")
    return round(time.monotonic() - began, 3)


def test_an_endpoint_that_is_gone_is_left_out_and_comes_back(net, servers, agent, clients, record_property):
    agent.declare("web.yaml", web({1: 1, 2: 1, 3: 1}, f"check: {{ tcp: true, {PACE} }}"))
    wait_until(lambda: each(agent, "web", "reason") == ["probe: connected"] * 3,
               "all are probed")
    end(servers[2])
    record_property("seconds until it was out", wait_for(agent, "web", f"192.0.2.12:{PORT}", "down"))
    gone = endpoint(agent, "web", f"192.0.2.12:{PORT}")
    assert gone["reason"] == "probe: Connection refused" and gone["since"], gone
    assert set(clients.spread(TO, 100)) == {"web-1", "web-3"}, "nothing new for it"
    assert agent.service("web")["endpoints"] == {"total": 3, "up": 2}
    assert "endpoint is down service=web endpoint=192.0.2.12:7000 probe=tcp" in agent.log()

    servers[2] = net.serve_one(2)
    record_property("seconds until it was back", wait_for(agent, "web", f"192.0.2.12:{PORT}", "up"))
    wait_until(lambda: "web-2" in clients.spread_amid_change(TO, 50), "it gets new connections again")
    web_2 = next(e for e in agent.cli("service", "show", "web")["endpoints"] if e["address"] == f"192.0.2.12:{PORT}")
    assert [(c["state"], c["cause"], c["detail"]) for c in web_2["history"]] == [
        ("up", "probe", "connected"), ("down", "probe", "Connection refused"), ("up", "probe", "not probed yet")]


def test_failures_that_are_fewer_than_fall_are_forgiven(agent, clients):
    agent.declare("web.yaml", web({1: 1, 2: 1, 3: 1}, "check: { tcp: true, interval: 200ms, fall: 100 }"))
    wait_until(lambda: states(agent) == ["up"] * 3, "all are up")
    clients.open(TO, 50)
    before = clients.talk()
    failed = agent.metric("fairlead_check_probes_total", result="failed")
    agent.declare("web.yaml", web({1: 1, 2: 1, 3: 1}, "check: { tcp: true, port: 9, interval: 200ms, fall: 100 }"))
    wait_until(lambda: agent.metric("fairlead_check_probes_total", result="failed") > failed + 12, "four rounds")
    assert states(agent) == ["up"] * 3
    wait_until(lambda: set(each(agent, "web", "reason")) == {"probe: Connection refused"}, "what was seen is shown")
    assert clients.talk() == before


def test_pages_that_are_late_or_wrong(net, agent):
    """http: a server that is stopped is connected to by its kernel, and says nothing."""
    nginx = {n: net.nginx(n, net.run_dir / f"web-{n}.access.log") for n in (1, 2, 3)}
    addresses = [(f"192.0.2.1{n}:80", 1) for n in nginx]
    check = f"check: {{ http: /healthz, {PACE}, host: shop.test, headers: {{ X-Probe: yes-it-is }} }}"
    agent.declare("shop.yaml", services(service("shop", [f"{HTTP_VIP}:80/tcp"], addresses, check)))
    wait_until(lambda: each(agent, "shop", "reason") == ["probe: HTTP 200"] * 3,
               "all answer")
    nginx[3].send_signal(signal.SIGSTOP)
    wait_for(agent, "shop", "192.0.2.13:80", "down")
    assert endpoint(agent, "shop", "192.0.2.13:80")["reason"] == "probe: no answer within 500 ms"
    nginx[3].send_signal(signal.SIGCONT)
    wait_for(agent, "shop", "192.0.2.13:80", "up")

    wrong = check.replace("host:", "contains: web-1, host:")
    agent.declare("shop.yaml", services(service("shop", [f"{HTTP_VIP}:80/tcp"], addresses, wrong)))
    wait_until(lambda: states(agent, "shop") == ["up", "down", "down"], "only one page has the text in it")
    assert "does not have the text" in endpoint(agent, "shop", "192.0.2.12:80")["reason"]
    wrong = check.replace("host:", "expect: '404, 500-599', host:")
    agent.declare("shop.yaml", services(service("shop", [f"{HTTP_VIP}:80/tcp"], addresses, wrong)))
    wait_until(lambda: states(agent, "shop") == ["down"] * 3, "another status was wanted")
    wait_until(lambda: endpoint(agent, "shop", "192.0.2.11:80")["reason"] == "probe: HTTP 200", "and it is said")
    for process in nginx.values():
        end(process)


def test_without_its_check_a_service_is_as_declared(servers, agent):
    agent.declare("web.yaml", web({1: 1, 2: 1, 4: 1}, f"check: {{ tcp: true, port: 9, {PACE} }}"))
    wait_until(lambda: states(agent) == ["down"] * 3, "nobody listens there")
    agent.declare("web.yaml", web({1: 1, 2: 1, 4: 1}))
    wait_until(lambda: states(agent) == ["up"] * 3, "nobody asks any more")
    assert {e["reason"].split(":")[0] for e in agent.cli("endpoint", "list", "web")} <= {"declared up", "via 192"}


def test_what_is_not_probed_yet(agent):
    """start: down waits for the first probe; by then others serve."""
    pace = "interval: 1h, start: down"
    agent.declare("late.yaml", services(service("late", ["10.200.0.3:80/tcp"], [(f"192.0.2.11:{PORT}", 1)],
                                                f"check: {{ tcp: true, {pace} }}")))
    wait_until(lambda: agent.service("late"), "it is there")
    assert endpoint(agent, "late", f"192.0.2.11:{PORT}")["reason"] == "starting: not probed often enough yet"
    assert states(agent, "late") == ["down"]


TEN = {1: range(PORT, PORT + 4), 2: range(PORT, PORT + 4), 3: range(PORT, PORT + 2)}


def ten(check):
    addresses = [(f"192.0.2.1{n}:{port}", 1) for n, ports in TEN.items() for port in ports]
    return services(service("ten", ["10.200.0.4:80/tcp"], addresses, check))


def sent_to(agent, addresses):
    """New flows that the agent counted for these endpoints."""
    return sum(agent.metric("fairlead_endpoint_new_flows_total", service="ten", endpoint=a) for a in addresses)


def test_a_reload_and_a_restart_send_nothing_to_what_is_down(net, servers, agent, clients):
    """3 of 10 endpoints are down. The agent ends, or is killed, and the next one knows."""
    dead = [f"192.0.2.12:{PORT + 1}", f"192.0.2.12:{PORT + 3}", f"192.0.2.13:{PORT + 1}"]
    for n, ports in TEN.items():
        for port in ports:
            if port != PORT and f"192.0.2.1{n}:{port}" not in dead:
                net.serve_one(n, port)
    check = f"check: {{ tcp: true, {PACE} }}"
    agent.declare("ten.yaml", ten(check))
    wait_until(lambda: sorted(each(agent, "ten", "state")) == ["down"] * 3 + ["up"] * 7, "three are down")
    assert {e["address"] for e in agent.cli("endpoint", "list", "ten") if e["state"] == "down"} == set(dead)
    since = {a: endpoint(agent, "ten", a)["since"] for a in dead}
    before = sent_to(agent, dead)

    def ask():
        clients.spread(["10.200.0.4", 80], 100)

    ask()
    agent.config.write_text(agent.config.read_text() + "\n# another line\n")  # a reload
    wait_until(lambda: "reloaded" in agent.log(), "the configuration is read again")
    agent.declare("ten.yaml", ten("forward: nat\n    " + check))
    ask()
    for number in (signal.SIGTERM, signal.SIGKILL):
        wait_until(lambda: (agent.state / "health").exists(), "what is known is on disk")
        agent.stop(number)
        ask()
        agent.start(wait=False)
        ask()
        agent.wait_ready()
        assert {a: endpoint(agent, "ten", a)["state"] for a in dead} == {a: "down" for a in dead}
        assert {a: endpoint(agent, "ten", a)["since"] for a in dead} == since
        ask()
    assert sent_to(agent, dead) == before
    assert sent_to(agent, [e["address"] for e in agent.cli("endpoint", "list", "ten")]) > before + 600, "others were asked"


def test_what_was_known_is_not_believed_when_it_was_harmed(agent):
    agent.stop()
    kept = agent.state / "health"
    kept.write_text(kept.read_text().replace("probe=up", "probe=down"))
    agent.start()
    assert "health.bad" in agent.log() and "what was known of endpoints is lost" in agent.log()
    assert (agent.state / "health.bad").exists()
    wait_until(lambda: sorted(each(agent, "ten", "state")) == ["down"] * 3 + ["up"] * 7, "it finds out for itself")


def test_heartbeats(agent):
    """An endpoint says that it is well; silence and `fail` take it out."""
    addresses = [f"192.0.2.1{n}:{PORT}" for n in (1, 2)]
    agent.declare("beat.yaml", services(service("beat", ["10.200.0.5:80/tcp"], [(a, 1) for a in addresses],
                                                "heartbeat: 2s")))
    wait_until(lambda: states(agent, "beat") == ["up", "up"], "both are up, and have their time")
    wait_until(lambda: states(agent, "beat") == ["down", "down"], "neither said anything")
    assert set(each(agent, "beat", "reason")) == {"heartbeat: none within 2000 ms"}
    answer = agent.cli("heartbeat", "beat", addresses[0])
    assert answer == {"service": "beat", "address": addresses[0], "status": "pass", "note": None}
    wait_until(lambda: states(agent, "beat") == ["up", "down"], "one is well")
    agent.cli("heartbeat", "beat", addresses[0], "fail", "disk full")
    wait_until(lambda: each(agent, "beat", "reason")[0] == "heartbeat: fail: disk full", "it is not any more")
    assert states(agent, "beat")[0] == "down"
    agent.cli("heartbeat", "beat", addresses[0], "warn", "disk 90 % & rising")
    wait_until(lambda: each(agent, "beat", "reason")[0] == "heartbeat: warn: disk 90 % & rising", "it is again")
    assert states(agent, "beat")[0] == "up"


@pytest.mark.parametrize("arguments, code, words", [
    (["nobody", "192.0.2.11:80"], 1, "no service is called"),
    (["beat", "192.0.2.99:80"], 1, "beat has no endpoint 192.0.2.99:80"),
    (["beat", "web-1"], 2, "is no endpoint"),
    (["beat", f"192.0.2.11:{PORT}", "well"], 2, "is no heartbeat, expected pass, warn or fail"),
    (["web", f"192.0.2.11:{PORT}"], 1, "web expects no heartbeats"),
])
def test_heartbeats_that_make_no_sense(agent, arguments, code, words):
    assert words in agent.cli("heartbeat", *arguments, code=code)["error"]["message"]


def test_panic_uses_all_and_says_so(agent, clients):
    """Nobody answers at that port, so all would be out; below 50 % all are used."""
    check = f"check: {{ tcp: true, port: 9, {PACE} }}"
    agent.declare("web.yaml", web({1: 1, 2: 1, 3: 1}, "panic: 50", check))
    wait_until(lambda: set(each(agent, "web", "reason")) == {"panic: too few are up, all are used; Connection refused"}, "all are used")
    assert states(agent) == ["up"] * 3
    assert set(clients.spread(TO, 60)) == {"web-1", "web-2", "web-3"}
    assert agent.service("web")["panic"] is True
    assert any("service web: so few endpoints are up" in w for w in agent.cli("status")["warnings"])
    assert "panic: too few endpoints are up, using all service=web" in agent.log()
    agent.declare("web.yaml", web({1: 1, 2: 1, 3: 1}, "panic: 50", f"check: {{ tcp: true, {PACE} }}"))
    wait_until(lambda: agent.service("web")["panic"] is False, "it is over")
    assert "panic is over service=web" in agent.log()


def test_backups_wait_for_the_others_to_go(net, servers, agent, clients):
    text = web({1: 1, 2: 1, 3: 1}, f"check: {{ tcp: true, {PACE} }}").replace(
        f'"192.0.2.13:{PORT}", weight: 1', f'"192.0.2.13:{PORT}", weight: 1, backup: true')
    agent.declare("web.yaml", text)
    wait_until(lambda: each(agent, "web", "reason")[-1:] == ["backup: the others are up; connected"], "web-3 waits")
    wait_until(lambda: states(agent) == ["up"] * 3, "all are well")
    assert set(clients.spread(TO, 60)) == {"web-1", "web-2"}
    for n in (1, 2):
        end(servers[n])
    wait_until(lambda: states(agent)[:2] == ["down", "down"], "the others are gone")
    assert clients.spread(TO, 20) == {"web-3": 20}
    for n in (1, 2):
        servers[n] = net.serve_one(n)
    wait_until(lambda: set(clients.spread_amid_change(TO, 40)) == {"web-1", "web-2"}, "they are back")
