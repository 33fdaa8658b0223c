/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <arpa/inet.h>
#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench.h"
#include "core/clock.h"
#include "subject.h"

/*
 * From a saved file to the kernel: a real agent watches a directory of services, a file
 * there is replaced as editors do it, and what is timed ends when the pinned maps
 * show the change.
 */

#define CONFIG_PATH "/run/bench-reload.yaml"
#define DIRECTORY   "/run/bench-reload.d"
#define BPFFS       "/sys/fs/bpf/bench-reload"
#define CHANGES     50
/** Each service has two endpoints, of which the first changes. */
#define FIRST_ENDPOINT 0x0a400000
#define PATIENCE_NS    60000000000ull

/** Services, and how they are spread over files. */
struct layout {
	uint32_t services;
	uint32_t per_file;
};

struct reload {
	struct layout layout;
	struct fl_maps maps; /**< what the agent pinned, read-only */
	uint32_t *ids;       /**< of the endpoint that changes, by service */
	bool *away;          /**< whether it is in maintenance, by service */
	FILE *log;           /**< of the agent, read on from where we are */
	double whole_ms[CHANGES], apply_ms[CHANGES];
};

static void write_config(void)
{
	FILE *file = fopen(CONFIG_PATH, "w");

	if (!file)
		err(1, CONFIG_PATH);
	fputs("state_dir: /run/bench-reload\n"
	      "bpffs: " BPFFS "\n"
	      "control: { socket: /run/bench-reload.sock }\n"
	      "http: { listen: off }\n"
	      "limits: { services: 4096, slots: 1200000 }\n"
	      "edge: { interfaces: [v6] }\n"
	      "registries: [ { file: { path: " DIRECTORY " } } ]\n",
		file);
	fclose(file);
}

/* ------------------------------------------------------------------ registry */

static void write_service(FILE *out, uint32_t i, bool away)
{
	char changes[FL_IP_TEXT], stays[FL_IP_TEXT];
	struct fl_ip changing = fl_ip_from_ipv4(htonl(FIRST_ENDPOINT + 2 * i));
	struct fl_ip other = fl_ip_from_ipv4(htonl(FIRST_ENDPOINT + 2 * i + 1));
	struct fl_ip frontend = fl_ip_from_ipv4(htonl(0x0ac80000 + i));
	char text[FL_IP_TEXT];

	fprintf(out,
		"  - name: service-%05u\n"
		"    frontends: [ \"%s:80/tcp\" ]\n"
		"    endpoints:\n"
		"      - { address: \"%s:80\", state: %s }\n"
		"      - { address: \"%s:80\" }\n",
		i, fl_ip_format(&frontend, text), fl_ip_format(&changing, changes),
		away ? "maintenance" : "up", fl_ip_format(&other, stays));
}

/** Write the file that service `i` stands in, aside. The other name is its own. */
static void write_aside(const struct reload *r, uint32_t i, char aside[64], char name[64])
{
	uint32_t number = i / r->layout.per_file, first = number * r->layout.per_file;
	FILE *file;

	snprintf(aside, 64, DIRECTORY "/.%05u.new", number);
	snprintf(name, 64, DIRECTORY "/%05u.yaml", number);
	file = fopen(aside, "w");
	if (!file)
		err(1, "%s", aside);
	fputs("services:\n", file);
	for (uint32_t j = first; j < first + r->layout.per_file; j++)
		write_service(file, j, r->away[j]);
	if (fclose(file) != 0)
		err(1, "%s", aside);
}

static void rename_or_die(const char *from, const char *to)
{
	if (rename(from, to) < 0)
		err(1, "%s", to);
}

static void write_all(const struct reload *r)
{
	char aside[64], name[64];

	bench_shell("rm -rf " DIRECTORY " && mkdir " DIRECTORY);
	for (uint32_t i = 0; i < r->layout.services; i += r->layout.per_file) {
		write_aside(r, i, aside, name);
		rename_or_die(aside, name);
	}
}

/* -------------------------------------------------------------------- kernel */

static void find_ids(struct reload *r)
{
	const struct fl_maps *maps = &r->maps;

	for (uint32_t id = 1; id <= maps->limits.endpoints; id++) {
		const struct fl_endpoint_row *row = &maps->endpoints[id];
		uint32_t i = ntohl(row->addr.word[3]) - FIRST_ENDPOINT;

		if (row->service && i % 2 == 0 && i / 2 < r->layout.services)
			r->ids[i / 2] = id;
	}
	for (uint32_t i = 0; i < r->layout.services; i++)
		if (!r->ids[i])
			errx(1, "an endpoint of service %u is missing in the maps", i);
}

static uint64_t generation(const struct reload *r)
{
	return __atomic_load_n(&r->maps.meta->generation, __ATOMIC_RELAXED);
}

