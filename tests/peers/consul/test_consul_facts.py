# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""What the driver takes for granted about Consul, asked of the real one.

Each test is one fact, named for it. Where the documentation says otherwise, or where the
truth is dangerous for who reads a registry, the test says so.
"""

import base64
import contextlib
import socket
import threading
import time

import pytest

from consul_server import NEVER, NODE, Consul, check_of
from lab import wait_until

SERVERS = 0
UNKNOWN_SESSION = "adf4238a-882b-9ddc-4a9d-5b6758e4159e"


@pytest.fixture(scope="module")
def consul(net, program):
    """A healthy server with three instances of `web`: one with everything, two plain ones."""
    consul = Consul(net, program("consul")).start()
    consul.register("web-1", "web", "192.0.2.11", 80, weight=7, warning=2, Tags=["v1"], Meta={"zone": "z1"},
                    TaggedAddresses={"wan": {"Address": "203.0.113.11", "Port": 8080}})
    consul.register("web-2", "web", "192.0.2.12", 81)
    consul.register("web-3", "web", "", 82)
    wait_until(lambda: len(consul.instances("web")) == 3, "three instances")
    return consul


@pytest.fixture(autouse=True)
def as_it_was(request):
    """After each story that changed web-1, it is healthy again."""
    yield
    if "consul" in request.fixturenames:
        consul = request.getfixturevalue("consul")
        consul.maintain("web-1", False)
        consul.set_status("web-1", "passing")


def status_of(consul, path, **more):
    return consul.get(path, **more).status


# ------------------------------------------------------------ errors and codes

@pytest.mark.parametrize("query, words", [
    ({"ns": "default"}, "Consul Enterprise feature"),
    ({"partition": "default"}, "Consul Enterprise feature"),
    ({"stale": None, "consistent": None}, "conflicting semantics"),
    ({"passing": "maybe"}, "Invalid value for ?passing"),
    ({"index": "x"}, "Invalid index"),
    ({"wait": "x"}, "Invalid wait time"),
], ids=lambda value: "+".join(value) if isinstance(value, dict) else "")
def test_400_says_what_is_wrong_in_plain_text(consul, query, words):
    answer = consul.get("/v1/health/service/web", **query)
    assert answer.status == 400 and words in answer.text, answer
    assert answer.headers["content-type"].startswith("text/plain")


@pytest.mark.parametrize("header", ["X-Consul-Namespace", "X-Consul-Partition"])
def test_the_community_edition_refuses_enterprise_headers(consul, header):
    answer = consul.get("/v1/catalog/services", headers={header: "default"})
    assert answer.status == 400 and "Consul Enterprise feature" in answer.text, answer


def test_an_unknown_datacenter_is_a_500(consul):
    answer = consul.get("/v1/health/service/web", dc="nowhere")
    assert (answer.status, answer.text) == (500, "No path to datacenter")


def test_an_unknown_peer_is_empty(consul):
    answer = consul.get("/v1/health/service/web", peer="nobody")
    assert (answer.status, answer.json) == (200, [])


def test_a_wrong_method_is_a_405_with_allow(consul):
    answer = consul.api("DELETE", "/v1/catalog/services")
    assert answer.status == 405 and "GET" in answer.headers["allow"], answer


@pytest.mark.parametrize("method, path, body", [
    ("PUT", "/v1/agent/check/pass/nope", None),
    ("PUT", "/v1/agent/check/update/nope", {"Status": "passing"}),
    ("PUT", "/v1/agent/check/deregister/nope", None),
    ("PUT", "/v1/agent/service/maintenance/nope?enable=true", None),
    # The documentation calls this harmless; it is, but the code is not 200.
    ("PUT", "/v1/agent/service/deregister/nope", None),
    ("GET", "/v1/agent/service/nope", None),
    ("GET", "/v1/agent/health/service/id/nope", None),
])
def test_the_agent_answers_404_to_unknown_ids(consul, method, path, body):
    assert consul.api(method, path, body).status == 404


def test_more_connections_than_200_from_one_address_are_429(net, consul):
    """Beyond http_max_conns_per_client; a Unix socket is one client like any other."""
    held, answer = [], b""
    try:
        while b" 429 " not in answer and len(held) < 300:
            sock = socket.socket(socket.AF_UNIX)
            held.append(sock)
            sock.settimeout(20)
            sock.connect(str(consul.socket))
            with contextlib.suppress(BrokenPipeError):  # it may not wait for the question
                sock.sendall(b"GET /v1/status/leader HTTP/1.1\r\nHost: x\r\n\r\n")
            answer = sock.recv(4096)
    finally:
        for sock in held:
            sock.close()
    # Those that were closed just now may still count.
    assert 150 < len(held) <= 201 and b"too many concurrent connections" in answer, (len(held), answer)
    wait_until(lambda: status_of(consul, "/v1/status/leader") == 200, "they are counted out again")


def test_headers_arrive_in_go_s_spelling(consul):
    names = consul.get("/v1/catalog/services").names
    assert "X-Consul-Knownleader" in names and "X-Consul-KnownLeader" not in names


# --------------------------------------------------------------- the instances

def test_an_unknown_service_is_empty_with_a_usable_index(consul):
    answer = consul.get("/v1/health/service/nope")
    assert (answer.status, answer.json) == (200, []) and answer.index > 1


def test_the_shape_of_an_instance(consul):
    entries = consul.instances("web")
    full, plain = entries["web-1"], entries["web-3"]
    assert full["Service"]["Weights"] == {"Passing": 7, "Warning": 2}
    assert full["Service"]["TaggedAddresses"]["wan"] == {"Address": "203.0.113.11", "Port": 8080}
    assert full["Node"]["TaggedAddresses"]["lan_ipv4"] == "127.0.0.1", "a node's are plain strings"
    assert {check["Status"] for check in full["Checks"]} == {"passing"}
    assert plain["Service"]["Meta"] is None, "null, not {}"
    assert plain["Service"]["Address"] == "" and plain["Node"]["Address"] == "127.0.0.1"
    assert plain["Service"]["Weights"] == {"Passing": 1, "Warning": 1}


def test_serf_health_belongs_to_the_node(consul):
    checks = {check["CheckID"]: check for check in consul.instances("web")["web-1"]["Checks"]}
    assert set(checks) == {"serfHealth", check_of("web-1")}
    assert checks["serfHealth"]["ServiceID"] == ""


@pytest.mark.parametrize("weights, code", [
    ({"Passing": 1, "Warning": 0}, 200), ({"Passing": 65535, "Warning": 65535}, 200),
    ({"Passing": 0, "Warning": 0}, 400), ({"Passing": 65536, "Warning": 1}, 400),
])
def test_which_weights_are_registered(consul, weights, code):
    answer = consul.api("PUT", "/v1/agent/service/register", {"Name": "weighty", "Weights": weights})
    assert answer.status == code, answer
    if code == 200:
        consul.deregister("weighty")


@pytest.mark.parametrize("filter_, found", [
    ("Service.Port == 80", {"web-1"}),
    ("Service.Port != 80", {"web-2", "web-3"}),
    ("v1 in Service.Tags", {"web-1"}),
    ("v1 not in Service.Tags", {"web-2", "web-3"}),
    ("Service.Tags contains v1", {"web-1"}),
    ("Service.Tags not contains v1", {"web-2", "web-3"}),
    ("Service.Tags is empty", {"web-2", "web-3"}),
    ("Service.Tags is not empty", {"web-1"}),
    ("Service.Meta.zone == z1", {"web-1"}),
    ("zone in Service.Meta", {"web-1"}),
    ("not Service.Meta.zone == z1", {"web-2", "web-3"}),
    ("Service.Port == 80 or Service.Port == 81", {"web-1", "web-2"}),
    ('Service.ID == "web-2" and Checks is not empty', {"web-2"}),
    ("Checks.Status == passing", {"web-1", "web-2", "web-3"}),
    # A key that an instance lacks counts as matching, whatever the pattern.
    ('Service.Meta.zone matches "z."', {"web-1", "web-2", "web-3"}),
    ('Service.Meta.zone matches "z." and zone in Service.Meta', {"web-1"}),
])
def test_filter_operators(consul, filter_, found):
    assert set(consul.instances("web", filter=filter_)) == found


@pytest.mark.parametrize("filter_", ["Service.Nope == 1", "Service.Port ==", "Service.Port > 80"])
def test_a_filter_that_cannot_be_read_is_a_500(consul, filter_):
    """Not a 400: to be told from a server in trouble by its words only."""
    answer = consul.get("/v1/health/service/web", filter=filter_)
    assert answer.status == 500 and "boolean expression" in answer.text, answer


# ---------------------------------------------------------------------- health

def test_states_of_an_instance(consul):
    """Critical is worse than warning; a maintenance is one more check, which is critical."""
    def agent_says():
        answer = consul.get("/v1/agent/health/service/id/web-1")
        return answer.status, answer.json["AggregatedStatus"]

    def checks():
        return {c["CheckID"]: c["Status"] for c in consul.instances("web")["web-1"]["Checks"]}

    assert agent_says() == (200, "passing")
    consul.set_status("web-1", "warning")
    assert agent_says() == (429, "warning")
    consul.set_status("web-1", "critical")
    assert agent_says() == (503, "critical")
    consul.set_status("web-1", "warning")
    consul.maintain("web-1", True)
    assert agent_says() == (503, "maintenance")
    wait_until(lambda: checks() == {"serfHealth": "passing", check_of("web-1"): "warning",
                                    "_service_maintenance:web-1": "critical"}, "the catalog knows")
    consul.set_status("web-1", "critical")
    assert agent_says() == (503, "maintenance"), "which hides what it was"


def test_a_node_in_maintenance_says_so_on_each_instance(consul):
    consul.put("/v1/agent/maintenance", enable="true", reason="tea")
    wait_until(lambda: all("_node_maintenance" in [c["CheckID"] for c in e["Checks"]]
                           for e in consul.instances("web").values()), "all of the node's")
    consul.put("/v1/agent/maintenance", enable="false")
    wait_until(lambda: set(consul.instances("web", passing=None)) == {"web-1", "web-2", "web-3"}, "back again")


def test_passing_leaves_warnings_out(consul):
    consul.set_status("web-1", "warning")
    wait_until(lambda: set(consul.instances("web", passing=None)) == {"web-2", "web-3"}, "without web-1")
    assert set(consul.instances("web")) == {"web-1", "web-2", "web-3"}


def test_check_ids_that_nobody_chose(consul):
    consul.put("/v1/agent/service/register", {"Name": "one", "Check": {"TTL": NEVER}})
    consul.put("/v1/agent/service/register", {"Name": "two", "Checks": [{"TTL": NEVER}, {"TTL": NEVER}]})
    assert {"service:one", "service:two:1", "service:two:2"} <= set(consul.get("/v1/agent/checks").json)
    consul.deregister("one")
    consul.deregister("two")


def test_a_ttl_check_that_is_not_fed_turns_critical(consul):
    def register(ttl):
        consul.put("/v1/agent/service/register", {"Name": "fed", "Check": {"CheckID": "food", "TTL": ttl}},
                   replace_existing_checks="true")

    def status():
        return consul.get("/v1/agent/checks").json["food"]

    register(NEVER)
    for word in ("pass", "warn", "fail", "pass"):
        consul.put(f"/v1/agent/check/{word}/food", note=f"said {word}")
        assert status()["Output"] == f"said {word}"
    register("1s")
    wait_until(lambda: status()["Status"] == "critical" and "TTL expired" in status()["Output"], "it starves")
    consul.deregister("fed")


# ------------------------------------------------------------ blocking queries

def test_a_blocking_query_ends_with_the_change(consul):
    index = consul.get("/v1/health/service/web").index
    changer = threading.Timer(0.5, consul.set_status, ("web-1", "warning"))
    changer.start()
    answer = consul.get("/v1/health/service/web", index=index, wait="50s")
    changer.join()
    assert answer.index > index
    assert "warning" in [c["Status"] for e in answer.json for c in e["Checks"]]


def test_blocking_health_queries_come_from_the_streaming_backend(consul):
    """It says KnownLeader: false while there is a leader. The header tells something about other
    answers only. `near` and first questions go to the other backend."""
    plain = consul.get("/v1/health/service/web")
    assert (plain.backend, plain.headers["x-consul-knownleader"]) == ("blocking-query", "true")
    for more in ({}, {"stale": None}, {"consistent": None}, {"cached": None}):
        def ask():
            answer = consul.get("/v1/health/service/web", index=plain.index, wait="1s", **more)
            return answer if answer.index > 1 else None  # else the stream has not begun yet
        answer = wait_until(ask, "the stream has begun")
        assert (answer.backend, answer.headers["x-consul-knownleader"]) == ("streaming", "false"), more
        assert len(answer.json) == 3 and answer.headers["x-consul-lastcontact"] == "0"
    assert consul.get("/v1/health/service/web", index=1, near="_agent").backend == "blocking-query"


def test_cached_answers_say_hit_or_miss(consul):
    consul.get("/v1/health/service/web", cached=None)
    assert consul.get("/v1/health/service/web", cached=None).headers["x-cache"] == "HIT"
    assert consul.get("/v1/catalog/services", cached=None).headers["x-cache"] in ("HIT", "MISS")
    assert "x-cache" not in consul.get("/v1/catalog/services").headers


@pytest.mark.parametrize("path", ["/v1/health/service/web", "/v1/catalog/services", "/v1/kv/none?recurse"])
def test_an_index_that_is_too_high_waits_and_then_goes_backwards(consul, path):
    """So who keeps an index over the restart of a server that lost its data waits for `wait`."""
    began = time.monotonic()
    answer = consul.get(path + ("&" if "?" in path else "?") + "index=999999&wait=1s")
    assert 1 <= answer.index < 999999
    assert time.monotonic() - began >= 0.9


def test_deleting_the_newest_key_does_not_turn_the_index_back_at_once(consul):
    """A tombstone keeps it, for some minutes; then it may go back."""
    for key in ("1", "2"):
        consul.put(f"/v1/kv/graves/{key}", b"x")
    before = consul.get("/v1/kv/graves/?recurse").index
    consul.delete("/v1/kv/graves/2")
    after = consul.get("/v1/kv/graves/?recurse")
    assert after.index > before and len(after.json) == 1


def test_a_restored_snapshot_turns_the_index_back(net, program):
    """A query that waits meanwhile is answered at once, with what was before: only the next
    one, whose index is then too high, tells the truth, when its wait is over."""
    consul = Consul(net, program("consul"), name="restored", config={
        "ports": {"http": 9500, "dns": -1, "server": 9300, "serf_lan": 9301, "serf_wan": 9302, "grpc": -1,
                  "grpc_tls": -1},
        "addresses": {"http": f"unix://{net.run_dir}/restored/http.sock"}}).start()
    consul.put("/v1/kv/s/kept", b"x")
    consul.cli("snapshot", "save", consul.home / "snapshot")
    for n in range(20):
        consul.put(f"/v1/kv/s/later-{n}", b"x")
    before = consul.get("/v1/kv/s/?recurse")
    answers = []
    waiter = threading.Thread(target=lambda: answers.append(
        consul.get(f"/v1/kv/s/?recurse&index={before.index}&wait=50s")))
    waiter.start()
    time.sleep(0.5)  # it should be waiting by now; if not, it is answered at once as well
    consul.cli("snapshot", "restore", consul.home / "snapshot")
    waiter.join()
    after = consul.get("/v1/kv/s/?recurse")
    assert len(before.json) == 21 and len(after.json) == 1
    assert after.index < before.index
    assert answers[0].status == 200
    consul.stop()


# ------------------------------------------------------------------- catalog

def test_catalog_lists(consul):
    assert consul.get("/v1/catalog/datacenters").json == ["dc1"]
    nodes = consul.get("/v1/catalog/nodes")
    assert [(n["Node"], n["Datacenter"]) for n in nodes.json] == [(NODE, "dc1")] and nodes.index > 1
    services = consul.get("/v1/catalog/services").json
    assert services["web"] == ["v1"] and services["consul"] == [], "all tags that any instance has"


def test_catalog_service_is_flat(consul):
    entries = {e["ServiceID"]: e for e in consul.get("/v1/catalog/service/web").json}
    assert entries["web-1"]["ServiceWeights"] == {"Passing": 7, "Warning": 2}
    assert (entries["web-3"]["ServiceAddress"], entries["web-3"]["Address"]) == ("", "127.0.0.1")


def test_a_node_may_be_registered_without_an_agent(consul):
    consul.put("/v1/catalog/register", {
        "Node": "foreign", "Address": "192.0.2.99", "NodeMeta": {"zone": "z9"},
        "Service": {"ID": "foreign-web", "Service": "foreign", "Port": 80},
        "Check": {"CheckID": "foreign-check", "ServiceID": "foreign-web", "Status": "passing"}})
    entry = consul.instances("foreign")["foreign-web"]
    assert entry["Node"]["Meta"] == {"zone": "z9"} and entry["Node"]["Address"] == "192.0.2.99"
    assert entry["Node"]["ID"] == "", "so the node's name must do"
    assert entry["Node"]["TaggedAddresses"] is None
    consul.put("/v1/catalog/deregister", {"Node": "foreign"})


# ------------------------------------------------------------------------ KV

@pytest.mark.parametrize("key", ["web.json", "web.yaml", "web.txt", "web.html", "web.js", "web.sh", "a%20b", "a@b"])
def test_keys_may_have_extensions(consul, key):
    """Some versions refuse them; this one takes any."""
    consul.put(f"/v1/kv/names/{key}", b"x")
    assert consul.get(f"/v1/kv/names/{key}").status == 200


def test_two_slashes_in_a_key_are_redirected(consul):
    answer = consul.api("PUT", "/v1/kv/a//b", b"x")
    assert (answer.status, answer.headers["location"]) == (307, "/v1/kv/a/b")


def test_an_absent_key_is_a_404_with_an_index(consul):
    for path in ("/v1/kv/none", "/v1/kv/none/?recurse", "/v1/kv/none/?keys"):
        answer = consul.get(path)
        assert answer.status == 404 and answer.body == b"" and answer.index >= 1, answer


def test_values_flags_and_compare_and_swap(consul):
    flags = 2**64 - 1
    assert consul.put("/v1/kv/cas", b"\0\xff", flags=flags, cas=0).json is True
    assert consul.put("/v1/kv/cas", b"again", cas=0).json is False, "it exists"
    entry = consul.get("/v1/kv/cas").json[0]
    assert entry["Flags"] == flags and base64.b64decode(entry["Value"]) == b"\0\xff"
    assert consul.put("/v1/kv/cas", b"", cas=entry["ModifyIndex"]).json is True
    assert consul.get("/v1/kv/cas").json[0]["Value"] is None, "an empty value is null"
    assert consul.put("/v1/kv/cas", b"late", cas=entry["ModifyIndex"]).json is False


def test_cas_acquire_and_release_exclude_each_other(consul):
    for query in ({"cas": 1, "acquire": UNKNOWN_SESSION}, {"acquire": UNKNOWN_SESSION, "release": UNKNOWN_SESSION}):
        answer = consul.put("/v1/kv/x", b"x", code=400, **query)
        assert "Conflicting flags" in answer.text


def test_a_value_of_more_than_half_a_megabyte_is_a_413(consul):
    consul.put("/v1/kv/big", bytes(512 * 1024))
    consul.put("/v1/kv/big", bytes(512 * 1024 + 1), code=413)


def test_a_transaction_that_fails_is_a_409_with_reasons(consul):
    consul.put("/v1/kv/txn", b"x")
    answer = consul.put("/v1/txn", [{"KV": {"Verb": "check-index", "Key": "txn", "Index": 1}}], code=409)
    assert "failed index check" in answer.json["Errors"][0]["What"]
    many = [{"KV": {"Verb": "set", "Key": f"txn/{n}", "Value": ""}} for n in range(129)]
    consul.put("/v1/txn", many[:128])
    assert consul.api("PUT", "/v1/txn", many).status == 413


# ------------------------------------------------------------------- sessions

def session(consul, **fields):
    return consul.put("/v1/session/create", {"TTL": "600s", "LockDelay": "0s", **fields}).json["ID"]


@pytest.mark.parametrize("ident", [UNKNOWN_SESSION, "nonsense"])
def test_renewing_a_session_that_is_gone_is_a_404(consul, ident):
    assert consul.put(f"/v1/session/renew/{ident}", code=404).text == f"Session id '{ident}' not found"


def test_a_session_may_live_by_its_ttl_alone(consul):
    alone = consul.get(f"/v1/session/info/{session(consul, NodeChecks=[])}").json[0]
    usual = consul.get(f"/v1/session/info/{session(consul, LockDelay='5s')}").json[0]
    assert (alone["NodeChecks"], usual["NodeChecks"]) == ([], ["serfHealth"])
    assert usual["LockDelay"] == 5_000_000_000 and usual["TTL"] == "600s"


def test_a_session_of_less_than_10_seconds_is_a_500(consul):
    assert "Invalid Session TTL" in consul.put("/v1/session/create", {"TTL": "5s"}, code=500).text


def test_a_lock_and_its_end(consul):
    ours, theirs = session(consul), session(consul)
    assert consul.put("/v1/kv/lock", b"ours", acquire=ours).json is True
    assert consul.put("/v1/kv/lock", b"theirs", acquire=theirs).json is False
    assert consul.put("/v1/kv/lock", b"a stranger's").json is True, "a lock is advice"
    assert consul.get("/v1/kv/lock").json[0]["Session"] == ours
    assert len(consul.put(f"/v1/session/renew/{ours}").json) == 1
    for _ in range(2):
        assert consul.put(f"/v1/session/destroy/{ours}").json is True, "twice is no error"
    assert "Session" not in consul.get("/v1/kv/lock").json[0]
    assert consul.get(f"/v1/session/info/{ours}").json == []
    wait_until(lambda: consul.put("/v1/kv/lock", b"theirs", acquire=theirs).json, "the other has it")


# ------------------------------------------------------------------------ DNS

def test_dns_srv_has_weights_and_a_name_that_holds_the_address(consul):
    records = {r[6]: r[7] for r in consul.dig("web.service.consul", "SRV")}
    assert records["80"] == "c000020b.addr.dc1.consul.", "192.0.2.11"
    assert records["82"] == f"{NODE}.node.dc1.consul."
    weights = {r[6]: r[5] for r in consul.dig("web.service.consul", "SRV")}
    assert weights == {"80": "7", "81": "1", "82": "1"}
    assert [r[6] for r in consul.dig("_web._v1.service.consul", "SRV")] == ["80"], "by tag"
    assert [r[4] for r in consul.dig("c000020b.addr.dc1.consul", "A")] == ["192.0.2.11"]


def test_dns_keeps_warning_and_omits_critical_ones(consul):
    def ports():
        return {r[6]: r[5] for r in consul.dig("web.service.consul", "SRV")}

    consul.set_status("web-1", "warning")
    wait_until(lambda: ports() == {"80": "2", "81": "1", "82": "1"}, "with the weight for warnings")
    consul.set_status("web-1", "critical")
    wait_until(lambda: ports() == {"81": "1", "82": "1"}, "without it")


# ---------------------------------------------------------------- no leader

@pytest.fixture(scope="module")
def orphan(net, program):
    """A server that waits for a second one, and has no leader until then."""
    return Consul(net, program("consul"), name="orphan", data=True, leads=False, config={
        "bootstrap_expect": 2, "node_name": "orphan", "performance": {"rpc_hold_timeout": "1s"},
        "ports": {"http": 9600, "dns": -1, "server": 9400, "serf_lan": 9401, "serf_wan": 9402, "grpc": -1,
                  "grpc_tls": -1},
        "addresses": {"http": f"unix://{net.run_dir}/orphan/http.sock"}}).start()


@pytest.mark.parametrize("path", ["/v1/health/service/web", "/v1/health/service/web?stale",
                                  "/v1/catalog/services?stale", "/v1/catalog/services?stale&index=5&wait=1s",
                                  "/v1/kv/x?recurse&stale"])
def test_without_a_leader_ever_even_stale_reads_are_500(orphan, path):
    answer = orphan.get(path)
    assert (answer.status, answer.text) == (500, "No cluster leader")


def test_without_a_leader_its_name_is_empty(orphan):
    assert orphan.get("/v1/status/leader").json == "" and orphan.get("/v1/status/peers").json == []


def test_without_a_leader_a_blocking_health_query_is_an_empty_200_of_index_1(orphan):
    """The streaming backend has nothing, and says so in no other way: index 1 is no answer, and
    who takes it for one removes every endpoint."""
    answer = orphan.get("/v1/health/service/web", index=5, wait="1s")
    assert (answer.status, answer.json, answer.index, answer.backend) == (200, [], 1, "streaming")


def test_a_write_without_a_leader_is_a_500_but_the_agent_takes_registrations(orphan):
    orphan.put("/v1/kv/x", b"x", code=500)
    orphan.put("/v1/session/create", {"TTL": "10s"}, code=500)
    orphan.put("/v1/agent/service/register", {"Name": "later"})


# ----------------------------------------------------------------------- ACL

ROOT_TOKEN = "11111111-1111-1111-1111-111111111111"
SOME_TOKEN = "22222222-2222-2222-2222-222222222222"
WRONG_TOKEN = "33333333-3333-3333-3333-333333333333"


@pytest.fixture(scope="module")
def guarded(net, program):
    """Everything is denied, except that SOME_TOKEN may read `web` and fairlead/."""
    guarded = Consul(net, program("consul"), name="guarded", token=ROOT_TOKEN, config={
        "acl": {"enabled": True, "default_policy": "deny", "tokens": {"initial_management": ROOT_TOKEN}},
        "ports": {"http": 9700, "dns": -1, "server": 9800, "serf_lan": 9801, "serf_wan": 9802, "grpc": -1,
                  "grpc_tls": -1},
        "addresses": {"http": f"unix://{net.run_dir}/guarded/http.sock"}}).start()
    guarded.put("/v1/acl/policy", {"Name": "some", "Rules": 'node_prefix "" { policy = "read" }'
                                   'service "web" { policy = "read" } key_prefix "fairlead/" { policy = "read" }'})
    guarded.put("/v1/acl/token", {"SecretID": SOME_TOKEN, "Policies": [{"Name": "some"}]})
    for name in ("web", "api"):
        guarded.put("/v1/agent/service/register", {"Name": name, "Port": 80})
        guarded.put(f"/v1/catalog/register", {"Node": NODE, "Address": "127.0.0.1", "Service": {"Service": name}})
    for key in ("fairlead/x", "other/x"):
        guarded.put(f"/v1/kv/{key}", b"x")
    return guarded


@pytest.mark.parametrize("path", ["/v1/catalog/services", "/v1/health/service/web", "/v1/kv/fairlead/?recurse"])
def test_a_token_that_is_unknown_is_403(guarded, path):
    answer = guarded.get(path, token=WRONG_TOKEN)
    assert (answer.status, answer.text) == (403, "ACL not found")


def test_an_unknown_token_blocks_and_then_gets_an_empty_200_of_index_1(guarded):
    """As without a leader: the streaming backend has nothing to say, and says that."""
    answer = guarded.get("/v1/health/service/web", token=WRONG_TOKEN, index=5, wait="1s")
    assert (answer.status, answer.json, answer.index, answer.backend) == (200, [], 1, "streaming")


@pytest.mark.parametrize("header", [{"X-Consul-Token": SOME_TOKEN}, {"Authorization": f"Bearer {SOME_TOKEN}"}],
                         ids=lambda header: next(iter(header)))
def test_where_a_token_may_stand(guarded, header):
    assert guarded.get("/v1/catalog/services", token="", headers=header).json == {"web": []}


def test_without_a_token_all_is_empty_and_no_header_tells(guarded):
    services = guarded.get("/v1/catalog/services", token="")
    health = guarded.get("/v1/health/service/web", token="")
    keys = guarded.get("/v1/kv/fairlead/?recurse", token="")
    assert (services.status, services.json) == (200, {}) and (health.status, health.json) == (200, [])
    assert keys.status == 404
    for answer in (services, health, keys):
        assert "x-consul-results-filtered-by-acls" not in answer.headers


def test_a_token_that_may_read_a_part_is_told_by_a_header(guarded):
    for path, status in (("/v1/catalog/services", 200), ("/v1/health/service/api", 200), ("/v1/kv/other/?recurse", 404)):
        answer = guarded.get(path, token=SOME_TOKEN)
        assert answer.status == status
        assert answer.headers["x-consul-results-filtered-by-acls"] == "true", path


@pytest.mark.parametrize("method, path, body", [
    ("GET", "/v1/kv/other/x", None), ("PUT", "/v1/kv/fairlead/x", "y"), ("GET", "/v1/agent/self", None),
    ("PUT", "/v1/agent/service/register", {"Name": "web"}), ("PUT", "/v1/session/create", {"TTL": "10s"}),
])
def test_what_is_not_allowed_is_403_and_says_which_permission(guarded, method, path, body):
    answer = guarded.api(method, path, body, token=SOME_TOKEN)
    assert answer.status == 403 and answer.text.startswith("Permission denied: token with AccessorID"), answer
    assert "lacks permission" in answer.text


def test_a_token_that_is_deleted_ends_waiting_health_queries_with_403(guarded):
    """One whose stream had begun; another one gets what the agent knew, when its wait is over."""
    def ask_and_delete():
        made = guarded.put("/v1/acl/token", {"Policies": [{"Name": "some"}]}).json
        secret = made["SecretID"]
        index = guarded.get("/v1/health/service/web", token=secret).index
        answers = []
        waiter = threading.Thread(target=lambda: answers.append(guarded.get(
            "/v1/health/service/web", token=secret, index=index, wait="3s")))
        waiter.start()
        time.sleep(0.5)  # so that it waits by now, as a rule
        guarded.delete(f"/v1/acl/token/{made['AccessorID']}")
        waiter.join()
        wait_until(lambda: status_of(guarded, "/v1/health/service/web", token=secret) == 403, "it is known no more")
        return (answers[0].status, answers[0].text) == (403, "ACL not found")

    wait_until(ask_and_delete, "the question that waits is refused")
