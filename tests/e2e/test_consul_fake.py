# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""What Consul answers when something is wrong with it changes nothing, is told, and is got over.

Against a fake server: these are faults that a real one will not produce on demand.
"""

import json
import signal
import time

import pytest

from fake_consul import FakeConsul, instance
from lab import VIP4, Agent, wait_until

pytestmark = pytest.mark.sanitised
SERVERS = 1
FRONTENDS = f"{VIP4}:80/tcp"
WEB = "/v1/health/service/web"
KV = "/v1/kv/fairlead/services/"
CATALOG = "/v1/catalog/services"


def instances(*numbers):
    return [instance(n, f"192.0.2.{n}", 8080, FRONTENDS) for n in numbers]


@pytest.fixture(scope="module")
def consul(net):
    net.run_dir.mkdir(exist_ok=True)
    fake = FakeConsul(net.run_dir / "consul.sock")
    fake.put("web", instances(1, 2))
    yield fake
    fake.close()


@pytest.fixture(scope="module")
def agent(net, consul):
    agent = Agent(net, interfaces=())
    text = agent.config.read_text()
    agent.config.write_text(text.replace(
        "registries:\n",
        f"registries:\n  - consul: {{ url: 'unix://{consul.socket_path}', wait: 1s }}\n"))
    return agent.start()


def endpoints(agent, service="web"):
    if not agent.service(service):
        return None
    return sorted(e["address"] for e in agent.cli("endpoint", "list", service))


def registry(agent):
    return next(r for r in agent.cli("registry", "list") if r["name"] == "consul")


@pytest.fixture
def good(agent, consul):
    """A state that is in force, and that Consul agrees with."""
    consul.faults.clear()
    consul.kv.clear()
    consul.put("web", instances(1, 2))
    wait_until(lambda: endpoints(agent) == ["192.0.2.1:8080", "192.0.2.2:8080"]
               and registry(agent)["up"] and not registry(agent)["last_error"], "all is well")


def heal(agent, consul, path):
    """The fault is over; SIGHUP looks again at once, where a refusal would wait for 10 seconds."""
    consul.fault(path, None)
    agent.process.send_signal(signal.SIGHUP)


def says(status, body, **headers):
    return lambda handler, path: handler.answer(status, body, 10**6, **headers)


def truncated(handler, path):
    """Well-formed HTTP, half of the JSON."""
    body = json.dumps(instances(3))
    handler.answer(200, body[:len(body) // 2], 10**6)


def cut_off(handler, path):
    """Half of what was announced, then the connection ends."""
    handler.send_response(200)
    handler.send_header("X-Consul-Index", "1000000")
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    handler.wfile.write(b"[]")
    handler.wfile.flush()
    handler.close_connection = True
    handler.connection.shutdown(2)


def huge(handler, path):
    """50 MB that are a valid list."""
    handler.send_response(200)
    handler.send_header("X-Consul-Index", "1000000")
    handler.end_headers()
    handler.wfile.write(b"[")
    for _ in range(50):
        handler.wfile.write(b" " * 1000000)
    handler.wfile.write(b"]")
    handler.close_connection = True


def behind(handler, path):
    handler.answer(200, "[]", 10**6, X_Consul_KnownLeader="false", X_Consul_LastContact="60000")


ENTRY = json.dumps(instances(3)[0])
FAULTS = {
    "half of the JSON": (truncated, "the answer cannot be used: ends in the middle"),
    "a page": (says(200, "<html>hello</html>"), "no value where one must be"),
    "an object": (says(200, "{}"), "no list where one must be"),
    "nothing": (says(200, ""), "ends in the middle"),
    "a key twice": (says(200, f'[{ENTRY[:-1]},"Node":{{}}}}]'), "a key stands twice"),
    "nesting without end": (says(200, "[" * 100000), "nested too deep"),
    "500": (says(500, "No cluster leader"), "500 No cluster leader"),
    "503": (says(503, "busy"), "503 busy"),
    "429": (says(429, "rate limited", Retry_After="1"), "429 rate limited"),
    "400": (says(400, "Failed to parse filter"), "400 Failed to parse filter"),
    "404": (says(404, "what?"), "404 what?"),
    "a connection that ends": (cut_off, ""),
    "50 MB": (huge, "larger"),
    "no leader": (behind, "knows no leader"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_changes_nothing_is_told_and_got_over(agent, consul, good, name):
    function, words = FAULTS[name]
    consul.fault(WEB, function)
    told = wait_until(lambda: registry(agent)["last_error"], "the fault is told")
    assert words in told
    assert endpoints(agent) == ["192.0.2.1:8080", "192.0.2.2:8080"]
    consul.put("web", instances(1, 2, 3))
    heal(agent, consul, WEB)
    wait_until(lambda: endpoints(agent) == [f"192.0.2.{n}:8080" for n in (1, 2, 3)]
               and not registry(agent)["last_error"] and registry(agent)["up"], "got over")


@pytest.mark.parametrize("path", [CATALOG, KV])
def test_the_catalogue_and_the_store_may_fail_as_well(agent, consul, good, path):
    for function in (truncated, says(500, "oops"), says(403, "Permission denied")):
        consul.fault(path, function)
        wait_until(lambda: registry(agent)["last_error"], "the fault is told")
        assert endpoints(agent) == ["192.0.2.1:8080", "192.0.2.2:8080"]
        consul.put("web", instances(1))  # what can be read is followed
        wait_until(lambda: endpoints(agent) == ["192.0.2.1:8080"], "web is followed")
        consul.put("web", instances(1, 2))
        heal(agent, consul, path)
        wait_until(lambda: not registry(agent)["last_error"], "got over")
        wait_until(lambda: len(endpoints(agent)) == 2, "web is followed")


def test_one_instance_that_cannot_be_used_is_left_out_and_named(agent, consul, good):
    consul.put("web", instances(1) + [instance(7, "web.example", 80, FRONTENDS),
                                      instance(8, "192.0.2.8", "80", FRONTENDS)])
    wait_until(lambda: endpoints(agent) == ["192.0.2.1:8080"], "the good one is used")
    problems = registry(agent)["last_error"]
    assert "instance web-7 on n7: web.example is a name" in problems and "and 1 more" in problems


def test_an_index_that_goes_backwards(agent, consul, good):
    """A snapshot was restored: what is answered is true, and the next question asks for all."""
    before = len(consul.questions(WEB))
    consul.put("web", instances(1, 2, 3), index=1)
    # The question that blocks waits for a higher index, until its time is over.
    wait_until(lambda: endpoints(agent) == [f"192.0.2.{n}:8080" for n in (1, 2, 3)], "followed")
    assert any("index" not in query for query in consul.questions(WEB)[before:])


@pytest.mark.parametrize("index", [None, 0, "nonsense"])
def test_an_index_that_is_none_is_no_reason_to_ask_without_end(agent, consul, good, index):
    """Each answer comes at once; the watch slows down by itself, and still follows."""
    def answer(handler, path):
        handler.answer(*consul.state(path)[:2], index=index)

    consul.fault(WEB, answer)
    began, before = time.monotonic(), len(consul.questions(WEB))
    consul.put("web", instances(1, 2, 3))
    wait_until(lambda: endpoints(agent) == [f"192.0.2.{n}:8080" for n in (1, 2, 3)], "followed")
    wait_until(lambda: len(consul.questions(WEB)) - before > 8, "it goes on asking")
    time.sleep(1)
    # A burst of 20, and one in half a second from then on; asking without end would be thousands.
    asked, elapsed = len(consul.questions(WEB)) - before, time.monotonic() - began
    assert asked <= 20 + 2 * elapsed + 5


def test_definitions_of_the_store(agent, consul, good):
    consul.define("fairlead/services/db", f'{{"frontends": ["{VIP4}:5432/tcp"], '
                                          '"endpoints": [{"address": "192.0.2.50:5432"}]}')
    wait_until(lambda: endpoints(agent, "db") == ["192.0.2.50:5432"], "db is defined by itself")
    consul.define("fairlead/services/web", f'frontends: ["{VIP4}:8000/tcp"]\n')
    wait_until(lambda: agent.service("web").get("frontends") == [f"{VIP4}:8000/tcp"],
               "the store beats metadata")
    assert len(endpoints(agent)) == 2
    consul.define("fairlead/services/web", f'frontends: ["{VIP4}:8000/tcp"]\nforwards: nat\n')
    told = wait_until(lambda: registry(agent)["last_error"], "an error is told")
    assert told.startswith("consul KV fairlead/services/web:2:1: services.forwards: unknown key")
    consul.put("web", instances(1, 2, 3))
    wait_until(lambda: len(endpoints(agent)) == 3, "its last good word stands, and endpoints follow")
    assert agent.service("web")["frontends"] == [f"{VIP4}:8000/tcp"]
    consul.define("fairlead/services/web", None)
    wait_until(lambda: agent.service("web").get("frontends") == [FRONTENDS], "metadata again")
    consul.define("fairlead/services/db", None)
    wait_until(lambda: not agent.service("db"), "db is gone")


def test_a_service_that_nobody_defines_is_not_ours(agent, consul, good):
    consul.put("other", [instance(9, "192.0.2.9", 80)])
    wait_until(lambda: consul.questions("/v1/health/service/other"), "it is looked at")
    consul.put("web", instances(1))
    wait_until(lambda: endpoints(agent) == ["192.0.2.1:8080"], "web is followed")
    assert not agent.service("other") and not registry(agent)["last_error"]
    consul.put("other", [instance(9, "192.0.2.9", 80, f"{VIP4}:9000/tcp")])
    wait_until(lambda: endpoints(agent, "other") == ["192.0.2.9:80"], "now it is")
    with consul.changed:
        del consul.services["other"]
    consul.put("web", instances(1, 2))
    wait_until(lambda: not agent.service("other"), "it is gone")


def test_what_a_drip_of_bytes_cannot_do(agent, consul, good):
    """A server that never ends its answer holds up its own service only."""
    def drip(handler, path):
        handler.send_response(200)
        handler.send_header("X-Consul-Index", "1000000")
        handler.send_header("Content-Length", "1000000")
        handler.end_headers()
        while path in consul.faults:
            handler.wfile.write(b" ")
            handler.wfile.flush()
            time.sleep(0.05)

    asked = len(consul.questions(WEB))
    consul.fault(WEB, drip)
    wait_until(lambda: len(consul.questions(WEB)) > asked, "it is asked")
    consul.define("fairlead/services/db", f'{{"frontends": ["{VIP4}:5432/tcp"], "endpoints": []}}')
    wait_until(lambda: agent.service("db"), "the store is followed meanwhile")
    assert endpoints(agent) == ["192.0.2.1:8080", "192.0.2.2:8080"]
    told = wait_until(lambda: registry(agent)["last_error"], "its time is over")
    assert "time" in told.lower()
    heal(agent, consul, WEB)
    consul.define("fairlead/services/db", None)
    wait_until(lambda: not registry(agent)["last_error"], "got over")


def test_an_agent_that_lost_its_stream_of_changes(agent, consul, good):
    """Seen with 1.22: an empty list with a low index, for a moment. It is no answer."""
    told = []

    def lost(handler, path):
        if "index=" in handler.path and len(told) < 3:
            told.append(path)
            handler.answer(200, "[]", 1)
        else:
            handler.answer(*consul.state(path))

    generation = agent.cli("status")["generation"]
    consul.fault(WEB, lost)
    wait_until(lambda: len(told) == 3, "three times")
    before = len(consul.questions(WEB))
    wait_until(lambda: len(consul.questions(WEB)) > before + 1, "it goes on")
    assert agent.cli("status")["generation"] == generation, "nothing was removed, not even for a moment"


def test_half_of_the_first_answers_is_no_answer(agent, consul, good):
    """Started while one service does not answer: what was kept is served, and nothing is removed."""
    consul.put("other", [instance(9, "192.0.2.9", 80, f"{VIP4}:9000/tcp")])
    wait_until(lambda: endpoints(agent, "other") == ["192.0.2.9:80"], "two services")
    wait_until(lambda: "192.0.2.9:80" in "".join(p.read_text() for p in agent.state.rglob("*") if p.is_file()),
               "they are kept")
    agent.stop()

    def silent(handler, path):
        while path in consul.faults:
            time.sleep(0.05)
        handler.close_connection = True

    consul.fault(WEB, silent)
    consul.put("other", [instance(9, "192.0.2.9", 80, f"{VIP4}:9000/tcp", weight=3)])
    before = len(consul.questions("/v1/health/service/other"))
    agent.start()
    wait_until(lambda: len(consul.questions("/v1/health/service/other")) > before + 1, "the rest answers")
    assert endpoints(agent) == ["192.0.2.1:8080", "192.0.2.2:8080"]
    assert agent.cli("endpoint", "list", "other")[0]["weight"] == 1, "nothing is new before all is known"
    heal(agent, consul, WEB)
    wait_until(lambda: agent.cli("endpoint", "list", "other")[0]["weight"] == 3, "all is known")
    assert endpoints(agent) == ["192.0.2.1:8080", "192.0.2.2:8080"]
    with consul.changed:
        del consul.services["other"]
    consul.put("web", instances(1, 2))
    wait_until(lambda: not agent.service("other"), "it is gone")


def test_several_addresses_take_over_from_each_other(net, agent, consul, good):
    """The next address is asked at once when one cannot be reached, and nothing is lost meanwhile."""
    second = FakeConsul(net.run_dir / "second.sock")
    second.put("web", instances(1, 2))
    text = agent.config.read_text()
    agent.config.write_text(text.replace(
        f"url: 'unix://{consul.socket_path}'",
        f"urls: ['unix://{second.socket_path}', 'unix://{consul.socket_path}']"))
    try:
        wait_until(lambda: second.questions(WEB), "the first address is asked")
        second.put("web", instances(1, 2, 3))
        wait_until(lambda: len(endpoints(agent)) == 3, "the first address is followed")
        consul.put("web", instances(1, 2, 3))
        second.close()
        for path in (WEB, CATALOG, KV):
            second.fault(path, cut_off)
        before = len(consul.questions(WEB))
        wait_until(lambda: len(consul.questions(WEB)) > before, "the second one is asked")
        consul.put("web", instances(1, 3))
        wait_until(lambda: endpoints(agent) == ["192.0.2.1:8080", "192.0.2.3:8080"], "and followed")
        wait_until(lambda: registry(agent)["up"] and not registry(agent)["last_error"], "all is well")
    finally:
        agent.config.write_text(text)


def test_more_services_than_connections_take_turns(agent, consul, good):
    """Each is looked at regularly, none for ever; a change is seen when its turn comes."""
    text = agent.config.read_text()
    names = [f"many-{n}" for n in range(1, 41)]
    agent.config.write_text(text.replace("wait: 1s", "wait: 1s, connections: 5"))
    try:
        for n, name in enumerate(names, 1):
            consul.put(name, [instance(n, f"192.0.2.{n}", 80, f"{VIP4}:{9000 + n}/tcp")])
        wait_until(lambda: all(agent.service(name) for name in (names[0], names[-1])), "all are served")
        for n in (1, 20, 40):
            consul.put(f"many-{n}", [instance(n, f"192.0.2.{n}", 80, f"{VIP4}:{9000 + n}/tcp", weight=7)])
            wait_until(lambda: agent.cli("endpoint", "list", f"many-{n}")[0]["weight"] == 7, f"{n} follows")
        asked = [len(consul.questions(f"/v1/health/service/{name}")) for name in names]
        wait_until(lambda: all(len(consul.questions(f"/v1/health/service/{name}")) > before + 1
                               for name, before in zip(names, asked)), "every one has its turn")
    finally:
        with consul.changed:
            for name in names:
                consul.services.pop(name, None)
        agent.config.write_text(text)
