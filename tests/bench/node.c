/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <dirent.h>
#include <err.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"
#include "http.h"
#include "rivals.h"
#include "subject.h"

/*
 * Connections that start on the node, to four endpoints on loopback: straight, through the node path
 * with each of its ways to choose, and through what people use for it today. All in turn, round
 * by round, a client and a server on the same machine. Each is measured right beside the straight one,
 * before it in one round and after it in the next, and what is told is the share of that one's
 * requests: what else the machine does is then much the same for both. The straight one beside itself
 * shows how much of it is not. Proxies have a process of their own, which takes processor time from
 * both ends.
 */

#define PORT         8080
#define ENDPOINTS    4
#define AT_ONCE      16
#define FOR_MS       40
#define ROUNDS       45
#define SUBJECTS_MAX 16

static const char *const endpoints[ENDPOINTS] = { "10.64.0.1", "10.64.0.2", "10.64.0.3",
	"10.64.0.4" };
/* What `balance:` may be, each a service with a frontend of its own. */
static const char *const balances[] = { "maglev", "random", "round-robin", "least-connections",
	"p2c" };
#define BALANCES (sizeof(balances) / sizeof(balances[0]))

struct measured {
	double requests[ROUNDS], p50[ROUNDS], p99[ROUNDS];
	double cpu_us[ROUNDS]; /* of both ends and of what is between them, a request */
	/* The same of the straight one beside it. */
	double straight[ROUNDS], straight_cpu_us[ROUNDS];
	uint32_t failed;
};

struct subject {
	char name[48];
	struct http_target target[ENDPOINTS];
	unsigned targets;
	const char *cgroup;        /* with a node path; NULL = none */
	const char *missing;       /* what is not installed; NULL = it is there */
	const struct rival *rival; /* NULL = it is none */
	struct measured brief, keep;
};

struct node_bench {
	struct subject subjects[SUBJECTS_MAX];
	size_t count;
	char cgroup[128], unwatched[160]; /* the second is beside the first */
	pid_t agent, unwatched_agent, server;
	struct rival rivals[RIVALS];
};

/* -------------------------------------------------------------------- subjects */

static struct subject *add(struct node_bench *b, const char *name, const char *addr, uint16_t port)
{
	struct subject *subject = &b->subjects[b->count++];

	snprintf(subject->name, sizeof(subject->name), "%s", name);
	if (addr)
		subject->target[subject->targets++] = (struct http_target){ inet_addr(addr), port };
	return subject;
}

static void add_straight(struct node_bench *b)
{
	struct subject *subject = add(b, "straight", NULL, 0);

	for (int i = 0; i < ENDPOINTS; i++)
		subject->target[subject->targets++] =
			(struct http_target){ inet_addr(endpoints[i]), PORT };
}

static void make_cgroup(struct node_bench *b)
{
	bench_shell("mkdir -p /run/cgroup");
	if (mount("none", "/run/cgroup", "cgroup2", 0, NULL) < 0)
		err(1, "mounting a cgroup2");
	snprintf(b->cgroup, sizeof(b->cgroup), "/run/cgroup/fl-bench-%d", getpid());
	snprintf(b->unwatched, sizeof(b->unwatched), "%s-unwatched", b->cgroup);
	if (mkdir(b->cgroup, 0755) < 0 || mkdir(b->unwatched, 0755) < 0)
		err(1, "%s", b->cgroup);
}

static void write_service(FILE *out, size_t i)
{
	fprintf(out,
		"  - name: %s\n    frontends: [ \"10.99.0.%zu:80/tcp\" ]\n    balance: %s\n"
		"    endpoints:\n",
		balances[i], i + 1, balances[i]);
	for (int e = 0; e < ENDPOINTS; e++)
		fprintf(out, "      - { address: \"%s:%u\" }\n", endpoints[e], PORT);
}

/* An agent for a cgroup, with all that is declared. */
static pid_t start_agent(const char *name, const char *cgroup)
{
	char path[64];
	FILE *file;

	snprintf(path, sizeof(path), "/run/%s.yaml", name);
	file = fopen(path, "w");
	if (!file)
		err(1, "%s", path);
	fprintf(file,
		"state_dir: /run/%s\nbpffs: /sys/fs/bpf/%s\ncontrol: { socket: /run/%s.sock }\n"
		"http: { listen: off }\nnode_path: { enabled: true, cgroup: %s }\n"
		"registries: [ { file: { path: /run/bench-node.d } } ]\nservices:\n",
		name, name, name, cgroup);
	for (size_t i = 0; i < BALANCES; i++)
		write_service(file, i);
	fclose(file);
	return bench_agent_start(path);
}

static void add_node_path(struct node_bench *b)
{
	b->agent = start_agent("bench-node", b->cgroup);
	for (size_t i = 0; i < BALANCES; i++) {
		char name[48], addr[32];

		snprintf(name, sizeof(name), "node path, %s", balances[i]);
		snprintf(addr, sizeof(addr), "10.99.0.%zu", i + 1);
		add(b, name, addr, 80)->cgroup = b->cgroup;
	}
}

