#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Judge by scapy what the programs made of the packets of the bpf ring.

The tests compare bytes with what our own builder makes; here somebody else's
parser takes each packet apart, computes every checksum again and compares what
must not have changed. Reads the lines that tests/lib/record.c wrote in the last
run, prints `ok ...` or `not ok ROW: why` lines, and leaves bpf-ring.pcap (each
packet before and after) beside them for people.
"""

import collections
import json
import os
import pathlib
import sys

from scapy.config import conf
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import (IPv6, IPv6ExtHdrDestOpt, IPv6ExtHdrFragment, IPv6ExtHdrHopByHop,
                                IPv6ExtHdrRouting)
from scapy.layers.l2 import Dot1AD, Dot1Q, Ether
from scapy.utils import PcapWriter

conf.debug_dissector = 0
DIRECTORY = pathlib.Path(os.environ.get("FAIRLEAD_BUILD", "build")) / "bpf-ring"


class Wrong(Exception):
    """A packet that is not as it must be."""


def check(condition, why):
    if not condition:
        raise Wrong(why)


def ip_layer(packet):
    """The outermost IP header."""
    layer = packet
    while layer and not isinstance(layer, (IP, IPv6)):
        layer = layer.payload
    return layer


def l4_layer(packet):
    return packet.getlayer(TCP) or packet.getlayer(UDP)


def checksums(packet):
    """The checksums that a packet carries: [(layer, carried, computed)]."""
    found = []
    again = packet.copy()
    layer = again
    while layer:
        if isinstance(layer, (IP, TCP, UDP)):
            layer.chksum = None
        layer = layer.payload
    again = packet.__class__(bytes(again))
    for kind in (IP, TCP, UDP):
        if packet.haslayer(kind):
            found.append((kind.__name__, packet[kind].chksum, again[kind].chksum))
    return found


def sound(packet):
    """Whether all checksums are right; UDP may have none."""
    return all(carried == computed or (name == "UDP" and carried == 0)
               for name, carried, computed in checksums(packet))


def tags(packet):
    found = []
    layer = packet
    while layer:
        if isinstance(layer, (Dot1Q, Dot1AD)):
            found.append((type(layer).__name__, layer.vlan))
        layer = layer.payload
    return found


def extensions(packet):
    kinds = (IPv6ExtHdrHopByHop, IPv6ExtHdrRouting, IPv6ExtHdrDestOpt, IPv6ExtHdrFragment)
    found, layer = [], packet
    while layer:
        if isinstance(layer, kinds):
            found.append(bytes(layer)[:len(layer) - len(layer.payload)])
        layer = layer.payload
    return found


def hops(ip):
    return ip.ttl if isinstance(ip, IP) else ip.hlim


def judge_nat(before, after, reply):
    """A translated packet: other addresses and ports, one hop less, all else as it was."""
    ip_in, ip_out = ip_layer(before), ip_layer(after)
    l4_in, l4_out = l4_layer(before), l4_layer(after)
    check(type(ip_in) is type(ip_out) and type(l4_in) is type(l4_out), "other layers came out")
    check(hops(ip_out) == hops(ip_in) - 1, "hops left: %d, then %d" % (hops(ip_in), hops(ip_out)))
    check(bytes(l4_in.payload) == bytes(l4_out.payload), "the payload changed")
    check(extensions(before) == extensions(after), "extension headers changed")
    for name in ("tos", "id", "flags", "frag", "len", "options", "ihl") if isinstance(ip_in, IP) \
            else ("tc", "fl", "plen", "nh"):
        check(getattr(ip_in, name) == getattr(ip_out, name), f"IP {name} changed")
    for name in ("seq", "ack", "flags", "window", "options", "urgptr", "dataofs") \
            if isinstance(l4_in, TCP) else ("len",):
        check(getattr(l4_in, name) == getattr(l4_out, name), f"{name} changed")
    if isinstance(l4_in, UDP) and l4_in.chksum == 0:
        check(l4_out.chksum == 0, "a checksum was made up")
    ours, theirs = (l4_in.dport, l4_out.dport) if reply else (l4_out.sport, l4_in.sport)
    check(1024 <= ours <= 65535, "no port of ours: %d" % ours)
    check(theirs != 0, "port 0")
    if reply:
        check(ip_out.dst != ip_in.dst and ip_out.src != ip_in.src, "not translated")
    else:
        check(ip_out.dst != ip_in.dst, "still for the frontend")
        check(ip_out.src != ip_in.src, "still from the client")
    check(sound(after) == sound(before),
          "checksums: " + ", ".join("%s %#x, computed %#x" % (n, *map(int, c))
                                    for n, *c in checksums(after)))


def traffic_class(ip):
    return ip.tos if isinstance(ip, IP) else ip.tc


def judge_tunnel(before, after):
    """The packet as it was, inside another one that is sound."""
    inner, outer = ip_layer(before), ip_layer(after)
    number = outer.proto if isinstance(outer, IP) else outer.nh
    check(number == (4 if isinstance(inner, IP) else 41), "next header %d" % number)
    check(bytes(outer.payload) == bytes(inner), "the packet inside is another one")
    check(traffic_class(outer) == traffic_class(inner), "another traffic class")
    check(hops(outer) == 64, "hops left: %d" % hops(outer))
    inner_len = inner.len if isinstance(inner, IP) else inner.plen + 40
    if isinstance(outer, IP):
        check(outer.len == inner_len + 20, "length")
        check(outer.flags == "DF" and outer.frag == 0, "fragment flags")
        check(outer.ihl == 5, "options")
        computed = IP(bytes(outer)[:20]).copy()
        computed.chksum = None
        check(IP(bytes(computed)).chksum == outer.chksum, "checksum of the outer header")
    else:
        check(outer.plen == inner_len, "length")


def is_tunnel(packet):
    ip = ip_layer(packet)
    return (ip.proto if isinstance(ip, IP) else ip.nh) in (4, 41)


def judge_forward(before, after):
    if is_tunnel(after):
        judge_tunnel(before, after)
    else:
        judge_nat(before, after, False)


def judge_decapsulated(before, after):
    """What was inside, as it was, but for congestion that the outer header signals."""
    outer, inner = ip_layer(before), ip_layer(after)
    inside = ip_layer(outer.payload)
    check(inside is not None, "there was nothing inside")
    check(tags(before) == tags(after), "VLAN tags changed")
    check((after.src, after.dst) == (before.src, before.dst), "the Ethernet header changed")
    ecn = traffic_class(outer) & 3, traffic_class(inside) & 3
    wanted = {(3, 1): 3, (3, 2): 3, (1, 2): 1}.get(ecn, ecn[1])
    check(traffic_class(inner) == traffic_class(inside) & ~3 | wanted,
          "ECN %d in %d became %d" % (ecn[1], ecn[0], traffic_class(inner) & 3))
    expected = inside.copy()
    if isinstance(expected, IP):
        if expected.tos != inner.tos:
            expected.tos, expected.chksum = inner.tos, inner.chksum
            check(dict((n, c == k) for n, c, k in checksums(after))["IP"], "IP checksum")
    else:
        expected.tc = inner.tc
    check(bytes(expected) == bytes(inner), "the packet inside changed")


JUDGES = {
    "decapsulated": judge_decapsulated,
    "forwarded": judge_forward,
    "reply": lambda before, after: judge_nat(before, after, True),
    "neighbour": lambda before, after: judge_nat(before, after, True),
}


def judge(record):
    before = Ether(bytes.fromhex(record["in"]))
    after = Ether(bytes.fromhex(record["out"]))
    if record["action"] == "TX":
        check(tags(before) == tags(after), "VLAN tags changed")
    if record["action"] in ("TX", "REDIRECT"):
        check(after.src != before.src or after.dst != before.dst, "the Ethernet header is as it was")
    JUDGES[record["reason"]](before, after)


def last_run():
    """The files of the newest run; older ones are removed."""
    runs = collections.defaultdict(list)
    for path in DIRECTORY.glob("*.jsonl"):
        runs[path.name.split("-")[0]].append(path)
    if not runs:
        return []
    newest = max(runs, key=lambda run: max(path.stat().st_mtime for path in runs[run]))
    for run, paths in runs.items():
        if run != newest:
            for path in paths:
                path.unlink()
    return sorted(runs[newest])


def main():
    judged, failed = collections.Counter(), 0
    pcap = PcapWriter(str(DIRECTORY.parent / "bpf-ring.pcap"), linktype=1)
    for path in last_run():
        for line in path.read_text().splitlines():
            record = json.loads(line)
            pcap.write(bytes.fromhex(record["in"]))
            if "out" not in record:
                continue
            pcap.write(bytes.fromhex(record["out"]))
            if record["reason"] not in JUDGES:
                continue
            try:
                judge(record)
                judged[record["reason"]] += 1
            except Wrong as wrong:
                failed += 1
                print("not ok %s: %s (%s)" % (record["row"], wrong, record["reason"]))
    pcap.close()
    for reason in sorted(judged):
        print("ok scapy finds nothing wrong with %d packets: %s" % (judged[reason], reason))
    if not judged:
        print("not ok oracle: no packets of the bpf ring were written down")
    return 1 if failed or not judged else 0


if __name__ == "__main__":
    sys.exit(main())
