/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <bpf/bpf.h>
#include <err.h>
#include <errno.h>
#include <linux/bpf.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench.h"
#include "core/clock.h"
#include "fairlead/slot.h"
#include "kernel/walk.h"
#include "subject.h"
#include "tests/bench/feeder.skel.h"

/*
 * The edge program as the agent loaded it: with its slots as the agent wrote them,
 * and with slots in the states that they have while endpoints change, which we
 * write ourselves once the agent has ended.
 */

static struct bench_subject ipip, nat, nat_new;

/** Flows that all find room in `pins`: old ones may take half of it. */
#define PINNED_FLOWS (1 << 14)
/** Fewer than would be taken for a flood. */
#define OPENINGS (1 << 12)
/** A burst of new nat flows. */
#define NAT_BURST (1 << 13)

/* ----------------------------------------------------------------- slots */

static enum fl_family family_of(const struct bench_case *c)
{
	return c->traffic.shape == FEED_TCP6 || c->traffic.shape == FEED_UDP6 ? FL_IPV6 : FL_IPV4;
}

static fl_slot *slots_of(struct bench_subject *s, enum fl_family family, uint32_t *ret_size)
{
	static const uint32_t sizes[] = FL_SIZES;
	fl_region region = s->maps.services[s->service].region[family];

	*ret_size = sizes[FL_REGION_CLASS(region)];
	return s->maps.slots + FL_REGION_BASE(region);
}

/** Forget all pins, and that there was ever a flood. */
static void clear_pins(struct bench_subject *s)
{
	static const enum fl_map tables[] = { FL_MAP_pins, FL_MAP_opening };
	static struct fl_flow keys[FL_PINS_MAX];
	static struct fl_pin pins[FL_PINS_MAX];
	uint32_t position, count;
	size_t i;

	for (i = 0; i < 2; i++) {
		count = FL_PINS_MAX;
		if (bpf_map_lookup_and_delete_batch(
			    s->maps.fd[tables[i]], NULL, &position, keys, pins, &count, NULL) < 0 &&
			errno != ENOENT)
			err(1, "clearing %s", fl_map_name(tables[i]));
	}
	*s->maps.pressure = (struct fl_pressure_row){ 0 };
}

static void settle_slots(struct bench_case *c)
{
	struct bench_subject *s = c->context;
	uint32_t size;
	fl_slot *slots = slots_of(s, family_of(c), &size);

	memcpy(slots, s->settled[family_of(c)], size * sizeof(*slots));
}

/** Each `step`th slot moves, from the endpoint it had to the next one's. */
static void move_slots(struct bench_case *c, uint32_t step)
{
	struct bench_subject *s = c->context;
	fl_slot *settled = s->settled[family_of(c)];
	uint32_t size, i, now_s = fl_clock_boot_s();
	fl_slot *slots = slots_of(s, family_of(c), &size);

	settle_slots(c);
	clear_pins(s);
	for (i = 0; i < size; i += step)
		slots[i] = fl_slot_moving(
			fl_slot_now(settled[(i + 1) % size]), fl_slot_now(settled[i]), now_s);
}

static void before_pin_made(struct bench_run *run, struct bench_case *c)
{
	(void)run;
	move_slots(c, 1);
}

static void before_pin_hit(struct bench_run *run, struct bench_case *c)
{
	move_slots(c, 1);
	bench_feed(run, c, c->traffic.flows);
}

static void before_quarter(struct bench_run *run, struct bench_case *c)
{
	move_slots(c, 4);
	bench_feed(run, c, c->traffic.flows);
}

/** More openings than are believed. */
static void before_pressure(struct bench_run *run, struct bench_case *c)
{
	move_slots(c, 1);
	bench_feed(run, c, FL_OPENING_MAX);
}

