// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause

/*
 * The edge path against its model: an input is a world (switches, states, slots) and
 * up to 48 steps in it, which are packets of clients, answers of endpoints, ICMP errors about
 * both, time that passes, a sweep, and changes that an agent makes. After each packet the reason,
 * the verdict, the counters, the slot and every byte that comes out are compared;
 * before it `explain` is asked, which must agree and change nothing.
 */
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "build.h"
#include "check.h"
#include "edge_native.h"
#include "fairlead/hash.h"
#include "fairlead/slot.h"
#include "native.h"

#define STEPS_MAX 48

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static struct world w;
static struct spec_state state;
static struct fl_flow last; /**< how the last rewritten packet left for its endpoint */

/** The last datagram that was rewritten, with its checksum. */
static struct {
	uint8_t frame[BUILD_FRAME_MAX];
	uint32_t length; /**< 0 = there was none */
	uint32_t sum;    /**< offset */
	uint16_t left;   /**< the sum that it left with */
} datagram;

/** What went to an endpoint last, and to a client, without link headers: errors quote it. */
static struct quotable {
	uint8_t bytes[BUILD_FRAME_MAX];
	uint32_t length; /**< 0 = nothing did */
	struct fl_flow flow;
} quotables[2];

static const char *const names[] = {
#define NAME(symbol, action, name, text) name,
	FL_REASONS(NAME)
};

static int action_of(const struct spec_verdict *v)
{
	switch (v->reason) {
#define ACTION(symbol, action, name, text)                                                         \
	case symbol:                                                                               \
		return action_##action(v);
#define action_PASS(v) XDP_PASS
#define action_DROP(v) XDP_DROP
#define action_SENT(v) ((v)->ifindex == WORLD_INGRESS ? XDP_TX : XDP_REDIRECT)
		FL_REASONS(ACTION)
	case FL_REASON_COUNT:
		break;
	}
	return -1;
}

static void world_states(struct input *in)
{
	/* Mostly up. With a small `a`, that endpoint is in another state than all others. */
	static const uint8_t states[] = { FL_UP, FL_UP, FL_UP, FL_UP, FL_UP, FL_DRAINING, FL_DOWN,
		FL_MAINTENANCE };
	uint8_t a = input_8(in), b = input_8(in), i;

	for (i = 1; i < WORLD_ENDPOINTS; i++)
		w.state[i] = !world_endpoints[i].number ? FL_DOWN
			     : a >= WORLD_ENDPOINTS     ? states[(a * i + b + i / 3) & 7]
							: states[(a == i ? b : b >> 3) & 7];
	w.shuffle = input_8(in) % WORLD_SHUFFLES;
}

static void world_open(struct input *in)
{
	static const uint32_t headrooms[] = { 256, 256, 256, 0, 20, 39, 40, 19 };
	static const uint8_t hash_bits[] = { 0, 8, 16, 32 };
	uint8_t a = input_8(in), b = input_8(in), i;

	memset(&w, 0, sizeof(w));
	memset(&last, 0, sizeof(last));
	datagram.length = 0;
	quotables[0].length = quotables[1].length = 0;
	memset(state.answers, 0, sizeof(state.answers));
	state.connection_count = state.pin_count = 0;
	w.now_s = native_now_s = 100000;
	w.headroom = headrooms[a & 7];
	w.conf.hash_seed = WORLD_SEED;
	w.conf.nat_port_min = a & 8 ? 2000 : FL_NAT_PORT_MIN_DEFAULT;
	w.conf.nat_port_max = a & 8 ? 2000 + (a >> 4 & 3) : FL_NAT_PORT_MAX_DEFAULT;
	w.conf.tunnel_hash_bits[FL_IPV4] = hash_bits[b & 3];
	w.conf.tunnel_hash_bits[FL_IPV6] = hash_bits[b >> 2 & 3];
	w.conf.nat_sources[FL_IPV4] = b >> 4 & 3;
	w.conf.nat_sources[FL_IPV6] = b >> 6;
	for (i = 0; i < 3; i++) {
		w.conf.nat_source[FL_IPV4][i] = world_ip(FL_IPV4, WORLD_NET_NODE, 100 + i);
		w.conf.nat_source[FL_IPV6][i] = world_ip(FL_IPV6, WORLD_NET_NODE, 100 + i);
	}
	w.pin_room = a >> 6 == 2 ? 2 : SPEC_FLOWS_MAX;
	w.opening_room = a >> 6 == 2 ? 3 : SPEC_FLOWS_MAX;
	w.old_pins = a >> 6 == 3 ? FL_PINS_MAX / 2 - 2 : 0;
	w.conf.opening_limit = a >> 6 == 1 ? 2 : 0;
	state.pressure = (struct spec_pressure){ .old_pins = w.old_pins };
	world_states(in);
	native_reset();
	edge_native_fill(&w);
}

