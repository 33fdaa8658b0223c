# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Ten thousand connections through tunnels, which keep no table of flows, while their
endpoints change fifty times: slots move, are held, settle, and none is lost."""

import random
import signal
import time

import pytest

from lab import PATIENCE_S, PORT, VIP4, Agent, Clients, endpoints4, service, services, start_targets, wait_until

SERVERS = 4
TO = [VIP4, PORT]
CONNECTIONS = 10_000
REUSED = 300           # of them are closed, and opened again from the same ports
FIRST_PORT = 20_000    # of those
CHANGES = 50
# The silence that flows may keep while their slot moves: a round of all takes a second or
# two, on a machine that does other work up to six.
SETTLE_S = 12
SETTLE = f"settle: {{ tcp: {SETTLE_S}s }}"


def declared(weights, slots=1021):
    return services(service("web", [f"{VIP4}:{PORT}/tcp"], endpoints4(weights),
                            "forward: ipip", f"slots: {slots}", SETTLE))


class Story:
    def __init__(self, net):
        self.net = net
        self.agent = Agent(net)
        self.random = random.Random(7)
        self.clients = Clients(net)
        self.talked = time.monotonic()  # when the last round began
        self.changes = 0

    def begin(self):
        self.net.serve(SERVERS)
        start_targets(self.net, SERVERS)
        self.agent.declare("web.yaml", declared({1: 1, 2: 1, 3: 1, 4: 1}))
        self.agent.start()
        self.clients.open(TO, REUSED, sports=[FIRST_PORT, FIRST_PORT + REUSED - 1])
        self.clients.open(TO, CONNECTIONS - REUSED)
        self.talk()

    def talk(self):
        """A round trip on every connection. One that breaks after a longer silence than is
        promised tells of this machine, and not of the balancer."""
        began = time.monotonic()
        answer = self.clients.ask("talk", patience=PATIENCE_S)
        silence = began - self.talked + answer["said"]
        self.talked = began
        if answer["broken"] and silence > SETTLE_S:
            pytest.skip(f"flows may have been silent for {silence:.0f} s, {SETTLE_S} are promised: {answer}")
        assert answer["broken"] == 0, (silence, answer)
        return answer["servers"]

    def slots(self):
        return self.agent.cli("service", "show", "web")["slots"]

    def change(self, weights=None, slots=1021):
        """Other weights (default: at random), applied; every connection still talks."""
        if not weights:
            weights = {n: self.random.choice((0, 1, 1, 2, 3)) for n in (1, 2, 3)} | {4: 1}
        wanted = self.agent.cli("status")["generation"] + 1
        self.agent.declare("web.yaml", declared(weights, slots))
        wait_until(lambda: self.agent.cli("status")["generation"] >= wanted, "the change is applied")
        self.changes += 1
        self.talk()

    def outlast(self, size=1021, held=None):
        """Go on talking until no slot moves any more: each has settled, or is held for flows
        that are pinned to another endpoint. held: how many may be."""
        def over():
            self.talk()
            slots = self.slots()
            return slots["size"] == size and slots["moving"] == 0 and held in (None, slots["held"])
        wait_until(over, "no slot moves", patience_s=2 * PATIENCE_S)
        return self.slots()["held"]


def test_ten_thousand_connections(net, record_property):
    story = Story(net)
    story.begin()
    assert story.slots()["moving"] == 0

    for _ in range(12):
        story.change()
    assert story.slots()["moving"] > 0, "weights that change move slots"
    record_property("pins while slots move", story.agent.metric("fairlead_pins"))
    record_property("slots held, of 1021", story.outlast())
    # Back to the first table all are where their slots say: every slot settles, and no pin is left.
    story.change({1: 1, 2: 1, 3: 1, 4: 1})
    story.outlast(held=0)
    wait_until(lambda: story.agent.metric("fairlead_pins") == 0, "slots at rest have no pins")

    # A tuple is used again while its slot moves.
    story.change()
    assert story.clients.close(count=REUSED, reset=True) == REUSED
    story.clients.open(TO, REUSED, sports=[FIRST_PORT, FIRST_PORT + REUSED - 1])
    for _ in range(8):
        story.change()

    # The agent is killed while slots move, and another one goes on.
    assert story.agent.stop(signal.SIGKILL) == -signal.SIGKILL
    story.talk()
    story.agent.start()
    for _ in range(8):
        story.change()

    # A flap that outlasts the window: an endpoint is out until no slot moves, and returns.
    story.change({1: 1, 2: 1, 3: 0, 4: 1})
    story.outlast()
    story.change({1: 1, 2: 1, 3: 1, 4: 1})
    for _ in range(8):
        story.change()

    # Another size of the table, and changes on top of it.
    story.change({1: 1, 2: 2, 3: 1, 4: 1}, slots=4093)
    while story.changes < CHANGES - 1:
        story.change(slots=4093)
    story.outlast(4093)

    # Who is removed takes its own connections along, and no others.
    kept = story.talk()
    lost = kept.pop("web-4")
    story.agent.declare("web.yaml", declared({1: 1, 2: 1, 3: 1}, 4093))
    wait_until(lambda: len(story.agent.cli("service", "show", "web")["endpoints"]) == 3, "web-4 is gone")
    story.changes += 1
    assert story.clients.close(server="web-4") == lost
    assert story.talk() == kept
    record_property("changes", story.changes)
    record_property("pins refused", story.agent.metric("fairlead_pins_refused_total"))
