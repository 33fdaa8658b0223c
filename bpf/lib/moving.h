/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include <linux/errno.h>

#include "fairlead/slot.h"
#include "lib/clock.h"
#include "lib/conf.h"
#include "lib/flow.h"
#include "lib/maps.h"
#include "lib/packet.h"
#include "lib/slots.h"

/**
 * @file moving.h
 * A slot that moves: pins are looked up, made, promoted and lost.
 *
 * The rules are fairlead/slot.h's; here they meet the maps. All of it is out of
 * line and has a struct of its own: packets of slots at rest, which are nearly
 * all, pay a test of one bit.
 *
 * Two packets of one flow may come here at once, on two CPUs: what one inserts the
 * other finds by EEXIST, and begins again. So may a packet and the agent, which
 * swaps slots as the packet does; whoever comes second looks again.
 */
#define MOVING_TRIES 4

struct moving {
	struct fl_flow key;
	__u32 index; /**< of the slot, in `slots` */
	__u32 hash;
	__u32 service;
	__u32 second;
	__u8 packet; /**< enum fl_packet */
	__u8 family;
	__u8 explain; /**< decide, but write nothing */

	__u8 pinned;    /**< set: a pin decided */
	__u32 endpoint; /**< set: where it goes; 0 = nowhere */
};

/** Values that bpf_loop understands: whether to go on. */
enum moving_result { MOVING_AGAIN = 0, MOVING_DONE = 1 };

static __always_inline __u8 endpoint_state(__u32 id)
{
	struct fl_endpoint_row *row = endpoint_row(id);

	return row ? row->state : FL_DOWN;
}

/**
 * Where flows without a pin are: `before` of the slot, or of the slot that the
 * flow had in the table of the size before.
 */
static __always_inline __u32 moving_before(const struct moving *m, fl_slot value)
{
	__u32 index;
	struct fl_service_row *row;
	fl_region region;
	fl_slot *slot;

	if (!fl_slot_is_old(value))
		return fl_slot_before(value);
	row = service_row(m->service);
	if (!row)
		return fl_slot_before(value);
	region = READ_ONCE(row->old_region[m->family == FL_IPV4 ? FL_IPV4 : FL_IPV6]);
	if (!region_size(region))
		return fl_slot_before(value);
	index = FL_REGION_BASE(region) + fl_hash_slot(m->hash, region_size(region));
	slot = bpf_map_lookup_elem(&fl_slots, &index);
	return slot ? fl_slot_before(READ_ONCE(*slot)) : fl_slot_before(value);
}

static __always_inline struct fl_pressure_row *pressure(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&fl_pressure, &zero);
}

static __always_inline void count_refused(void)
{
	struct fl_pressure_row *row = pressure();

	if (row)
		__sync_fetch_and_add(&row->refused, 1);
}

/** A map has no room for a pin. While that lasts openings are not pinned either: they
 * could not be promoted, and would push each other out of `opening`. */
static __always_inline void note_failed(__u32 second)
{
	struct fl_pressure_row *row = pressure();

	if (row && row->failed != second)
		row->failed = second;
}

/** A pin was needed and not made: the slot must go on moving, from now on. */
static __always_inline enum moving_result moving_lose(const struct moving *m, fl_slot value)
{
	struct fl_pressure_row *row;
	__u32 index = m->index;
	fl_slot *slot;

	count_refused();
	if (!fl_slot_must_postpone(value, m->second))
		return MOVING_DONE;
	slot = bpf_map_lookup_elem(&fl_slots, &index);
	if (!slot)
		return MOVING_DONE;
	if (__sync_val_compare_and_swap(slot, value, fl_slot_postponed(value, m->second)) != value)
		return MOVING_AGAIN;
	row = pressure();
	if (row)
		__sync_fetch_and_add(&row->postponed, 1);
	return MOVING_DONE;
}

static __always_inline enum moving_result moving_refuse(
	struct moving *m, const struct fl_slot_query *q)
{
	struct fl_slot_answer answer = fl_slot_refuse(q);