/** Ask `explain`, which must leave everything as it is. */
static struct fl_explanation ask(const uint8_t *frame, uint32_t length, uint32_t ifindex)
{
	uint64_t before = native_digest();
	struct fl_explanation answer = { 0 };
	uint32_t out_length;

	explain(native_frame(frame, length, w.headroom, ifindex));
	if (native_digest() != before)
		native_fail("explain: a map changed");
	if (length >= sizeof(answer))
		memcpy(&answer, native_frame_bytes(&out_length), sizeof(answer));
	return answer;
}

static void check_explanation(const struct fl_explanation *e, const struct spec_verdict *v)
{
	if (e->magic != FL_EXPLANATION_MAGIC)
		native_fail("explain: no answer");
	if (!v->sent || v->full)
		return; /* how a packet leaves is not asked */
	if (e->reason != v->reason || e->endpoint != v->endpoint)
		native_fail("explain: %s to %u, but it went to %u because of %s", names[e->reason],
			e->endpoint, v->endpoint, names[v->reason]);
}

/** Find out which source the program gave to a connection that it opened. */
static void complete(struct spec_verdict *v, const struct headers *h)
{
	struct fl_flow flow = spec_flow(h);
	const struct fl_nat_entry *entry = edge_native_nat(&flow);
	const char *wrong;

	if (!entry)
		native_fail("nat: no connection was opened");
	wrong = spec_source(&w, &state, h, &entry->to, v);
	if (wrong)
		native_fail("nat: %s", wrong);
}

/** Rows of counters and a slot, which few packets change. */
static struct rows {
	struct fl_frontend_stats frontends[128];
	struct fl_endpoint_stats endpoints[WORLD_ENDPOINTS];
	fl_slot slot; /**< of the packet; 0 = it has none */
} rows;

static void rows_read(struct rows *ret)
{
	memcpy(ret->frontends, edge_native_frontend_stats(0), sizeof(ret->frontends));
	memcpy(ret->endpoints, edge_native_endpoint_stats(0), sizeof(ret->endpoints));
}

/** What the rows should be after a packet. */
static void rows_count(struct rows *r, const struct spec_verdict *v, const struct headers *h)
{
	struct fl_frontend_stats *f = &r->frontends[v->frontend];
	struct fl_endpoint_stats *e = &r->endpoints[v->endpoint];

	if (v->counted == COUNTED_REPLY) {
		f->reply_packets++;
		f->reply_bytes += h->ip_len;
	} else if (v->counted == COUNTED) {
		f->packets++;
		f->bytes += h->ip_len;
		f->new_flows += v->begins;
		e->packets++;
		e->bytes += h->ip_len;
		e->new_flows += v->begins;
	}
}

static fl_slot slot_read(const struct spec_verdict *v, const struct headers *h)
{
	if (!v->service || !world_services[v->service].has_table)
		return 0;
	return *edge_native_slot(v->service, h->family, fl_hash_slot(v->hash, WORLD_SLOTS));
}

static void check_rows(const struct rows *want, const struct spec_verdict *v, fl_slot slot)
{
	static struct rows now;

	rows_read(&now);
	if (memcmp(now.frontends, want->frontends, sizeof(now.frontends)) != 0)
		native_fail("%s: counters of a frontend", names[v->reason]);
	if (memcmp(now.endpoints, want->endpoints, sizeof(now.endpoints)) != 0)
		native_fail("%s: counters of an endpoint", names[v->reason]);
	if (slot != (v->loses ? fl_slot_postponed(want->slot, w.now_s) : want->slot))
		native_fail(
			"%s: the slot is %llx, it was %llx", names[v->reason], slot, want->slot);
	if (edge_native_pressure()->refused != state.pressure.refused)
		native_fail("%llu pins were refused, the model says %u",
			edge_native_pressure()->refused, state.pressure.refused);
}

