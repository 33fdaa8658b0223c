# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Inputs of `edge` and `target` that random bytes would hardly be: stories, and sweeps over
the edges of lengths, times and headers.

An input is the bytes that fuzz_edge.c, fuzz_target.c and build.c take, one after the other.
`write` leaves one file for each; libFuzzer runs all of them first, and goes on from them.
"""

import hashlib
import shutil

V4, V6 = 0, 1
FIN, SYN, RST, ACK = 1, 2, 4, 16
PORTS = {80: 0, 53: 1, 443: 2, 8080: 3, 0: 4, 1024: 5}
HOPS = {64: 0, 0: 5, 1: 6, 2: 7}
SECONDS = {1: 0, 4: 1, 6: 2, 11: 3, 61: 4, 66: 5, 301: 6, 7441: 7}
UP, DRAINING, DOWN, MAINTENANCE = 0, 5, 6, 7
HOP_BY_HOP, DESTINATION, ROUTING, FRAGMENT = 0, 1, 2, 3
LONGER = 4                     # 16 bytes instead of 8; of a fragment header: more fragments
ROUTING_TO_GO = ROUTING | 0xc0
NODE = 14                      # frontend numbers from here on are addresses of nodes
ENDPOINTS = 25
INPUT_MAX = 400


def states(endpoint=0, state=UP, others=UP, shuffle=0):
    """World or step: one endpoint is in a state, all others in another."""
    return bytes([endpoint, state | others << 3, shuffle])


def world(shuffle=0, headroom=0, ports=None, hash_bits=(0, 0), sources=(0, 0), limit=0, at=None):
    """How it begins. ports: 1 to 4 for nat, None = the default; limit: 1 = pressure after two
    openings, 2 = full tables of pins, 3 = no room for old flows."""
    a = headroom | (8 | (ports - 1) << 4 if ports else 0) | limit << 6
    b = hash_bits[0] | hash_bits[1] << 2 | sources[0] << 4 | sources[1] << 6
    return bytes([a, b]) + (at or states(shuffle=shuffle))


def ip(family, hops=64, traffic=0, extensions=()):
    return bytes([HOPS[hops], traffic, *(extensions if family == V6 else ())])


def extra_of(family, extensions, words, fragment):
    """Byte that says what an IP header has besides. fragment: (more, offset)"""
    if family == V6:
        return len(extensions) % 8 | 0x18 | (0x80 if len(extensions) > 7 else 0) if extensions else 0
    if fragment:
        return 0x1c | words | fragment[0] << 5 | fragment[1] << 6
    return words


def inner(family=V4, hops=64, traffic=0, extensions=(), words=0, fragment=None, sum=True, padding=0,
          flags=SYN, options=0, payload=10):
    """An IP packet but for its addresses. A payload above 63 is one from 1380 on."""
    if family == V6 and len(extensions) == 8:
        extra = 7 | 0x98
    else:
        extra = extra_of(family, extensions, words, fragment)
    shape = payload if payload < 64 else 0xc0 | (payload - 1380)
    return (bytes([extra, (1 if sum else 0) | padding << 4]) + ip(family, hops, traffic, extensions)
            + bytes([flags | options << 6, shape]))


def ends(client=0, frontend=1, port=80):
    return bytes([client, frontend | PORTS[port] << 4])


def packet(family=V4, udp=False, tags=0, client=0, frontend=1, port=80, damage=None, proto=0, **more):
    shape = family | udp << 1 | tags << 2 | proto << 4
    frame = bytes([shape]) + ends(client, frontend, port) + inner(family, **more)
    return bytes([1]) + frame if damage is None else bytes([8]) + frame + damage


def harm(*changes, cut=0):
    """Damage: (offset, xor) pairs, and bytes that the end loses."""
    out = [len(changes) | (8 if cut else 0)]
    for offset, value in changes:
        out += [offset, value]
    return bytes(out + ([cut] if cut else []))


def answer(family=V4, tags=0, flags=SYN | ACK, damage=harm(), **more):
    """What the endpoint of the last packet sends back."""
    return bytes([10, tags << 6]) + inner(family, flags=flags, **more) + damage


REQUEST, ANSWER = 1, 5  # what an error quotes: what went to an endpoint last, or to a client


def error(about=REQUEST, family=V4, tags=0, router=False, astray=False, padding=0, hops=64, traffic=0,
          extensions=(), words=0, fragment=None, kind=0, code=0, quoted=0, check=0, damage=harm()):
    """An ICMP error. kind: 0-4 are errors, others look like it. quoted: bytes of the packet; 0 = all."""
    shape = tags | (4 if router else 0) | (0x18 if astray else 0) | padding << 5
    return (bytes([14 | about << 4, shape, extra_of(family, extensions, words, fragment)])
            + ip(family, hops, traffic, extensions) + bytes([kind | code << 3, quoted, check]) + damage)


def wait(seconds):
    """Time that passes, as steps of the lengths there are."""
    out = b""
    for length in sorted(SECONDS, reverse=True):
        while seconds >= length:
            out += bytes([13 | SECONDS[length] << 4])
            seconds -= length
    return out


def change(*arguments, **more):
    return bytes([15]) + states(*arguments, **more)


# In a byte's upper half, 1 to 7 are errors.
SWEEP, ZERO_SUM, TURN, MOVE = (bytes([14 | which << 4]) for which in (0, 8, 10, 12))


def l4_of(family, tags=0, words=0, extensions=()):
    longer = sum(8 + 8 * (e >> 2 & 1 if e & 3 != FRAGMENT else 0) for e in extensions)
    return 14 + 4 * tags + (20 + 4 * words if family == V4 else 40 + longer)


def cut_up(begin, steps, most=40):
    """Inputs that hold all steps, each of which stands alone."""
    room, count = bytearray(begin), 0
    for step in steps:
        if len(room) + len(step) > INPUT_MAX or count == most:
            yield bytes(room)
            room, count = bytearray(begin), 0
        room += step
        count += 1
    yield bytes(room)


# ------------------------------------------------------------------ headers and lengths

TUNNELS = ((2, 80, False), (2, 443, True))  # frontends in mode ipip: number, port, UDP
NAT = ((1, 80, False), (1, 53, True))


def lengths():
    """Each length that a header states, around what it should be; frames cut anywhere."""
    for family in (V4, V6):
        for frontend, port, udp in TUNNELS + NAT:
            at = dict(family=family, udp=udp, frontend=frontend, port=port)
            steps = [packet(**at, payload=0), packet(**at, payload=10)]
            for words, tags in ((0, 0), (1, 0), (0, 1), (0, 2)):
                l3, l4 = 14 + 4 * tags, l4_of(family, tags, words if family == V4 else 0)
                shape = dict(at, words=words, tags=tags)
                total = l3 + (3 if family == V4 else 5)
                right = (20 + 4 * words if family == V4 else 0) + (18 if udp else 30)
                for off in (-30, -18, -11, -10, -4, -1, 1, 2, 4):
                    if right + off >= 0:
                        steps.append(packet(**shape, padding=1, damage=harm((total, right ^ right + off))))
                        steps.append(packet(**shape, damage=harm((total, right ^ right + off))))
                if udp:
                    for length in (0, 7, 8, 9, 17, 19, 20):
                        steps.append(packet(**shape, padding=1, damage=harm((l4 + 5, 18 ^ length))))
                else:
                    for offset in (0, 4, 6, 7, 8, 15):
                        steps.append(packet(**shape, damage=harm((l4 + 12, 0x50 ^ offset << 4))))
                        steps.append(packet(**shape, padding=15, damage=harm((l4 + 12, 0x50 ^ offset << 4))))
                for version in (0, 4, 5, 6):
                    first = (4 if family == V4 else 6) ^ version
                    steps.append(packet(**shape, damage=harm((l3, first << 4))))
                if family == V4:
                    for ihl in (0, 4, 5, 6, 7, 15):
                        steps.append(packet(**shape, damage=harm((l3, (5 + words) ^ ihl))))
            whole = l4_of(family) + (8 if udp else 20)
            # Cut anywhere, and as if it were meant to end there.
            for cut in range(1, whole - 14):
                steps.append(packet(**at, payload=0, damage=harm(cut=cut)))
            total, left = (17, 20) if family == V4 else (19, 0)
            size = 8 if udp else 20
            for kept in range(size):
                steps.append(packet(**at, payload=0, damage=harm((total, left + size ^ left + kept),
                                                                 cut=size - kept)))
            yield from cut_up(world(), steps)


def extensions():
    """IPv6 extension headers: kinds, lengths, how many, and what stands behind them."""
    kinds = (HOP_BY_HOP, DESTINATION, ROUTING, FRAGMENT, FRAGMENT | LONGER, FRAGMENT | 8, ROUTING_TO_GO,
             HOP_BY_HOP | LONGER, DESTINATION | LONGER, ROUTING | LONGER, FRAGMENT | 8 | LONGER)
    for frontend, port, udp in TUNNELS + NAT + ((3, 443, True), (9, 80, False)):
        steps = []
        at = dict(family=V6, udp=udp, frontend=frontend, port=port)
        for one in kinds:
            steps.append(packet(**at, extensions=(one,)))
            steps.append(packet(**at, extensions=(one,), tags=2))
            for cut in (29, 30, 37, 38, 39):
                steps.append(packet(**at, payload=0, extensions=(one,), damage=harm(cut=cut)))
            steps += [packet(**at, extensions=(one, other), payload=20) for other in kinds]
        for count in range(1, 9):
            steps += [packet(**at, extensions=(HOP_BY_HOP,) * count), packet(**at, extensions=(FRAGMENT,) * count),
                      packet(**at, extensions=(ROUTING | LONGER,) * count)]
        # A segment left or two; reserved bits, and bits that are no flag, of a fragment header.
        for value in (1, 2, 255):
            steps.append(packet(**at, extensions=(ROUTING,), damage=harm((57, value))))
        for value in (1, 2, 4, 6, 8, 16):
            steps.append(packet(**at, extensions=(FRAGMENT | 0x40,), damage=harm((57, value))))
        yield from cut_up(world(), steps)


def fragments():
    """Fragments of IPv4: of services that own their address alone, or do not."""
    for udp in (False, True):
        steps = []
        for frontend, port in ((1, 80), (1, 53), (2, 80), (2, 443), (3, 443), (4, 443), (5, 80), (5, 443), (8, 80)):
            for words in (0, 1):
                for part in ((1, 0), (1, 1), (0, 1), (0, 2), (0, 3), (0, 0)):
                    for client in (0, 8):
                        steps.append(packet(udp=udp, frontend=frontend, port=port, words=words, fragment=part,
                                            client=client))
            for flag in (0x40, 0x80, 0x20, 0x01, 0x10):
                steps.append(packet(udp=udp, frontend=frontend, port=port, damage=harm((20, flag))))
            for low in (1, 2, 0x80):
                steps.append(packet(udp=udp, frontend=frontend, port=port, damage=harm((21, low))))
            steps.append(packet(udp=udp, frontend=frontend, port=port, fragment=(1, 0), damage=harm((17, 0x40))))
            steps.append(packet(udp=udp, frontend=frontend, port=port, fragment=(0, 1), damage=harm(cut=9)))
        for shuffle in (0, 3):
            yield from cut_up(world(shuffle), steps)


def links():
    """Tags, one too many, of either kind; frames that end in them; other protocols."""
    steps = []
    for family in (V4, V6):
        for frontend, port, udp in TUNNELS + NAT:
            for tags in range(4):
                for client in range(0, 64, 8):
                    steps.append(packet(family=family, tags=tags, frontend=frontend, port=port, udp=udp,
                                        client=client))
                # 802.1Q first, 802.1ad behind it.
                steps.append(packet(family=family, tags=tags, frontend=frontend, port=port, udp=udp,
                                    damage=harm((12, 0x09), (13, 0xa8), (16, 0x09), (17, 0xa8))))
        steps += [packet(family=family, proto=15), packet(family=family, frontend=NODE),
                  packet(family=family, damage=harm((14 + (9 if family == V4 else 6), 6 ^ 1)))]
    for ethertype in ((0x81, 0x00), (0x88, 0xa8), (0x08, 0x00), (0x86, 0xdd), (0x08, 0x06)):
        for length in (14, 15, 17, 18, 19, 22):
            steps.append(bytes([0, 0, length]) + bytes(12) + bytes(ethertype) + bytes(length - 14))
    for headroom in (0, 3, 4, 5, 6, 7):
        # The source address, byte by byte.
        yield from cut_up(world(headroom=headroom), [
            packet(family=V6, frontend=2, client=headroom, damage=harm((at, 0x5a))) for at in range(22, 38)])
        yield from cut_up(world(headroom=headroom, hash_bits=(headroom & 3, 3 - (headroom & 3))), steps)


def frontends():
    """Each frontend and its neighbours, again while memory of them is warm, and when services change."""
    steps = []
    for frontend in list(range(9)) + [NODE]:
        for port in (80, 53, 443, 8080, 0, 1024):
            for udp in (False, True):
                for family in (V4, V6):
                    steps.append(packet(family=family, frontend=frontend, port=port, udp=udp))
    yield from cut_up(world(), steps)
    for client in (0, 13, 26, 39):
        both = [packet(family=family, frontend=frontend, port=port, udp=udp, client=client, flags=flags)
                for family in (V4, V6) for frontend, port, udp in ((2, 80, False), (2, 443, True), (8, 8080, False),
                                                                  (8, 8080, True), (8, 1024, False))
                for flags in (SYN, ACK)]
        once = b"".join(both[::2])
        for shuffle in (0, 1, 5, 9):
            yield world(shuffle) + once + MOVE + b"".join(both[1::2]) + MOVE + once
            yield world(shuffle) + MOVE + once + MOVE + b"".join(both[1::2])


# ------------------------------------------------------------------ nat

def sizes(frontend, port, udp, **more):
    """Around each MTU: 100 and 1500, less 20, less 40, for packets with whatever options."""
    steps = []
    for family in (V4, V6):
        head = (20 if family == V4 else 40) + (8 if udp else 20)
        for limit in (60, 80, 100, 1440, 1460, 1480, 1500):
            for off in (-1, 0, 1):
                for words in range(4 if family == V4 else 1):
                    for options in range(1 if udp else 4):
                        payload = limit + off - head - 4 * words - 4 * options
                        if 0 <= payload < 64 or 1380 <= payload < 1444:
                            steps.append(packet(family=family, frontend=frontend, port=port, udp=udp, words=words,
                                                options=options, payload=payload, **more))
    return steps


def mtus():
    for frontend, port, udp in TUNNELS + NAT:
        for client in (0, 9, 18, 27, 36, 45, 54, 63):
            yield from cut_up(world(shuffle=client >> 3), sizes(frontend, port, udp, client=client)[::2])
            yield from cut_up(world(shuffle=client >> 3), sizes(frontend, port, udp, client=client)[1::2])


def errors():
    """ICMP errors about both directions: kinds and codes, what is quoted, damage, what they say of endpoints."""
    for family in (V4, V6):
        header = 20 if family == V4 else 40
        for udp in (False, True):
            at = dict(family=family, udp=udp, port=53 if udp else 80)
            steps = []
            begin = world(3) + packet(**at, client=8) + answer(family)
            for about in (REQUEST, ANSWER):
                say = lambda **more: error(about, family, **more)
                l3 = 14 + (20 if family == V4 else 40) + 8
                steps += [say(kind=kind, code=code) for kind in range(8) for code in (0, 3, 4, 13)]
                steps += [say(quoted=header + n) for n in (-1, 0, 3, 4, 7, 8, 9, 16, 17, 18, 19, 20)]
                steps += [say(quoted=header + n, padding=p) for n in (7, 8, 16, 17, 18) for p in (1, 7)]
                steps += [say(**one) for one in (dict(tags=1), dict(tags=2), dict(tags=3), dict(router=True),
                                                 dict(astray=True), dict(hops=0), dict(hops=1), dict(hops=2),
                                                 dict(words=3), dict(traffic=0xb9), dict(check=1), dict(check=255))]
                steps += [say(fragment=one) for one in ((1, 0), (0, 1), (0, 0))]
                if family == V6:
                    steps += [say(extensions=(one,)) for one in (HOP_BY_HOP, DESTINATION, FRAGMENT, ROUTING_TO_GO)]
                # Each byte of the quoted header and of its ports is another one, one at a time.
                steps += [say(damage=harm((l3 + n, 0x11))) for n in range(header + 9)]
                steps += [say(damage=harm((l3 + n, 0x80))) for n in (0, 6, 7, 8, 9, 10)]
                steps += [say(damage=harm(cut=n)) for n in (1, 2, 8, 21)]
                total = 17 if family == V4 else 19
                steps += [say(damage=harm((total, n))) for n in (1, 2, 3, 16, 31)]
            yield from cut_up(begin, steps)
            # What an answer has seen, or not; the next connection; one that was told twice.
            no, big = error(REQUEST, family), error(REQUEST, family, kind=2 if family == V6 else 0,
                                                    code=4 if family == V4 else 0)
            for client in (0, 1, 3, 5, 6, 8):
                say, back = packet(**at, client=client), answer(family)
                reset = answer(family, flags=RST | ACK)
                codes = b"".join(packet(**at, client=client + 8 * n) + error(REQUEST, family, code=n)
                                 for n in range(16))
                for story in (say + no + no + say + no, say + big + no, say + back + no, say + no + back + no,
                              say + no + reset + say + no + no, say + reset + no + say + no + reset,
                              say + no + many(range(8, 12), **at) + no + back + no, codes + no,
                              say + no + TURN + no + wait(61) + SWEEP + no,
                              say + back + error(ANSWER, family) + wait(61) + SWEEP + error(ANSWER, family)):
                    yield world(client) + story
                    yield world(client, sources=(2, 3)) + story
            # Options and extension headers in the quote.
            inside = [dict(words=n) for n in (1, 2, 3)] if family == V4 else [
                dict(extensions=e) for e in ((HOP_BY_HOP,), (DESTINATION | LONGER,), (FRAGMENT | 0x40,), (ROUTING,),
                                             (DESTINATION,) * 7, (HOP_BY_HOP, DESTINATION | LONGER, ROUTING))]
            for one in inside:
                steps = [error(about, family, quoted=header + n) for about in (REQUEST, ANSWER)
                         for n in (0, 7, 8, 11, 12, 15, 16, 17, 24, 25, 31, 32, 33, 48, 64, 65)]
                yield from cut_up(world(3) + packet(**at, **one) + answer(family, **one), steps)
            # Datagrams without a sum; atomic fragments that become later ones.
            yield (world(3) + packet(**at, client=8, sum=False) + error(REQUEST, family) + answer(family, sum=False)
                   + error(ANSWER, family) + error(ANSWER, family, quoted=header + 8))
            if family == V6:
                later = harm((14 + 40 + 8 + 40 + 3, 8))
                yield (world(3) + packet(**at, client=8, extensions=(FRAGMENT | 0x40,))
                       + error(REQUEST, family, damage=later)
                       + answer(family, extensions=(FRAGMENT | 0x40,)) + error(ANSWER, family, damage=later))
            # As large as the route to the client, or to the endpoint, takes.
            for client in (5, 13):
                for payload in (30, 50, 60, 63):
                    yield (world(client) + packet(**at, client=client, payload=payload) + no
                           + answer(family, payload=payload) + error(ANSWER, family))


def tunnel_errors():
    """ICMP errors about answers of endpoints behind tunnels: in slots at rest and in moving ones."""
    for family in (V4, V6):
        header = 20 if family == V4 else 40
        for frontend, port, udp in TUNNELS + ((3, 80, False), (3, 443, True), (4, 443, True), (5, 80, False)):
            for shuffle in (0, 5):
                steps = []
                for client in range(0, 256, 13):
                    steps.append(packet(family=family, frontend=frontend, port=port, udp=udp, client=client)
                                 + error(ANSWER, family) + error(ANSWER, family, quoted=header + 8, tags=client & 3)
                                 + error(ANSWER, family, hops=(0, 1, 2, 64)[client & 3], traffic=client, router=True))
                    # Of a flow that was never seen: another port of the client.
                    steps.append(error(ANSWER, family, damage=harm((14 + header + 8 + header + 3, 1))))
                steps += [error(ANSWER, family, kind=kind) for kind in range(8)]
                steps += [error(ANSWER, family, damage=harm((14 + header + 8 + header + n, 9))) for n in range(4)]
                yield from cut_up(world(shuffle), steps, 20)
                yield from cut_up(world(shuffle, headroom=4), steps[:30], 20)
                for state in (DRAINING, DOWN):
                    yield from cut_up(world(shuffle), [steps[0] + change(others=state, shuffle=shuffle + 1) + steps[2]
                                                       + MOVE + error(ANSWER, family)])


def many(clients, **more):
    return b"".join(packet(client=client, **more) for client in clients)


def conversations():
    """A connection to its end and again, by clients on every route, with answers in between."""
    for family in (V4, V6):
        for client in range(0, 12):
            for udp in (False, True):
                at = dict(family=family, client=client, udp=udp, port=53 if udp else 80)
                back = lambda flags=ACK, **more: answer(family, flags=flags, **more)
                say = lambda flags=ACK, **more: packet(**at, flags=flags, **more)
                for sources in ((0, 0), (2, 3)) if client < 8 else ((0, 0),):
                    begin = world(client & 15, sources=sources)
                    yield (begin + say(SYN) + ZERO_SUM + back(SYN | ACK) + ZERO_SUM + say(ACK) + say(ACK, sum=False)
                           + back(ACK, sum=False) + back(ACK, tags=2) + say(ACK, tags=1) + ZERO_SUM + say(ACK, hops=1)
                           + say(ACK, hops=2) + say(ACK, hops=0) + back(ACK, hops=1) + back(ACK, hops=2)
                           + TURN + say(ACK) + back() + TURN + say(ACK) + back() + say(SYN))
                # Answers whose lengths are wrong.
                if client < 2:
                    l4, total = l4_of(family), 17 if family == V4 else 19
                    size = 8 if udp else 20
                    right = (20 if family == V4 else 0) + size + 10
                    broken = [(total, right ^ right + off) for off in (-11, -10, -1, 1)]
                    broken += [(l4 + 5, 18 ^ n) for n in (7, 19)] if udp else [(l4 + 12, 0x50 ^ n << 4) for n in (4, 8)]
                    yield (world(3) + say(SYN) + b"".join(back(damage=harm(one)) for one in broken)
                           + b"".join(back(damage=harm(cut=n)) for n in (1, 10, 11, 20)))
                # Who says goodbye, and what a SYN means then.
                for first, second in ((say(FIN | ACK), back(FIN | ACK)), (back(FIN | ACK), say(FIN | ACK)),
                                      (say(FIN | ACK), b""), (back(FIN | ACK), b""), (say(RST), b""), (back(RST), b""),
                                      (say(RST) + say(ACK), b""), (back(RST) + back(ACK), b"")):
                    if udp or client >= 8:
                        continue
                    start = world(client & 15) + say(SYN) + back(SYN | ACK) + say(ACK)
                    yield (start + first + second + say(ACK) + say(SYN) + back(SYN | ACK) + say(ACK) + wait(11) + SWEEP
                           + back() + wait(61) + SWEEP + back() + say(SYN) + say(SYN | ACK))
                    yield (start + first + second + say(SYN) + wait(61) + SWEEP + say(ACK))
                    yield start + first + second + change(others=DRAINING) + say(ACK) + say(SYN) + back()
                    for silence in (10, 11, 60, 61, 240, 241) if client < 3 else ():
                        yield start + first + second + wait(silence) + SWEEP + back() + say(ACK) + SWEEP


def silences():
    """Timeouts to the second, with both ends silent, or just one."""
    for family in (V4, V6):
        for client in (0, 3, 8, 12):
            for udp in (False, True):
                at = dict(family=family, client=client, udp=udp, port=53 if udp else 80)
                say, open_, back = packet(**at, flags=ACK), packet(**at, flags=SYN), answer(family, flags=ACK)
                greet = open_ + answer(family) + say
                limits = (60, 300) if udp else (60, 7440)
                for limit in limits:
                    for start in (open_, open_ + back, greet):
                        for off in (0, 1):
                            yield world(3) + start + wait(limit + off) + SWEEP + say + SWEEP + open_
                            yield world(3) + start + wait(limit + off) + open_ + back
                # One direction speaks all the time, the other not at all.
                short, long = ((244, 244), (122, 122)) if udp else ((61 * 61, 61 * 61 + 301), (44, 44))
                for speaker in (say, back):
                    for pauses, start in ((short, greet), (long, open_ + answer(family)), (long, open_)):
                        talk = b"".join(wait(pause) + speaker for pause in pauses)
                        yield world(3) + start + talk + SWEEP + back + say + open_
                        yield world(3) + start + talk + open_ + back
                    yield world(3) + greet + wait(4) + speaker + wait(limits[1]) + SWEEP + wait(1) + SWEEP
                # An endpoint begins the day with the same second: nothing is silent.
                yield world(3) + greet + SWEEP + wait(1) + SWEEP + say


def ports():
    """Few ports, and so many clients that they run out; given back, and taken again."""
    clients = list(range(0, 256, 11))
    for family in (V4, V6):
        for count in (1, 2, 3, 4):
            for sources in (0, 1, 3):
                for udp in (False, True):
                    at = dict(family=family, udp=udp, port=53 if udp else 80)
                    begin = world(count, ports=count, sources=(sources, sources))
                    ended = many(clients[:8], **at, flags=RST) + wait(11) + SWEEP
                    yield begin + many(clients, **at) + many(clients[:10], **at, flags=ACK)
                    yield begin + many(clients[:12], **at) + ended + many(clients[12:], **at)
                    yield begin + many(clients[:12], **at) + wait(61) + SWEEP + many(clients[12:], **at)
                    yield begin + many(clients[:8], **at) + TURN + many(clients[8:], **at) + TURN + many(clients[:9], **at)
                    yield (begin + many(clients[:12], **at) + change(others=DOWN) + many(clients[:3], **at)
                           + change(shuffle=count + 1) + many(clients, **at))
                    yield (begin + many(clients[:8], family=family) + many(clients[:8], family=family, udp=True, port=53)
                           + many(clients[:8], family=family, frontend=8, port=8080)
                           + many(clients[:6], family=family, udp=True, frontend=8, port=80)
                           + many(clients[8:12], family=family))


def health():
    """Connections and pins whose endpoint drains, goes down, is under maintenance, comes back."""
    clients = list(range(0, 256, 37))
    for family in (V4, V6):
        for frontend, port, udp in NAT + TUNNELS + ((3, 443, True), (3, 80, False), (4, 443, True)):
            at = dict(family=family, frontend=frontend, port=port, udp=udp)
            for state in (DRAINING, DOWN, MAINTENANCE):
                for shuffle in (0, 7):
                    yield (world(shuffle) + many(clients, **at) + change(others=state) + many(clients, **at, flags=ACK)
                           + many(clients, **at) + change(shuffle=shuffle + 1) + many(clients, **at, flags=ACK)
                           + many(clients, **at))
                    yield (world(shuffle) + many(clients, **at) + change(others=state, shuffle=shuffle + 1) + wait(66)
                           + many(clients, **at, flags=ACK) + many(clients, **at))
                yield world(1, at=states(others=state, shuffle=1)) + many(clients, **at) + many(clients, **at, flags=ACK)
        for endpoint in range(1, ENDPOINTS + 1):
            at = dict(family=family, frontend=1 if endpoint < 10 else 2 if endpoint < 18 else 3 if endpoint < 21 else 4)
            for state in (DRAINING, DOWN):
                yield (world(endpoint & 15) + many(clients, **at) + change(endpoint, state, shuffle=endpoint & 15)
                       + many(clients, **at, flags=ACK) + many(clients, **at)
                       + change(endpoint, state, shuffle=(endpoint + 1) & 15)
                       + many(clients[::2], **at, flags=ACK) + many(clients[::2], **at))


# ------------------------------------------------------------------ slots that move

def pins():
    """Flows opened and older, in moving slots, when slots change, with silence in between."""
    clients = list(range(0, 256, 17))
    for family in (V4, V6):
        for frontend, port, udp in TUNNELS + ((3, 443, True), (3, 80, False), (4, 443, True), (4, 80, False)):
            at = dict(family=family, frontend=frontend, port=port, udp=udp)
            for shuffle in (0, 5):
                for first, second in ((SYN, ACK), (SYN, SYN), (ACK, SYN), (ACK, ACK), (FIN | ACK, SYN), (RST, ACK),
                                      (SYN, RST), (SYN | ACK, SYN)):
                    # The last bit of the flags chooses QUIC's version.
                    begin = world(shuffle) + many(clients[:12], **at, flags=first)
                    yield (begin + many(clients[:12], **at, flags=second) + change(shuffle=shuffle + 3)
                           + many(clients[:12], **at, flags=second))
                    for silence in (5, 6, 64, 65) if not shuffle else ():
                        yield (begin + change(others=DRAINING, shuffle=shuffle + 1) + wait(silence)
                               + many(clients[:12], **at, flags=second) + many(clients[:6], **at, flags=SYN))
                        yield (begin + wait(4) + many(clients[:8], **at, flags=second)
                               + change(others=DRAINING, shuffle=shuffle + 1) + wait(silence)
                               + many(clients[:12], **at))
                # Pins that another service made, and that are pointed elsewhere.
                for state in (DRAINING, DOWN):
                    yield (world(shuffle) + many(clients[:8], **at) + many(clients[:4], **at, flags=ACK)
                           + change(others=state, shuffle=shuffle) + many(clients[:8], **at, flags=ACK)
                           + change(shuffle=shuffle + 1) + many(clients[:8], **at, flags=ACK) + wait(6)
                           + change(others=DRAINING, shuffle=shuffle + 2) + many(clients[:8], **at))
                # Replaced by an opening, a pin is as new: 64 s, not 5.
                yield (world(shuffle) + many(clients[:9], **at, flags=ACK) + change(others=DRAINING, shuffle=shuffle + 1)
                       + wait(6) + many(clients[:9], **at) + change(others=DRAINING, shuffle=shuffle + 2) + wait(6)
                       + many(clients[:9], **at) + wait(66) + many(clients[:9], **at))
                yield world(shuffle) + many(clients[:10], **at) + MOVE + many(clients[:10], **at, flags=ACK) + MOVE \
                    + many(clients[:10], **at, flags=ACK)


def quic():
    """What a QUIC connection begins with, in every type and version, and short of it."""
    steps = []
    for family in (V4, V6):
        for client in range(0, 256, 31):
            for kind in range(4):
                for flags in (0, 1):
                    at = l4_of(family) + 8
                    steps.append(packet(family=family, frontend=3, port=443, udp=True, client=client, flags=flags,
                                        payload=6, damage=harm((at, flags ^ (0xc0 | kind << 4)))))
        for payload in range(7):
            steps.append(packet(family=family, frontend=3, port=443, udp=True, client=payload, payload=payload,
                                flags=0x80 & 0x1f, damage=harm((l4_of(family) + 8, 0xc0))))
        # Version 0 negotiates; one byte of version 2 is another.
        for byte in range(1, 5):
            for flags in (0, 1):
                steps.append(packet(family=family, frontend=3, port=443, udp=True, client=40 + byte, flags=flags,
                                    payload=6, damage=harm((l4_of(family) + 8, flags ^ 0xd0),
                                                           (l4_of(family) + 8 + byte, 1))))
    for shuffle in (0, 4, 8):
        yield from cut_up(world(shuffle), steps)


def pressure():
    """Too many openings, tables without room, no room for flows of before."""
    clients = list(range(0, 256, 7))
    for limit in (1, 2, 3):
        for family in (V4, V6):
            for frontend, port, udp in TUNNELS + ((3, 80, False), (3, 443, True)):
                at = dict(family=family, frontend=frontend, port=port, udp=udp)
                for shuffle in (0, 6):
                    begin = world(shuffle, limit=limit)
                    yield begin + many(clients[:30], **at)
                    yield begin + many(clients[:14], **at) + many(clients[:14], **at, flags=ACK)
                    yield begin + many(clients[:14], **at, flags=ACK) + many(clients[14:28], **at)
                    for state in (DRAINING, DOWN):
                        yield (begin + many(clients[:8], **at) + change(others=state, shuffle=shuffle)
                               + many(clients[:20], **at, flags=ACK) + many(clients[20:26], **at))
                        for endpoint in (10, 12, 13, 18, 19):
                            yield (begin + change(endpoint, state, shuffle=shuffle) + many(clients[:16], **at)
                                   + many(clients[8:22], **at, flags=ACK))
                    for pause in (1, 4, 5, 6, 10):
                        yield (begin + many(clients[:14], **at) + wait(pause) + many(clients[14:22], **at) + wait(pause)
                               + many(clients[22:30], **at) + many(clients[:4], **at, flags=ACK))
                    yield begin + b"".join(many(clients[i:i + 3], **at) + wait(1) for i in range(0, 27, 3))
                    yield begin + many(clients[:14], **at) + wait(1) + change(shuffle=shuffle + 1) + many(clients[:14], **at)


# ------------------------------------------------------------------ the target path

def tunnel(outer=V4, into=V4, udp=False, tags=0, source=2, to=None, frontend=1, port=80, hops=64, traffic=0,
           extensions=(), words=0, fragment=None, damage=None, inside=0, **more):
    """A tunnelled frame. to: None = the node, or (whether a frontend, number)."""
    shape = outer | into << 1 | udp << 2 | tags << 3 | (3 << 5 if to and to[0] else 0)
    ends_ = source | (16 | to[1] << 5 if to else 0)
    frame = (bytes([shape, ends_, extra_of(outer, extensions, words, fragment)]) + ends(5, frontend, port)
             + ip(outer, hops, traffic, extensions) + inner(into, traffic=inside, **more))
    return bytes([1]) + frame if damage is None else bytes([9]) + frame + damage


def tunnels():
    """All pairs of families: congestion, tags, options, fragments, who sends, for whom, cut short."""
    for outer in (V4, V6):
        for into in (V4, V6):
            at = dict(outer=outer, into=into)
            head = 20 if outer == V4 else 40
            source_at = 14 + (15 if outer == V4 else 23)
            inner_to = 14 + head + (19 if into == V4 else 39)
            steps = [tunnel(**at, traffic=a, tags=tags) for a in range(4) for tags in (0, 1, 2, 3)]
            for outside in (0, 1, 2, 3, 0xfc, 0xb9, 0xff):
                for inside in (0, 1, 2, 3, 0xfc, 0xb9, 0x56, 0xff):
                    steps.append(tunnel(**at, traffic=outside, inside=inside))
            for source in range(16):
                steps.append(tunnel(**at, source=source))
            for bit in range(8):
                steps.append(tunnel(**at, damage=harm((source_at, 1 << bit))))
                steps.append(tunnel(**at, damage=harm((source_at - 2, 1 << bit))))
            for frontend in (0, 1, 7, 8, 9, 10, NODE):
                steps.append(tunnel(**at, frontend=frontend))
                for number in range(8):
                    steps.append(tunnel(**at, frontend=frontend, to=(False, number)))
                    steps.append(tunnel(**at, frontend=frontend, to=(True, number)))
            # For an address of the node that is no service's; with a source that is no balancer.
            steps.append(tunnel(**at, frontend=NODE, damage=harm((inner_to, NODE ^ 1))))
            steps.append(tunnel(**at, frontend=NODE, source=3, damage=harm((inner_to, NODE ^ 1))))
            for version in range(16):
                steps.append(tunnel(**at, damage=harm((14 + head, version << 4))))
                steps.append(tunnel(**at, damage=harm((14, version << 4))))
            for ihl in range(16):
                steps.append(tunnel(**at, damage=harm((14 + head, ihl))))
                steps.append(tunnel(**at, damage=harm((14, ihl))))
            for proto in (4 ^ 41, 4 ^ 6, 41 ^ 6, 1):
                steps.append(tunnel(**at, damage=harm((14 + (9 if outer == V4 else 6), proto))))
            for words in range(4):
                for tags in (0, 2):
                    steps.append(tunnel(**at, words=words, tags=tags, traffic=1))
            for flags in ((1, 0), (0, 1), (1, 1), (0, 0)):
                steps.append(tunnel(**at, fragment=flags))
            for flag in (0x20, 0x40, 0x80, 0x10, 0x01):
                steps.append(tunnel(**at, damage=harm((20, flag), (21, flag & 1))))
            if outer == V6:
                for one in (HOP_BY_HOP, DESTINATION, ROUTING, ROUTING_TO_GO, FRAGMENT, FRAGMENT | 4, FRAGMENT | 8,
                            HOP_BY_HOP | LONGER, ROUTING | LONGER):
                    steps += [tunnel(**at, extensions=(one,)), tunnel(**at, extensions=(one, DESTINATION), tags=1)]
                steps += [tunnel(**at, extensions=(DESTINATION,) * count) for count in range(1, 8)]
            # The inner header cut short, byte by byte.
            whole = (20 if into == V4 else 40) + 20
            for cut in range(1, whole + head):
                steps.append(tunnel(**at, payload=0, damage=harm(cut=cut)))
            yield from cut_up(b"", steps, 16)


STORIES = {
    "edge": (lengths, extensions, fragments, links, frontends, mtus, conversations, errors, tunnel_errors, silences, ports, health, pins,
             quic, pressure),
    "target": (tunnels,),
}


def write(target, folder):
    """Leave the inputs of a target in a folder, which holds nothing else."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for story in STORIES.get(target, ()):
        for seed in story():
            digest = hashlib.sha256(seed).hexdigest()[:12]
            (folder / f"{story.__name__}-{digest}").write_bytes(seed[:INPUT_MAX])