	m->endpoint = answer.endpoint;
	if (answer.action == FL_PIN_LOSE)
		return moving_lose(m, q->slot);
	count_refused();
	return MOVING_DONE;
}

/**
 * Pin a flow that opens. Another packet of it may have made a pin in `pins` since we
 * looked there: that one was first, and we obey it.
 * @param pin  memory for a pin; the stack is small
 */
static __always_inline enum moving_result moving_pin_opening(
	struct moving *m, const struct fl_slot_query *q, struct fl_pin *pin)
{
	struct fl_pressure_row *row = pressure();
	int err;

	fl_pin_init(pin, m->endpoint, m->service, m->hash, m->family, 0, m->packet, m->second);
	err = map_update(&fl_opening, &m->key, pin, BPF_NOEXIST);
	if (err == -EEXIST)
		return MOVING_AGAIN;
	if (err) {
		note_failed(m->second);
		return moving_refuse(m, q);
	}
	if (row)
		fl_pressure_count(row, m->second);
	if (!bpf_map_lookup_elem(&fl_pins, &m->key))
		return MOVING_DONE;
	bpf_map_delete_elem(&fl_opening, &m->key);
	return MOVING_AGAIN;
}

/** Pin a flow that was there before the slot began to move, or may have been. An
 * opening of it may have come between: a flow has one pin. */
static __always_inline enum moving_result moving_pin_old(
	struct moving *m, const struct fl_slot_query *q, struct fl_pin *pin)
{
	struct fl_pressure_row *row = pressure();
	int err;

	fl_pin_init(pin, m->endpoint, m->service, m->hash, m->family, 1, m->packet, m->second);
	err = map_update(&fl_pins, &m->key, pin, BPF_NOEXIST);
	if (err == -EEXIST)
		return MOVING_AGAIN;
	if (err) {
		note_failed(m->second);
		return moving_refuse(m, q);
	}
	if (row)
		__sync_fetch_and_add(&row->old_pins, 1);
	bpf_map_delete_elem(&fl_opening, &m->key);
	return MOVING_DONE;
}

/** A pin of an opening has proved itself: it moves to where nothing is evicted. It is
 * made anew, since the cell that was found may belong to another flow by now. */
static __always_inline enum moving_result moving_promote(
	struct moving *m, const struct fl_slot_query *q, struct fl_pin *found, struct fl_pin *pin)
{
	int err;

	fl_pin_init(pin, m->endpoint, m->service, m->hash, m->family, 0, m->packet, m->second);
	err = map_update(&fl_pins, &m->key, pin, BPF_NOEXIST);
	if (!err || err == -EEXIST) {
		bpf_map_delete_elem(&fl_opening, &m->key);
		return MOVING_DONE;
	}
	note_failed(m->second);
	fl_pin_touch(found, m->packet, m->second);
	return moving_lose(m, q->slot);
}

/** Point a pin elsewhere: by key and anew, for the same reason. */
static __always_inline enum moving_result moving_replace(struct moving *m,
	const struct fl_slot_query *q, const struct fl_pin *found, struct fl_pin *pin)
{
	int err;

	fl_pin_init(
		pin, m->endpoint, m->service, m->hash, m->family, found->old, m->packet, m->second);
	if (q->pin_is_opening)
		err = map_update(&fl_opening, &m->key, pin, BPF_EXIST);
	else
		err = map_update(&fl_pins, &m->key, pin, BPF_EXIST);
	return err ? MOVING_AGAIN : MOVING_DONE;
}

/** Carry out what the rules say about the pin. */
static __always_inline enum moving_result moving_act(struct moving *m,
	const struct fl_slot_query *q, struct fl_pin *found, enum fl_pin_action action)
{
	struct fl_pin pin;

	switch (action) {
	case FL_PIN_TOUCH:
		if (found)
			fl_pin_touch(found, m->packet, m->second);
		return MOVING_DONE;
	case FL_PIN_PROMOTE:
		return found ? moving_promote(m, q, found, &pin) : MOVING_DONE;
	case FL_PIN_REPLACE:
		return found ? moving_replace(m, q, found, &pin) : MOVING_DONE;
	case FL_PIN_OPENING:
		return moving_pin_opening(m, q, &pin);
	case FL_PIN_OLD:
		return moving_pin_old(m, q, &pin);
	case FL_PIN_LOSE:
		return moving_lose(m, q->slot);
	case FL_PIN_FORGO:
		count_refused();
		return MOVING_DONE;
	case FL_PIN_NONE:
		break;
	}
	return MOVING_DONE;
}

