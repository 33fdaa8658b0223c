# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Ten thousand connections through tunnels, which keep no table of flows, while their
endpoints change fifty times: slots move, are held, settle, and none is lost."""

import random
import signal

from lab import wait_until
from moving import CONNECTIONS, SLOTS, TO, Crowd, declared

REUSED = 300           # of them are closed, and opened again from the same ports
FIRST_PORT = 20_000    # of those
CHANGES = 50


class Story(Crowd):
    def __init__(self, net):
        super().__init__(net)
        self.random = random.Random(7)
        self.changes = 0

    def begin(self):
        super().begin(declared({1: 1, 2: 1, 3: 1, 4: 1}))
        self.clients.open(TO, REUSED, sports=[FIRST_PORT, FIRST_PORT + REUSED - 1])
        self.clients.open(TO, CONNECTIONS - REUSED)
        self.talk()

    def change(self, weights=None, slots=SLOTS):
        """Other weights (default: at random), applied; every connection still talks."""
        if not weights:
            weights = {n: self.random.choice((0, 1, 1, 2, 3)) for n in (1, 2, 3)} | {4: 1}
        wanted = self.agent.cli("status")["generation"] + 1
        self.agent.declare("web.yaml", declared(weights, slots))
        wait_until(lambda: self.agent.cli("status")["generation"] >= wanted, "the change is applied")
        self.changes += 1
        self.talk()


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
