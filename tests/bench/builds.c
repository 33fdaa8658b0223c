/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <arpa/inet.h>
#include <err.h>
#include <stdio.h>
#include <stdlib.h>

#include "balance/maglev.h"
#include "bench.h"
#include "fairlead/abi.h"

/*
 * What it costs to build a table, and how many slots change hands when one endpoint
 * leaves: its own must, any other need not.
 */

#define ROUNDS 9

/** @return milliseconds */
static double build(
	const struct fl_maglev_entry *entries, size_t count, uint32_t size, uint32_t *table)
{
	double begin = bench_thread_ns();

	if (fl_maglev_build(entries, count, size, table) < 0)
		errx(1, "building a table failed");
	return (bench_thread_ns() - begin) / 1e6;
}

static struct fl_maglev_entry *make_entries(size_t count)
{
	struct fl_maglev_entry *entries = calloc(count, sizeof(*entries));

	if (!entries)
		errx(1, "out of memory");
	for (size_t i = 0; i < count; i++)
		entries[i] = (struct fl_maglev_entry){ .addr = fl_ip_from_ipv4(
							       htonl(0x0ac90001 + (uint32_t)i)),
			.port = 80,
			.weight = 1,
			.id = (uint32_t)i + 1 };
	return entries;
}

/** In percent of all slots. */
struct moved {
	double own;    /**< of the endpoint that left */
	double others; /**< that moved between those that stay */
};

static struct moved count_moved(
	const uint32_t *old, const uint32_t *new, uint32_t size, uint32_t left)
{
	uint32_t own = 0, others = 0;

	for (uint32_t i = 0; i < size; i++) {
		own += old[i] == left;
		others += old[i] != left && old[i] != new[i];
	}
	return (struct moved){ 100.0 * own / size, 100.0 * others / size };
}

static json_t *measure(uint32_t size, size_t count)
{
	struct fl_maglev_entry *entries = make_entries(count);
	uint32_t *old = calloc(size, sizeof(*old)), *new = calloc(size, sizeof(*new));
	struct bench_figure time;
	double ms[ROUNDS];
	struct moved moved;

	if (!old || !new)
		errx(1, "out of memory");
	for (int i = 0; i < ROUNDS; i++)
		ms[i] = build(entries, count, size, old);
	time = bench_figure(ms, ROUNDS);
	build(entries, count - 1, size, new);
	moved = count_moved(old, new, size, entries[count - 1].id);
	printf("  %8u %10zu %10.3f %6.3f %12.3f %12.3f\n", size, count, time.median, time.spread,
		moved.own, moved.others);
	free(entries);
	free(old);
	free(new);
	return json_pack("{s:i, s:i, s:f, s:f, s:f, s:f}", "slots", (int)size, "endpoints",
		(int)count, "build_ms", time.median, "spread_ms", time.spread, "moved_own_percent",
		moved.own, "moved_others_percent", moved.others);
}

json_t *bench_builds(void)
{
	static const uint32_t sizes[] = FL_SIZES;
	static const size_t counts[] = { 10, 100, 1000 };
	json_t *rows = json_array();

	printf("\nTables: milliseconds of processor time to build one, and percent of slots that "
	       "change hands when\none endpoint leaves, its own and those of others:\n\n"
	       "  %8s %10s %10s %6s %12s %12s\n",
		"slots", "endpoints", "ms", "±", "its own", "others");
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		for (size_t j = 0; j < sizeof(counts) / sizeof(counts[0]); j++)
			if (counts[j] < sizes[i])
				json_array_append_new(rows, measure(sizes[i], counts[j]));
	return rows;
}