static void before_held(struct bench_run *run, struct bench_case *c)
{
	struct bench_subject *s = c->context;
	uint32_t size, i, now_s = fl_clock_boot_s();
	fl_slot *slots = slots_of(s, family_of(c), &size);

	(void)run;
	clear_pins(s);
	for (i = 0; i < size; i++) {
		uint32_t endpoint = fl_slot_now(s->settled[family_of(c)][i]);

		slots[i] = fl_slot_moving(endpoint, endpoint, now_s);
	}
}

static void before_settled(struct bench_run *run, struct bench_case *c)
{
	(void)run;
	settle_slots(c);
}

/* ----------------------------------------------------------------- cases */

static uint64_t sent(const struct bench_case *c)
{
	return bench_subject_count(c->context, FL_SENT);
}

static uint64_t answered(const struct bench_case *c)
{
	return bench_subject_count(c->context, FL_SENT_REPLY);
}

static struct bench_case *add(bench_cases *cases, const char *program, struct bench_subject *s,
	enum feed_shape shape, uint32_t flows, bool syn)
{
	struct bench_case *c = bench_add(
		cases, program, s->edge_fd, XDP_TX, &(struct bench_traffic){ shape, flows, syn });

	c->context = s;
	c->sent = sent;
	return c;
}

static void add_ipip(bench_cases *cases, enum feed_shape shape, uint32_t flows, bool syn)
{
	struct bench_case *c = add(cases, "ipip", &ipip, shape, flows, syn);

	c->state = "settled";
	c->before = before_settled;
}

static struct bench_case *add_moving(bench_cases *cases, const char *state, uint32_t flows,
	bool syn, void (*before)(struct bench_run *, struct bench_case *))
{
	struct bench_case *c = add(cases, "ipip", &ipip, FEED_TCP4, flows, syn);

	c->state = state;
	c->before = before;
	return c;
}

static void add_states(bench_cases *cases)
{
	struct bench_case *c;

	add_moving(cases, "moving, pin hit", PINNED_FLOWS, false, before_pin_hit);
	c = add_moving(cases, "moving, pin made", 0, false, before_pin_made);
	c->packets = PINNED_FLOWS;
	c = add_moving(cases, "moving, pin made", 0, true, before_pin_made);
	c->packets = OPENINGS;
	add_moving(cases, "moving, under a flood", 0, true, before_pressure);
	add_moving(cases, "held, miss", 1 << 20, false, before_held);
	add_moving(cases, "25 % moving", 1 << 16, false, before_quarter);
	add_moving(cases, "25 % moving", 1 << 20, false, before_quarter);
}

/* ------------------------------------------------------------------- nat */

/**
 * Open nat flows while their agent makes room for them.
 * A burst that met a full table is repeated: those that are open stay as they are.
 */
static void open_nat_flows(
	struct bench_run *run, struct bench_subject *s, enum feed_shape shape, uint32_t flows)
{
	struct bench_case c = { .program = "nat",
		.state = "",
		.prog_fd = s->edge_fd,
		.action = UINT32_MAX,
		.traffic = { shape, flows, shape != FEED_UDP4 } };
	uint32_t begun, tries;
	uint64_t before;

	for (begun = 0; begun < flows; begun += NAT_BURST) {
		for (tries = 0;; tries++) {
			c.next = begun;
			before = bench_subject_count(s, FL_SENT);
			bench_feed(run, &c, NAT_BURST);
			if (bench_subject_count(s, FL_SENT) - before == NAT_BURST)
				break;
			if (tries == 1000)
				errx(1, "nat: no room for %u flows", flows);
			usleep(20000);
		}
	}
}

/** Flows to be answered, found in the tables of nat. */
struct answers {
	int fd; /**< of the feeder's array */
	uint32_t count;
};

static int add_answer(void *context, const void *key, const void *value)
{
	const struct fl_nat_entry *entry = value;
	const struct fl_flow *flow = key;
	struct answers *answers = context;
	struct feed_answer row = {
		.saddr = flow->saddr.word[3], .daddr = flow->daddr.word[3], .dport = flow->dport
	};

	if (entry->dir != FL_NAT_REPLY || flow->proto != IPPROTO_TCP ||
		fl_ip_family(&flow->saddr) != FL_IPV4)
		return 0;
	if (bpf_map_update_elem(answers->fd, &answers->count, &row, BPF_ANY) < 0)
		err(1, "writing answers");
	answers->count++;
	return answers->count == FEED_ANSWERS;
}

