/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <criterion/criterion.h>
#include <criterion/logging.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "core/clock.h"
#include "fairlead/slot.h"
#include "lib/edge.h"
#include "bpf/xdp_edge.skel.h"

/*
 * Floods into slots that move, with tables of the real size: tens of thousands of
 * tuples, each seen for the first time, while honest flows go on. The question is
 * what becomes of those. The figures stand in bpf/README.md.
 *
 * Windows of pressure pass when the test says so: before each packet the row is put
 * into the present window, so that a slow machine counts as a fast one does. (A
 * window may turn between that and the packet, which moves the figures a little; no
 * verdict depends on it.)
 */
TestSuite(floods, .timeout = 1200);

enum { BEFORE = 1, NOW = 2, LATER = 3, SLOTS = 251 };

/* ----------------------------------------------------------------------- packets */

static struct fl_pressure_row *pressure;
static uint64_t sent, dropped;

/** One packet of the flow that has this number. @return the endpoint; 0 = dropped */
static uint32_t send_packet(uint32_t flow, uint8_t flags)
{
	static struct frame in, out;
	LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = in.bytes, .data_out = out.bytes,
		.data_size_out = sizeof(out.bytes));
	struct packet packet = { .src = CLIENT_A, .dst = VIP_WEB, .dport = 80, .flags = SYN };
	uint32_t source = htonl(0x0a000000 + flow / 60000);
	uint16_t port = htons((uint16_t)(1024 + flow % 60000));

	if (!in.length)
		packet_build(&packet, &in);
	memcpy(in.bytes + 14 + 12, &source, 4);
	memcpy(in.bytes + 14 + 20, &port, 2);
	in.bytes[14 + 20 + 13] = flags;
	options.data_size_in = in.length;
	pressure->window = fl_clock_boot_s() / FL_PRESSURE_WINDOW_S;
	cr_assert_eq(bpf_prog_test_run_opts(bpf_program__fd(edge->progs.edge), &options), 0, "%m");
	sent++;
	if (options.retval != XDP_TX) {
		dropped++;
		return 0;
	}
	return out.bytes[14 + 19] - 10u; /* ENDPOINT_n ends in 10 + n */
}

/** FL_PRESSURE_WINDOW_S seconds are over. */
static void window_passes(void)
{
	pressure->openings_last = pressure->openings;
	pressure->openings = 0;
}

/** All slots change, by the agent's rule. */
static void slots_change(uint32_t now, uint32_t second)
{
	int slots = bpf_map__fd(edge->maps.fl_slots),
	    services = bpf_map__fd(edge->maps.fl_services);
	uint32_t service = 1;
	struct fl_service_row row;

	cr_assert_eq(bpf_map_lookup_elem(services, &service, &row), 0);
	for (uint32_t i = 0; i < SLOTS; i++) {
		uint32_t index = FL_REGION_BASE(row.region[FL_IPV4]) + i;
		fl_slot slot;

		cr_assert_eq(bpf_map_lookup_elem(slots, &index, &slot), 0);
		slot = fl_slot_change(slot, now, second);
		cr_assert_eq(bpf_map_update_elem(slots, &index, &slot, 0), 0);
	}
}

static uint32_t entries(struct bpf_map *map)
{
	struct fl_flow key, *previous = NULL;
	uint32_t count = 0;

	while (!bpf_map_get_next_key(bpf_map__fd(map), previous, &key)) {
		previous = &key;
		count++;
	}
	return count;
}

/* ------------------------------------------------------------------ honest flows */

#define FLOWS 500

/** Flows of one kind. */
struct flows {
	const char *name;
	uint32_t first; /**< number */
	uint32_t count;
	uint8_t at[FLOWS]; /**< endpoint */
	uint32_t broken;   /**< that went elsewhere */
};

static struct flows old = { .name = "old", .first = 1000000 };
static struct flows pinned = { .name = "pinned", .first = 2000000 };
static struct flows prompt = { .name = "half-open", .first = 3000000 };
static struct flows late = { .name = "half-open for long", .first = 4000000 };
static struct flows meanwhile = { .name = "opened meanwhile", .first = 5000000 };

static void open_flow(struct flows *flows)
{
	uint32_t i = flows->count++;

	cr_assert_lt(i, FLOWS);
	flows->at[i] = (uint8_t)send_packet(flows->first + i, SYN);
	cr_assert_neq(flows->at[i], 0);
}

static void speak(struct flows *flows, uint32_t i)
{
	uint32_t endpoint = send_packet(flows->first + i, ACK);

	if (endpoint == flows->at[i])
		return;
	flows->broken++;
	flows->at[i] = (uint8_t)endpoint; /* broken once */
}

static void speak_all(struct flows *flows)
{
	for (uint32_t i = 0; i < flows->count; i++)
		speak(flows, i);
}

/* Who was there before the change; who opened after it; who has not answered yet. */
static void begin(void)
{
	edge_pins_max = FL_PINS_MAX;
	edge_open(NULL);
	edge_world();
	edge_service(1, FL_IPIP);
	pressure = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED,
		bpf_map__fd(edge->maps.fl_pressure), 0);
	cr_assert_neq(pressure, MAP_FAILED, "%m");
	for (int i = 0; i < FLOWS; i++)
		open_flow(&old);
	speak_all(&old);
	slots_change(NOW, fl_clock_boot_s() - 100);
	for (int i = 0; i < FLOWS; i++)
		open_flow(&pinned);
	speak_all(&pinned);
	for (int i = 0; i < FLOWS; i++)
		open_flow(&prompt);
	for (int i = 0; i < FLOWS; i++)
		open_flow(&late);
}

