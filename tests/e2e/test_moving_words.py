# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Ten thousand connections through tunnels while the operator takes endpoints out, brings them
back slowly, and weighs them: none breaks, and new ones go where the words send them."""

import random
import re
import time

from lab import Clients, Net, PORT, wait_until
from moving import CONNECTIONS, SERVERS, TO, Crowd, declared

WINDOW_S = 20   # of slow start: four steps
LEAST = 10      # percent of the weight at once
SAMPLE = 1200   # new connections that tell a share
POINTS = 6      # percentage points that such a sample may miss it by: more than 4 sigma
ROUNDS = 14
# Of new connections, each from a port of its own. One that is used again within seconds, as
# where no TIME_WAIT keeps it, looks like a SYN that is sent again, and finds its old endpoint.
FIRST_PORT = 1100
ADDRESS = {n: f"{Net.server4(n)}:{PORT}" for n in range(1, SERVERS + 1)}


class Operator(Crowd):
    """What was said of each endpoint, and who may get new connections after it."""

    def __init__(self, net):
        super().__init__(net)
        self.others = Clients(net)  # whose connections come and go
        self.drained, self.weights = set(), {n: 1 for n in ADDRESS}
        self.words = self.new = 0
        self.slowest_s = 0.0        # from the command to its effect

    def say(self, number, *words):
        """A word on an endpoint, until it is in force."""
        began = time.monotonic()
        self.agent.cli("endpoint", words[0], "web", ADDRESS[number], *words[1:])
        if words[0] == "drain":
            self.drained.add(number)
        elif words[0] == "undrain":
            self.drained.discard(number)
        else:
            self.weights[number] = 1 if words[1] == "declared" else int(words[1])
        wanted = ("draining" if number in self.drained else "up", self.weights[number])
        wait_until(lambda: (self.endpoint(number)["state"], self.endpoint(number)["weight"]) == wanted,
                   f"web-{number}: {words}")
        self.slowest_s = max(self.slowest_s, time.monotonic() - began)
        self.words += 1

    def endpoint(self, number):
        return next(e for e in self.agent.cli("endpoint", "list", "web") if e["address"] == ADDRESS[number])

    def takers(self):
        return {f"web-{n}" for n, weight in self.weights.items() if weight and n not in self.drained}

    def sample(self, count):
        """New connections: only to those that take any. {server: how many}"""
        first = FIRST_PORT + self.new
        found = self.others.spread(TO, count, sports=[first, first + count - 1])
        self.new += count
        assert set(found) <= self.takers(), (found, self.drained, self.weights)
        return found

    def ramps(self):
        """{number: part of its weight that it has}, of those that take new connections"""
        parts = {}
        for n in ADDRESS:
            endpoint = self.endpoint(n)
            slow = re.fullmatch(r"slow start: ([\d.]+) % of its weight", endpoint["reason"])
            if f"web-{n}" in self.takers():
                parts[n] = float(slow.group(1)) / 100 if slow else 1.0
        return parts

    def shares(self):
        """What each gets of new connections, checked against weights and ramps. Looked at again when
        a ramp went on meanwhile. -> (ramps, {number: percent})"""
        while True:
            before = self.ramps()
            found = self.sample(SAMPLE)
            if self.ramps() == before:
                break
            self.talk()
        total = sum(self.weights[n] * part for n, part in before.items())
        shares = {n: 100 * found.get(f"web-{n}", 0) / SAMPLE for n in before}
        for n, part in before.items():
            promised = 100 * self.weights[n] * part / total
            assert abs(shares[n] - promised) <= POINTS, (n, promised, shares, before)
        return before, shares

    def come_back(self, number):
        """Undrain, and watch its share until it is whole. {percent of its weight: share}"""
        self.say(number, "undrain")
        grown = {}
        while 100 not in grown:
            if round(100 * self.ramps()[number]) not in grown:
                ramps, shares = self.shares()
                grown[round(100 * ramps[number])] = round(shares[number], 1)
            self.talk()
        return grown


def test_ten_thousand_connections_and_an_operator(net, record_property):
    story = Operator(net)
    story.begin(declared({n: 1 for n in ADDRESS}, 1021, f"slow_start: {{ window: {WINDOW_S}s, min_weight: {LEAST} }}"))
    story.clients.open(TO, CONNECTIONS)
    kept = story.talk()
    assert len(kept) == SERVERS and sum(kept.values()) == CONNECTIONS, kept

    # One out, and back: nothing new for it, then a little, then all.
    story.say(2, "drain")
    story.sample(400)
    assert story.talk() == kept
    grown = story.come_back(2)
    assert min(grown) == LEAST and len(grown) >= 3, f"its share grew in steps: {grown}"
    assert list(grown) == sorted(grown) and grown[100] > grown[LEAST] + POINTS, grown
    record_property("share of new ones by percent of weight", grown)

    # Weights by hand are in force at once, and a drain during a slow start ends it.
    story.say(3, "weight", "3")
    _, shares = story.shares()
    record_property("share of weight 3 of 6", shares[3])
    story.say(1, "drain")
    story.say(1, "undrain")
    story.say(1, "drain")
    story.sample(400)
    assert story.talk() == kept

    # Whatever is said, one is left to take new ones.
    dice = random.Random(11)
    for _ in range(ROUNDS):
        number = dice.choice((1, 2, 3))
        if number in story.drained:
            story.say(number, "undrain")
        else:
            story.say(number, *dice.choice((("drain",), ("weight", "0"), ("weight", "2"), ("weight", "declared"))))
        story.sample(200)
        assert story.talk() == kept, "each connection is where it was"
    assert story.slots()["moving"] > 0
    record_property("pins while slots move", story.agent.metric("fairlead_pins"))

    for number in list(story.drained):
        story.say(number, "undrain")
    assert story.talk() == kept
    record_property("words", story.words)
    record_property("new connections", story.new)
    record_property("slowest word", f"{story.slowest_s:.2f} s")
    record_property("pins refused", story.agent.metric("fairlead_pins_refused_total"))
    assert story.agent.metric("fairlead_pins_refused_total") == 0