/** Of the flows that are open. The agent must run: it has made new tables since. */
static void find_answers(struct bench_run *run, const struct bench_subject *s)
{
	struct answers answers = { .fd = bpf_map__fd(run->feeder->maps.answers) };
	struct fl_failure failure = { 0 };
	struct fl_maps maps;

	if (fl_maps_open(&maps, s->bpffs, false, &failure) < 0)
		errx(1, "%s", failure.message);
	fl_walk(&maps, FL_MAP_nat, add_answer, &answers);
	fl_maps_close(&maps);
	if (answers.count != FEED_ANSWERS)
		errx(1, "nat: %u flows to be answered, not %u", answers.count, FEED_ANSWERS);
}

static void add_answers(struct bench_run *run, uint32_t flows)
{
	struct bench_case *c = add(&run->cases, "nat", &nat, FEED_ANSWER4, flows, false);

	c->state = "established";
	c->sent = answered;
}

/** One flow, and as many as were opened. */
static void add_nat_shape(struct bench_run *run, enum feed_shape shape)
{
	open_nat_flows(run, &nat_new, shape, 1 << 16);
	add(&run->cases, "nat", &nat_new, shape, 1, false)->state = "established";
	add(&run->cases, "nat", &nat_new, shape, 1 << 16, false)->state = "established";
}

static void add_nat(struct bench_run *run)
{
	static const uint32_t flows[] = { 1, 1 << 16, 1 << 20 };
	struct bench_case *c;
	size_t i;

	open_nat_flows(run, &nat, FEED_TCP4, 1 << 20);
	for (i = 0; i < 3; i++)
		add(&run->cases, "nat", &nat, FEED_TCP4, flows[i], false)->state = "established";
	find_answers(run, &nat);
	add_answers(run, 1);
	add_answers(run, FEED_ANSWERS);
	/* Room for all that the rounds will open. */
	open_nat_flows(run, &nat_new, FEED_TCP4, 1 << 19);
	c = add(&run->cases, "nat", &nat_new, FEED_TCP4, 0, true);
	c->state = "opening";
	c->packets = NAT_BURST;
	c->next = 1 << 24;
	add_nat_shape(run, FEED_UDP4);
	add_nat_shape(run, FEED_TCP6);
}

void bench_add_edge(struct bench_run *run)
{
	static const uint32_t flows[] = { 1, 1 << 16, 1 << 20 };
	size_t i;

	bench_shell("ip link add v2 type veth && ip link add v4 type veth");
	bench_subject_start(&ipip, "", "ipip", "v0");
	bench_subject_stop(&ipip);
	bench_subject_start(&nat, "-nat", "nat", "v2");
	bench_subject_start(&nat_new, "-nat-new", "nat", "v4");

	for (i = 0; i < 3; i++)
		add_ipip(&run->cases, FEED_TCP4, flows[i], false);
	add_ipip(&run->cases, FEED_TCP4, 0, true);
	add_ipip(&run->cases, FEED_UDP4, 1, false);
	add_ipip(&run->cases, FEED_UDP4, 1 << 20, false);
	add_ipip(&run->cases, FEED_TCP6, 1, false);
	add_ipip(&run->cases, FEED_TCP6, 1 << 20, false);
	add_ipip(&run->cases, FEED_UDP6, 1 << 20, false);
	bench_add_stages(run, &ipip);
	add_states(&run->cases);
	add_nat(run);
	bench_subject_stop(&nat);
	bench_subject_stop(&nat_new);

	add_ipip(&run->live, FEED_TCP4, 1, false);
	add_ipip(&run->live, FEED_TCP4, 1 << 20, false);
	add(&run->live, "nat", &nat, FEED_TCP4, 1 << 20, false)->state = "established";
}