/* What it costs that connections are watched: a node path whose programs that count and time
 * them are taken away again. By the name of the first way to choose. */
static void add_unwatched(struct node_bench *b)
{
	static const char *const hooks[] = { "node-watch", "node-release" };

	b->unwatched_agent = start_agent("bench-unwatched", b->unwatched);
	for (size_t i = 0; i < sizeof(hooks) / sizeof(hooks[0]); i++) {
		char path[64];
		int fd;

		snprintf(path, sizeof(path), "/sys/fs/bpf/bench-unwatched/links/%s", hooks[i]);
		fd = bpf_obj_get(path);
		if (fd < 0 || bpf_link_detach(fd) < 0)
			err(1, "%s", path);
		close(fd);
	}
	add(b, "  maglev, sockops detached", "10.99.0.1", 80)->cgroup = b->unwatched;
}

static void add_rivals(struct node_bench *b)
{
	struct rival_endpoints to = { endpoints, ENDPOINTS, PORT };

	rivals_start(b->rivals, &to);
	for (size_t i = 0; i < RIVALS; i++) {
		struct subject *subject =
			add(b, b->rivals[i].name, b->rivals[i].address, b->rivals[i].port);

		subject->missing = b->rivals[i].missing;
		subject->rival = &b->rivals[i];
	}
}

/* --------------------------------------------------------------------- measure */

static double quantile(struct http_result *result, double q)
{
	static double values[HTTP_SAMPLES_MAX];

	for (uint32_t i = 0; i < result->samples; i++)
		values[i] = result->connect_us[i];
	return result->samples ? bench_quantile(values, result->samples, q) : 0;
}

static double thread_cpu_ns(int process, const char *thread)
{
	char path[512];
	double ns = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/task/%s/schedstat", process, thread);
	file = fopen(path, "r");
	if (file && fscanf(file, "%lf", &ns) != 1)
		ns = 0;
	if (file)
		fclose(file);
	return ns;
}

/* Processor time of all threads of a process so far: HAProxy has several. */
static double cpu_ns(pid_t process)
{
	char path[64];
	double ns = 0;
	struct dirent *entry;
	DIR *folder;

	snprintf(path, sizeof(path), "/proc/%d/task", process);
	folder = process > 0 ? opendir(path) : NULL;
	while (folder && (entry = readdir(folder)))
		if (entry->d_name[0] != '.')
			ns += thread_cpu_ns(process, entry->d_name);
	if (folder)
		closedir(folder);
	return ns;
}

static double cpu_of_others(const struct node_bench *b)
{
	double ns = cpu_ns(b->server);

	for (size_t i = 0; i < RIVALS; i++)
		ns += cpu_ns(b->rivals[i].process);
	return ns;
}

/* @return processor time of a request, in microseconds */
static double ask(const struct node_bench *b, const struct subject *subject, bool keep,
	struct http_result *result)
{
	struct http_load load = { .targets = subject->targets,
		.keep_alive = keep,
		.at_once = AT_ONCE,
		.for_ms = FOR_MS,
		.cgroup = subject->cgroup };
	double others_ns = cpu_of_others(b);

	memcpy(load.target, subject->target, sizeof(subject->target));
	http_ask(&load, result);
	others_ns = cpu_of_others(b) - others_ns;
	return result->done ? (others_ns + result->cpu_ns) / 1e3 / (double)result->done : 0;
}

static void ask_straight(const struct node_bench *b, bool keep, int round,
	struct measured *measured, struct http_result *result)
{
	measured->straight_cpu_us[round] = ask(b, &b->subjects[0], keep, result);
	measured->straight[round] = result->requests_s;
}

static void measure(const struct node_bench *b, struct subject *subject, bool keep, int round,
	struct http_result *result)
{
	struct measured *measured = keep ? &subject->keep : &subject->brief;

	if (round % 2 == 0)
		ask_straight(b, keep, round, measured, result);
	if (subject->rival && subject->rival->enter)
		subject->rival->enter();
	measured->cpu_us[round] = ask(b, subject, keep, result);
	if (subject->rival && subject->rival->leave)
		subject->rival->leave();
	measured->requests[round] = result->requests_s;
	measured->failed += result->failed;
	measured->p50[round] = quantile(result, 0.5);
	measured->p99[round] = quantile(result, 0.99);
	if (round % 2 == 1)
		ask_straight(b, keep, round, measured, result);
}

/* Round -1 warms up. */
static void measure_all(struct node_bench *b)
{
	struct http_result *result = http_result_new();

	for (int round = -1; round < ROUNDS; round++) {
		for (size_t i = 0; i < b->count; i++) {
			/* Each begins with another one, so that none always follows the same. */
			size_t at = (i + (size_t)(round + 1)) % b->count;

			if (b->subjects[at].missing)
				continue;
			measure(b, &b->subjects[at], false, round < 0 ? 0 : round, result);
			measure(b, &b->subjects[at], true, round < 0 ? 0 : round, result);
		}
		if (round < 0)
			for (size_t i = 0; i < b->count; i++)
				b->subjects[i].brief.failed = b->subjects[i].keep.failed = 0;
	}
	munmap(result, sizeof(*result));
}