/** Once through the rules, with the slot as it is now. @return enum moving_result */
static long moving_try(__u32 round, struct moving *m)
{
	struct fl_slot_query q = { .second = m->second, .packet = m->packet };
	__u32 limit = fl_conf.opening_limit ? fl_conf.opening_limit : FL_OPENING_MAX / 2;
	struct fl_pressure_row *row = pressure();
	struct fl_slot_answer answer;
	struct fl_pin *pin = 0;
	__u32 index = m->index;
	fl_slot *slot = bpf_map_lookup_elem(&fl_slots, &index);

	(void)round;
	if (!slot || !row)
		return MOVING_DONE;
	q.slot = READ_ONCE(*slot);
	m->pinned = 0;
	if (!fl_slot_is_moving(q.slot)) {
		m->endpoint = fl_slot_now(q.slot);
		return MOVING_DONE;
	}
	q.before = moving_before(m, q.slot);
	q.now_state = endpoint_state(fl_slot_now(q.slot));
	q.before_state = endpoint_state(q.before);
	q.pressure = fl_pressure_is_high(row, m->second, limit);
	q.old_room = fl_pressure_has_old_room(row);
	if (m->packet != FL_PACKET_LOOSE) {
		/* A pin on its way from `opening` to `pins` is in one of them at any time,
		 * but may be in neither where we look at them in turn. */
		pin = bpf_map_lookup_elem(&fl_pins, &m->key);
		if (!pin) {
			pin = bpf_map_lookup_elem(&fl_opening, &m->key);
			if (pin)
				q.pin_is_opening = 1;
			else
				pin = bpf_map_lookup_elem(&fl_pins, &m->key);
		}
	}
	if (pin) {
		q.pin = pin;
		/* The frontend had another service when the pin was made. */
		q.pin_state = pin->service == m->service ? endpoint_state(pin->endpoint) : FL_DOWN;
		m->pinned = 1;
	}
	answer = fl_slot_decide(&q);
	m->endpoint = answer.endpoint;
	if (m->explain)
		return MOVING_DONE;
	return moving_act(m, &q, pin, answer.action);
}

/** QUIC packets that a client begins with: Initial and 0-RTT, of version 1 and 2
 * (RFC 9000, 17.2; RFC 9369, 3.2). */
static __always_inline int quic_opens(const struct pkt *p)
{
	const __u8 *quic = p->l4 + sizeof(struct udphdr);
	__u8 type;

	if ((void *)(quic + 5) > p->end || !(quic[0] & 0x80))
		return 0;
	type = quic[0] >> 4 & 3;
	if (quic[1] == 0x6b && quic[2] == 0x33 && quic[3] == 0x43 && quic[4] == 0xcf)
		return type == 1 || type == 2;
	return type <= 1 && (quic[1] | quic[2] | quic[3] | quic[4]);
}

/** What the packet means to pins. */
static __always_inline enum fl_packet moving_packet(const struct pkt *p, __u8 udp)
{
	if (p->fragment || p->quoting)
		return FL_PACKET_QUOTE;
	if (p->proto == IPPROTO_TCP)
		return fl_packet_of_tcp(p->tcp_flags);
	return fl_packet_of_udp(udp, udp == FL_UDP_QUIC && quic_opens(p));
}

/** What moving_decide is asked, in one word. */
#define MOVING_ASK(ip, l4, proto, packet, family, explain, fragment, quoting)                      \
	((__u64)(ip) | (__u64)(l4) << 16 | (__u64)(proto) << 32 | (__u64)(packet) << 40 |          \
		(__u64)(family) << 48 | (__u64)(explain) << 56 | (__u64)(fragment) << 57 |         \
		(__u64)(quoting) << 58)
