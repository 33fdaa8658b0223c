# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""The two programs as an operator and a service manager meet them."""

import json
import os
import pathlib
import re
import signal
import socket
import subprocess

import pytest

from lab import BUILD, FAIRLEAD, FAIRLEADD, PORT, ROOT, VIP4, Agent, Clients, endpoints4, service, wait_until, web

pytestmark = pytest.mark.sanitised
SERVERS = 2


def run(*argv, **options):
    return subprocess.run([str(a) for a in argv], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=120, check=False, **options)


@pytest.fixture(scope="module")
def agent(net):
    net.serve(SERVERS)
    return Agent(net)


@pytest.mark.parametrize("program", [FAIRLEADD, FAIRLEAD], ids=lambda p: p.name)
def test_usage(program):
    assert re.match(rf"{program.name} \d+\.\d+\.\d+", run(program, "--version").stdout)
    shown = run(program, "--help")
    assert shown.returncode == 0 and program.name in shown.stdout
    wrong = run(program, "--no-such-option")
    assert wrong.returncode == 2 and wrong.stderr


@pytest.mark.parametrize("words", [["service"], ["no-such-object", "list"], ["service", "no-such-verb"],
                                   ["service", "show"]], ids=" ".join)
def test_fairlead_usage(words):
    done = run(FAIRLEAD, *words)
    assert done.returncode == 2, done
    assert done.stderr


def test_no_agent(tmp_path):
    done = run(FAIRLEAD, "-j", "--socket", tmp_path / "none.sock", "service", "list")
    assert done.returncode == 3, done
    assert json.loads(done.stdout)["error"]["message"]
    assert run(FAIRLEAD, "status", env={**os.environ, "FAIRLEAD_SOCKET": str(tmp_path / "none.sock")}).returncode == 3


def test_check_tells_every_error_with_its_place(agent):
    good = agent.config.read_text()
    agent.config.write_text(good + "services:\n"
                            "  - name: web\n"
                            "    frontends: [ \"10.0.0.1:80/tcp\" ]\n"
                            "    endpoints:\n"
                            "      - { address: \"192.0.2.11:80\", weight: 70000 }\n"
                            "      - { addres: \"192.0.2.12:80\" }\n")
    first = len(good.splitlines()) + 1
    done = agent.run_once("--check")
    assert done.returncode == 1
    assert f"{agent.config}:{first + 4}:" in done.stdout and "70000" in done.stdout
    assert f"{agent.config}:{first + 5}:" in done.stdout and "addres" in done.stdout
    assert agent.run_once().returncode == 1, "nor does it start"
    agent.config.write_text(good)
    done = agent.run_once("--check")
    assert (done.returncode, done.stdout) == (0, "")


def test_check_reads_the_registry_too(agent):
    agent.declare("web.yaml", "services:\n  - name: web\n    frontends: 80\n")
    done = agent.run_once("--check")
    assert done.returncode == 1 and "web.yaml:3:" in done.stdout, done
    (agent.services_d / "web.yaml").unlink()


def test_print_config(agent):
    done = agent.run_once("--print-config")
    assert done.returncode == 0
    assert f"{agent.config}:" in done.stdout, "what comes from the file"
    assert "default" in done.stdout, "and what does not"


def test_a_file_that_is_not_there(tmp_path):
    for extra in ([], ["--check"], ["--print-config"]):
        done = run(FAIRLEADD, "-c", tmp_path / "none.yaml", *extra)
        assert done.returncode == 1 and "none.yaml" in done.stdout + done.stderr, (extra, done)


def test_without_privileges(agent):
    """It ends with 3 and says what it lacks."""
    done = run("setpriv", "--inh-caps=-all", "--bounding-set=-all", FAIRLEADD, "-c", agent.config)
    assert done.returncode == 3 and "CAP_BPF" in done.stderr, done


def test_the_privileges_of_the_unit_suffice(net, agent):
    """The unit's bounding set is enough to start, serve and stop."""
    unit = (ROOT / "scripts/dist/fairleadd.service.in").read_text()
    bounding = re.search(r"^CapabilityBoundingSet=(.*)$", unit, re.M).group(1)
    caps = ",".join("+" + cap.removeprefix("CAP_").lower() for cap in bounding.split())
    agent.declare("web.yaml", web({1: 1, 2: 1}))
    with open(agent.log_file, "ab") as log:
        agent.process = net.spawn(net.BALANCER, ["setpriv", f"--bounding-set=-all,{caps}", "--inh-caps=-all",
                                                 FAIRLEADD, "-c", agent.config], stdout=log, stderr=log)
    agent.wait_ready()
    assert set(Clients(net).spread([VIP4, PORT], 40)) == {"web-1", "web-2"}
    assert agent.stop() == 0


def test_no_thread_keeps_more_privileges_than_it_needs(net, agent):
    agent.start()
    needed = {12, 39, 38, 2}  # NET_ADMIN, BPF, PERFMON, DAC_READ_SEARCH
    threads = list(pathlib.Path(f"/proc/{agent.process.pid}/task").iterdir())
    assert len(threads) > 1, "workers read the registry"
    for thread in threads:
        status = (thread / "status").read_text()
        for kind in ("CapPrm", "CapEff", "CapBnd"):
            bits = int(re.search(rf"^{kind}:\s+(\w+)", status, re.M).group(1), 16)
            assert {n for n in range(64) if bits >> n & 1} <= needed, (thread.name, kind, hex(bits))
        assert "NoNewPrivs:\t1" in status
    assert agent.stop() == 0


