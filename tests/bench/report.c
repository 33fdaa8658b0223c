/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <err.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"

/* What was measured, beside the yardsticks of the same run. */

/** The yardstick for a kind of traffic; those that know no flows have one row a shape. */
static const struct bench_case *yardstick(
	const bench_cases *cases, const char *program, const struct bench_traffic *traffic)
{
	const struct bench_case *best = NULL;
	size_t i;

	for (i = 0; i < cases->count; i++) {
		const struct bench_case *c = &cases->items[i];

		if (strcmp(c->program, program) || c->traffic.shape != traffic->shape)
			continue;
		if (strcmp(program, "LRU") || c->traffic.flows == traffic->flows)
			best = c;
	}
	return best;
}

static struct bench_figure gross(const struct bench_case *c, size_t rounds)
{
	double values[BENCH_ROUNDS_MAX];

	memcpy(values, c->ns, rounds * sizeof(*values));
	return bench_figure(values, rounds);
}

/** Less what the base took in the same round. */
static struct bench_figure net(
	const struct bench_case *c, const struct bench_case *base, size_t rounds)
{
	double values[BENCH_ROUNDS_MAX];
	size_t i;

	for (i = 0; i < rounds; i++)
		values[i] = c->ns[i] - base->ns[i];
	return bench_figure(values, rounds);
}

/** Column `×NAME`: empty where there is nothing to compare with. */
static void print_ratio(json_t *row, const char *key, double value, double by)
{
	if (!(by > 1) || !(value > 1)) {
		printf(" %8s", "");
		json_object_set_new(row, key, json_null());
		return;
	}
	printf(" %8.2f", value / by);
	json_object_set_new(row, key, json_real(value / by));
}

static json_t *traffic_json(const struct bench_case *c)
{
	char text[64];

	return json_pack("{s:s, s:s, s:s, s:i, s:b}", "program", c->program, "slots", c->state,
		"traffic", bench_traffic_text(&c->traffic, text), "flows", (int)c->traffic.flows,
		"syn", c->traffic.syn);
}

static double net_of(
	const struct bench_run *run, const struct bench_case *c, const struct bench_case *pass)
{
	return c ? net(c, pass, run->options->rounds).median : NAN;
}

static json_t *report_case(const struct bench_run *run, const struct bench_case *c)
{
	const bench_cases *all = &run->cases;
	const struct bench_case *pass = yardstick(all, "XDP_PASS", &c->traffic);
	const struct bench_case *transmit = yardstick(all, "XDP_TX", &c->traffic);
	size_t rounds = run->options->rounds;
	struct bench_figure whole = gross(c, rounds), less = net(c, pass, rounds);
	json_t *row = traffic_json(c);

	printf("  %-10s %-22s %8.1f %8.1f %6.1f", c->program, c->state, whole.median, less.median,
		less.spread);
	json_object_set_new(row, "gross_ns", json_real(whole.median));
	json_object_set_new(row, "net_ns", json_real(less.median));
	json_object_set_new(row, "spread_ns", json_real(less.spread));
	print_ratio(row, "to_pass", whole.median, gross(pass, rounds).median);
	print_ratio(row, "to_tx", whole.median, gross(transmit, rounds).median);
	print_ratio(row, "to_floor", less.median,
		net_of(run, yardstick(all, "floor", &c->traffic), pass));
	print_ratio(
		row, "to_lru", less.median, net_of(run, yardstick(all, "LRU", &c->traffic), pass));
	printf("\n");
	return row;
}

/** Shown apart. */
static bool is_stage(const struct bench_case *c)
{
	return !strcmp(c->program, "stages");
}

static bool same_traffic(const struct bench_traffic *a, const struct bench_traffic *b)
{
	return a->shape == b->shape && a->flows == b->flows && a->syn == b->syn;
}

/** Is this the first case with its traffic? */
static bool is_first(const bench_cases *cases, size_t index)
{
	size_t i;

	for (i = 0; i < index; i++)
		if (same_traffic(&cases->items[i].traffic, &cases->items[index].traffic))
			return false;
	return true;
}

json_t *bench_report_packets(const struct bench_run *run)
{
	const bench_cases *cases = &run->cases;
	json_t *rows = json_array();
	char text[64];
	size_t i, j;

	printf("\nNanoseconds a packet: medians of %d rounds of %u packets. Net is less XDP_PASS "
	       "behind "
	       "the\nsame feeder, ± half the distance of its quartiles. × XDP_PASS and × XDP_TX "
	       "compare "
	       "gross\ntimes, × floor and × LRU net ones under the same traffic.\n",
		run->options->rounds, run->options->packets);
	printf("\n  %-10s %-22s %8s %8s %6s %8s %8s %8s %8s\n", "program", "slots", "gross", "net",
		"±", " ×PASS", " ×TX", " ×floor", " ×LRU");
	for (i = 0; i < cases->count; i++) {
		if (!is_first(cases, i))
			continue;
		printf("%s\n", bench_traffic_text(&cases->items[i].traffic, text));
		for (j = i; j < cases->count; j++)
			if (!is_stage(&cases->items[j]) &&
				same_traffic(&cases->items[i].traffic, &cases->items[j].traffic))
				json_array_append_new(rows, report_case(run, &cases->items[j]));
	}
	return rows;
}

json_t *bench_report_stages(const struct bench_run *run)
{
	json_t *rows = json_array();
	struct bench_figure sum, step;
	size_t i, rounds = run->options->rounds;
	char text[64];

	printf("\nWhere they go: the edge program in mode ipip, settled, ended after each of its "
	       "stages. Net\nnanoseconds up to there, and what the stage adds:\n\n");
	for (i = 0; i < run->cases.count; i++) {
		const struct bench_case *c = &run->cases.items[i], *before = c - 1;
		json_t *row;

		if (!is_stage(c))
			continue;
		if (!is_stage(before) || before->traffic.flows != c->traffic.flows) {
			printf("%s\n", bench_traffic_text(&c->traffic, text));
			before = yardstick(&run->cases, "XDP_PASS", &c->traffic);
		}
		sum = net(c, yardstick(&run->cases, "XDP_PASS", &c->traffic), rounds);
		step = net(c, before, rounds);
		printf("  %-22s %8.1f %+8.1f ±%4.1f\n", c->state, sum.median, step.median,
			step.spread);
		row = traffic_json(c);
		json_object_set_new(row, "net_ns", json_real(sum.median));
		json_object_set_new(row, "step_ns", json_real(step.median));
		json_object_set_new(row, "spread_ns", json_real(step.spread));
		json_array_append_new(rows, row);
	}
	return rows;
}

json_t *bench_report_live(const struct bench_run *run)
{
	json_t *rows = json_array();
	char text[64];
	size_t i;

	printf("\nLive frames over veth on one processor, million packets a second (± as "
	       "above):\n\n");
	for (i = 0; i < run->live.count; i++) {
		const struct bench_case *c = &run->live.items[i];
		struct bench_figure rate = gross(c, run->options->rounds);
		json_t *row = traffic_json(c);

		printf("  %-10s %-40s %6.2f %6.2f\n", c->program,
			bench_traffic_text(&c->traffic, text), rate.median, rate.spread);
		json_object_set_new(row, "mpps", json_real(rate.median));
		json_object_set_new(row, "spread_mpps", json_real(rate.spread));
		json_array_append_new(rows, row);
	}
	return rows;
}