/* ---------------------------------------------------------------------- report */

/* The ratio of each round, since what else the machine did was the same for both. */
static struct bench_figure ratio(const double *of, const double *to)
{
	double ratios[ROUNDS];

	for (int i = 0; i < ROUNDS; i++)
		ratios[i] = of[i] / to[i];
	return bench_figure(ratios, ROUNDS);
}

static double median(const double *values)
{
	double copy[ROUNDS];

	memcpy(copy, values, sizeof(copy));
	return bench_quantile(copy, ROUNDS, 0.5);
}

/* One kind of load. @param prefix  of the names for machines */
static void report_load(json_t *row, const char *prefix, const struct measured *m)
{
	struct bench_figure share = ratio(m->requests, m->straight);
	/* The other way round, so that less is worse here as well. */
	struct bench_figure cpu = ratio(m->straight_cpu_us, m->cpu_us);
	const struct {
		const char *name;
		double value;
	} figures[] = {
		{ "requests_s", median(m->requests) },
		{ "ratio", share.median },
		{ "ratio_spread", share.spread },
		{ "cpu_us", median(m->cpu_us) },
		{ "cpu_ratio", cpu.median },
		{ "cpu_ratio_spread", cpu.spread },
		{ "connect_p50_us", median(m->p50) },
		{ "connect_p99_us", median(m->p99) },
	};
	char name[64];

	printf(" %8.0f %5.2f ±%.2f %6.1f %5.2f ±%.2f", figures[0].value, share.median, share.spread,
		figures[3].value, cpu.median, cpu.spread);
	for (size_t i = 0; i < sizeof(figures) / sizeof(figures[0]); i++) {
		snprintf(name, sizeof(name), "%s%s", prefix, figures[i].name);
		json_object_set_new(row, name, json_real(figures[i].value));
	}
}

static json_t *report_subject(const struct subject *s)
{
	json_t *row = json_pack("{s:s}", "name", s->name);

	if (s->missing) {
		printf("  %-28s not installed: this machine lacks %s\n", s->name, s->missing);
		json_object_set_new(row, "missing", json_string(s->missing));
		return row;
	}
	printf("  %-28s", s->name);
	report_load(row, "", &s->brief);
	printf(" %6.0f %6.0f |", median(s->brief.p50), median(s->brief.p99));
	report_load(row, "keep_alive_", &s->keep);
	printf(" %6u\n", s->brief.failed + s->keep.failed);
	json_object_set_new(row, "failed", json_integer(s->brief.failed + s->keep.failed));
	return row;
}

static json_t *report(const struct node_bench *b)
{
	json_t *rows = json_array();

	printf("\nHTTP between processes of this machine, %d connections at a time, %d endpoints "
	       "on loopback, a request a\nconnection and (right of the bar) keep-alive. Medians of "
	       "%d rounds of %d ms, ± half the distance between\nthe quartiles. Share: of the "
	       "requests a second of the straight one beside it; cpu µs: processor time for a\n"
	       "request, of both ends and of what is between them, and the straight one's as a "
	       "share of it, which other\nwork on the machine changes less; p50 and p99 are of the "
	       "time to connect.\n\n",
		AT_ONCE, ENDPOINTS, ROUNDS, FOR_MS);
	printf("  %-28s %8s %5s %5s %6s %5s %5s %6s %6s | %8s %5s %5s %6s %5s %5s %6s\n", "",
		"requests", "share", "", "cpu µs", "share", "", "p50 µs", "p99 µs", "requests",
		"share", "", "cpu µs", "share", "", "failed");
	for (size_t i = 0; i < b->count; i++)
		json_array_append_new(rows, report_subject(&b->subjects[i]));
	return rows;
}

static void remove_cgroup(const char *path)
{
	if (rmdir(path) < 0)
		warn("%s", path);
}

static void end(struct node_bench *b)
{
	bench_agent_stop(b->agent);
	bench_agent_stop(b->unwatched_agent);
	rivals_stop(b->rivals);
	kill(b->server, SIGTERM);
	waitpid(b->server, NULL, 0);
	remove_cgroup(b->cgroup);
	remove_cgroup(b->unwatched);
	umount("/run/cgroup");
	for (int i = 0; i < ENDPOINTS; i++)
		bench_shell("ip addr del %s/32 dev lo", endpoints[i]);
}

json_t *bench_node(void)
{
	struct node_bench b = { 0 };
	json_t *rows;

	for (int i = 0; i < ENDPOINTS; i++)
		bench_shell("ip addr add %s/32 dev lo", endpoints[i]);
	bench_shell("mkdir -p /run/bench-node.d");
	make_cgroup(&b);
	add_straight(&b);
	add_node_path(&b);
	add_unwatched(&b);
	b.server = http_serve(endpoints, ENDPOINTS, PORT);
	add_rivals(&b);
	sleep(1); /* until the proxies listen */
	measure_all(&b);
	rows = report(&b);
	end(&b);
	return rows;
}