def test_readiness_is_told_to_the_service_manager(net, agent):
    path = net.run_dir / "notify.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(path))
        manager.settimeout(60)
        with open(agent.log_file, "ab") as log:
            agent.process = net.spawn(net.BALANCER, [FAIRLEADD, "-c", agent.config], stdout=log, stderr=log,
                                      env={**os.environ, "NOTIFY_SOCKET": str(path)})
        heard = b""
        while b"READY=1" not in heard:
            heard += manager.recv(4096) + b"\n"
        assert agent.is_ready()
        agent.process.send_signal(signal.SIGTERM)
        while b"STOPPING=1" not in heard:
            heard += manager.recv(4096) + b"\n"
        assert agent.process.wait(60) == 0


def test_the_watchdog_is_told_while_the_agent_lives(net, agent):
    """Half as often as allowed; an agent that hangs falls silent. Its state has an age."""
    path = net.run_dir / "watchdog.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(path))
        manager.settimeout(60)
        with open(agent.log_file, "ab") as log:
            agent.process = net.spawn(net.BALANCER, [FAIRLEADD, "-c", agent.config], stdout=log, stderr=log,
                                      env={**os.environ, "NOTIFY_SOCKET": str(path), "WATCHDOG_USEC": "400000"})
        heard = [manager.recv(4096) for _ in range(6)]
        assert heard.count(b"WATCHDOG=1") >= 4, heard
        agent.wait_ready()
        age = agent.metric("fairlead_applied_age_seconds")
        wait_until(lambda: agent.metric("fairlead_applied_age_seconds") > age, "it grows")
        agent.process.send_signal(signal.SIGSTOP)
        manager.settimeout(3)
        with pytest.raises(TimeoutError):
            while True:
                assert manager.recv(4096) == b"WATCHDOG=1"
        agent.process.send_signal(signal.SIGCONT)
        manager.settimeout(60)
        assert manager.recv(4096) == b"WATCHDOG=1"
        assert agent.stop() == 0


def test_reload(net, agent):
    """SIGHUP: a good file is taken, a bad one changes nothing."""
    agent.start()
    good = agent.config.read_text()
    inline = "services:\n" + service("inline", [f"{VIP4}:{PORT + 1}/tcp"], endpoints4({1: 1}))
    agent.config.write_text(good + inline)
    agent.process.send_signal(signal.SIGHUP)
    wait_until(lambda: len(agent.cli("service", "list")) == 2, "an inline service beside the registry's")
    assert Clients(net).spread([VIP4, PORT + 1], 10) == {"web-1": 10}
    agent.config.write_text(good + "nonsense: true\n")
    agent.process.send_signal(signal.SIGHUP)
    wait_until(lambda: "nonsense" in agent.log(), "the error is logged")
    assert len(agent.cli("service", "list")) == 2
    agent.config.write_text(good)
    agent.process.send_signal(signal.SIGHUP)
    wait_until(lambda: len(agent.cli("service", "list")) == 1, "the first state again")


def test_maps_need_no_agent(net, agent):
    """`map list` and `map dump` read the pins, whether an agent runs or not."""
    def names():
        done = run(FAIRLEAD, "-j", "--bpffs", net.bpffs, "map", "list")
        assert done.returncode == 0, done
        return [m["name"] for m in json.loads(done.stdout)]

    with_agent = names()
    assert {"frontends", "services", "slots", "endpoints"} <= set(with_agent)
    agent.stop()
    assert names() == with_agent
    done = run(FAIRLEAD, "-j", "--socket", agent.socket, "--bpffs", net.bpffs, "status")
    hint = json.loads(done.stdout)["error"]["hint"]
    assert done.returncode == 3 and re.search(r"goes on forwarding: generation \d+, applied \d+ seconds ago", hint), done
    done = run(FAIRLEAD, "-j", "--bpffs", net.bpffs, "map", "dump", "frontends")
    assert done.returncode == 0 and VIP4 in done.stdout, done


def test_install(tmp_path):
    """What `make install` lays down is complete, and the example passes --check."""
    make = ["make", "-s", "-C", str(ROOT), f"O={BUILD}", f"DESTDIR={tmp_path}", "PREFIX=/usr"]
    sanitised = ["SANITIZE=1"] if BUILD.name == "asan" else []
    done = run(*make, *sanitised, "install")
    assert done.returncode == 0, done
    for path in ("usr/sbin/fairleadd", "usr/bin/fairlead", "usr/share/man/man8/fairleadd.8",
                 "usr/share/man/man8/fairlead.8", "usr/share/man/man5/fairlead.yaml.5",
                 "usr/share/bash-completion/completions/fairlead", "etc/fairlead/fairlead.yaml",
                 "etc/fairlead/services.d", "usr/lib/systemd/system/fairleadd.service"):
        assert (tmp_path / path).exists(), path
    unit = (tmp_path / "usr/lib/systemd/system/fairleadd.service").read_text()
    assert "ExecStart=/usr/sbin/fairleadd --config /etc/fairlead/fairlead.yaml" in unit and "@" not in unit
    done = run(tmp_path / "usr/sbin/fairleadd", "--check", "-c", tmp_path / "etc/fairlead/fairlead.yaml")
    assert done.returncode == 0, done
    assert run(*make, *sanitised, "uninstall").returncode == 0
    left = [str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*") if p.is_file()]
    assert left == ["etc/fairlead/fairlead.yaml"], "the configuration stays"
