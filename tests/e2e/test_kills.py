# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""The agent is killed again and again while both paths carry traffic and endpoints change.

No connection may notice: not one that fails, none that is reset, and at the end the kernel holds
what the registry says. Some starts find other limits than the maps were made for. FAIRLEAD_KILLS says
how often (`make chaos`: 100), FAIRLEAD_CHURN how many connections a second are begun on each path.
"""

import os
import random
import signal
import time

import pytest
from lab import PORT, VIP4, Agent, Clients, Net, endpoints4, service, services, wait_until
from nodes import Churn

pytestmark = pytest.mark.chaos
SERVERS = 5
KILLS = int(os.environ.get("FAIRLEAD_KILLS", "12"))
RATE = int(os.environ.get("FAIRLEAD_CHURN", "500"))


def declared(dice):
    """Some weights of `web`, with at least one endpoint that takes new connections, and services
    beside it that come and go. Nothing is taken from connections that are open."""
    weights = {n: dice.choice((0, 1, 2, 3)) for n in range(1, SERVERS + 1)}
    weights[dice.randint(1, SERVERS)] = 2
    others = [service(f"other-{n}", [f"{VIP4}:{8000 + n}/tcp"], endpoints4({1: 1, 2: 1}, 8080))
              for n in range(20) if dice.random() < 0.5]
    return weights, services(service("web", [f"{VIP4}:{PORT}/tcp"], endpoints4(weights)), *others)


def live_through(agent, dice, seconds):
    """Change what is declared, a few times a second."""
    until = time.monotonic() + seconds
    weights = None
    while weights is None or time.monotonic() < until:
        weights, text = declared(dice)
        agent.declare("web.yaml", text)
        time.sleep(min(dice.uniform(0.05, 0.4), max(0.0, until - time.monotonic())))
    return weights


def set_limits(agent, dice):
    """The next start finds maps of another size, and moves into new ones."""
    text = agent.config.read_text().split("limits:")[0]
    endpoints, slots = dice.choice((2000, 4000)), dice.choice((1 << 18, 1 << 19))
    agent.config.write_text(f"{text}limits: {{ endpoints: {endpoints}, slots: {slots}, flows: 300000 }}\n")


def kill_often(agent, dice):
    """Kill it at random moments: some before it is up, some in the middle of an apply."""
    for _ in range(KILLS):
        if dice.random() < 0.3:
            set_limits(agent, dice)
        live_through(agent, dice, dice.choice((0.02, 0.1, 0.4, 1.0, 2.0)) * dice.random())
        agent.stop(signal.SIGKILL)
        live_through(agent, dice, dice.uniform(0, 0.3))
        agent.start(wait=False)


def takers(weights):
    return {f"web-{n}" for n, weight in weights.items() if weight}


def test_kills_that_nobody_notices(net, cgroup, record_property):
    seed = int(os.environ.get("FAIRLEAD_SEED", str(random.randrange(1 << 30))))
    dice = random.Random(seed)
    print(f"FAIRLEAD_SEED={seed}")
    net.serve(SERVERS)
    agent = Agent(net, more=f"node_path: {{ enabled: true, cgroup: {cgroup} }}\n")
    live_through(agent, dice, 0)
    agent.start()
    churns = {"edge": Churn(net, Net.CLIENT, RATE), "node": Churn(net, Net.BALANCER, RATE, cgroup)}
    try:
        kill_often(agent, dice)
        weights = live_through(agent, dice, 1)
        agent.wait_ready()
        wanted = dict(endpoints4(weights))
        wait_until(lambda: {e["address"]: e["weight"] for e in agent.cli("endpoint", "list", "web")} == wanted,
                   "the last declaration is applied")
        told = {path: churn.end() for path, churn in churns.items()}
    finally:
        for churn in churns.values():
            churn.kill()
    for path, what in told.items():
        record_property(f"{path}, connections", f"{what['done']} of {what['begun']} in {what['seconds']} s, "
                        f"the slowest {what['slowest_ms']} ms, over {KILLS} kills")
        assert not what["failed"] and what["done"] == what["begun"], (path, what)
    clients = Clients(net)
    assert set(clients.spread([VIP4, PORT], 400)) == takers(weights)
    record_property("reasons", {k: n for k, n in agent.reasons().items() if n})
    agent.stop()
    assert agent.run_once("--detach").returncode == 0
