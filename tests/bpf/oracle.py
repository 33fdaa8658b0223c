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
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import (IPv6, _ICMPv6, IPv6ExtHdrDestOpt, IPv6ExtHdrFragment, IPv6ExtHdrHopByHop,
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


def error_layers(packet):
    """IP and ICMP headers of an error."""
    ip = ip_layer(packet)
    return ip, ip.getlayer(ICMP) or ip.getlayer(_ICMPv6, _subclass=True)


def error_sums(packet):
    """Which checksums of an error are wrong: of its IPv4 header, and its own."""
    again = packet.copy()
    for layer in error_layers(again):
        for name in ("chksum", "cksum"):
            if name in layer.fields:
                setattr(layer, name, None)
    pairs = zip(error_layers(packet), error_layers(Ether(bytes(again))))
    return [now.fields[name] != right.fields[name] for now, right in pairs
            for name in ("chksum", "cksum") if name in now.fields]


def quote_of(packet):
    """The packet that an error quotes, as a packet of its own, and its bytes."""
    ip, error = error_layers(packet)
    length = (ip.len - ip.ihl * 4 if isinstance(ip, IP) else ip.plen) - 8
    quoted = bytes(error)[8:8 + length]
    return (IP if isinstance(ip, IP) else IPv6)(quoted), quoted


def judge_quote(before, after):
    """The quoted packet: other addresses and ports, all else as it was, and checksums that fit."""
    quote_in, bytes_in = quote_of(before)
    quote_out, bytes_out = quote_of(after)
    check(len(bytes_in) == len(bytes_out), "another length is quoted")
    for name in ("tos", "id", "flags", "frag", "len", "options", "ihl", "ttl", "proto") if isinstance(quote_in, IP) \
            else ("tc", "fl", "plen", "nh", "hlim"):
        check(getattr(quote_in, name) == getattr(quote_out, name), f"quoted IP {name} changed")
    check(quote_out.src != quote_in.src and quote_out.dst != quote_in.dst, "the quote is not translated")
    check(extensions(quote_in) == extensions(quote_out), "quoted extension headers changed")
    whole = quote_in.len if isinstance(quote_in, IP) else quote_in.plen + 40
    if len(bytes_in) >= whole:
        check(sound(quote_in) == sound(quote_out), "checksums of the quote")
    elif isinstance(quote_in, IP):
        off_in, off_out = (dict((n, c == k) for n, c, k in checksums(q))["IP"] for q in (quote_in, quote_out))
        check(off_in == off_out, "checksum of the quoted IP header")
    l4_in, l4_out = l4_layer(quote_in), l4_layer(quote_out)
    if l4_in and l4_out and len(bytes(l4_in)) > 20:
        check(bytes(l4_in)[20:] == bytes(l4_out)[20:], "the quoted payload changed")
    return quote_out


def judge_error(before, after):
    """An ICMP error for somebody else: from where an answer would come, about a packet of its reader."""
    (ip_in, error_in), (ip_out, error_out) = error_layers(before), error_layers(after)
    check(type(ip_in) is type(ip_out) and type(error_in) is type(error_out), "other layers came out")
    check(hops(ip_out) == hops(ip_in) - 1, "hops left: %d, then %d" % (hops(ip_in), hops(ip_out)))
    check(bytes(error_in)[:2] == bytes(error_out)[:2], "another type or code")
    check(bytes(error_in)[4:8] == bytes(error_out)[4:8], "another MTU, or pointer")
    check(error_sums(before) == error_sums(after), "checksums of the error")
    quote = judge_quote(before, after)
    check(quote.src == ip_out.dst, "it goes to %s, but quotes %s" % (ip_out.dst, quote.src))
    check(quote.dst == ip_out.src, "it comes from %s, about a packet for %s" % (ip_out.src, quote.dst))


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


def judge_reply(before, after):
    if error_layers(before)[1]:
        judge_error(before, after)
    else:
        judge_nat(before, after, True)


def judge_icmp(before, after):
    if is_tunnel(after):
        judge_tunnel(before, after)
    else:
        judge_error(before, after)


JUDGES = {
    "decapsulated": judge_decapsulated,
    "forwarded": judge_forward,
    "icmp_error": judge_icmp,
    "reply": lambda before, after: judge_nat(before, after, True),
    "neighbour": judge_reply,
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
