# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""A crowd of connections through tunnels, which keep no table of flows, for stories in which
endpoints change and no connection may notice."""

import time

import pytest

from lab import PATIENCE_S, PORT, VIP4, Agent, Clients, endpoints4, service, services, start_targets, wait_until

SERVERS = 4
TO = [VIP4, PORT]
CONNECTIONS = 10_000
SLOTS = 1021
# The silence that flows may keep while their slot moves: a round of all takes a second or
# two, on a machine that does other work up to six.
SETTLE_S = 12


def declared(weights, slots=SLOTS, *more):
    """The service of the crowd. more: further lines of it"""
    return services(service("web", [f"{VIP4}:{PORT}/tcp"], endpoints4(weights), "forward: ipip",
                            f"slots: {slots}", f"settle: {{ tcp: {SETTLE_S}s }}", *more))


class Crowd:
    def __init__(self, net):
        self.net = net
        self.agent = Agent(net)
        self.clients = Clients(net)
        self.talked = time.monotonic()  # when the last round began

    def begin(self, text):
        """Servers, their tunnels' ends, and an agent that declares this."""
        self.net.serve(SERVERS)
        start_targets(self.net, SERVERS)
        self.agent.declare("web.yaml", text)
        self.agent.start()

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

    def outlast(self, size=SLOTS, held=None):
        """Go on talking until no slot moves any more: each has settled, or is held for flows
        that are pinned to another endpoint. held: how many may be."""
        def over():
            self.talk()
            slots = self.slots()
            return slots["size"] == size and slots["moving"] == 0 and held in (None, slots["held"])
        wait_until(over, "no slot moves", patience_s=2 * PATIENCE_S)
        return self.slots()["held"]