#define MOVING_ASK_IP(ask)       ((__u32)(ask) & 0xff)
#define MOVING_ASK_L4(ask)       ((__u32)((ask) >> 16) & 0x1fff)
#define MOVING_ASK_PROTO(ask)    ((__u8)((ask) >> 32))
#define MOVING_ASK_PACKET(ask)   ((__u8)((ask) >> 40))
#define MOVING_ASK_FAMILY(ask)   ((__u8)((ask) >> 48))
#define MOVING_ASK_EXPLAIN(ask)  ((ask) >> 56 & 1)
#define MOVING_ASK_FRAGMENT(ask) ((ask) >> 57 & 1)
#define MOVING_ASK_QUOTING(ask)  ((ask) >> 58 & 1)

/** And what it answers. */
#define MOVING_ENDPOINT(answer) ((__u32)(answer))
#define MOVING_PINNED(answer)   ((answer) >> 32 & 1)

/** The key of the packet's flow, from the frame; a quoted answer's headers are the flow's turned
 * round. @return whether it could be read */
static __always_inline bool moving_key(struct xdp_md *ctx, __u64 ask, struct fl_flow *key)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	const struct iphdr *ip = data + MOVING_ASK_IP(ask);
	const struct ipv6hdr *ip6 = (void *)ip;
	const __be16 *ports = data + MOVING_ASK_L4(ask);
	struct fl_ip *first = &key->saddr, *second = &key->daddr;

	if (MOVING_ASK_QUOTING(ask)) {
		first = &key->daddr;
		second = &key->saddr;
	}
	if ((void *)(ip + 1) > end)
		return false;
	if (MOVING_ASK_FAMILY(ask) == FL_IPV4) {
		ip_from_ipv4(first, ip->saddr);
		ip_from_ipv4(second, ip->daddr);
	} else {
		if ((void *)(ip6 + 1) > end)
			return false;
		ip_from_ipv6(first, &ip6->saddr);
		ip_from_ipv6(second, &ip6->daddr);
	}
	key->proto = MOVING_ASK_PROTO(ask);
	if (MOVING_ASK_FRAGMENT(ask))
		return true;
	if ((void *)(ports + 2) > end)
		return false;
	key->sport = MOVING_ASK_QUOTING(ask) ? ports[1] : ports[0];
	key->dport = MOVING_ASK_QUOTING(ask) ? ports[0] : ports[1];
	return true;
}

/**
 * Choose the endpoint of a packet whose slot moves: again, for as long as others
 * come between. A global function, so that the verifier walks through it once,
 * and not once for every way that leads here; so it reads the frame anew.
 *
 * @param index  of the slot, in `slots`
 * @return see MOVING_ENDPOINT
 */
__noinline __u64 moving_decide(
	struct xdp_md *ctx, __u64 ask, __u32 index, __u32 hash, __u32 service)
{
	struct moving m = {
		.index = index,
		.hash = hash,
		.service = service,
		.second = clock_packet_s(),
		.packet = MOVING_ASK_PACKET(ask),
		.family = MOVING_ASK_FAMILY(ask),
		.explain = MOVING_ASK_EXPLAIN(ask),
	};

	if (!moving_key(ctx, ask, &m.key))
		return 0;
	bpf_loop(MOVING_TRIES, moving_try, &m, 0);
	return (__u64)m.pinned << 32 | m.endpoint;
}

static __always_inline void moving_select(struct pkt *p, __u32 index, bool explain)
{
	void *data = (void *)(long)p->ctx->data;
	__u32 ip = p->quoting ? p->quote_ip : (__u32)(p->ip - data);
	__u32 l4 = p->quoting ? p->quote_l4 : (__u32)(p->l4 - data);
	__u64 answer = moving_decide(p->ctx,
		MOVING_ASK(ip, l4, p->proto, moving_packet(p, p->udp), p->family, explain,
			p->fragment, p->quoting),
		index, p->hash, p->service);

	p->endpoint = MOVING_ENDPOINT(answer);
	p->pinned = MOVING_PINNED(answer);
}