/* ------------------------------------------------------------------------- floods */

struct flood {
	const char *name;
	uint8_t packets[2]; /**< flags of what each tuple sends; 0 = no more */
	uint32_t windows;
	uint32_t tuples; /**< in each */
	bool drains;     /**< BEFORE does */
};

struct figures {
	uint32_t packets;
	uint32_t openings, to_before; /**< SYNs; of those, under pressure */
};

static void flood_tuple(const struct flood *flood, uint32_t flow, struct figures *figures)
{
	for (int i = 0; i < 2 && flood->packets[i]; i++) {
		uint32_t endpoint = send_packet(flow, flood->packets[i]);

		figures->packets++;
		if (flood->packets[i] != SYN)
			continue;
		figures->openings++;
		figures->to_before += endpoint == BEFORE;
	}
}

/* One window of it. Meanwhile some of the old flows say their first word since the
 * change, others go on, and new ones open. */
static void flood_window(const struct flood *flood, uint32_t window, struct figures *figures)
{
	const uint32_t step = flood->tuples * flood->windows / FLOWS;

	for (uint32_t i = 0; i < flood->tuples; i++) {
		flood_tuple(flood, window * flood->tuples + i, figures);
		if (i % step || meanwhile.count == FLOWS)
			continue;
		speak(&old, meanwhile.count);
		speak(&pinned, meanwhile.count);
		open_flow(&meanwhile);
		speak(&meanwhile, meanwhile.count - 1);
	}
	if (window == 0)
		speak_all(&prompt);
	if (window == 1)
		slots_change(LATER, fl_clock_boot_s());
	window_passes();
}

static void report(const struct flood *flood, const struct figures *figures)
{
	static const struct flows *const kinds[] = { &old, &pinned, &prompt, &late, &meanwhile };

	cr_log_info("%s: %u packets; %u openings, of which %u to before; %llu pins refused, slots "
		    "postponed %llu times; entries: pins %u, opening %u",
		flood->name, figures->packets, figures->openings, figures->to_before,
		(unsigned long long)pressure->refused, (unsigned long long)pressure->postponed,
		entries(edge->maps.fl_pins), entries(edge->maps.fl_opening));
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		cr_log_info("%s: %s flows: %u of %u broke", flood->name, kinds[i]->name,
			kinds[i]->broken, kinds[i]->count);
}

static struct figures run(const struct flood *flood)
{
	struct figures figures = { 0 };
	uint64_t forwarded;

	begin();
	if (flood->drains)
		edge_state(BEFORE, FL_DRAINING);
	for (uint32_t window = 0; window < flood->windows; window++)
		flood_window(flood, window, &figures);
	speak_all(&old);
	speak_all(&pinned);
	speak_all(&meanwhile);
	speak_all(&late);
	report(flood, &figures);

	cr_expect_eq(old.broken, 0, "%s: %u old flows broke", flood->name, old.broken);
	cr_expect_eq(pinned.broken, 0, "%s: %u pinned flows broke", flood->name, pinned.broken);
	cr_expect_eq(prompt.broken, 0, "%s: %u answered within a window, and broke", flood->name,
		prompt.broken);
	cr_expect(pressure->refused == 0 || pressure->postponed > 0, "slots learn of losses");
	cr_expect_eq(dropped, 0);
	forwarded = edge_endpoint_stats(BEFORE).packets + edge_endpoint_stats(NOW).packets +
		    edge_endpoint_stats(LATER).packets;
	cr_expect_eq(forwarded, sent, "every packet is counted once");
	return figures;
}

/** Each SYN is another client's. */
Test(floods, syn)
{
	const struct flood flood = { "SYN", { SYN }, 5, 10000, false };
	struct figures figures = run(&flood);

	cr_expect_gt(figures.to_before, 0, "there was no pressure");
	cr_expect_eq(meanwhile.broken, 0);
}

/** Packets of flows that never were: to us they are old ones. */
Test(floods, ack)
{
	const struct flood flood = { "ACK", { ACK }, 5, 10000, false };

	run(&flood);
	cr_expect_leq(pressure->old_pins, FL_PINS_MAX / 2);
	cr_expect_gt(pressure->refused, 0, "there was room for all");
	cr_expect_eq(meanwhile.broken, 0);
}

/** Each opens and answers: its pin is proven, and stays. */
Test(floods, syn_then_ack)
{
	const struct flood flood = { "SYN, then ACK", { SYN, ACK }, 16, 9000, false };
	struct figures figures = run(&flood);

	cr_expect_gt(figures.to_before, 0, "there was no pressure");
	cr_expect_gt(entries(edge->maps.fl_pins), FL_PINS_MAX / 100 * 99, "there was room for all");
	cr_expect_eq(meanwhile.broken, 0);
}

/** The same while openings cannot be spared: who opens when `pins` is full and then is
 * silent may break. Others do not. */
Test(floods, syn_then_ack_while_before_drains)
{
	const struct flood flood = { "SYN, then ACK, before drains", { SYN, ACK }, 16, 9000, true };
	struct figures figures = run(&flood);

	cr_expect_eq(figures.to_before, 0, "an endpoint that drains got new flows");
}