/** All of it is written, the endpoint's row last but for the generation. */
static bool is_shown(const struct reload *r, uint32_t i, uint64_t before)
{
	const struct fl_endpoint_row *row = &r->maps.endpoints[r->ids[i]];

	return __atomic_load_n(&row->state, __ATOMIC_RELAXED) ==
		       (r->away[i] ? FL_MAINTENANCE : FL_UP) &&
	       generation(r) != before;
}

/** The next whole line of the agent's log. @return false when there is none yet */
static bool next_line(FILE *log, char *line, int size)
{
	long at = ftell(log);

	if (fgets(line, size, log) && strchr(line, '\n'))
		return true;
	clearerr(log);
	if (fseek(log, at, SEEK_SET) < 0)
		err(1, BENCH_AGENT_LOG);
	return false;
}

/** Seconds that the apply took which was seen to be over. */
static double logged_apply_s(FILE *log)
{
	uint64_t begin = fl_clock_mono_ns();
	char line[4096];

	while (fl_clock_mono_ns() - begin < PATIENCE_NS) {
		const char *at = NULL;

		while (!at && next_line(log, line, sizeof(line)))
			if (strstr(line, "snapshot applied"))
				at = strstr(line, " seconds=");
		if (at)
			return strtod(at + strlen(" seconds="), NULL);
		usleep(200);
	}
	errx(1, "the agent's log tells of no apply");
}

/* ------------------------------------------------------------------- changes */

static void change(struct reload *r, int number)
{
	uint32_t i = (uint32_t)number * 7919 % r->layout.services;
	uint64_t before = generation(r), begin;
	char aside[64], name[64];

	r->away[i] = !r->away[i];
	write_aside(r, i, aside, name);
	begin = fl_clock_mono_ns();
	rename_or_die(aside, name);
	while (!is_shown(r, i, before)) {
		if (fl_clock_mono_ns() - begin > PATIENCE_NS)
			errx(1, "a change did not reach the kernel");
		usleep(50);
	}
	r->whole_ms[number] = (double)(fl_clock_mono_ns() - begin) / 1e6;
	r->apply_ms[number] = logged_apply_s(r->log) * 1e3;
}

static json_t *report(struct reload *r)
{
	uint32_t files = r->layout.services / r->layout.per_file;
	double whole50 = bench_quantile(r->whole_ms, CHANGES, 0.5);
	double whole99 = bench_quantile(r->whole_ms, CHANGES, 0.99);
	double apply50 = bench_quantile(r->apply_ms, CHANGES, 0.5);
	double apply99 = bench_quantile(r->apply_ms, CHANGES, 0.99);

	printf("  %8u %8u %10.1f %8.1f %12.2f %8.2f\n", r->layout.services, files, whole50, whole99,
		apply50, apply99);
	return json_pack("{s:i, s:i, s:i, s:f, s:f, s:f, s:f}", "services", (int)r->layout.services,
		"files", (int)files, "changes", CHANGES, "whole_p50_ms", whole50, "whole_p99_ms",
		whole99, "apply_p50_ms", apply50, "apply_p99_ms", apply99);
}

static json_t *measure(struct layout layout)
{
	struct reload r = { .layout = layout };
	struct fl_failure failure = { 0 };
	json_t *row;
	pid_t pid;

	r.ids = calloc(layout.services, sizeof(*r.ids));
	r.away = calloc(layout.services, sizeof(*r.away));
	if (!r.ids || !r.away)
		errx(1, "out of memory");
	write_all(&r);
	pid = bench_agent_start(CONFIG_PATH);
	r.log = fopen(BENCH_AGENT_LOG, "r");
	if (!r.log || fseek(r.log, 0, SEEK_END) < 0)
		err(1, BENCH_AGENT_LOG);
	if (fl_maps_open(&r.maps, BPFFS, false, &failure) < 0)
		errx(1, "%s", failure.message);
	find_ids(&r);
	for (int i = 0; i < CHANGES; i++)
		change(&r, i);
	row = report(&r);
	bench_agent_stop(pid);
	fl_maps_close(&r.maps);
	fclose(r.log);
	free(r.ids);
	free(r.away);
	bench_shell("rm -r " BPFFS);
	return row;
}

json_t *bench_reload(void)
{
	static const struct layout layouts[] = {
		{ 1, 1 },
		{ 1000, 1000 },
		{ 1000, 1 },
		{ 4000, 4000 },
		{ 4000, 1 },
	};
	json_t *rows = json_array();

	write_config();
	bench_shell("ip link add v6 type veth && ip link set v6 up");
	printf("\nMilliseconds from the moment a registry's file is replaced until the pinned maps "
	       "show the one\nendpoint that changed, over %d changes. Of that the agent waits 50 "
	       "ms "
	       "for more changes, and\nreads the file anew; the apply is what comes then, merge to "
	       "last write:\n\n"
	       "  %8s %8s %10s %8s %12s %8s\n",
		CHANGES, "services", "files", "whole p50", "p99", "apply p50", "p99");
	for (size_t i = 0; i < sizeof(layouts) / sizeof(layouts[0]); i++)
		json_array_append_new(rows, measure(layouts[i]));
	return rows;
}