static void check_answers(const struct spec_verdict *v)
{
	struct fl_answers got = edge_native_answers(v->endpoint);

	if (memcmp(&got, &state.answers[v->endpoint], sizeof(got)) != 0)
		native_fail("%s: answers of endpoint %u", names[v->reason], v->endpoint);
}

/** Keep what was rewritten, for an error to quote it. */
static void keep_quotable(const struct spec_verdict *v, const struct headers *h)
{
	struct quotable *q = &quotables[v->reason != FL_SENT];
	uint32_t length, l3;
	const uint8_t *out = native_frame_bytes(&length);

	l3 = h->l3;
	if (v->sent && v->ifindex != WORLD_INGRESS)
		l3 -= h->tags * 4;
	q->length = length - l3;
	memcpy(q->bytes, out + l3, q->length);
	q->flow = v->to;
}

static void swap(uint8_t *a, uint8_t *b, uint32_t length)
{
	uint8_t kept[16];

	memcpy(kept, a, length);
	memcpy(a, b, length);
	memcpy(b, kept, length);
}

/** An endpoint behind a tunnel answers its client by another way: the packet turned round stands
 * for that answer. */
static void keep_answer(const uint8_t *frame, uint32_t length, const struct headers *h)
{
	uint32_t size = h->family == FL_IPV4 ? 4 : 16, at = h->family == FL_IPV4 ? 12 : 8;
	struct quotable *q = &quotables[1];
	uint8_t *ports = q->bytes + h->l4 - h->l3;

	if (h->part != WHOLE || (h->proto != IPPROTO_TCP && h->proto != IPPROTO_UDP))
		return;
	q->length = length - h->l3;
	memcpy(q->bytes, frame + h->l3, q->length);
	swap(q->bytes + at, q->bytes + at + size, size);
	swap(ports, ports + 2, 2);
	q->flow = (struct fl_flow){ .saddr = h->daddr, .daddr = h->saddr };
}

/** Keep a datagram that was rewritten, and the sum that it left with. */
static void keep_datagram(const uint8_t *frame, uint32_t length, const struct headers *h)
{
	uint32_t out_length, sum = h->l4 + 6;
	const uint8_t *out = native_frame_bytes(&out_length);

	if (h->proto != IPPROTO_UDP || !(frame[sum] | frame[sum + 1]))
		return;
	memcpy(datagram.frame, frame, length);
	datagram.length = length;
	datagram.sum = sum;
	sum -= length - out_length; /* tags that were cut off */
	datagram.left = (uint16_t)(out[sum] << 8 | out[sum + 1]);
}

static void run_packet(const uint8_t *frame, uint32_t length)
{
	const __u64 *reasons = edge_native_reasons();
	struct headers h = headers_read(frame, length);
	struct fl_explanation explanation = ask(frame, length, WORLD_INGRESS);
	__u64 before[FL_REASON_COUNT];
	struct spec_verdict v;
	const uint8_t *out;
	uint32_t out_length, i, counted = 0, reason = 0;
	const char *wrong;
	int action;

	memcpy(before, reasons, sizeof(before));
	v = spec_judge(&w, &state, &h, frame, length);
	rows_read(&rows);
	rows.slot = slot_read(&v, &h);
	action = edge(native_frame(frame, length, w.headroom, WORLD_INGRESS));
	for (i = 0; i < FL_REASON_COUNT; i++) {
		counted += (uint32_t)(reasons[i] - before[i]);
		reason = reasons[i] != before[i] ? i : reason;
	}
	if (counted != 1)
		native_fail("%u reasons were counted", counted);
	if (v.opens)
		complete(&v, &h);
	if (reason != v.reason)
		native_fail("it left with %s, the model says %s", names[reason], names[v.reason]);
	if (action != action_of(&v))
		native_fail(
			"%s: action %d, the model says %d", names[reason], action, action_of(&v));
	if (action == XDP_REDIRECT && native_redirected != v.ifindex)
		native_fail("it left by %u, the model says %u", native_redirected, v.ifindex);
	if (length >= sizeof(explanation))
		check_explanation(&explanation, &v);
	if (action != XDP_DROP) {
		out = native_frame_bytes(&out_length);
		wrong = check_output(&w, &v, &h, frame, length, out, out_length);
		if (wrong)
			native_fail("%s: %s", names[reason], wrong);
	}
	rows_count(&rows, &v, &h);
	check_rows(&rows, &v, slot_read(&v, &h));
	check_answers(&v);
	if (v.output == REWRITTEN) {
		keep_datagram(frame, length, &h);
		keep_quotable(&v, &h);
	}
	if (v.output == WRAPPED)
		keep_answer(frame, length, &h);
	if (v.reason == FL_SENT && v.output == REWRITTEN)
		last = v.to;
}

