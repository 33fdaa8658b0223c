/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <bpf/bpf.h>
#include <err.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <linux/bpf.h>

#include "bench.h"
#include "core/clock.h"
#include "tests/bench/feeder.skel.h"

/*
 * bench: what the edge path costs, beside yardsticks measured in the same run.
 */

static const char usage_text[] =
	"usage: bench [OPTION]...\n"
	"Measures the edge path beside yardsticks, and the agent's work. Needs root. Changes\n"
	"nothing on this machine: it works in namespaces of its own.\n"
	"  --rounds N      rounds over all cases (default 21)\n"
	"  --packets N     packets of each case in a round (default 262144)\n"
	"  --only PARTS    not all, but these, with commas between: scale, consul, reload,\n"
	"                  writes, builds, checks (the agent's work), node, packets, live\n"
	"  --json FILE     write the figures there too\n";

static bool parse_number(const char *text, long min, long max, long *ret)
{
	char *end;
	long value = strtol(text, &end, 10);

	if (*end || end == text || value < min || value > max)
		return false;
	*ret = value;
	return true;
}

static int usage(int code)
{
	fputs(usage_text, code ? stderr : stdout);
	return code;
}

/** In the order in which they are run. */
static const struct {
	const char *name;
	enum bench_part part;
	json_t *(*run)(void); /**< NULL = measure_packets() does it */
} parts[] = {
	{ "scale", BENCH_SCALE, bench_scale },
	{ "consul", BENCH_CONSUL, bench_consul },
	{ "node", BENCH_NODE, bench_node },
	{ "reload", BENCH_RELOAD, bench_reload },
	{ "writes", BENCH_WRITES, bench_writes },
	{ "builds", BENCH_BUILDS, bench_builds },
	{ "checks", BENCH_CHECKS, bench_checks },
	{ "packets", BENCH_PACKETS, NULL },
	{ "live", BENCH_LIVE, NULL },
};
#define PART_COUNT (sizeof(parts) / sizeof(parts[0]))

/** @return the bit of a part, 0 for a name that is none */
static unsigned part_bit(const char *name, size_t length)
{
	size_t i;

	for (i = 0; i < PART_COUNT; i++)
		if (strlen(parts[i].name) == length && !strncmp(parts[i].name, name, length))
			return parts[i].part;
	return 0;
}

/** Names with commas between. @return false when one is not known */
static bool parse_parts(const char *text, unsigned *ret)
{
	unsigned bits = 0, bit = 1;

	for (; bit && *text; text += strcspn(text, ","), text += *text == ',') {
		bit = part_bit(text, strcspn(text, ","));
		bits |= bit;
	}
	if (!bit || !bits)
		return false;
	*ret = bits;
	return true;
}

/** @return -1 to go on, else the exit code */
static int parse_options(int argc, char **argv, struct bench_options *options)
{
	static const struct option long_options[] = {
		{ "rounds", required_argument, NULL, 'r' },
		{ "packets", required_argument, NULL, 'p' },
		{ "only", required_argument, NULL, 'o' },
		{ "json", required_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	long number;
	int c;

	while ((c = getopt_long(argc, argv, "h", long_options, NULL)) >= 0) {
		switch (c) {
		case 'r':
			if (!parse_number(optarg, 1, BENCH_ROUNDS_MAX, &number))
				return usage(2);
			options->rounds = number;
			break;
		case 'p':
			if (!parse_number(optarg, 1000, 100000000, &number))
				return usage(2);
			options->packets = number;
			break;
		case 'o':
			if (!parse_parts(optarg, &options->parts))
				return usage(2);
			break;
		case 'j':
			options->json = optarg;
			break;
		case 'h':
			return usage(0);
		default:
			return usage(2);
		}
	}
	return optind < argc ? usage(2) : -1;
}

static json_t *describe_machine(const struct bench_options *options)
{
	struct utsname name;
	char cpu[128];

	uname(&name);
	bench_cpu_name(cpu, sizeof(cpu));
	printf("%s, Linux %s, fairlead %s\n", cpu, name.release, FL_VERSION);
	return json_pack("{s:s, s:s, s:s, s:i, s:i}", "cpu", cpu, "kernel", name.release, "version",
		FL_VERSION, "rounds", options->rounds, "packets", (int)options->packets);
}

static void add_live(struct bench_run *run)
{
	struct bench_traffic one = { FEED_TCP4, 1, false };

	bench_attach_drop(run);
	bench_add(&run->live, "XDP_TX", bpf_program__fd(run->feeder->progs.transmit), XDP_TX, &one);
	bench_add(&run->live, "floor", bpf_program__fd(run->feeder->progs.floor4), XDP_TX, &one);
	one.flows = 1 << 20;
	bench_add(&run->live, "LRU", bpf_program__fd(run->feeder->progs.lru4), XDP_TX, &one)
		->warmup = 1 << 20;
}

/** The packet path: programs that are shown to the feeder, and live frames. */
static void measure_packets(struct bench_run *run, json_t *all)
{
	bench_add_yardsticks(run);
	add_live(run);
	bench_add_edge(run);
	bench_pin_cpu();
	if (run->options->parts & BENCH_PACKETS) {
		bench_measure(run);
		json_object_set_new(all, "packets", bench_report_packets(run));
		json_object_set_new(all, "stages", bench_report_stages(run));
	}
	if (run->options->parts & BENCH_LIVE) {
		bench_measure_live(run);
		json_object_set_new(all, "live", bench_report_live(run));
	}
}

int main(int argc, char **argv)
{
	struct bench_options options = { .rounds = 21, .packets = 1 << 18, .parts = UINT32_MAX };
	struct bench_run run = { .options = &options };
	int code = parse_options(argc, argv, &options);
	json_t *all;
	size_t i;

	if (code >= 0)
		return code;
	libbpf_set_strict_mode(LIBBPF_STRICT_ALL);
	setvbuf(stdout, NULL, _IOLBF, 0);
	bench_world_enter(&run);
	all = json_pack("{s:o}", "machine", describe_machine(&options));
	for (i = 0; i < PART_COUNT; i++)
		if (parts[i].run && (options.parts & parts[i].part))
			json_object_set_new(all, parts[i].name, parts[i].run());
	if (options.parts & (BENCH_PACKETS | BENCH_LIVE))
		measure_packets(&run, all);

	if (options.json &&
		json_dump_file(all, options.json, JSON_INDENT(1) | JSON_REAL_PRECISION(6)) < 0)
		errx(1, "%s could not be written", options.json);
	json_decref(all);
	return 0;
}