/** The last datagram again, with a checksum that will become 0: both sums differ by what
 * is rewritten. */
static void run_zero_sum(void)
{
	static uint8_t frame[BUILD_FRAME_MAX];
	uint32_t sum = datagram.sum, check;

	if (!datagram.length)
		return;
	memcpy(frame, datagram.frame, datagram.length);
	check = ((uint32_t)(frame[sum] << 8 | frame[sum + 1]) + 0xffff - datagram.left) % 0xffff;
	check = check ? check : 0xffff;
	frame[sum] = (uint8_t)(check >> 8);
	frame[sum + 1] = (uint8_t)check;
	run_packet(frame, datagram.length);
}

static void run_answer(struct input *in)
{
	uint8_t frame[BUILD_FRAME_MAX];
	struct fl_flow answer = { .saddr = last.daddr,
		.daddr = last.saddr,
		.sport = last.dport,
		.dport = last.sport,
		.proto = last.proto };
	uint32_t length;

	if (!last.proto)
		return;
	length = build_answer(in, &answer, frame);
	run_packet(frame, build_damage(in, frame, length));
}

/** An error about what was sent last. */
static void run_error(struct input *in, const struct quotable *about)
{
	uint8_t frame[BUILD_FRAME_MAX];
	uint32_t length;

	if (!about->length)
		return;
	length = build_error(in, about->bytes, about->length, &about->flow, frame);
	run_packet(frame, build_damage(in, frame, length));
}

static void run_sweep(void)
{
	struct fl_sweep args = { .now_s = w.now_s };
	uint32_t expected = spec_sweep(&w, &state);

	if (sweep(&args) || args.freed != expected)
		native_fail("sweep: forgot %u connections, the model %u", args.freed, expected);
}

/** What happens seldom. */
static void run_event(struct input *in, uint8_t which)
{
	switch (which) {
	case 1 ... 4:
		run_error(in, &quotables[0]);
		break;
	case 5 ... 7:
		run_error(in, &quotables[1]);
		break;
	case 8:
	case 9:
		run_zero_sum();
		break;
	case 10:
	case 11:
		edge_native_turn();
		break;
	case 12:
	case 13:
		w.moved = !w.moved;
		edge_native_move(&w);
		break;
	default:
		run_sweep();
		break;
	}
}

static void step(struct input *in)
{
	static const uint32_t seconds[] = { 1, 4, 6, 11, 61, 66, 301, 7441 };
	uint8_t frame[BUILD_FRAME_MAX], what = input_8(in);
	uint32_t length;

	switch (what & 15) {
	case 0:
		length = build_raw(in, frame);
		run_packet(frame, length);
		break;
	case 1 ... 7:
		length = build_packet(in, frame);
		run_packet(frame, length);
		break;
	case 8:
	case 9:
		length = build_packet(in, frame);
		run_packet(frame, build_damage(in, frame, length));
		break;
	case 10 ... 12:
		run_answer(in);
		break;
	case 13:
		w.now_s = native_now_s += seconds[what >> 4 & 7];
		break;
	case 14:
		run_event(in, what >> 4);
		break;
	case 15:
		world_states(in);
		edge_native_change(&w);
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct input in = { bytes, bytes + size };
	static bool open;
	int i;

	if (!open) {
		native_fib = world_fib;
		edge_native_open();
		open = true;
	}
	world_open(&in);
	for (i = 0; i < STEPS_MAX && in.at < in.end; i++)
		step(&in);
	return 0;
}
